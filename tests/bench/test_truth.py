from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.files import read_sound
from edge_assistant.audio.format import BLOCK_FRAMES, Samples
from edge_assistant.bench.truth import (
    PAUSE_MS,
    active_dbfs,
    find_speech,
    is_loud,
    levels_dbfs,
)
from tests.bench.made_clips import voice

CHECKED = Path(__file__).with_name("checked_ends.tsv")


def frames(*stretches: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((a * BLOCK_FRAMES, b * BLOCK_FRAMES) for a, b in stretches)


def tone_at(level_dbfs: float, blocks: int) -> Samples:
    """A square wave: its level is its amplitude."""
    wave = np.where(np.arange(blocks * BLOCK_FRAMES) // 40 % 2, 1.0, -1.0)
    return np.asarray(wave * 10.0 ** (level_dbfs / 20.0), dtype=np.float32)


def test_levels_are_those_of_whole_frames() -> None:
    sound = np.concatenate((tone_at(-6.0, 2), tone_at(-40.0, 1), np.zeros(500, np.float32)))
    assert levels_dbfs(sound) == pytest.approx(
        [-6.0, -6.0, -40.0, -120.0, -120.0, -120.0], abs=1e-4
    )


def test_the_active_level_leaves_out_what_is_20_db_below_the_loudest() -> None:
    speech, soft, softer = tone_at(-10.0, 10), tone_at(-29.0, 10), tone_at(-31.0, 100)
    mean = 10.0 * np.log10((10.0**-1.0 + 10.0**-2.9) / 2.0)
    assert active_dbfs(np.concatenate((speech, soft, softer))) == pytest.approx(mean, abs=1e-4)


def test_the_end_is_the_last_frame_within_35_db() -> None:
    just_above, just_below = (
        tone_at(-54.9, 1),
        tone_at(-55.1, 1),
    )
    sound = np.concatenate(
        (tone_at(-20.0, 50), just_above, just_below, np.zeros(8000, dtype=np.float32))
    )
    assert find_speech(sound).frames == frames((0, 51))
    assert is_loud(sound)[48:53].tolist() == [True, True, True, False, False]


def test_onset_and_end_are_exact() -> None:
    speech = find_speech(voice([(37, 141)], frames=200))
    assert speech.frames == frames((37, 141))
    assert (speech.onset_frames, speech.end_frames) == (37 * 160, 141 * 160)
    assert speech.pauses == ()
    assert speech.is_clear


@pytest.mark.parametrize(("gap", "is_pause"), [(19, False), (20, True)])
def test_a_pause_is_200_ms(gap: int, is_pause: bool) -> None:
    assert PAUSE_MS == 200
    speech = find_speech(voice([(30, 80), (80 + gap, 150)], frames=200))
    whole, parted = frames((30, 150)), frames((30, 80), (80 + gap, 150))
    assert speech.frames == (parted if is_pause else whole)
    assert speech.pauses == (((80 * 160, (80 + gap) * 160),) if is_pause else ())


def test_a_click_before_the_speech_is_not_its_onset() -> None:
    assert find_speech(voice([(10, 12), (20, 100)], frames=150)).onset_frames == 20 * 160


def test_a_click_long_after_the_speech_is_not_its_end() -> None:
    assert find_speech(voice([(10, 100), (140, 142)], frames=200)).end_frames == 100 * 160


def test_a_soft_rumble_long_after_the_speech_is_not_its_end() -> None:
    sound = voice([(10, 100)], frames=200)
    sound[140 * 160 : 160 * 160] = tone_at(active_dbfs(sound) - 30.0, 20)
    assert is_loud(sound)[140:160].all()
    assert find_speech(sound).frames == frames((10, 100))


def test_a_release_shortly_after_the_speech_is_its_end() -> None:
    assert find_speech(voice([(10, 100), (110, 112)], frames=200)).end_frames == 112 * 160


@pytest.mark.parametrize(("quiet", "is_clear"), [(4, False), (5, True)])
def test_an_end_is_clear_with_50_ms_of_quiet_after_it(quiet: int, is_clear: bool) -> None:
    assert find_speech(voice([(10, 100)], frames=100 + quiet)).is_clear is is_clear


def test_noise_within_35_db_hides_the_end_and_says_so() -> None:
    sound = voice([(50, 100)], frames=150)
    noise = np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    noise *= np.float32(10.0 ** ((active_dbfs(sound) - 30.0) / 20.0))
    speech = find_speech(np.asarray(sound + noise, dtype=np.float32))
    assert speech.frames
    assert not speech.is_clear


@pytest.mark.parametrize("length", [0, 100, 16_000])
def test_silence_holds_no_speech(length: int) -> None:
    speech = find_speech(np.zeros(length, dtype=np.float32))
    assert speech.frames == ()
    assert (speech.onset_frames, speech.end_frames, speech.is_clear) == (0, 0, False)


def checked() -> list[dict[str, str]]:
    lines = CHECKED.read_text("utf-8").splitlines()
    return list(csv.DictReader((x for x in lines if not x.startswith("#")), delimiter="\t"))


def test_the_table_of_checked_ends_adds_up() -> None:
    rows = checked()
    assert len({row["file"] for row in rows}) == 30
    for row in rows:
        difference_s = float(row["rule_s"]) - float(row["eye_s"])
        assert round(1000 * difference_s) == int(row["difference_ms"]), row["file"]


@pytest.mark.speech
@pytest.mark.parametrize("row", checked(), ids=lambda row: row["file"])
def test_the_rule_still_finds_the_checked_end(row: dict[str, str]) -> None:
    beside = Path(__file__).resolve().parents[3] / "shared" / "speech"
    folder = Path(os.environ.get("EDGE_ASSISTANT_SPEECH", beside))
    if not (folder / row["file"]).is_file():
        pytest.skip(f"no recordings in {folder}: name their folder in EDGE_ASSISTANT_SPEECH")
    end_s = find_speech(read_sound(folder / row["file"])).end_frames / 16_000
    assert end_s == pytest.approx(float(row["rule_s"]), abs=0.005)
