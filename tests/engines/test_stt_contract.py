"""What every recogniser owes the stage that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import TranscriptionError
from edge_assistant.stt.protocol import Recognizer, Transcript
from tests.engines.detectors import StarterFile
from tests.engines.recognizers import RECOGNIZERS, RecognizerCase
from tests.engines.sounds import silence, tone, white_noise
from tests.engines.tokens import CancelsAtCheck

PARAMS = [
    pytest.param(case, id=case.id, marks=[pytest.mark.model] if case.needs_model else [])
    for case in RECOGNIZERS
]
LISTENING = [param for param in PARAMS if RECOGNIZERS[PARAMS.index(param)].listens]


@pytest.fixture(scope="module")
def recognizer(
    request: pytest.FixtureRequest,
    starter_file: StarterFile,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Recognizer]:
    """One for all tests of the module: loading takes longer than most of them."""
    case: RecognizerCase = request.param
    built = case.build(starter_file, tmp_path_factory.mktemp("stt"))
    yield built
    built.close()


every_recognizer = pytest.mark.parametrize("recognizer", PARAMS, indirect=True)
every_listener = pytest.mark.parametrize("recognizer", LISTENING, indirect=True)


def text_of(recognizer: Recognizer, audio: Samples) -> str:
    return recognizer.transcribe(audio, CancelToken()).text


@every_recognizer
class TestEveryRecognizer:
    def test_no_audio_is_no_text(self, recognizer: Recognizer) -> None:
        assert recognizer.transcribe(silence(0), CancelToken()) == Transcript(text="")

    @pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0, 35.0])
    def test_silence_is_no_text(self, recognizer: Recognizer, seconds: float) -> None:
        assert text_of(recognizer, silence(seconds)) == ""
        assert text_of(recognizer, white_noise(seconds, dbfs=-85)) == ""

    def test_damaged_samples_are_silence(self, recognizer: Recognizer) -> None:
        for value in (np.nan, np.inf, -np.inf):
            audio = np.full(SAMPLE_RATE, value, dtype=np.float32)
            assert text_of(recognizer, audio) == ""

    @pytest.mark.parametrize("frames", [1, 160, 1600])
    def test_a_crumb_of_sound_does_no_harm(self, recognizer: Recognizer, frames: int) -> None:
        crumb = np.full(frames, 0.5, dtype=np.float32)
        assert isinstance(text_of(recognizer, crumb), str)

    def test_two_calls_give_the_same(
        self, recognizer: Recognizer, spoken_question: Samples
    ) -> None:
        first = recognizer.transcribe(spoken_question, CancelToken())
        text_of(recognizer, white_noise(1, dbfs=-20))
        assert recognizer.transcribe(spoken_question, CancelToken()) == first
        assert first.text

    def test_the_audio_given_is_left_alone(
        self, recognizer: Recognizer, spoken_question: Samples
    ) -> None:
        audio = spoken_question * 4
        before = audio.copy()
        text_of(recognizer, audio)
        assert np.array_equal(audio, before)

    def test_segments_lie_in_order_within_long_audio(
        self, recognizer: Recognizer, long_talk: Samples
    ) -> None:
        transcript = recognizer.transcribe(long_talk, CancelToken())
        assert len(transcript.segments) > 1
        assert transcript.text == " ".join(each.text for each in transcript.segments)
        edges = [0.0]
        for each in transcript.segments:
            edges += [each.start_s, each.end_s]
        assert edges == sorted(edges)
        assert edges[-1] <= len(long_talk) / SAMPLE_RATE

    def test_a_cancelled_token_is_obeyed(
        self, recognizer: Recognizer, spoken_question: Samples
    ) -> None:
        token = CancelToken()
        token.cancel("test")
        with pytest.raises(TurnCancelled):
            recognizer.transcribe(spoken_question, token)
        assert text_of(recognizer, spoken_question)

    def test_stays_usable_after_a_cancel_on_the_way(
        self, recognizer: Recognizer, spoken_question: Samples
    ) -> None:
        expected = text_of(recognizer, spoken_question)
        with pytest.raises(TurnCancelled):
            recognizer.transcribe(spoken_question, CancelsAtCheck(2))
        assert text_of(recognizer, spoken_question) == expected


@pytest.mark.parametrize("case", PARAMS)
def test_closes_twice_and_then_refuses(
    case: RecognizerCase, starter_file: StarterFile, tmp_path: Path
) -> None:
    recognizer = case.build(starter_file, tmp_path)
    recognizer.close()
    recognizer.close()
    with pytest.raises(TranscriptionError) as caught:
        recognizer.transcribe(tone(1, dbfs=-20), CancelToken())
    assert caught.value.code == "stt-closed"


@every_listener
class TestEveryListener:
    def test_a_question_becomes_its_words(
        self, recognizer: Recognizer, spoken_question: Samples
    ) -> None:
        words = text_of(recognizer, spoken_question).lower()
        assert "weather" in words
        assert "london" in words

    def test_damaged_samples_spoil_no_words(
        self, recognizer: Recognizer, spoken_question: Samples
    ) -> None:
        damaged = spoken_question.copy()
        damaged[:100] = np.nan
        damaged[-100:] = np.inf
        assert text_of(recognizer, damaged) == text_of(recognizer, spoken_question)

    @pytest.mark.parametrize("dbfs", [-50, -35, -20])
    @pytest.mark.parametrize("seconds", [0.5, 2.0, 8.0])
    def test_noise_is_no_text(self, recognizer: Recognizer, seconds: float, dbfs: float) -> None:
        assert text_of(recognizer, white_noise(seconds, dbfs=dbfs)) == ""
        assert text_of(recognizer, tone(seconds, dbfs=dbfs)) == ""
