from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.files import write_wav
from edge_assistant.audio.format import Samples
from edge_assistant.audio.level import rms_dbfs
from edge_assistant.bench import sounds
from edge_assistant.bench.clips import (
    ACTIVE_DBFS,
    MARGIN_MS,
    Pool,
    load_manifest,
    make_clip,
    make_speech,
)
from edge_assistant.bench.truth import active_dbfs, find_speech, levels_dbfs
from edge_assistant.errors import AudioError, AudioFormatError, ConfigError
from tests.bench.made_clips import clip, voice

SPEAKER = """
import sys, wave, math, struct
text, rate, file = sys.argv[1], float(sys.argv[2]), sys.argv[3]
with open(sys.argv[4], "a") as log: log.write(text + "\\n")
if text == "fail": sys.exit("no such voice")
if text == "nothing": sys.exit(0)
with wave.open(file, "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
    for n in range(32000):
        loud = 8000 if 8000 <= n < 24000 else 0
        out.writeframes(struct.pack("<h", int(loud * math.sin(n * rate / 50))))
"""


def test_a_clip_is_cut_to_its_speech_and_set_to_its_level() -> None:
    made = clip([(100, 220)], frames=400, kind="question")
    margin = MARGIN_MS * 16
    assert made.speech_frames == ((margin, margin + 120 * 160),)
    assert len(made.sound) == 120 * 160 + 2 * margin
    assert active_dbfs(made.sound) == pytest.approx(ACTIVE_DBFS, abs=0.01)
    assert made.is_clear
    assert made.speech_s == 1.2
    assert find_speech(made.sound).frames == made.speech_frames


def test_a_clip_without_margins_keeps_its_first_and_last_frame() -> None:
    made = clip([(0, 100)], frames=100, kind="question")
    assert made.speech_frames == ((0, 16_000),)
    assert not made.is_clear
    assert levels_dbfs(made.sound)[[0, -1]] == pytest.approx([ACTIVE_DBFS] * 2, abs=3.0)


def test_a_peak_is_never_clipped() -> None:
    sound = voice([(10, 100)], frames=130) * np.float32(0.1)
    sound[8000] = 1.0
    made = make_clip(sound, name="x", kind="question", source="real")
    assert float(np.abs(made.sound).max()) == pytest.approx(0.99)
    assert made.speech_frames


def test_noise_is_left_as_it_was_recorded() -> None:
    sound = voice([(10, 100)], frames=130)
    made = make_clip(sound, name="x", kind="noise", source="real")
    assert made.sound is sound
    assert made.speech_frames == ()


