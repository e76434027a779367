"""Where a channel is audible and when it becomes quieter for good, to the frame."""

from __future__ import annotations

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.metrics.channels import Run, audible_runs, duck_frame, reference_dbfs
from tests.bench.metrics_makers import channel, frames, with_gain


def runs_s(*spans: tuple[float, float]) -> tuple[Run, ...]:
    return tuple(Run(start=frames(a), end=frames(b)) for a, b in spans)


def test_silence_and_nothing_have_no_runs() -> None:
    assert audible_runs(channel(1.0)) == ()
    assert audible_runs(channel(0.0)) == ()


@pytest.mark.parametrize(("level_dbfs", "is_audible"), [(-50.1, False), (-49.9, True)])
def test_the_threshold_is_at_minus_50_dbfs(level_dbfs: float, is_audible: bool) -> None:
    level = 10.0 ** (level_dbfs / 20.0)
    assert bool(audible_runs(channel(1.0, (0.2, 0.4), level=level))) is is_audible


@pytest.mark.parametrize("start", [0, 1, 159, 160, 161, 4321])
def test_runs_begin_and_end_on_the_sample(start: int) -> None:
    samples = channel(1.0)
    samples[start : start + 7] = -0.5
    assert audible_runs(samples) == (Run(start=start, end=start + 7),)


@pytest.mark.parametrize(("gap", "count"), [(frames(0.5), 1), (frames(0.5) + 1, 2)])
def test_half_a_second_of_silence_does_not_part_a_reply(gap: int, count: int) -> None:
    samples = channel(3.0)
    samples[1000] = samples[1000 + gap + 1] = 0.3
    assert len(audible_runs(samples)) == count


def test_a_sound_at_the_first_and_the_last_sample() -> None:
    samples = channel(2.0)
    samples[0] = samples[-1] = 0.3
    assert audible_runs(samples) == (
        Run(start=0, end=1),
        Run(start=len(samples) - 1, end=len(samples)),
    )
    assert audible_runs(channel(2.0, (0.0, 2.0))) == runs_s((0.0, 2.0))


@pytest.mark.parametrize(("gain_db", "is_duck"), [(-11.5, False), (-12.5, True), (-18.0, True)])
def test_a_duck_is_12_db(gain_db: float, is_duck: bool) -> None:
    samples = with_gain(channel(6.0, (0.0, 6.0)), 3.2, 6.0, gain_db)
    found = duck_frame(samples, frames(3.0), 2.0)
    assert found == (frames(3.2) if is_duck else None)


@pytest.mark.parametrize(("length_s", "is_duck"), [(0.29, False), (0.30, True)])
def test_a_duck_lasts_300_ms(length_s: float, is_duck: bool) -> None:
    samples = with_gain(channel(6.0, (0.0, 6.0)), 3.2, 3.2 + length_s, -18.0)
    assert (duck_frame(samples, frames(3.0), 2.0) == frames(3.2)) is is_duck


def test_the_first_of_two_attenuations_counts_only_if_it_lasts() -> None:
    samples = with_gain(channel(6.0, (0.0, 6.0)), 3.1, 3.2, -30.0)
    samples = with_gain(samples, 3.6, 6.0, -18.0)
    assert duck_frame(samples, frames(3.0), 2.0) == frames(3.6)


def test_silence_is_an_attenuation_and_the_end_of_the_recording_is_silence() -> None:
    assert duck_frame(channel(6.0, (0.0, 3.4)), frames(3.0), 2.0) == frames(3.4)
    assert duck_frame(channel(3.5, (0.0, 3.4)), frames(3.0), 2.0) == frames(3.4)


@pytest.mark.parametrize(("at_s", "is_found"), [(4.98, True), (5.0, False)])
def test_a_duck_after_the_bound_is_none(at_s: float, is_found: bool) -> None:
    samples = with_gain(channel(8.0, (0.0, 8.0)), at_s, 8.0, -18.0)
    assert (duck_frame(samples, frames(3.0), 2.0) is not None) is is_found


def test_pauses_before_the_onset_do_not_lower_the_reference() -> None:
    spans = tuple((2.0 + 0.2 * i, 2.1 + 0.2 * i) for i in range(5))
    level = reference_dbfs(channel(4.0, *spans), frames(3.0))
    assert level == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize(("begin_s", "is_enough"), [(2.79, True), (2.81, False)])
def test_there_must_be_sound_to_compare_with(begin_s: float, is_enough: bool) -> None:
    samples = channel(5.0, (begin_s, 5.0))
    assert (reference_dbfs(samples, frames(3.0)) is not None) is is_enough


def test_a_duck_in_modulated_sound_is_found_within_the_gap_between_two_syllables() -> None:
    rng = np.random.default_rng(3)
    time = np.arange(frames(6.0)) / SAMPLE_RATE
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 4.0 * time)
    voice = (0.2 * syllables * rng.standard_normal(len(time))).astype(np.float32)
    found = duck_frame(with_gain(voice, 3.2, 6.0, -18.0), frames(3.0), 2.0)
    assert found is not None
    assert frames(3.2 - 0.125) <= found <= frames(3.2)
    assert duck_frame(voice, frames(3.0), 2.0) is None
