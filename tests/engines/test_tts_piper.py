"""The Piper adapter on a tiny voice: what it refuses, what it does, and how it stops."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import ModelCorrupt, ModelIncompatible, ModelNotFound, SynthesisError
from edge_assistant.tts.espeak import EspeakVoice
from edge_assistant.tts.piper import PiperTts
from edge_assistant.tts.protocol import Voice
from tests.engines.piper_file import FRAMES_PER_ID, SILENCE_FRAMES, write_piper_voice

FOREVER = 2**40
"""Loop turns: years of work."""


def frames(voice: Voice, text: str) -> int:
    return sum(len(chunk.samples) for chunk in voice.synthesize(text, CancelToken()))


def test_leading_silence_of_the_graph_is_trimmed_and_the_pause_is_ours(tmp_path: Path) -> None:
    voice = PiperTts(*write_piper_voice(tmp_path))
    (chunk,) = voice.synthesize("Hello", CancelToken())
    hum = len(chunk.samples) - chunk.leading_silence_frames
    # Every phoneme is one id between pads; the wave begins at zero, so up to 1 ms of it goes too.
    assert hum == pytest.approx(FRAMES_PER_ID * round(hum / FRAMES_PER_ID), abs=22)
    assert hum > SILENCE_FRAMES // 2
    (ended,) = voice.synthesize("Hello.", CancelToken())
    tail = ended.samples[-voice.sample_rate // 5 :]
    assert not tail.any()


def test_rate_scales_the_length(tmp_path: Path) -> None:
    files = write_piper_voice(tmp_path)
    normal, fast, slow = (
        frames(PiperTts(*files, rate=rate), "Hello there") for rate in (1.0, 2.0, 0.5)
    )
    assert fast / normal == pytest.approx(0.5, abs=0.02)
    assert slow / normal == pytest.approx(2.0, abs=0.04)


def test_the_speaker_reaches_the_graph(tmp_path: Path) -> None:
    files = write_piper_voice(tmp_path, num_speakers=2)
    first, second, default = (
        next(PiperTts(*files, speaker=speaker).synthesize("Hello", CancelToken())).samples
        for speaker in (0, 1, None)
    )
    assert np.array_equal(first, default)
    assert np.array_equal(first, -second)


def test_sentences_come_one_by_one(tmp_path: Path) -> None:
    voice = PiperTts(*write_piper_voice(tmp_path))
    text = 'He said "Go on." Then ... nothing! 😀'
    spans = [text[c.start_char : c.end_char] for c in voice.synthesize(text, CancelToken())]
    assert spans == ['He said "Go on." ', "Then ... ", "nothing! 😀"]


def test_nan_is_cleaned_and_silence_is_an_error(tmp_path: Path) -> None:
    (chunk,) = PiperTts(*write_piper_voice(tmp_path, output="nan")).synthesize("a", CancelToken())
    assert np.isfinite(chunk.samples).all()
    assert np.abs(chunk.samples).max() > 0.5
    silent = PiperTts(*write_piper_voice(tmp_path, output="silence"))
    with pytest.raises(SynthesisError, match="voice-silent"):
        frames(silent, "Hello")


def test_cancel_stops_a_running_inference(tmp_path: Path) -> None:
    """The graph would run for years: without the native stop this thread would not come back."""
    voice = PiperTts(*write_piper_voice(tmp_path, work=FOREVER))
    token = CancelToken()
    outcome: list[BaseException] = []

    def speak() -> None:
        try:
            next(voice.synthesize("Hello", token))
        except TurnCancelled as cancelled:
            outcome.append(cancelled)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    token.cancel("test")
    thread.join(60)
    assert not thread.is_alive()
    assert len(outcome) == 1


FAULTS: dict[str, dict[str, Any]] = {
    "no rate": {"audio": {}},
    "rate 0": {"audio": {"sample_rate": 0}},
    "rate 10^9": {"audio": {"sample_rate": 10**9}},
    "rate as text": {"audio": {"sample_rate": "22050"}},
    "no map": {"phoneme_id_map": None},
    "empty map": {"phoneme_id_map": {}},
    "huge map": {"phoneme_id_map": {str(i): [1] for i in range(100_000)}},
    "id beyond symbols": {"phoneme_id_map": {"_": [0], "^": [1], "$": [999]}},
    "negative id": {"phoneme_id_map": {"_": [0], "^": [1], "$": [-1]}},
    "no beginning": {"phoneme_id_map": {"_": [0], "a": [1], "$": [2]}},
    "no speakers": {"num_speakers": 0},
    "speaker beyond": {"default_speaker_id": 5},
    "more speakers than the graph": {"num_speakers": 3},
    "infinite scale": {"inference": {"length_scale": 1e300}},
    "zero scale": {"inference": {"length_scale": 0}},
    "path as language": {"espeak": {"voice": "../../etc/passwd"}},
    "unknown language": {"espeak": {"voice": "qq-zz"}},
    "foreign phonemes": {"phoneme_type": "pinyin"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_config_is_refused(tmp_path: Path, fault: str) -> None:
    with pytest.raises(ModelIncompatible) as caught:
        PiperTts(*write_piper_voice(tmp_path, config=FAULTS[fault]))
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"<html>404</html>", b"\xff\xfe", b"[" * 100_000, b"[]", b"null", b" " * 4_000_001],
    ids=["empty", "open", "html", "binary", "deep", "list", "null", "large"],
)
def test_a_config_that_is_no_voice_is_refused(tmp_path: Path, data: bytes) -> None:
    model, config = write_piper_voice(tmp_path)
    config.write_bytes(data)
    with pytest.raises(ModelIncompatible, match="voice-config-unusable"):
        PiperTts(model, config)


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"\x08\x07\x12" * 100], ids=["empty", "html", "bad"]
)
def test_a_graph_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    model, config = write_piper_voice(tmp_path)
    model.write_bytes(data)
    with pytest.raises(ModelCorrupt, match="model-unreadable"):
        PiperTts(model, config)


def test_missing_files_and_speakers_are_named(tmp_path: Path) -> None:
    model, config = write_piper_voice(tmp_path)
    with pytest.raises(ModelIncompatible, match="speaker-not-found"):
        PiperTts(model, config, speaker=1)
    with pytest.raises(ModelNotFound, match="voice-file-missing"):
        PiperTts(model, tmp_path / "none.json")
    with pytest.raises(ModelNotFound, match="model-not-found"):
        PiperTts(tmp_path / "none.onnx", config)


BOTH = """
import sys
from pathlib import Path
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.espeak import EspeakVoice
from edge_assistant.tts.piper import PiperTts
order, model, config = sys.argv[1:]
make = {"e": lambda: EspeakVoice("de"), "p": lambda: PiperTts(Path(model), Path(config))}
voices = [make[letter]() for letter in order]
def frames(voice):
    return sum(len(c.samples) for c in voice.synthesize("Hello there, my friend.", CancelToken()))
first = [frames(voice) for voice in voices]
for _ in range(3):
    again = [frames(voice) for voice in voices]
    assert all(abs(a - b) < 660 for a, b in zip(first, again)), (first, again)
assert min(first) > 10000, first
"""


@pytest.mark.parametrize("order", ["ep", "pe", "epe"])
def test_both_espeaks_live_in_one_process(tmp_path: Path, order: str) -> None:
    """Piper brings an espeak-ng of its own, with the same symbols and its own data and language."""
    files = [str(path) for path in write_piper_voice(tmp_path)]
    subprocess.run([sys.executable, "-c", BOTH, order, *files], check=True, timeout=120)


def test_both_espeaks_work_at_the_same_time(tmp_path: Path) -> None:
    voices: list[Voice] = [PiperTts(*write_piper_voice(tmp_path)), EspeakVoice("de")]
    text = "Hello there, my friend."
    alone = [frames(voice, text) for voice in voices]
    together: dict[int, list[int]] = {0: [], 1: []}

    def work(which: int) -> None:
        together[which] = [frames(voices[which], text) for _ in range(30)]

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which in (0, 1):
        assert together[which] == pytest.approx([alone[which]] * 30, abs=660)
