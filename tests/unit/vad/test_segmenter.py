"""Each threshold of the segmenter from both sides."""

from __future__ import annotations

import pytest

from edge_assistant.audio.format import BLOCK_FRAMES
from edge_assistant.vad.segmenter import Segmenter, SpeechEdge

WINDOW = 512


def segmenter(**changes: float) -> Segmenter:
    settings: dict[str, float] = {
        "speech_threshold": 0.5,
        "silence_threshold": 0.35,
        "min_speech_ms": 96,
        "pause_ms": 128,
        "onset_ms": 30,
    }
    return Segmenter(**{**settings, **changes})  # type: ignore[arg-type]


class Feed:
    """Feeds windows and keeps the edges."""

    def __init__(self, target: Segmenter) -> None:
        self.target = target
        self.at_frames = 0
        self.edges: list[SpeechEdge] = []

    def windows(self, *probabilities: float) -> Feed:
        for probability in probabilities:
            self.at_frames += WINDOW
            self.edges += self.target.window(probability, self.at_frames, WINDOW)
        return self

    def blocks(self, *voiced: bool) -> Feed:
        for each in voiced:
            self.at_frames += BLOCK_FRAMES
            self.edges += self.target.onset(each, self.at_frames)
        return self

    def kinds(self) -> list[str]:
        return [edge.kind for edge in self.edges]


def test_speech_counts_from_its_first_window() -> None:
    feed = Feed(segmenter()).windows(0.1, 0.9, 0.9)
    assert feed.kinds() == ["onset"]
    feed.windows(0.9)
    started = feed.edges[-1]
    assert (started.kind, started.at_frames, started.since_frames) == ("started", 4 * 512, 512)


def test_what_is_shorter_than_speech_is_dropped() -> None:
    feed = Feed(segmenter()).windows(0.9, 0.9, 0.1, 0.9, 0.9, 0.1)
    assert "started" not in feed.kinds()
    assert feed.kinds().count("dropped") == 2


def test_a_pause_counts_from_the_first_silent_window() -> None:
    feed = Feed(segmenter()).windows(0.9, 0.9, 0.9, 0.1, 0.1, 0.1)
    assert feed.kinds() == ["onset", "started"]
    feed.windows(0.1)
    paused = feed.edges[-1]
    assert (paused.kind, paused.at_frames, paused.since_frames) == ("paused", 7 * 512, 3 * 512)


def test_a_short_silence_is_no_pause_and_the_count_begins_anew() -> None:
    feed = Feed(segmenter()).windows(0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1)
    assert feed.kinds() == ["onset", "started"]
    assert not feed.target.is_voiced
    assert feed.target.is_speech


@pytest.mark.parametrize(("probability", "paused"), [(0.34, True), (0.36, False)])
def test_running_speech_ends_below_the_lower_threshold(probability: float, paused: bool) -> None:
    feed = Feed(segmenter()).windows(0.9, 0.9, 0.9, *[probability] * 6)
    assert ("paused" in feed.kinds()) is paused


@pytest.mark.parametrize(("probability", "started"), [(0.49, False), (0.5, True)])
def test_speech_begins_at_the_upper_threshold(probability: float, started: bool) -> None:
    assert ("started" in Feed(segmenter()).windows(*[probability] * 3).kinds()) is started


def test_the_fast_detector_needs_a_share_of_its_window_not_a_run() -> None:
    assert not Feed(segmenter()).blocks(True, False, True, False).kinds()
    assert Feed(segmenter()).blocks(True, False, True, False, True).kinds() == ["onset"]


def test_an_onset_that_stays_unconfirmed_is_dropped_and_does_not_flutter() -> None:
    feed = Feed(segmenter()).blocks(*[True] * 64)
    assert feed.kinds() == ["onset", "dropped", "onset", "dropped"]
    gap = feed.edges[2].at_frames - feed.edges[1].at_frames
    assert gap >= 200 * 16


def test_an_onset_that_becomes_speech_is_not_dropped() -> None:
    feed = Feed(segmenter()).blocks(True, True, True).windows(0.9, 0.9, 0.9).blocks(*[True] * 40)
    assert feed.kinds() == ["onset", "started"]
