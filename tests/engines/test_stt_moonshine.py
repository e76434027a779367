"""Moonshine: files that are wrong, cancelling inside an operator graph, long recordings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.engine_bench.wer import word_error_rate
from edge_assistant.errors import ModelCorrupt, ModelIncompatible, ModelNotFound
from edge_assistant.onnx import open_session, stoppable
from edge_assistant.stt.moonshine import LONGEST_S, MoonshineRecognizer
from edge_assistant.stt.moonshine_decoder import NEXT_GUESSES, Decoded, MoonshineDecoder
from edge_assistant.stt.protocol import Recognizer, Transcript
from edge_assistant.stt.running import MOST_S, RunningTranscript
from tests.engines.conftest import speak
from tests.engines.detectors import StarterFile
from tests.engines.recognizers import moonshine
from tests.engines.tokens import OnlyStopsNativeCode, TellsWhenWatched, cancel_when_watched

ROUNDING = 0.05
"""Activations are quantised over all the tokens of a pass, so a log-probability depends on what is
decoded beside it; by how much, on the sound and the processor (0.025 was seen)."""

MODEL = "moonshine-tiny-en"


SENTENCES = [
    "What is the weather like in London today?",
    "Please turn on the lights in the kitchen.",
    "I would like to hear some music after dinner.",
    "What is the weather like in Berlin on Monday?",
    "Remind me to call my sister tomorrow morning.",
]


class Measured:
    """A recogniser that notes how much it was given and what it said."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.passes: list[tuple[float, str]] = []

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        transcript = self._recognizer.transcribe(audio, token)
        self.passes.append((len(audio) / SAMPLE_RATE, transcript.text))
        return transcript

    def close(self) -> None:
        self._recognizer.close()


@pytest.mark.model
def test_a_long_turn_is_heard_in_short_passes(starter_file: StarterFile) -> None:
    """Looked at once a second, as the floor does on a slow machine."""
    pieces = [speak(sentence) for sentence in SENTENCES]
    talk = np.concatenate(pieces)
    assert len(talk) > 12 * SAMPLE_RATE
    breaks = [int(each) for each in np.cumsum([len(piece) for piece in pieces])]
    recognizer = Measured(moonshine(starter_file))
    running = RunningTranscript(lambda from_frames, to_frames: talk[from_frames:to_frames])
    frozen = ""
    for to_frames in [*range(SAMPLE_RATE, len(talk), SAMPLE_RATE), len(talk)]:
        first = len(recognizer.passes)
        known = [each for each in breaks if each < to_frames]
        heard = running.hear(recognizer, 0, to_frames, known, CancelToken())
        *pieces_frozen, (_, rest) = recognizer.passes[first:]
        frozen = " ".join(text for text in [frozen, *(text for _, text in pieces_frozen)] if text)
        assert heard.text == " ".join(text for text in [frozen, rest] if text)
        assert heard.stable.startswith(frozen)
    assert frozen, "nothing was frozen"
    assert max(seconds for seconds, _ in recognizer.passes) <= MOST_S
    whole = moonshine(starter_file).transcribe(talk, CancelToken()).text
    assert word_error_rate([(whole, heard.text)]) <= 0.15


