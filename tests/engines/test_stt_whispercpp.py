"""whisper.cpp over a model that says what it is told: a real adapter without real weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.stt.protocol import Forgetful
from edge_assistant.stt.whispercpp import WhisperCppRecognizer, audio_ctx
from tests.engines.sounds import white_noise
from tests.engines.whisper_file import word, write_scripted_whisper

SOUND = white_noise(2, dbfs=-20)


class CountsAnswers(CancelToken):
    """Says that it is cancelled from the `answers`-th question on; counts the questions."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.asked = 0
        self._answers = answers

    @property
    def is_cancelled(self) -> bool:
        self.asked += 1
        if self.asked >= self._answers:
            self.cancel("the test asked for it")
        return super().is_cancelled


def build(path: Path, script: list[int], **options: int) -> WhisperCppRecognizer:
    return WhisperCppRecognizer(
        write_scripted_whisper(path / "scripted.bin", script, **options), num_threads=1, gpu=False
    )


class TestText:
    def test_says_its_script(self, tmp_path: Path) -> None:
        recognizer = build(tmp_path, [word("beef"), word(" "), word("babe")])
        transcript = recognizer.transcribe(SOUND, CancelToken())
        assert transcript.text == "beef babe"
        assert [(each.start_s, each.end_s) for each in transcript.segments] == [(0.0, 2.0)]
        assert transcript.language == "en"

    def test_forgets_what_it_said_last(self, tmp_path: Path) -> None:
        recognizer = build(tmp_path, [word("beef"), word(" "), word("babe")])
        assert isinstance(recognizer, Forgetful)
        recognizer.transcribe(SOUND, CancelToken())
        assert recognizer._believable_text()[0] == "beef babe"
        recognizer.forget()
        assert recognizer._believable_text()[0] == ""
        assert recognizer.transcribe(SOUND, CancelToken()).text == "beef babe"
        recognizer.close()
        recognizer.forget()

    def test_a_loop_is_no_text(self, tmp_path: Path) -> None:
        recognizer = build(tmp_path, [], then=word("beef"))
        assert recognizer.transcribe(SOUND, CancelToken()).text == ""

    def test_a_loop_at_the_end_leaves_what_was_said_before(self, tmp_path: Path) -> None:
        said = [word(f"{each:04x}") for each in range(20)]
        recognizer = build(tmp_path, said, then=word("beef"))
        audio = white_noise(10, dbfs=-20)
        text = recognizer.transcribe(audio, CancelToken()).text
        assert text == "".join(f"{each:04x}" for each in range(20)) + "beef"

    def test_nothing_sticks_from_a_longer_call(self, tmp_path: Path) -> None:
        recognizer = build(tmp_path, [word("beef")])
        short = recognizer.transcribe(SOUND, CancelToken())
        recognizer.transcribe(white_noise(25, dbfs=-20), CancelToken())
        assert recognizer.transcribe(SOUND, CancelToken()) == short


class TestCancel:
    def test_is_obeyed_at_the_first_question_of_native_code(self, tmp_path: Path) -> None:
        """transcribe() asks once itself by raise_if_cancelled; what `is_cancelled` counts is C."""
        recognizer = build(tmp_path, [word("beef")] * 6)
        token = CountsAnswers(1)
        with pytest.raises(TurnCancelled):
            recognizer.transcribe(SOUND, token)
        assert token.asked == 1
        assert recognizer.transcribe(SOUND, CancelToken()).text

    def test_is_obeyed_between_decoder_steps(self, tmp_path: Path) -> None:
        recognizer = build(tmp_path, [word(f"{each:04x}") for each in range(10)])
        patient = CountsAnswers(1000)
        recognizer.transcribe(SOUND, patient)
        assert patient.asked > 10
        token = CountsAnswers(5)
        with pytest.raises(TurnCancelled):
            recognizer.transcribe(SOUND, token)
        assert token.asked < patient.asked


class TestFiles:
    def test_a_name_is_refused(self) -> None:
        """pywhispercpp would take it for a model to download."""
        with pytest.raises(ValueError, match="absolute"):
            WhisperCppRecognizer(Path("tiny.en"))

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound):
            WhisperCppRecognizer(tmp_path / "ggml-tiny.en.bin")

    @pytest.mark.parametrize("size", [0, 3, 100, 100_000, 1_000_000])
    def test_a_cut_off_file_is_refused_and_nothing_runs_on_it(
        self, tmp_path: Path, size: int
    ) -> None:
        path = write_scripted_whisper(tmp_path / "scripted.bin", [word("beef")])
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(ModelCorrupt):
            WhisperCppRecognizer(path, gpu=False)

    def test_native_chatter_stays_off_both_streams(self, tmp_path: Path) -> None:
        path = write_scripted_whisper(tmp_path / "scripted.bin", [word("beef")])
        script = (
            "import sys, numpy as np\n"
            "from pathlib import Path\n"
            "from edge_assistant.cancel import CancelToken\n"
            "from edge_assistant.stt.whispercpp import WhisperCppRecognizer\n"
            "recognizer = WhisperCppRecognizer(Path(sys.argv[1]), num_threads=1, gpu=False)\n"
            "audio = np.full(16000, 0.1, dtype=np.float32)\n"
            "recognizer.transcribe(audio, CancelToken())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            capture_output=True,
            check=False,
            timeout=60,
            cwd=Path(__file__).parents[2],
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, 256), (3.84, 256), (3.86, 512), (27.4, 1500), (30.0, 1500)]
)
def test_audio_ctx(seconds: float, expected: int) -> None:
    assert audio_ctx(seconds) == expected


def test_audio_ctx_stays_within_the_model() -> None:
    assert audio_ctx(10.0, positions=64) == 64


def test_sound_of_every_length_up_to_a_second(tmp_path: Path) -> None:
    recognizer = build(tmp_path, [word("beef")])
    for frames in (1, 100, 1599, 1600, SAMPLE_RATE - 1, SAMPLE_RATE):
        audio = np.full(frames, 0.25, dtype=np.float32)
        assert recognizer.transcribe(audio, CancelToken()).text == "beef"
