"""What every voice activity detector owes the ears, and what is special about ours."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_assistant.audio.format import Samples
from edge_assistant.errors import ModelCorrupt, ModelIncompatible, ModelNotFound
from edge_assistant.vad.protocol import VoiceActivityDetector
from edge_assistant.vad.settings import Settings
from edge_assistant.vad.silero import SileroVad
from edge_assistant.vad.webrtc import WebrtcVad
from tests.engines.detectors import VADS, StarterFile, VadCase
from tests.engines.sounds import silence, tone, white_noise


@pytest.fixture(
    params=[
        pytest.param(case, id=case.id, marks=[pytest.mark.model] if case.needs_model else [])
        for case in VADS
    ]
)
def vad(request: pytest.FixtureRequest, starter_file: StarterFile) -> VoiceActivityDetector:
    case: VadCase = request.param
    return case.build(starter_file)


def probabilities(vad: VoiceActivityDetector, audio: Samples) -> list[float]:
    size = vad.window_frames
    starts = range(0, len(audio) - size + 1, size)
    return [vad.speech_prob(audio[start : start + size]) for start in starts]


class TestEveryDetector:
    @pytest.mark.parametrize("extra", [-1, 1])
    def test_refuses_another_length(self, vad: VoiceActivityDetector, extra: int) -> None:
        with pytest.raises(ValueError, match=str(vad.window_frames)):
            vad.speech_prob(np.zeros(vad.window_frames + extra, dtype=np.float32))

    def test_refuses_two_channels(self, vad: VoiceActivityDetector) -> None:
        with pytest.raises(ValueError, match=str(vad.window_frames)):
            vad.speech_prob(np.zeros((vad.window_frames, 2), dtype=np.float32))

    def test_answers_are_probabilities(
        self, vad: VoiceActivityDetector, spoken_question: Samples
    ) -> None:
        loud = np.clip(spoken_question * 50, -1, 1)
        for audio in (spoken_question, loud, white_noise(1, dbfs=-20), tone(1, dbfs=-6)):
            answers = probabilities(vad, audio)
            assert all(0.0 <= each <= 1.0 for each in answers)

    def test_silence_is_not_speech(self, vad: VoiceActivityDetector) -> None:
        assert max(probabilities(vad, silence(2))) < 0.35

    def test_a_voice_is_speech(self, vad: VoiceActivityDetector, spoken_question: Samples) -> None:
        answers = np.array(probabilities(vad, spoken_question))
        middle = answers[len(answers) // 4 : -len(answers) // 4]
        assert np.mean(middle > 0.5) > 0.8

    def test_reset_forgets(self, vad: VoiceActivityDetector, spoken_question: Samples) -> None:
        """Stopped in the middle of a word, so that there is something to forget."""
        audio = spoken_question[: len(spoken_question) // 2]
        vad.reset()
        first = probabilities(vad, audio)
        vad.reset()
        assert probabilities(vad, audio) == first

    def test_damaged_samples_do_not_stay(
        self, vad: VoiceActivityDetector, spoken_question: Samples
    ) -> None:
        expected = probabilities(vad, np.concatenate([silence(0.32), spoken_question]))
        for value in (np.nan, np.inf, -np.inf):
            vad.reset()
            damaged = np.full(silence(0.32).shape, value, dtype=np.float32)
            assert probabilities(vad, np.concatenate([damaged, spoken_question])) == expected


class TestWebrtc:
    @pytest.mark.parametrize("aggressiveness", [-1, 4])
    def test_refuses_an_aggressiveness_out_of_range(self, aggressiveness: int) -> None:
        with pytest.raises(ValueError, match="aggressiveness"):
            WebrtcVad(aggressiveness)

    def test_stricter_calls_less_of_it_speech(self, spoken_question: Samples) -> None:
        noisy = spoken_question + white_noise(len(spoken_question) / 16_000, dbfs=-35)
        lenient, strict = (sum(probabilities(WebrtcVad(each), noisy)) for each in (0, 3))
        assert strict < lenient


class TestSilero:
    @pytest.mark.model
    def test_does_not_fall_for_noise_and_tones(self, starter_file: StarterFile) -> None:
        vad = SileroVad(starter_file("silero-vad", "silero_vad.onnx"))
        for sound in (white_noise(2, dbfs=-20), tone(2, dbfs=-10)):
            vad.reset()
            assert max(probabilities(vad, sound)) < 0.35

    @pytest.mark.model
    def test_every_window_comes_with_its_past(
        self, starter_file: StarterFile, spoken_question: Samples
    ) -> None:
        """The network run by hand: 64 frames of context in front, the state handed on."""
        import onnxruntime

        path = starter_file("silero-vad", "silero_vad.onnx")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        audio = np.concatenate([np.zeros(64, dtype=np.float32), spoken_question])
        state = np.zeros((2, 1, 128), dtype=np.float32)
        expected = []
        for start in range(0, len(spoken_question) - 511, 512):
            window = audio[np.newaxis, start : start + 64 + 512]
            feed = {"input": window, "state": state, "sr": np.array(16_000, dtype=np.int64)}
            probability, state = session.run(None, feed)
            expected.append(float(probability.item()))
        assert probabilities(SileroVad(path), spoken_question) == pytest.approx(expected, abs=1e-4)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound) as caught:
            SileroVad(tmp_path / "none.onnx")
        assert caught.value.hint == "edge-assistant models pull silero-vad"

    @pytest.mark.parametrize("data", [b"", b"<html>404</html>", bytes(4096)])
    def test_unreadable_file(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "silero_vad.onnx"
        path.write_bytes(data)
        with pytest.raises(ModelCorrupt):
            SileroVad(path)

    @pytest.mark.model
    def test_another_model(self, starter_file: StarterFile) -> None:
        with pytest.raises(ModelIncompatible, match="input_features"):
            SileroVad(starter_file("smart-turn-v3.2", "smart-turn-v3.2-cpu.onnx"))


class TestSettings:
    def test_defaults(self) -> None:
        assert Settings() == Settings(
            engine="silero", onset_aggressiveness=2, speech_threshold=0.5, silence_threshold=0.48
        )

    @pytest.mark.parametrize(
        "table",
        [
            {"engine": "energy"},
            {"onset_aggressiveness": 4},
            {"speech_threshold": 1.1},
            {"silence_threshold": -0.1},
            {"speech_threshold": 0.3, "silence_threshold": 0.4},
            {"treshold": 0.5},
        ],
    )
    def test_refuses(self, table: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(table, Settings)
