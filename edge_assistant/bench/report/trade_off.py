"""What a short time is bought with, where a run has systems to compare: several programs, or one
program at several settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.report.model import Figure, Panel, Point, Report, TradeOff
from edge_assistant.bench.report.pick import (
    GAP_MEDIAN,
    GAP_SCENARIO,
    PAUSE_SCENARIO,
    TAKE_OVER,
    figure,
)
from edge_assistant.bench.trial import Source

LEAST_SYSTEMS: Final = 2

_SOURCES: Final[tuple[Source, ...]] = ("real", "synthetic")

_NUMBER: Final = re.compile(r"(?P<stem>.*?)(?P<number>\d+(?:\.\d+)?)\D*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """Where a share is found."""

    title: str
    scenario: str
    condition: str
    """Empty: all of them."""
    name: str
    row: str = ""
    """Of the figure over all conditions, where this one has no figure of its own."""
    has_made_sound: bool = False
    """Made by a recipe, so that it counts as synthetic beside recorded people too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    title: str
    about: str
    scenario: str
    time: str
    far: str
    across: str
    far_in_words: str
    up: str
    shares: tuple[_Share, ...]


def _pause(condition: str, length: str, name: str, rule: str) -> _Share:
    return _Share(
        title=f"pauses of {length}, {rule}",
        scenario=PAUSE_SCENARIO,
        condition=condition,
        name=name,
        row=f"[{length}]",
    )


def _noise(condition: str, *, is_made: bool) -> _Share:
    return _Share(
        title=f"under {condition}" if condition == "music" else f"under a {condition}",
        scenario="noises",
        condition=condition,
        name="floor_kept[noise]",
        has_made_sound=is_made,
    )


_KINDS: Final = (
    _Kind(
        title="Gap against take-over",
        about="Across: the median gap after a finished request, and light its 90th percentile. Up: "
        "the share of pauses inside a turn in which it began to speak, by any audible start and by "
        "Full-Duplex-Bench's rule. Best is the bottom left.",
        scenario=GAP_SCENARIO,
        time=GAP_MEDIAN,
        far="response_gap_p90",
        across="median gap",
        far_in_words="90th percentile",
        up="share of pauses taken",
        shares=(
            _pause("0.7", "0.7 s", TAKE_OVER, "any start"),
            _pause("1", "1.0 s", TAKE_OVER, "any start"),
            _pause("0.7", "0.7 s", "pause_take_tor", "TOR"),
            _pause("1", "1.0 s", "pause_take_tor", "TOR"),
        ),
    ),
    _Kind(
        title="Stop time against floor kept",
        about="Across: the median time from the onset of an interruption until it is silent, and "
        "light its 95th percentile. Up: the share of sounds that were not for it under which it "
        "kept talking. Best is the top left.",
        scenario="interruption",
        time="stop_latency_p50",
        far="stop_latency_p95",
        across="median time to fall silent",
        far_in_words="95th percentile",
        up="share of floors kept",
        shares=(
            _Share(
                title="under a backchannel",
                scenario="backchannel",
                condition="",
                name="floor_kept[backchannel]",
            ),
            _noise("cough", is_made=True),
            _noise("knock", is_made=True),
            _noise("music", is_made=False),
        ),
    ),
)


def found(report: Report) -> tuple[TradeOff, ...]:
    """The planes in which at least two systems have a point; recorded people before made speech."""
    planes = [_plane(report, kind, source) for kind in _KINDS for source in _SOURCES]
    return tuple(plane for plane in planes if plane.panels)


def family(name: str) -> tuple[str, float]:
    """(`wait-*`, 200.0) of `wait-200`: the name up to its last number, and that; ("", 0) without
    one."""
    parts = _NUMBER.fullmatch(name)
    return (f"{parts['stem']}*", float(parts["number"])) if parts else ("", 0.0)


def _plane(report: Report, kind: _Kind, source: Source) -> TradeOff:
    panels = []
    for share in kind.shares:
        points = [
            point
            for system in report.systems
            if (point := _point(report, kind, share, system.name, source)) is not None
        ]
        if len(points) >= LEAST_SYSTEMS:
            ordered = sorted(points, key=lambda point: family(point.system))
            panels.append(Panel(title=share.title, points=tuple(ordered)))
    return TradeOff(
        title=kind.title,
        about=kind.about,
        source=source,
        across=kind.across,
        far=kind.far_in_words,
        up=kind.up,
        panels=tuple(panels),
    )


def _point(report: Report, kind: _Kind, share: _Share, system: str, source: Source) -> Point | None:
    across = figure(report, kind.scenario, kind.time, system, source)
    up = _share(report, share, system, source)
    if up is None and share.has_made_sound:
        up = _share(report, share, system, "synthetic")
    if across is None or up is None:
        return None
    return Point(
        system=system,
        across=across,
        far=figure(report, kind.scenario, kind.far, system, source),
        up=up,
        family=family(system)[0],
    )


def _share(report: Report, share: _Share, system: str, source: Source) -> Figure | None:
    """Of the condition; of all where there is no other; else of its row among all."""
    where = {row.condition for row in report.trials if row.scenario == share.scenario}
    condition = "" if where == {share.condition} else share.condition
    own = figure(report, share.scenario, share.name, system, source, condition)
    if own is None and share.row:
        return figure(report, share.scenario, share.name + share.row, system, source)
    return own
