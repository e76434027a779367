"""What every turn detector owes the judge, and our log-mel against numbers from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import DetectionError, ModelCorrupt, ModelIncompatible, ModelNotFound
from edge_assistant.turn_detector.logmel import SPAN_FRAMES, log_mel
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.turn_detector.settings import Settings
from edge_assistant.turn_detector.smart_turn import SmartTurn
from tests.engines.detectors import TURN_DETECTORS, StarterFile, TurnDetectorCase
from tests.engines.sounds import silence, tone, white_noise
from tests.engines.tokens import OnlyStopsNativeCode, TellsWhenWatched, cancel_when_watched


@pytest.fixture(
    params=[
        pytest.param(case, id=case.id, marks=[pytest.mark.model] if case.needs_model else [])
        for case in TURN_DETECTORS
    ]
)
def detector(request: pytest.FixtureRequest, starter_file: StarterFile) -> Iterator[TurnDetector]:
    case: TurnDetectorCase = request.param
    built = case.build(starter_file)
    yield built
    built.close()


class TestEveryDetector:
    @pytest.mark.parametrize("seconds", [0.0, 0.001, 0.5, 8.0, 20.0])
    def test_any_length_gives_a_probability(self, detector: TurnDetector, seconds: float) -> None:
        answer = detector.end_probability(white_noise(seconds, dbfs=-30), CancelToken())
        assert 0.0 <= answer <= 1.0

    def test_only_the_last_eight_seconds_count(
        self, detector: TurnDetector, spoken_question: Samples
    ) -> None:
        before = np.concatenate([white_noise(9, dbfs=-20), silence(5), spoken_question])
        after = np.concatenate([tone(9, dbfs=-20), silence(5), spoken_question])
        first, second = (detector.end_probability(each, CancelToken()) for each in (before, after))
        assert first == second

    def test_damaged_samples_give_a_probability(self, detector: TurnDetector) -> None:
        audio = np.full(SAMPLE_RATE, np.nan, dtype=np.float32)
        assert 0.0 <= detector.end_probability(audio, CancelToken()) <= 1.0

    def test_a_cancelled_token_is_obeyed(
        self, detector: TurnDetector, spoken_question: Samples
    ) -> None:
        token = CancelToken()
        token.cancel("test")
        with pytest.raises(TurnCancelled):
            detector.end_probability(spoken_question, token)
        assert 0.0 <= detector.end_probability(spoken_question, CancelToken()) <= 1.0

    def test_stays_usable_after_a_cancel_on_the_way(
        self, detector: TurnDetector, spoken_question: Samples
    ) -> None:
        expected = detector.end_probability(spoken_question, CancelToken())
        token = TellsWhenWatched()
        canceller = cancel_when_watched(token)
        try:
            detector.end_probability(spoken_question, token)
        except TurnCancelled:
            pass
        finally:
            token.watched.set()
            canceller.join()
        assert detector.end_probability(spoken_question, CancelToken()) == expected

    def test_closes_twice(self, detector: TurnDetector) -> None:
        detector.close()
        detector.close()


class TestSmartTurn:
    @pytest.mark.model
    def test_hears_an_end_where_a_question_ends(
        self, starter_file: StarterFile, spoken_question: Samples
    ) -> None:
        detector = SmartTurn(starter_file("smart-turn-v3.2", "smart-turn-v3.2-cpu.onnx"))
        whole = detector.end_probability(spoken_question[: -SAMPLE_RATE // 4], CancelToken())
        half = len(spoken_question) // 2
        cut = detector.end_probability(spoken_question[:half], CancelToken())
        assert cut < whole

    @pytest.mark.model
    def test_a_cancel_ends_native_code(
        self, starter_file: StarterFile, spoken_question: Samples
    ) -> None:
        detector = SmartTurn(starter_file("smart-turn-v3.2", "smart-turn-v3.2-cpu.onnx"))
        with pytest.raises(TurnCancelled):
            detector.end_probability(spoken_question, OnlyStopsNativeCode())

    @pytest.mark.model
    def test_a_closed_one_says_so(self, starter_file: StarterFile) -> None:
        detector = SmartTurn(starter_file("smart-turn-v3.2", "smart-turn-v3.2-cpu.onnx"))
        detector.close()
        with pytest.raises(DetectionError, match="closed"):
            detector.end_probability(silence(1), CancelToken())

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound) as caught:
            SmartTurn(tmp_path / "none.onnx")
        assert caught.value.hint == "edge-assistant models pull smart-turn-v3.2"

    def test_unreadable_file(self, tmp_path: Path) -> None:
        path = tmp_path / "turn.onnx"
        path.write_bytes(b"<html>404</html>")
        with pytest.raises(ModelCorrupt):
            SmartTurn(path)

    @pytest.mark.model
    def test_another_model(self, starter_file: StarterFile) -> None:
        with pytest.raises(ModelIncompatible):
            SmartTurn(starter_file("silero-vad", "silero_vad.onnx"))


def golden_audio() -> Samples:
    """Three seconds of a rising hiss, from integers alone."""
    frames = 3 * SAMPLE_RATE
    count = np.arange(frames, dtype=np.int64)
    hiss = ((count * count * 7919 + count * 104729) % 65536 - 32768) / 65536
    return np.asarray(hiss * np.linspace(0.01, 1.0, frames), dtype=np.float32)


GOLDEN: dict[tuple[int, int], float] = {
    (0, 0): -0.230351,
    (0, 499): -0.321484,
    (5, 500): 0.181626,
    (8, 510): 0.632179,
    (20, 520): 0.660747,
    (20, 600): 0.957110,
    (30, 650): 1.306180,
    (45, 700): 1.160768,
    (50, 750): 1.266585,
    (60, 780): 1.403628,
    (79, 799): 1.381025,
    (55, 799): 1.408922,
}
"""(band, column) to value for `golden_audio`, with five seconds of zeros in front, from the feature
extractor of pipecat-ai 1.14.0 (`_whisper_features.py`, normalisation on), run once on its own."""
GOLDEN_MEAN = 0.19085388
GOLDEN_STD = 0.7369006


class TestLogMel:
    def test_equals_the_numbers_of_the_reference(self) -> None:
        picture = log_mel(golden_audio())
        for (band, column), value in GOLDEN.items():
            assert picture[band, column] == pytest.approx(value, abs=2e-5), (band, column)
        assert picture.mean() == pytest.approx(GOLDEN_MEAN, abs=1e-5)
        assert picture.std() == pytest.approx(GOLDEN_STD, abs=1e-5)

    @pytest.mark.parametrize("seconds", [0.0, 0.01, 3.0, 8.0, 9.0])
    def test_shape(self, seconds: float) -> None:
        picture = log_mel(white_noise(seconds, dbfs=-20))
        assert picture.shape == (80, 800)
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all()

    def test_silence_goes_in_front(self) -> None:
        audio = golden_audio()
        padded = np.concatenate([np.zeros(SPAN_FRAMES - len(audio), dtype=np.float32), audio])
        assert np.array_equal(log_mel(audio), log_mel(padded))

    def test_loudness_does_not_matter(self) -> None:
        audio = golden_audio()
        assert np.allclose(log_mel(audio), log_mel(audio * np.float32(0.5)), atol=1e-3)


class TestSettings:
    def test_defaults_and_unknown_keys(self) -> None:
        assert Settings().model == "smart-turn-v3.2"
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"modell": "none"}, Settings)
