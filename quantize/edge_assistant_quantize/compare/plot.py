"""Size and speed against quality, as SVG: a panel each, side by side or one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.report import svg
from edge_assistant.bench.report.markup import Content, Markup, tag
from edge_assistant_quantize.compare import rule
from edge_assistant_quantize.compare.numbers import number
from edge_assistant_quantize.compare.results import Line, Report, find

_HEIGHT: Final = 320.0
_LEFT: Final = 62.0
_TOP: Final = 44.0
_BOTTOM: Final = 54.0
_LETTER: Final = 7.3
"""Width of a letter, a guess: nothing measures here."""
_CAPS: Final = {"kl": 10 * rule.MOST_KL}
"""What is beyond is drawn on the edge with an arrow; else one broken model flattens the rest."""
_SCALES: Final = {"bytes": 2**20, "share": 0.01}
_UP: Final = {
    "kl": "KL divergence, nats",
    "bits_per_byte": "bits a byte",
    "wer_mean": "words wrong, %",
    "mel_distance": "log-mel distance, dB",
}
_UNITS: Final = {"bytes": "MiB", "share": "%", "ratio": "s of work for a s of sound", "s": "s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dot:
    label: str
    rank: int
    x: float
    y: float
    title: str
    is_beyond: bool


def drawn(report: Report) -> Markup | None:
    """Both panels, wide and narrow; None where no model has all three figures."""
    labels = [verdict.label for verdict in report.recommendation.verdicts]
    loss = rule.loss(report.kind, labels, report.lines)
    size, speed = find(report.lines, "size_bytes"), find(report.lines, rule.SPEED[report.kind])
    if loss is None or not loss.values:
        return None
    panels = [line for line in (size, speed) if line is not None and line.values]
    wide = _picture(report, panels, loss, svg.WIDE, columns=2)
    return svg.both(wide, _picture(report, panels, loss, svg.NARROW, columns=1))


def limit(report: Report, loss: Line) -> float | None:
    """The most that the rule allows."""
    own = loss.values.get(report.reference)
    if loss.key == "kl":
        return rule.MOST_KL
    if own is None:
        return None
    more = {"bits_per_byte": rule.MOST_BITS, "wer_mean": rule.MOST_WER}
    return own.value + more.get(loss.key, rule.MOST_DB)


def _picture(
    report: Report, panels: Sequence[Line], loss: Line, width: float, *, columns: int
) -> Markup:
    shapes: list[Content] = []
    each = width / columns
    for at, across in enumerate(panels):
        left, top = at % columns * each, at // columns * _HEIGHT
        shapes += _panel(report, across, loss, (left, top, left + each))
    rows = -(-len(panels) // columns)
    return svg.picture(width, rows * _HEIGHT, _told(report, panels, loss), *shapes)


def _panel(
    report: Report, across: Line, loss: Line, place: tuple[float, float, float]
) -> list[Content]:
    left, top, right = place
    x = _scale(across, left + _LEFT, right - 24, None)
    y = _scale(loss, top + _HEIGHT - _BOTTOM, top + _TOP, limit(report, loss))
    shapes = [*_axes(across, loss, x, y), *_limit(report, loss, x, y)]
    dots = []
    for rank, model in enumerate(report.models):
        label = model.label
        if label not in across.values or label not in loss.values:
            continue
        mine, lost = across.values[label], loss.values[label]
        colour = svg.colour(rank)
        dot = _Dot(
            label=label,
            rank=rank,
            x=x(mine.value / _SCALES.get(across.unit, 1)),
            y=y(lost.value / _SCALES.get(loss.unit, 1)),
            title=f"{label}: {number(mine.value, across.unit)}, {number(lost.value, loss.unit)}",
            is_beyond=lost.value / _SCALES.get(loss.unit, 1) > y.high,
        )
        dots.append(dot)
        if mine.low is not None and mine.high is not None:
            ends = [x(end / _SCALES.get(across.unit, 1)) for end in (mine.low, mine.high)]
            shapes.append(svg.line(ends[0], dot.y, ends[1], dot.y, f"whisker {colour}"))
        if lost.low is not None and lost.high is not None:
            ends = [y(end / _SCALES.get(loss.unit, 1)) for end in (lost.low, lost.high)]
            shapes.append(svg.line(dot.x, ends[0], dot.x, ends[1], f"whisker {colour}"))
    for dot in dots:
        colour = svg.colour(dot.rank)
        title = tag("title", dot.title)
        shapes.append(tag("circle", title, cx=dot.x, cy=dot.y, r=6.0, class_=f"dot {colour}"))
    return [*shapes, *_labels(dots, x)]


def _scale(line: Line, start: float, end: float, least: float | None) -> svg.Scale:
    unit = _SCALES.get(line.unit, 1)
    ends = [
        end_ / unit
        for value in line.values.values()
        for end_ in (value.value, value.low, value.high)
        if end_ is not None
    ]
    high = svg.largest([*ends, 0.0 if least is None else least / unit], 1.0) * 1.15
    cap = _CAPS.get(line.key)
    return svg.Scale(low=0.0, high=min(high or 1.0, cap or high or 1.0), start=start, end=end)


def _axes(across: Line, loss: Line, x: svg.Scale, y: svg.Scale) -> list[Content]:
    shapes: list[Content] = [svg.text(x.start, y.end - 22, across.title, class_="row-name")]
    for tick in x.ticks(5):
        shapes += [
            svg.line(x(tick), y.end, x(tick), y.start, "grid"),
            svg.text(x(tick), y.start + 16, f"{tick:g}", class_="tick", anchor="middle"),
        ]
    for tick in y.ticks(5):
        shapes += [
            svg.line(x.start, y(tick), x.end, y(tick), "grid"),
            svg.text(x.start - 8, y(tick) + 4, f"{tick:g}", class_="tick", anchor="end"),
        ]
    unit = _UNITS.get(across.unit, across.unit)
    shapes.append(svg.text(x.end, y.start + 36, unit, class_="axis-name", anchor="end"))
    shapes.append(svg.text(x.start, y.end - 6, f"{_UP[loss.key]} ↑", class_="axis-name"))
    return shapes


def _limit(report: Report, loss: Line, x: svg.Scale, y: svg.Scale) -> list[Content]:
    most = limit(report, loss)
    if most is None:
        return []
    at = y(most / _SCALES.get(loss.unit, 1))
    return [
        svg.line(x.start, at, x.end, at, "limit"),
        svg.text(x.end, at - 5, "limit", class_="tick", anchor="end"),
    ]


def _labels(dots: Sequence[_Dot], x: svg.Scale) -> list[Content]:
    """Names beside their dots, where they cover the least."""
    taken = [(dot.x - 7, dot.y - 7, dot.x + 7, dot.y + 7) for dot in dots]
    shapes: list[Content] = []
    for dot in dots:
        name = f"{dot.label} ▴" if dot.is_beyond else dot.label
        width = _LETTER * len(name)
        choices = [
            (left, base - 10, left + width, base + 3)
            for base in (dot.y + 4, dot.y - 10, dot.y + 20, dot.y - 24, dot.y + 34)
            for left in (dot.x + 11, dot.x - 12 - width, dot.x - width / 2)
        ]
        inside = [box for box in choices if box[0] >= x.start - 40 and box[2] <= x.end + 22]
        best = min(inside or choices, key=lambda box: sum(_meet(box, other) for other in taken))
        taken.append(best)
        shapes.append(svg.text(best[0], best[3] - 3, name, class_="tick strong"))
    return shapes


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return not (a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1])


def _told(report: Report, panels: Sequence[Line], loss: Line) -> str:
    """The whole drawing in words."""
    return "; ".join(
        f"{model.label}: "
        + ", ".join(
            f"{line.title} {number(line.values[model.label].value, line.unit)}"
            for line in (*panels, loss)
            if model.label in line.values
        )
        for model in report.models
    )
