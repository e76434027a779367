"""Charts over all trials: how long the gaps are, what they cost in pauses, where the time goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_assistant.bench.report import pick, svg, words
from edge_assistant.bench.report.markup import Content, Markup, tag
from edge_assistant.bench.report.model import Report, TrialRow
from edge_assistant.bench.report.pick import Pauses, gap_groups, pauses, stage_means

_LATEST_S: Final = 5.0
"""Slower replies are drawn on the edge and counted there; else one of them flattens the rest."""
_DOTS_HEIGHT: Final = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    width: float
    margin: float
    ticks: int


_LOOKS: Final = (
    _Look(width=svg.WIDE, margin=24.0, ticks=12),
    _Look(width=svg.NARROW, margin=16.0, ticks=6),
)


def gaps(report: Report) -> Markup:
    """Every trial a dot, one row for each system and source."""
    wide, narrow = (_gaps(report, look) for look in _LOOKS)
    return svg.both(wide, narrow)


def _gaps(report: Report, look: _Look) -> Markup:
    groups = gap_groups(report)
    found = [row.gap_s for _, _, rows in groups for row in rows if row.gap_s is not None]
    low = min(-0.25, math.floor(svg.smallest(found, 0.0) * 4) / 4)
    high = min(_LATEST_S, max(1.5, math.ceil(svg.largest(found, 1.5) * 4) / 4))
    scale = svg.Scale(
        low=max(low, -3.0), high=high, start=look.margin, end=look.width - look.margin
    )
    is_narrow = look.width == svg.NARROW
    head, top = 52.0 if is_narrow else 34.0, 26.0
    each = _DOTS_HEIGHT + head + 26
    bottom = top + each * len(groups)
    shapes: list[Content] = [
        svg.box(scale.start, top - 8, scale(0) - scale.start, bottom - top + 8, "early"),
        svg.seconds_axis(scale, top - 8, bottom, look.ticks),
        svg.text(scale(0) + 4, 12, "the user ends here", class_="tick"),
    ]
    for at, (rank, (name, source), rows) in enumerate(_ranked(groups, report)):
        y = top + each * at
        shapes += _gap_row(rows, scale, y + head, svg.colour(rank), source == "real")
        shapes.append(svg.text(scale.start, y + 14, name, class_="row-name"))
        shapes += _notes((words.source(source), _about(rows)), scale, y, is_narrow)
    shapes.append(
        svg.text(
            scale.end,
            bottom + 32,
            "seconds of silence before it answers",
            class_="axis-name",
            anchor="end",
        )
    )
    label = "Response gaps: " + "; ".join(
        f"{name}, {words.source(source)}: {_about(rows)}" for (name, source, rows) in groups
    )
    return svg.picture(look.width, bottom + 40, label, *shapes)


def _notes(notes: tuple[str, str], scale: svg.Scale, y: float, is_narrow: bool) -> list[Content]:
    """What stands beside the name of a row, or below it."""
    if not is_narrow:
        return [svg.text(scale.end, y + 14, " · ".join(notes), class_="row-note", anchor="end")]
    return [
        svg.text(scale.start, y + 28 + 15 * at, note, class_="row-note")
        for at, note in enumerate(notes)
    ]


def _ranked(
    groups: list[tuple[str, str, tuple[TrialRow, ...]]], report: Report
) -> list[tuple[int, tuple[str, str], tuple[TrialRow, ...]]]:
    ranks = report.ranks
    return [(ranks.get(name, 0), (name, source), rows) for name, source, rows in groups]


def _about(rows: tuple[TrialRow, ...]) -> str:
    values = [row.gap_s for row in rows if row.gap_s is not None]
    silent = len(rows) - len(values)
    unanswered = f", {silent} unanswered" if silent else ""
    if not values:
        return f"n = 0{unanswered}"
    p50, p90 = (float(each) for each in np.percentile(values, (50, 90)))
    return (
        f"n = {len(values)}{unanswered}, median {words.number(p50, 's')}, "
        f"p90 {words.number(p90, 's')}"
    )


def _gap_row(
    rows: tuple[TrialRow, ...], scale: svg.Scale, top: float, colour: str, filled: bool
) -> list[Content]:
    values = [(row.gap_s, row) for row in rows if row.gap_s is not None]
    base = top + _DOTS_HEIGHT
    shapes: list[Content] = [svg.line(scale.start, base + 1, scale.end, base + 1, "base")]
    if not values:
        return shapes
    pixels = [scale(value) for value, _ in values]
    radius = 5.5
    while radius > 1.2 and _tallest(pixels, radius) * 2 * radius > _DOTS_HEIGHT:
        radius -= 0.1
    heights: dict[int, int] = {}
    for (value, row), pixel in sorted(zip(values, pixels, strict=True), key=lambda each: each[1]):
        column = round(pixel / (2 * radius))
        height = heights[column] = heights.get(column, 0) + 1
        shapes.append(
            tag(
                "circle",
                tag("title", f"{row.id}: {words.number(value, 's')}"),
                cx=min(max(column * 2 * radius, scale.start + radius), scale.end - radius),
                cy=base - (2 * height - 1) * radius,
                r=radius - 0.6,
                class_=f"dot {colour}" + ("" if filled else " hollow"),
            )
        )
    late = sum(value > scale.high for value, _ in values)
    if late:
        shapes.append(
            svg.text(scale.end, top - 4, f"{late} later ▸", class_="row-note", anchor="end")
        )
    p50, p90 = (scale(float(each)) for each in np.percentile([v for v, _ in values], (50, 90)))
    shapes += [
        svg.line(p50, base + 6, p90, base + 6, f"reach {colour}"),
        tag("circle", tag("title", "median"), cx=p50, cy=base + 6, r=4.0, class_=f"mid {colour}"),
        svg.line(p90, base + 2, p90, base + 10, f"reach {colour}"),
    ]
    return shapes


def _tallest(pixels: list[float], radius: float) -> int:
    columns = [round(pixel / (2 * radius)) for pixel in pixels]
    return max(columns.count(column) for column in set(columns))


def trade_off(report: Report) -> Markup | None:
    """Median gap against take-over in pauses; None where one of the two was not measured."""
    found = pauses(report)
    if not found:
        return None
    wide, narrow = (_trade_off(found, report, look) for look in _LOOKS)
    return svg.both(wide, narrow)


def _trade_off(found: list[Pauses], report: Report, look: _Look) -> Markup:
    height = 380.0 if look.width > 500 else 320.0
    furthest = svg.largest((each.gap_high for each in found), 1.0)
    across = svg.Scale(
        low=min(0.0, svg.smallest((each.gap_low for each in found), 0.0)),
        high=max(1.0, math.ceil(furthest * 4 + 0.4) / 4),
        start=44.0,
        end=look.width - look.margin,
    )
    up = svg.Scale(low=0.0, high=1.0, start=height - 48, end=20.0)
    shapes: list[Content] = [svg.seconds_axis(across, up.end, up.start, look.ticks)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        shapes.append(svg.line(across.start, up(share), across.end, up(share), "grid"))
        shapes.append(
            svg.text(38, up(share) + 4, f"{share * 100:.0f} %", class_="tick", anchor="end")
        )
    shapes += [
        svg.text(across.start + 6, 12, "share of pauses taken", class_="axis-name"),
        svg.text(across.end, height - 14, "median gap, seconds", class_="axis-name", anchor="end"),
    ]
    if look.width > svg.NARROW:
        shapes += [
            svg.text(across.start + 6, up.start - 8, "quick and polite", class_="corner"),
            svg.text(
                across.end - 6,
                up.end + 16,
                "slow, and still too early",
                class_="corner",
                anchor="end",
            ),
        ]
    ranks = report.ranks
    for each in found:
        shapes += _pauses(each, across, up, svg.colour(ranks.get(each.system, 0)))
    label = "Take-over in pauses against the median gap. " + "; ".join(
        f"{each.system}, {words.source(each.source)}, gap {words.number(each.gap_s, 's')}: "
        + ", ".join(f"{pick.row_of(f.name)} {words.number(f.value, 'share')}" for f in each.figures)
        for each in found
    )
    return svg.picture(look.width, height, label, *shapes)


def _pauses(each: Pauses, across: svg.Scale, up: svg.Scale, colour: str) -> list[Content]:
    """One system and source: a dot for each pause length, above each other at its median gap."""
    x = across(each.gap_s)
    shapes: list[Content] = [
        svg.line(across(each.gap_low), up(y), across(each.gap_high), up(y), f"whisker {colour}")
        for y in (sum(f.value or 0.0 for f in each.figures) / len(each.figures),)
    ]
    hollow = "" if each.source == "real" else " hollow"
    labels: list[float] = []
    for figure in sorted(each.figures, key=lambda f: f.value or 0.0):
        y = up(figure.value or 0.0)
        if figure.low is not None and figure.high is not None:
            shapes.append(svg.line(x, up(figure.low), x, up(figure.high), f"whisker {colour}"))
        title = (
            f"{each.system}, {words.source(each.source)}, pauses of {pick.row_of(figure.name)}: "
            f"{words.number(figure.value, 'share')} ({words.interval(figure)}), n = {figure.n}"
        )
        dot = tag("title", title)
        shapes.append(tag("circle", dot, cx=x, cy=y, r=6.0, class_=f"dot {colour}{hollow}"))
        place = min([y + 4, *(labels[-1:] and [labels[-1] - 13])])
        labels.append(place)
        side = 11 if each.source == "real" else -11
        anchor = "start" if side > 0 else "end"
        shapes.append(
            svg.text(x + side, place, pick.row_of(figure.name), class_="tick", anchor=anchor)
        )
    return shapes


def waterfall(report: Report) -> Markup | None:
    """Mean seconds of each stage, one after the other; None where no system keeps a log."""
    found = stage_means(report)
    if not found:
        return None
    wide, narrow = (_waterfall(found, report, look) for look in _LOOKS)
    return svg.both(wide, narrow)


def _waterfall(
    found: list[tuple[str, str, int, dict[str, float]]], report: Report, look: _Look
) -> Markup:
    longest = svg.largest((sum(stages.values()) for *_, stages in found), 1.0)
    names = 150.0 if look.width > 500 else 112.0
    scale = svg.Scale(low=0.0, high=longest * 1.02, start=names, end=look.width - 64)
    shapes: list[Content] = []
    y = 8.0
    ranks = report.ranks
    told: list[str] = []
    for system, source, n, stages in found:
        shapes.append(svg.text(0, y + 14, system, class_="row-name"))
        note = f"{words.source(source)}, n = {n}"
        shapes.append(svg.text(0, y + 30, note, class_="row-note"))
        y, since = y + 42, 0.0
        for stage, length_s in stages.items():
            a, b = scale(since), scale(since + length_s)
            shapes += [
                svg.text(
                    names - 10,
                    y + 13,
                    words.plain(stage.removesuffix("_s")),
                    class_="tick",
                    anchor="end",
                ),
                svg.line(scale.start, y + 9, scale.end, y + 9, "grid"),
                svg.box(a, y + 1, max(b - a, 1.5), 16, f"bar {svg.colour(ranks.get(system, 0))}"),
                svg.text(b + 6, y + 13, words.number(length_s, "s"), class_="value"),
            ]
            y, since = y + 22, since + length_s
        shapes.append(svg.text(names - 10, y + 13, "sum", class_="tick strong", anchor="end"))
        shapes.append(
            svg.text(scale(since) + 6, y + 13, words.number(since, "s"), class_="value strong")
        )
        shapes.append(svg.line(scale.start, y + 9, scale(since), y + 9, "sum"))
        y += 40
        told.append(f"{system}, {note}: " + ", ".join(f"{k} {v:.2f} s" for k, v in stages.items()))
    return svg.picture(look.width, y, "Mean stages of the gap. " + "; ".join(told), *shapes)