def write_manifest(folder: Path, *rows: dict[str, object], name: str = "manifest.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_manifest_is_read_in_order_with_the_listeners_responses(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_wav(tmp_path / "a" / "q.wav", voice([(40, 120)], frames=200))
    write_wav(tmp_path / "talk.wav", voice([(40, 120), (200, 250), (300, 380)], frames=450))
    write_manifest(
        tmp_path,
        {"file": "a/q.wav", "kind": "command", "text": "hello", "speaker": "s", "tier": "A"},
        {"file": "talk.wav", "kind": "call", "text": None},
    )
    write_manifest(
        tmp_path,
        {"file": "talk.wav", "channel": 0, "start_s": 1.9, "end_s": 2.6, "text": "mm"},
        name="backchannels.jsonl",
    )
    pool = load_manifest(tmp_path)
    assert len(load_manifest(tmp_path / "manifest.jsonl").clips) == 3
    assert [(c.name, c.kind, c.text, c.speaker) for c in pool.clips] == [
        ("a/q.wav", "command", "hello", "s"),
        ("talk.wav", "call", "", ""),
        ("talk.wav@1.9", "backchannel", "mm", "talk.wav"),
    ]
    assert {c.source for c in pool.clips} == {pool.source} == {"real"}
    response = pool.of("backchannel")[0]
    assert response.speech_frames == ((1600, 1600 + 50 * 160),)


def test_part_of_a_manifest_gives_those_speakers_and_their_listeners_only(tmp_path: Path) -> None:
    for name in ("a.wav", "talk.wav"):
        write_wav(tmp_path / name, voice([(40, 120), (200, 250)], frames=300))
    (tmp_path / "part").mkdir()
    listener = {"file": "talk.wav", "channel": 0, "start_s": 1.9, "end_s": 2.6}
    write_manifest(tmp_path, listener, name="backchannels.jsonl")
    write_manifest(tmp_path, {"file": "a.wav", "kind": "command"}, name="seen.jsonl")
    write_manifest(tmp_path, {"file": "talk.wav", "kind": "call"}, name="unseen.jsonl")
    write_manifest(tmp_path / "part", {"file": "../a.wav", "kind": "command"})
    whole = str(tmp_path / "talk.wav")
    write_manifest(tmp_path, {"file": whole, "kind": "call"}, name="whole.jsonl")

    def names(path: Path) -> list[str]:
        return [clip.name for clip in load_manifest(path).clips]

    assert names(tmp_path / "seen.jsonl") == ["a.wav"]
    assert names(tmp_path / "unseen.jsonl") == ["talk.wav", "talk.wav@1.9"]
    assert names(tmp_path / "part") == ["../a.wav"]
    assert names(tmp_path / "whole.jsonl") == [whole, "talk.wav@1.9"]


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_manifest(tmp_path)
    assert caught.value.code == "manifest-missing"
    (tmp_path / "manifest.jsonl").write_text('{"file": "x.wav", "kind": "read"}\n')
    with pytest.raises(ConfigError, match=r"names x\.wav, and there is no .*/x\.wav") as caught:
        load_manifest(tmp_path)
    assert caught.value.code == "manifest-file-missing"
    (tmp_path / "x.wav").write_text("no sound")
    with pytest.raises(AudioFormatError):
        load_manifest(tmp_path)
    (tmp_path / "manifest.jsonl").write_text('\n{"kind": 3}\n')
    with pytest.raises(ConfigError, match="line 2"):
        load_manifest(tmp_path)


def speaker(folder: Path) -> tuple[str, ...]:
    script = folder / "speaker.py"
    script.write_text(SPEAKER)
    return sys.executable, str(script), "{text}", "10", "{file}", str(folder / "log")


def test_speech_is_made_once_and_read_from_then_on(tmp_path: Path) -> None:
    texts = [("question", "one"), ("question", "two"), ("stop", "three")]
    command = speaker(tmp_path)
    made = make_speech(texts, tmp_path / "cache", command, variants=((), ("loud",)))
    again = make_speech(texts, tmp_path / "cache", command, variants=((), ("loud",)))
    assert (tmp_path / "log").read_text().split() == ["one", "two", "three"]
    assert [(c.name, c.kind, c.text, c.speaker, c.source) for c in made] == [
        ("question/00", "question", "one", "voice-0", "synthetic"),
        ("question/01", "question", "two", "voice-1", "synthetic"),
        ("stop/00", "stop", "three", "voice-0", "synthetic"),
    ]
    for first, second in zip(made, again, strict=True):
        assert first.sound.tobytes() == second.sound.tobytes()
        assert first.speech_s == 1.0
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize(
    ("text", "reason"), [("fail", "no such voice"), ("nothing", "it wrote no file")]
)
def test_a_voice_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(AudioError, match=reason) as caught:
        make_speech([("question", text)], tmp_path / "cache", speaker(tmp_path), variants=((),))
    assert caught.value.code == "voice-command-failed"
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_voice_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no-such-voice-program"):
        make_speech([("question", "x")], tmp_path, ("no-such-voice-program", "{text}"))


def test_kinds_are_picked_from_a_pool() -> None:
    clips = tuple(clip([(10, 60)], frames=90, kind=kind) for kind in ("read", "stop", "read"))
    pool = Pool(source="synthetic", clips=clips)
    assert pool.of("read") == (clips[0], clips[2])
    assert pool.of("wake") == ()


@pytest.mark.parametrize("recipe", [sounds.cough, sounds.knock, sounds.keyboard, sounds.tap])
def test_a_recipe_gives_the_same_sound_for_a_seed_and_another_for_another(recipe: object) -> None:
    assert callable(recipe)
    first: Samples = recipe(7)
    assert first.dtype == np.float32
    assert first.tobytes() == recipe(7).tobytes()
    assert first.tobytes() != recipe(8).tobytes()
    assert levels_dbfs(first).max() == pytest.approx(sounds.PEAK_DBFS, abs=0.01)
    assert levels_dbfs(first)[-3:].max() < sounds.PEAK_DBFS - 25.0


def test_a_room_has_unit_energy_its_delay_and_its_reverberation_time() -> None:
    impulse = sounds.room_impulse(3, rt60_s=0.5, distance_m=3.43)
    assert float(np.sum(np.square(impulse))) == pytest.approx(1.0, abs=1e-5)
    assert not impulse[:160].any()
    assert int(np.argmax(np.abs(impulse))) == 160
    tail = np.square(impulse[161:], dtype=np.float64)
    remaining_db = 10.0 * np.log10(np.cumsum(tail[::-1])[::-1] / tail.sum())
    assert remaining_db[4000] == pytest.approx(-30.0, abs=1.5)  # half of the time, half of 60 dB


def test_a_sound_in_a_room_keeps_its_level_and_gains_a_tail() -> None:
    impulse = sounds.room_impulse(3, rt60_s=0.3, distance_m=1.0)
    sound = voice([(0, 50)], frames=50)
    heard = sounds.in_room(sound, impulse)
    assert len(heard) == len(sound) + len(impulse) - 1
    assert rms_dbfs(heard) == pytest.approx(rms_dbfs(sound), abs=0.1)
    direct = sounds.in_room(sound, np.array([0.0, 1.0], dtype=np.float32))
    assert direct[1:] == pytest.approx(sound, rel=0.02, abs=1e-4)


def test_babble_has_its_length_and_level_and_needs_company() -> None:
    voices = [voice([(0, 100)], frames=100, hz=hz) for hz in (90.0, 130.0, 210.0)]
    mixed = sounds.babble(voices, 1, 40_000, -30.0)
    assert len(mixed) == 40_000
    assert rms_dbfs(mixed) == pytest.approx(-30.0, abs=0.1)
    assert mixed.tobytes() == sounds.babble(voices, 1, 40_000, -30.0).tobytes()
    with pytest.raises(ValueError, match="two voices"):
        sounds.babble(voices[:1], 1, 100, -30.0)


def test_room_tone_can_be_repeated_without_a_seam() -> None:
    tone = sounds.room_tone(16_000, 1)
    steps = np.abs(np.diff(np.concatenate((tone, tone))))
    assert steps[15_999] <= steps[:15_999].max()
    assert rms_dbfs(tone) == pytest.approx(sounds.ROOM_TONE_DBFS, abs=0.1)
