"""The resampler keeps length, position, level and pitch, however the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_assistant.audio.format import Samples
from edge_assistant.audio.resample import Quality, Resampler, resample
from edge_assistant.errors import AudioFormatError

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]


def tone(hz: float, sample_rate: int, seconds: float = 0.5) -> Samples:
    at_s = np.arange(int(sample_rate * seconds)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * hz * at_s)).astype(np.float32)


def in_blocks(resampler: Resampler, samples: Samples, cuts: list[int]) -> Samples:
    parts = [resampler.process(part) for part in np.split(samples, cuts)]
    parts.append(resampler.process(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


@pytest.mark.parametrize("from_rate", RATES)
@pytest.mark.parametrize("to_rate", [16_000, 48_000])
def test_a_tone_stays_where_it_is(from_rate: int, to_rate: int) -> None:
    given_frames = tone(440, from_rate)
    got = resample(given_frames, from_rate, to_rate)
    want = tone(440, to_rate)
    assert got.dtype == np.float32
    assert len(got) == round(len(given_frames) * to_rate / from_rate)
    shared = min(len(got), len(want))
    inner = slice(shared // 10, shared - shared // 10)
    assert np.abs(got[:shared][inner] - want[:shared][inner]).max() < 1e-3


@given(
    cuts=st.lists(st.integers(0, 4_800), max_size=30).map(sorted),
    rates=st.sampled_from([(48_000, 16_000), (44_100, 16_000), (22_050, 48_000), (16_000, 16_000)]),
    quality=st.sampled_from(["LQ", "MQ", "HQ"]),
)
@settings(max_examples=60)
def test_cutting_into_blocks_changes_nothing(
    cuts: list[int], rates: tuple[int, int], quality: Quality
) -> None:
    noise = np.random.default_rng(7).uniform(-0.5, 0.5, 4_800).astype(np.float32)
    whole = resample(noise, *rates, quality)
    assert len(whole) == round(len(noise) * rates[1] / rates[0])
    parts = in_blocks(Resampler(*rates, quality), noise, cuts)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_what_the_lower_rate_cannot_carry_is_gone() -> None:
    got = resample(tone(11_000, 48_000), 48_000, 16_000, "LQ")
    assert np.abs(got[800:-800]).max() < 1e-3


def test_a_live_microphone_is_never_far_behind() -> None:
    """10 ms blocks at LQ: two blocks of lag at most, counted in frames and not in time."""
    resampler = Resampler(48_000, 16_000, "LQ")
    got = 0
    for fed in range(1, 101):
        got += len(resampler.process(tone(440, 48_000, 0.01)))
        assert fed * 160 - got <= 320
        assert resampler.pending_frames == fed * 160 - got


def test_after_the_last_block_a_new_stream_begins() -> None:
    resampler = Resampler(48_000, 16_000)
    first = resampler.process(tone(440, 48_000), last=True)
    second = resampler.process(tone(440, 48_000), last=True)
    np.testing.assert_array_equal(first, second)


def test_nothing_gives_nothing() -> None:
    assert resample(np.zeros(0, np.float32), 48_000, 16_000).shape == (0,)


def test_equal_rates_give_the_block_itself() -> None:
    block = tone(440, 16_000)
    resampler = Resampler(16_000, 16_000)
    assert resampler.process(block) is block
    assert resampler.pending_frames == 0


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(0, 16_000), (7_999, 16_000), (16_000, 192_001), (-1, 8_000)]
)
def test_a_rate_out_of_bounds_is_named(from_rate: int, to_rate: int) -> None:
    with pytest.raises(AudioFormatError, match="Hz cannot be converted") as caught:
        Resampler(from_rate, to_rate)
    assert caught.value.code == "sample-rate-unsupported"
