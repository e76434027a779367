"""Systems in a plane of two measures, one panel for each share; those of a family are connected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from edge_assistant.bench.report import svg, words
from edge_assistant.bench.report.markup import Content, Markup, tag
from edge_assistant.bench.report.model import Figure, Panel, Point, TradeOff

_LATEST_S: Final = 5.0
"""Longer times are drawn on the edge with an arrow; else one slow system flattens the rest."""
_LETTER: Final = 6.4
"""Width of a letter, for labels that keep clear of each other; a guess, since nothing measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    width: float
    columns: int
    height: float
    """Of one panel."""
    ticks: int


_LOOKS: Final = (
    _Look(width=svg.WIDE, columns=2, height=308.0, ticks=6),
    _Look(width=svg.NARROW, columns=1, height=258.0, ticks=5),
)
_TOP: Final = 42.0
_BOTTOM: Final = 52.0
_LEFT: Final = 44.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        is_beside = self.right < other.left or other.right < self.left
        return not (is_beside or self.bottom < other.top or other.bottom < self.top)


def drawn(plane: TradeOff, ranks: dict[str, int]) -> Markup:
    """All panels of one plane.

    Args:
        plane: of one source.
        ranks: of the systems, see `Report.ranks`.
    """
    wide, narrow = (_picture(plane, ranks, look) for look in _LOOKS)
    return svg.both(wide, narrow)


def _picture(plane: TradeOff, ranks: dict[str, int], look: _Look) -> Markup:
    points = [point for panel in plane.panels for point in panel.points]
    times = [value for point in points for value in _times(point)]
    low = math.floor(min(0.0, svg.smallest(times, 0.0)) * 4) / 4
    high = math.ceil(max(0.5, svg.largest(times, 1.0)) * 4.2) / 4
    shapes: list[Content] = []
    each = look.width / look.columns
    for at, panel in enumerate(plane.panels):
        left, top = at % look.columns * each, at // look.columns * look.height
        across = svg.Scale(
            low=max(low, -2.0),
            high=min(high, _LATEST_S),
            start=left + _LEFT,
            end=left + each - 18,
        )
        up = svg.Scale(low=0.0, high=1.0, start=top + look.height - _BOTTOM, end=top + _TOP)
        shapes += _axes(plane, panel, across, up, look.ticks)
        shapes += _panel(panel, across, up, ranks)
    rows = math.ceil(len(plane.panels) / look.columns)
    return svg.picture(look.width, rows * look.height, _told(plane), *shapes)


def _times(point: Point) -> list[float]:
    found = (point.across.value, point.across.low, point.across.high)
    far = point.far.value if point.far else None
    return [value for value in (*found, far) if value is not None]


def _axes(
    plane: TradeOff, panel: Panel, across: svg.Scale, up: svg.Scale, ticks: int
) -> list[Content]:
    shapes: list[Content] = [
        svg.text(across.start, up.end - 24, panel.title, class_="row-name"),
        svg.seconds_axis(across, up.end, up.start, ticks),
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        shapes += [
            svg.line(across.start, up(share), across.end, up(share), "grid"),
            svg.text(
                across.start - 6, up(share) + 4, f"{share * 100:.0f} %", class_="tick", anchor="end"
            ),
        ]
    name = f"{plane.across}, seconds"
    shapes.append(svg.text(across.end, up.start + 34, name, class_="axis-name", anchor="end"))
    return shapes


def _panel(panel: Panel, across: svg.Scale, up: svg.Scale, ranks: dict[str, int]) -> list[Content]:
    shapes: list[Content] = []
    for family, members in groupby(panel.points, key=lambda point: point.family):
        if family:
            places = [_place(point, across, up) for point in members]
            shapes += [svg.line(*a, *b, "family") for a, b in pairwise(places)]
    for point in panel.points:
        shapes += _whiskers(point, across, up, svg.colour(ranks.get(point.system, 0)))
    for point in panel.points:
        shapes.append(_dot(point, panel, across, up, svg.colour(ranks.get(point.system, 0))))
    return shapes + _labels(panel, across, up)


def _place(point: Point, across: svg.Scale, up: svg.Scale) -> tuple[float, float]:
    return across(point.across.value or 0.0), up(point.up.value or 0.0)


def _whiskers(point: Point, across: svg.Scale, up: svg.Scale, colour: str) -> list[Content]:
    x, y = _place(point, across, up)
    shapes: list[Content] = []
    if point.far is not None and point.far.value is not None:
        far = across(point.far.value)
        shapes += [
            svg.line(x, y, far, y, f"far {colour}"),
            tag("circle", cx=far, cy=y, r=3.0, class_=f"far {colour}"),
        ]
    if point.across.low is not None and point.across.high is not None:
        ends = across(point.across.low), across(point.across.high)
        shapes.append(svg.line(ends[0], y, ends[1], y, f"whisker {colour}"))
    if point.up.low is not None and point.up.high is not None:
        shapes.append(svg.line(x, up(point.up.low), x, up(point.up.high), f"whisker {colour}"))
    return shapes


def _dot(point: Point, panel: Panel, across: svg.Scale, up: svg.Scale, colour: str) -> Markup:
    x, y = _place(point, across, up)
    hollow = "" if point.up.source == "real" else " hollow"
    title = (
        f"{point.system}: {_value(point.across)}; {panel.title} "
        f"({words.source(point.up.source)}): {_value(point.up)}"
    )
    return tag("circle", tag("title", title), cx=x, cy=y, r=5.5, class_=f"dot {colour}{hollow}")


def _labels(panel: Panel, across: svg.Scale, up: svg.Scale) -> list[Content]:
    """The names, each at the place around its dot where it covers the fewest dots and names."""
    places = [_place(point, across, up) for point in panel.points]
    taken = [_Box(left=x - 6, top=y - 6, right=x + 6, bottom=y + 6) for x, y in places]
    taken.append(_Box(left=0.0, top=up.end - _TOP, right=across.end, bottom=up.end - 21))
    shapes: list[Content] = []
    for point, (x, y) in zip(panel.points, places, strict=True):
        is_later = (point.across.value or 0.0) > across.high
        name = f"{point.system} ▸" if is_later else point.system
        width = _LETTER * len(name)
        choices = [
            (_Box(left=left, top=base - 10, right=left + width, bottom=base + 3), base)
            for base in (y - 7, y + 16, y - 20)
            for left in (x + 10, x - 10 - width, x - width / 2)
        ]
        inside = [
            each
            for each in choices
            if each[0].left >= across.start and each[0].right <= across.end + 14
        ]
        box, base = min(
            inside or choices, key=lambda each: sum(each[0].meets(other) for other in taken)
        )
        taken.append(box)
        shapes.append(svg.text(box.left, base, name, class_="tick"))
    return shapes


def _told(plane: TradeOff) -> str:
    """The whole drawing in words."""
    return f"{plane.title}, {words.source(plane.source)}. " + ". ".join(
        f"{panel.title}: "
        + "; ".join(
            f"{point.system}, {words.number(point.across.value, 's')} and "
            f"{words.number(point.up.value, 'share')}"
            for point in panel.points
        )
        for panel in plane.panels
    )


def _value(figure: Figure) -> str:
    return f"{words.number(figure.value, figure.unit)} ({words.interval_and_n(figure)})"
