"""The speech of the bench: made, read, and dealt to the rounds."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.files import write_wav
from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.cancel import CancelToken
from edge_assistant.config import load_profile
from edge_assistant.engine_bench.speech import (
    LEAST_CLIPS,
    MARGIN_MS,
    TALK_S,
    Clip,
    Speech,
    made,
    recorded,
    save,
    shuffled,
)
from edge_assistant.errors import ConfigError, ModelNotFound
from edge_assistant.store import Store
from edge_assistant.tts.espeak import EspeakVoice


def clips(count: int) -> list[Clip]:
    """Half a second of silence each."""
    sound = np.zeros(SAMPLE_RATE // 2, dtype=np.float32)
    return [Clip(name=f"{at:02}", kind="read", text="a", sound=sound) for at in range(count)]


@pytest.mark.parametrize(("count", "repeats"), [(40, 20), (91, 3), (5, 7), (2, 9), (7, 1)])
def test_all_rounds_together_have_every_clip(count: int, repeats: int) -> None:
    speech = Speech(clips=tuple(clips(count)), repeats=repeats)
    hands = [speech.of_round(index) for index in range(repeats)]
    assert {clip.name for hand in hands for clip in hand} == {clip.name for clip in clips(count)}
    for hand in hands:
        assert len(hand) >= min(LEAST_CLIPS, count)
        assert len({clip.name for clip in hand}) == len(hand)


def test_the_seed_alone_orders_the_clips() -> None:
    some = clips(9)
    names = [clip.name for clip in shuffled(some, 3)]
    assert names == [clip.name for clip in shuffled(some[::-1], 3)]
    assert names != [clip.name for clip in shuffled(some, 4)]


def test_the_talk_is_long_enough() -> None:
    talk = Speech(clips=tuple(clips(3)), repeats=1).talk
    assert len(talk) >= TALK_S * SAMPLE_RATE


def test_made_speech_comes_back_from_a_folder(tmp_path: Path) -> None:
    texts = ("Good morning.", "Turn on the light.", "Stop.", "Good morning.")
    spoken = made(texts, load_profile("starter"), Store.default())
    assert [clip.text for clip in spoken] == list(texts)
    assert len(spoken[0].sound) != len(spoken[1].sound)
    assert float(np.abs(spoken[0].sound).max()) > 0.05
    again = made(texts, load_profile("starter"), Store.default())
    assert abs(len(again[3].sound) - len(spoken[3].sound)) < SAMPLE_RATE // 20
    with closing(EspeakVoice()) as voice:
        chunks = voice.synthesize(texts[0], CancelToken())
        length_s = sum(len(chunk.samples) for chunk in chunks) / voice.sample_rate
    assert spoken[0].duration_s == pytest.approx(length_s + 2 * MARGIN_MS / 1000, abs=0.05)
    save(spoken, tmp_path)
    for before, after in zip(spoken, recorded(tmp_path), strict=True):
        assert (after.name, after.kind, after.text) == (before.name, before.kind, before.text)
        assert np.allclose(after.sound, before.sound, atol=1e-3)


def test_where_the_library_was_left_out_the_program_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # as if it were not installed
    texts = ("Good morning.", "Turn on the light.")
    with monkeypatch.context() as bare:
        bare.setenv("PATH", "/nowhere")
        with pytest.raises(ModelNotFound) as caught:
            made(texts, load_profile("starter"), Store.default())
    assert (caught.value.code, caught.value.hint) == (
        "espeak-program-missing",
        "sudo apt install espeak-ng",
    )
    if shutil.which("espeak-ng") is None:
        pytest.skip("this machine has no program espeak-ng")
    monkeypatch.setattr(EspeakVoice, "__init__", None)  # the system's library is not to be used
    spoken = made(texts, load_profile("starter"), Store.default())
    assert all(float(np.abs(clip.sound).max()) > 0.05 for clip in spoken)


def test_only_recordings_whose_words_can_be_counted(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(160, dtype=np.float32))
    rows = [
        {"file": "a.wav", "kind": "command", "text": "yes", "speaker": None, "tier": 1},
        {"file": "absent.wav", "kind": "noise"},
        {"file": "absent.wav", "kind": "read", "text": None},
        {"file": "absent.wav", "kind": "read", "text": "?"},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    assert [clip.name for clip in recorded(tmp_path)] == ["a.wav"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "manifest-missing"),
        ('{"file": "a.wav", "kind": "noise"}', "manifest-empty"),
        ('{"file": "a.wav"}', "manifest-line"),
    ],
)
def test_a_folder_that_is_no_use(tmp_path: Path, text: str | None, code: str) -> None:
    if text is not None:
        (tmp_path / "manifest.jsonl").write_text(text)
    with pytest.raises(ConfigError) as error:
        recorded(tmp_path)
    assert error.value.code == code
    assert error.value.hint
