"""Every edge of the segmenter, with its positions, at the boundaries of every setting."""

from __future__ import annotations

import pytest

from edge_assistant.audio.format import BLOCK_FRAMES, frames_of_ms
from edge_assistant.vad.segmenter import Segmenter, SpeechEdge

BLOCK_MS = 10
Edges = list[tuple[str, int, int]]


def segmenter(**changes: float) -> Segmenter:
    """Windows are 10 ms here, so that all positions are multiples of 10 ms."""
    settings: dict[str, float] = {
        "speech_threshold": 0.5,
        "silence_threshold": 0.35,
        "min_speech_ms": 30,
        "pause_ms": 40,
        "onset_ms": 30,
        "onset_hold_ms": 100,
    }
    return Segmenter(**{**settings, **changes})  # type: ignore[arg-type]


def in_ms(edges: list[SpeechEdge]) -> Edges:
    """(kind, at, since) in ms."""
    per_ms = frames_of_ms(1)
    return [(edge.kind, edge.at_frames // per_ms, edge.since_frames // per_ms) for edge in edges]


LEVELS = {"#": 1.0, "+": 0.5, "=": 0.4, "-": 0.35, ".": 0.0}
"""Probability of speech in a window: `+` and `-` are the two thresholds."""


def windows(target: Segmenter, script: str, from_ms: int = 0) -> Edges:
    """Feed windows of 10 ms; a space is for the reader."""
    edges: list[SpeechEdge] = []
    at_frames = frames_of_ms(from_ms)
    for letter in script.replace(" ", ""):
        at_frames += BLOCK_FRAMES
        edges += target.window(LEVELS[letter], at_frames, BLOCK_FRAMES)
    return in_ms(edges)


def blocks(target: Segmenter, script: str, from_ms: int = 0) -> Edges:
    """Feed the fast detector; `v` is voiced."""
    edges: list[SpeechEdge] = []
    at_frames = frames_of_ms(from_ms)
    for letter in script.replace(" ", ""):
        at_frames += BLOCK_FRAMES
        edges += target.onset(letter == "v", at_frames)
    return in_ms(edges)


WINDOWS: dict[str, tuple[str, Edges]] = {
    "silence": ("....", []),
    "below the upper threshold": ("====----", []),
    "one window too few": (".##.", [("onset", 20, 20), ("dropped", 40, 20)]),
    "as short as speech can be": (".###", [("onset", 20, 20), ("started", 40, 10)]),
    "at the upper threshold": ("+++", [("onset", 10, 10), ("started", 30, 0)]),
    "begun above, held at the lower": ("#--", [("onset", 10, 10), ("started", 30, 0)]),
    "twice too short": (
        "##.##.",
        [("onset", 10, 10), ("dropped", 30, 10), ("onset", 40, 40), ("dropped", 60, 40)],
    ),
    "running speech at the lower threshold": (
        "### ---- ----",
        [("onset", 10, 10), ("started", 30, 0)],
    ),
    "a silence that is no pause": ("### ...#", [("onset", 10, 10), ("started", 30, 0)]),
    "a pause": ("### ....", [("onset", 10, 10), ("started", 30, 0), ("paused", 70, 30)]),
    "only the upper threshold ends a silence": (
        "### .===",
        [("onset", 10, 10), ("started", 30, 0), ("paused", 70, 30)],
    ),
    "the upper threshold itself ends a silence": (
        "### ..+...",
        [("onset", 10, 10), ("started", 30, 0)],
    ),
    "each silence is counted anew": (
        "### ...# ....",
        [("onset", 10, 10), ("started", 30, 0), ("paused", 110, 70)],
    ),
    "speech again after a pause": (
        "### .... ###",
        [
            ("onset", 10, 10),
            ("started", 30, 0),
            ("paused", 70, 30),
            ("onset", 80, 80),
            ("started", 100, 70),
        ],
    ),
}


@pytest.mark.parametrize(("script", "edges"), WINDOWS.values(), ids=WINDOWS.keys())
def test_windows_make_these_edges(script: str, edges: Edges) -> None:
    assert windows(segmenter(), script) == edges


def test_one_window_can_be_speech_and_one_a_pause() -> None:
    target = segmenter(min_speech_ms=10, pause_ms=10)
    assert windows(target, "#.") == [("onset", 10, 10), ("started", 10, 0), ("paused", 20, 10)]


BLOCKS: dict[str, tuple[str, Edges]] = {
    "too few": ("v.v..", []),
    "enough of the last five": ("v.v.v", [("onset", 50, 50)]),
    "one slipped out of the five": ("v..v.v", []),
    "a run": ("vvv", [("onset", 30, 30)]),
    "held until it expires": ("vvv.......", [("onset", 30, 30)]),
    "expired": ("vvv..........", [("onset", 30, 30), ("dropped", 130, 30)]),
    "steady noise, held off after a drop": (
        "vvv vvvvv vvvvv vvvvv vvvvv",
        [("onset", 30, 30), ("dropped", 130, 30), ("onset", 230, 230)],
    ),
}


@pytest.mark.parametrize(("script", "edges"), BLOCKS.values(), ids=BLOCKS.keys())
def test_blocks_make_these_edges(script: str, edges: Edges) -> None:
    assert blocks(segmenter(), script) == edges


@pytest.mark.parametrize(
    ("onset_ms", "needed"), [(10, 1), (19, 1), (20, 2), (50, 5), (60, 5), (500, 5)]
)
def test_an_onset_needs_so_many_of_the_last_five_blocks(onset_ms: int, needed: int) -> None:
    assert blocks(segmenter(onset_ms=onset_ms), "v" * 5) == [("onset", needed * 10, needed * 10)]


def test_less_than_a_block_is_one_block() -> None:
    assert blocks(segmenter(onset_ms=1), "..v") == [("onset", 30, 30)]


def test_an_onset_holds_for_a_fifth_of_a_second_unless_told_otherwise() -> None:
    target = Segmenter(
        speech_threshold=0.5, silence_threshold=0.35, min_speech_ms=30, pause_ms=40, onset_ms=10
    )
    assert blocks(target, "v" + "." * 20) == [("onset", 10, 10), ("dropped", 210, 10)]


def test_the_deciding_detector_tells_no_second_onset() -> None:
    target = segmenter()
    assert blocks(target, "vvv") == [("onset", 30, 30)]
    assert windows(target, "###", from_ms=30) == [("started", 60, 30)]


def test_an_onset_does_not_expire_while_speech_is_being_confirmed() -> None:
    target = segmenter(min_speech_ms=200)
    assert blocks(target, "vvv") == [("onset", 30, 30)]
    assert windows(target, "#", from_ms=120) == []
    assert blocks(target, "v" * 10, from_ms=130) == []
    assert windows(target, ".", from_ms=230) == [("dropped", 240, 30)]


def test_an_onset_that_expired_while_speech_was_being_confirmed_begins_again() -> None:
    target = segmenter()
    assert blocks(target, "vvv" + "." * 10) == [("onset", 30, 30), ("dropped", 130, 30)]
    # Held off for the fast detector; the deciding one is believed at once.
    assert windows(target, "#", from_ms=140) == [("onset", 150, 150)]


def test_what_was_voiced_during_speech_is_no_onset_after_it() -> None:
    target = segmenter()
    windows(target, "###")
    assert blocks(target, "vvvvv", from_ms=30) == []
    assert windows(target, "....", from_ms=80) == [("paused", 120, 80)]
    assert blocks(target, ".", from_ms=120) == []
    assert blocks(target, "vvv", from_ms=130) == [("onset", 160, 160)]


def test_after_a_pause_an_onset_is_not_held_off_by_an_earlier_click() -> None:
    target = segmenter(min_speech_ms=10, pause_ms=10, onset_hold_ms=1_000, onset_ms=10)
    assert windows(target, "#.#.") == [
        ("onset", 10, 10),
        ("started", 10, 0),
        ("paused", 20, 10),
        ("onset", 30, 30),
        ("started", 30, 20),
        ("paused", 40, 30),
    ]
    clicked = segmenter(pause_ms=10, onset_hold_ms=1_000, onset_ms=10)
    assert windows(clicked, "#. ###.")[-1] == ("paused", 60, 50)
    assert blocks(clicked, "v", from_ms=60) == [("onset", 70, 70)]


def test_an_onset_that_became_speech_leaves_nothing_to_drop() -> None:
    target = segmenter()
    assert blocks(target, "vvv") == [("onset", 30, 30)]
    assert windows(target, "### ....", from_ms=30) == [("started", 60, 30), ("paused", 100, 60)]
    assert blocks(target, "." * 30, from_ms=100) == []


@pytest.mark.parametrize(
    ("script", "is_speech", "is_voiced"),
    [
        ("", False, False),
        ("##", False, False),
        ("###", True, True),
        ("###.", True, False),
        ("###..=", True, False),
        ("###..#", True, True),
        ("###....", False, False),
    ],
)
def test_speech_runs_on_for_the_length_of_a_pause_and_the_voice_does_not(
    script: str, is_speech: bool, is_voiced: bool
) -> None:
    target = segmenter()
    windows(target, script)
    assert (target.is_speech, target.is_voiced) == (is_speech, is_voiced)
