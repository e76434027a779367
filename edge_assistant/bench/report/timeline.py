"""One conversation drawn: the user above, the reply below, and what the system says it did."""

from __future__ import annotations

import base64
from typing import Final

from edge_assistant.bench.report import svg, words
from edge_assistant.bench.report.markup import Content, Markup, join, tag
from edge_assistant.bench.report.model import Span, Timeline, TrialRow

_LANE: Final = 74.0
_TOP: Final = 12.0
_MARKS: Final = {
    "speech_ended": "end",
    "committed": "commit",
    "playback_started": "reply",
    "ducked": "duck",
    "unducked": "unduck",
    "yielded": "yield",
    "error": "error",
}
"""Events that are worth a word in the drawing; all of them are in the list below it."""
_FACTS: Final = {"duck_latency": "lowered its voice after", "stop_latency": "silent after"}
"""Values of a trial, in seconds, that explain what is seen."""
_MARK_ROW: Final = 13.0
_MARK_ROWS: Final = 3


def case(row: TrialRow, number: int, colour: str) -> Markup:
    """Everything about one trial: drawing, sound, what was said, what the log says."""
    timeline = row.timeline
    assert timeline is not None
    facts = [f"gap {words.number(row.gap_s, 's')}"] if row.gap_s is not None else []
    facts += [
        f"{told} {words.number(row.values[name], 's')}"
        for name, told in _FACTS.items()
        if name in row.values
    ]
    return tag(
        "article",
        tag(
            "header",
            tag("h3", f"{number}. {row.outcome}"),
            tag(
                "p",
                tag("span", row.system, class_=f"chip {colour}"),
                f" {words.plain(row.scenario)}, {words.plain(row.condition)}, ",
                words.source(row.source),
            ),
            tag("p", tag("code", row.id)),
            tag("p", " · ".join(facts), class_="facts") if facts else None,
        ),
        svg.both(*(_drawing(row, timeline, width, colour) for width in (svg.WIDE, svg.NARROW))),
        _sound(row, timeline),
        _said(timeline.spans),
        _log(timeline),
        class_="case",
        id=f"case-{number}",
    )


def _drawing(row: TrialRow, timeline: Timeline, width: float, colour: str) -> Markup:
    length_s = max(len(timeline.user), len(timeline.reply), 1) * timeline.step_s
    scale = svg.Scale(low=0.0, high=length_s, start=4.0, end=width - 4.0)
    middle = _TOP + _LANE
    bottom = middle + _LANE
    shapes: list[Content] = [svg.seconds_axis(scale, _TOP, bottom, 14 if width > 500 else 6)]
    for span in timeline.spans:
        top = middle if span.who == "system" else _TOP
        begin, end = scale(span.begin_s), scale(span.end_s)
        about = tag("title", f"{span.label or span.who}: {span.text}")
        shapes.append(svg.box(begin, top, end - begin, _LANE, f"span {span.who}", about))
    shapes += [
        _wave(timeline.user, timeline.step_s, scale, _TOP + _LANE / 2, "wave user"),
        _wave(timeline.reply, timeline.step_s, scale, middle + _LANE / 2, f"wave {colour}"),
        svg.line(scale.start, middle, scale.end, middle, "base"),
        svg.text(8, _TOP + 12, "user", class_="lane"),
        svg.text(8, middle + 12, "reply", class_="lane"),
        *_marks(timeline, scale, bottom),
        tag(
            "line",
            x1=scale.start,
            x2=scale.start,
            y1=_TOP,
            y2=bottom,
            class_="playhead",
            data_start=scale.start,
            data_end=scale.end,
            data_length=length_s,
        ),
    ]
    label = f"{row.id}: {row.outcome}, {length_s:.1f} seconds, user above, reply below"
    height = bottom + 22 + (_MARK_ROW * _MARK_ROWS + 4 if timeline.marks else 0)
    return svg.picture(width, height, label, *shapes, class_="timeline")


