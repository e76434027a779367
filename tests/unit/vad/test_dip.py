"""The level of speech falls: when that is a dip, from both sides."""

from __future__ import annotations

import pytest

from edge_assistant.audio.format import BLOCK_FRAMES
from edge_assistant.vad.dip import DipDetector


class Feed:
    """Feeds blocks at a level, in dBFS, and keeps where dips were noticed."""

    def __init__(self) -> None:
        self.target = DipDetector()
        self.blocks = 0
        self.dips: list[int] = []

    def level(self, *levels_dbfs: float, is_speech: bool = True) -> Feed:
        for level_dbfs in levels_dbfs:
            self.blocks += 1
            at_frames = self.blocks * BLOCK_FRAMES
            if self.target.block(level_dbfs, at_frames, is_speech=is_speech):
                self.dips.append(self.blocks)
        return self


def test_two_low_blocks_are_a_dip_and_it_is_noticed_once() -> None:
    feed = Feed().level(-20, -20, -60, -60, -60, -60)
    assert feed.dips == [4]
    assert feed.target.since_frames == 4 * BLOCK_FRAMES


def test_one_low_block_is_none() -> None:
    feed = Feed().level(-20, -60, -20, -60, -20)
    assert not feed.dips
    assert feed.target.since_frames is None


@pytest.mark.parametrize(("level_dbfs", "dips"), [(-54.5, []), (-55.5, [4])])
def test_it_is_as_low_as_that(level_dbfs: float, dips: list[int]) -> None:
    assert Feed().level(-20, -20, level_dbfs, level_dbfs).dips == dips


def test_a_sound_behind_it_ends_it_and_the_next_is_another() -> None:
    feed = Feed().level(-20, -60, -60, -45)
    assert feed.target.since_frames is None
    assert feed.level(-60, -60).dips == [3, 6]


def test_where_nobody_speaks_there_is_none() -> None:
    feed = Feed().level(-20, -20).level(-60, -60, -60, is_speech=False)
    assert not feed.dips
    assert feed.target.is_low


def test_a_loud_moment_is_forgotten() -> None:
    """A door falls shut at -10 dBFS, then somebody speaks at -46: low at first, not for ever."""
    feed = Feed().level(-10).level(*[-46] * 10)
    assert feed.target.is_low
    assert not feed.level(*[-46] * 30).target.is_low


def test_at_the_start_nothing_is_low() -> None:
    assert not Feed().level(-120, -120, is_speech=False).target.is_low