class Counted:
    """A session that counts its passes."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.passes = 0

    def run_with_ort_values(self, *arguments: Any) -> Any:
        self.passes += 1
        return self._session.run_with_ort_values(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class Decodes:
    """The decoder over one sentence, with guesses of any kind."""

    def __init__(self, starter_file: StarterFile, audio: Samples) -> None:
        files = model_files(starter_file)
        encoder = open_session(files["encoder"], hint="")
        self.session = Counted(open_session(files["decoder"], hint=""))
        self.decoder = MoonshineDecoder(self.session)
        self.mask = np.ones((1, len(audio)), np.int64)
        feed = {"input_values": audio[None, :], "attention_mask": self.mask}
        known = {each.name for each in encoder.get_inputs()}
        (self.hidden,) = encoder.run(None, {name: feed[name] for name in known})

    def __call__(self, *guess: int) -> tuple[Decoded, int]:
        """What is decoded, and in how many passes."""
        token = CancelToken()
        before = self.session.passes
        with stoppable(token) as run_options:
            decoded = self.decoder.decode(
                self.hidden, self.mask, guess=guess, run_options=run_options, token=token
            )
        return decoded, self.session.passes - before


@pytest.fixture(scope="module")
def decodes(starter_file: StarterFile, spoken_question: Samples) -> Decodes:
    return Decodes(starter_file, spoken_question)


@pytest.mark.model
class TestDecoder:
    def test_without_a_guess_it_goes_token_by_token(self, decodes: Decodes) -> None:
        decoded, passes = decodes()
        assert passes == len(decoded.ids) + 1  # the end token is a pass too

    def test_a_right_guess_takes_one_pass(self, decodes: Decodes) -> None:
        expected, _ = decodes()
        decoded, passes = decodes(*expected.ids)
        assert decoded.ids == expected.ids
        assert passes == 1
        assert decoded.mean_log_prob == pytest.approx(expected.mean_log_prob, abs=ROUNDING)

    @pytest.mark.parametrize("known", [1, 3])
    def test_the_beginning_of_the_text_saves_its_length(self, decodes: Decodes, known: int) -> None:
        expected, _ = decodes()
        decoded, passes = decodes(*expected.ids[:known])
        assert decoded.ids == expected.ids
        assert passes == len(expected.ids) + 1 - known

    @pytest.mark.parametrize("wrong_at", [0, 1, 4])
    @pytest.mark.parametrize("instead", [[], [7], [7, 8]])
    def test_a_wrong_guess_costs_a_few_passes(
        self, decodes: Decodes, wrong_at: int, instead: list[int]
    ) -> None:
        expected, _ = decodes()
        guess = [*expected.ids[:wrong_at], *instead, *expected.ids[wrong_at + 1 :]]
        decoded, passes = decodes(*guess)
        assert decoded.ids == expected.ids
        left = len(expected.ids) + 1 - (wrong_at + 1)  # the end token is one too
        assert 1 < passes <= 2 + math.ceil(left / (NEXT_GUESSES + 1))
        assert decoded.mean_log_prob == pytest.approx(expected.mean_log_prob, abs=ROUNDING)

    def test_a_guess_that_is_all_wrong_changes_nothing(self, decodes: Decodes) -> None:
        expected, passes_without = decodes()
        decoded, passes = decodes(*[each + 7 for each in expected.ids])
        assert decoded.ids == expected.ids
        assert passes <= passes_without
        assert decoded.mean_log_prob == pytest.approx(expected.mean_log_prob, abs=ROUNDING)

    def test_a_guess_that_is_longer_than_the_text_is_cut_at_its_end(self, decodes: Decodes) -> None:
        expected, _ = decodes()
        decoded, passes = decodes(*expected.ids, *expected.ids)
        assert decoded.ids == expected.ids
        assert passes == 1

    def test_a_guess_beyond_all_limits_is_cut_at_the_limit(self, decodes: Decodes) -> None:
        expected, _ = decodes()
        decoded, passes = decodes(*expected.ids, *[7] * 5_000)
        assert decoded.ids == expected.ids
        assert passes == 1


@pytest.mark.model
def test_only_the_same_sound_gives_a_guess(
    starter_file: StarterFile, spoken_question: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses: list[int] = []
    decode = MoonshineDecoder.decode

    def noted(self: MoonshineDecoder, *arguments: Any, guess: list[int], **rest: Any) -> Decoded:
        guesses.append(len(guess))
        return decode(self, *arguments, guess=guess, **rest)

    monkeypatch.setattr(MoonshineDecoder, "decode", noted)
    recognizer = moonshine(starter_file)
    half = spoken_question[: len(spoken_question) // 2]
    later = spoken_question[SAMPLE_RATE // 2 :]
    for audio in (half, spoken_question, later, spoken_question):
        recognizer.transcribe(audio, CancelToken())
    assert [bool(length) for length in guesses] == [False, True, False, False]


@pytest.mark.model
class TestMoonshine:
    def test_a_cancel_from_another_thread_ends_native_code(
        self, starter_file: StarterFile, spoken_question: Samples, long_talk: Samples
    ) -> None:
        recognizer = moonshine(starter_file)
        expected = recognizer.transcribe(spoken_question, CancelToken()).text
        with pytest.raises(TurnCancelled):
            recognizer.transcribe(spoken_question, OnlyStopsNativeCode())
        token = TellsWhenWatched()
        canceller = cancel_when_watched(token)
        try:
            with pytest.raises(TurnCancelled):
                recognizer.transcribe(long_talk, token)
        finally:
            canceller.join()
        assert recognizer.transcribe(spoken_question, CancelToken()).text == expected

    def test_two_threads_give_the_same_text(
        self, starter_file: StarterFile, spoken_question: Samples
    ) -> None:
        one, two = (moonshine(starter_file, num_threads=each) for each in (1, 2))
        texts = [each.transcribe(spoken_question, CancelToken()).text for each in (one, two)]
        assert texts[0] == texts[1]

    def test_a_long_recording_is_cut_between_sentences(
        self, starter_file: StarterFile, long_talk: Samples
    ) -> None:
        segments = moonshine(starter_file).transcribe(long_talk, CancelToken()).segments
        assert all(each.end_s - each.start_s <= LONGEST_S for each in segments)
        assert sum(each.end_s - each.start_s for each in segments) == pytest.approx(
            len(long_talk) / SAMPLE_RATE
        )
        cuts = [round(each.end_s * SAMPLE_RATE) for each in segments[:-1]]
        assert not any(long_talk[cut - 800 : cut + 800].any() for cut in cuts), (
            "a cut in a sentence"
        )
        # How many of a piece's questions are heard word for word depends on the processor.
        assert all(each.text.lower().count("weather") >= 2 for each in segments)

    @pytest.mark.parametrize("missing", ["encoder", "decoder", "tokenizer"])
    def test_missing_file(self, starter_file: StarterFile, tmp_path: Path, missing: str) -> None:
        files = model_files(starter_file) | {missing: tmp_path / "none"}
        with pytest.raises(ModelNotFound) as caught:
            build(files)
        assert caught.value.hint == "edge-assistant models pull moonshine-tiny-en"

    @pytest.mark.parametrize("spoilt", ["encoder", "decoder"])
    @pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\0" * 4096])
    def test_unreadable_file(
        self, starter_file: StarterFile, tmp_path: Path, spoilt: str, data: bytes
    ) -> None:
        path = tmp_path / "model.ort"
        path.write_bytes(data)
        with pytest.raises(ModelCorrupt):
            build(model_files(starter_file) | {spoilt: path})

    def test_encoder_and_decoder_in_the_wrong_places(self, starter_file: StarterFile) -> None:
        files = model_files(starter_file)
        swapped = files | {"encoder": files["decoder"], "decoder": files["encoder"]}
        with pytest.raises(ModelIncompatible):
            build(swapped)


def build(files: dict[str, Path]) -> MoonshineRecognizer:
    return MoonshineRecognizer(
        encoder=files["encoder"], decoder=files["decoder"], tokenizer=files["tokenizer"]
    )


def model_files(starter_file: StarterFile) -> dict[str, Path]:
    return {
        "encoder": starter_file(MODEL, "encoder_model.ort"),
        "decoder": starter_file(MODEL, "decoder_model_merged.ort"),
        "tokenizer": starter_file(MODEL, "tokenizer.bin"),
    }