def _wave(levels: bytes, step_s: float, scale: svg.Scale, middle: float, class_: str) -> Markup:
    """A filled outline, at most one point a pixel."""
    if not levels:
        return Markup("")
    per_pixel = max(1, int(len(levels) / max(scale.end - scale.start, 1.0)))
    half = _LANE / 2 - 4
    above: list[str] = []
    below: list[str] = []
    for at in range(0, len(levels), per_pixel):
        share = (max(levels[at : at + per_pixel]) / 255) ** 2
        height = max(share**0.7 * half, 0.4)  # between linear and what the envelope keeps
        x = scale(at * step_s)
        above.append(f"{x:.1f},{middle - height:.1f}")
        below.append(f"{x:.1f},{middle + height:.1f}")
    return tag("polygon", points=" ".join([*above, *reversed(below)]), class_=class_)


def _marks(timeline: Timeline, scale: svg.Scale, bottom: float) -> list[Content]:
    """Ticks with a word, put into rows so that no two words touch; the rest is in the list."""
    shapes: list[Content] = []
    free = [-100.0] * _MARK_ROWS
    for mark in sorted(timeline.marks, key=lambda each: each.at_s):
        short = _MARKS.get(mark.name)
        if short is None:
            continue
        x = scale(mark.at_s)
        shapes.append(svg.line(x, _TOP, x, bottom, f"mark {mark.name}"))
        row = next((at for at, end in enumerate(free) if end < x), None)
        room = len(short) * 6.2
        if row is None or x + room > scale.end + 4:
            continue
        free[row] = x + room + 8
        shapes.append(svg.text(x, bottom + 31 + row * _MARK_ROW, short, class_="mark-name"))
    return shapes


def _sound(row: TrialRow, timeline: Timeline) -> Markup | None:
    if not timeline.audio:
        return None
    data = base64.b64encode(timeline.audio).decode("ascii")
    begin_s = timeline.audio_begin_s
    return tag(
        "div",
        tag(
            "audio",
            controls=True,
            preload="none",
            src=f"data:audio/flac;base64,{data}",
            aria_label=f"Listen to {row.id}: user left, reply right",
            data_begin=begin_s,
        ),
        tag(
            "p",
            "User on the left, reply on the right."
            + (f" The sound begins at {begin_s:.1f} s." if begin_s else ""),
            class_="hint",
        ),
        class_="sound",
    )


def _said(spans: tuple[Span, ...]) -> Markup | None:
    """What was said, in order; a span without words shows what it is."""
    if not spans:
        return None
    lines = [
        tag(
            "li",
            tag("time", f"{span.begin_s:.2f} to {span.end_s:.2f} s"),
            tag("b", span.who),
            tag("q", span.text) if span.text else tag("i", span.label or "sound"),
            class_=span.who,
        )
        for span in sorted(spans, key=lambda each: each.begin_s)
    ]
    return tag("ol", *lines, class_="said")


def _log(timeline: Timeline) -> Markup | None:
    if not timeline.marks:
        return None
    lines = [
        tag("tr", tag("td", f"{mark.at_s:.2f} s"), tag("td", mark.name), tag("td", mark.text))
        for mark in timeline.marks
    ]
    head = tag("tr", *(tag("th", name, scope="col") for name in ("time", "event", "about")))
    return tag(
        "details",
        tag("summary", f"The system's own log, {len(lines)} events"),
        tag(
            "div",
            tag("table", tag("thead", head), tag("tbody", *lines)),
            class_="scroll",
            tabindex=0,
            role="region",
            aria_label="Event log",
        ),
    )


def cases(rows: list[TrialRow], ranks: dict[str, int]) -> Markup:
    """One article for each trial."""
    return join(
        *(case(row, at, svg.colour(ranks.get(row.system, 0))) for at, row in enumerate(rows, 1))
    )
