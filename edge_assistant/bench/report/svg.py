"""What the charts share: scales, ticks, text. Colours are variables of the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edge_assistant.bench.report.markup import Content, Markup, join, tag

WIDE = 880
NARROW = 340
"""Every chart is drawn twice, so that its text is readable on a phone too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values to pixels, linearly; what lies outside is put on the edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values inside the scale."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / most))
        step = next(power * k for k in (1, 2, 5, 10, 20) if span / (power * k) <= most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(at * step, 9) for at in range(first, last + 1)]


def text(x: float, y: float, *words: Content, class_: str = "", anchor: str = "start") -> Markup:
    """Words with their baseline at (x, y)."""
    return tag("text", *words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A stroke."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str, *children: Markup) -> Markup:
    """A rectangle; `children` may be a title."""
    return tag(
        "rect",
        *children,
        x=x,
        y=y,
        width=max(width, 0.0),
        height=max(height, 0.0),
        class_=class_,
    )


def picture(width: float, height: float, label: str, *shapes: Content, class_: str = "") -> Markup:
    """An SVG of its own that tells a screen reader what it shows."""
    return tag(
        "svg",
        tag("title", label),
        *shapes,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        class_=class_ or None,
        preserveAspectRatio="xMinYMin meet",
    )


def both(wide: Markup, narrow: Markup) -> Markup:
    """Two drawings of one chart, of which the style sheet shows one."""
    return join(tag("div", wide, class_="wide"), tag("div", narrow, class_="narrow"))


def seconds_axis(scale: Scale, top: float, bottom: float, most: int) -> Markup:
    """Grid lines and numbers below them, in seconds."""
    shapes: list[Content] = []
    for tick in scale.ticks(most):
        x = scale(tick)
        shapes.append(line(x, top, x, bottom, "zero" if tick == 0 else "grid"))
        shapes.append(text(x, bottom + 16, f"{tick:g}", class_="tick", anchor="middle"))
    return join(*shapes)


def colour(rank: int) -> str:
    """The class of the system number `rank`; they repeat after six."""
    return f"c{rank % 6}"


def smallest(values: Iterable[float], default: float) -> float:
    """`min`, but finite and with a default."""
    return min((v for v in values if math.isfinite(v)), default=default)


def largest(values: Iterable[float], default: float) -> float:
    """`max`, but finite and with a default."""
    return max((v for v in values if math.isfinite(v)), default=default)
