"""The composite on the page: scores, and sliders for their weights."""

from __future__ import annotations

import json

from edge_assistant.bench.report import composite, svg, words
from edge_assistant.bench.report.markup import Markup, section, tag
from edge_assistant.bench.report.model import Report


def shown(report: Report) -> Markup:
    """The section; nothing where nothing was scored."""
    points = composite.table(report)
    if not points:
        return Markup("")
    return section(
        "score",
        "One number, if you must",
        "Points for each part, weighted. There is no right set of weights, so change them. "
        "Where something that weighs was not measured there is no score: give it no weight.",
        _scores(report, points),
        _sliders(report),
        tag("button", "Weights as they were", type="button", id="reset"),
    )


def _sliders(report: Report) -> Markup:
    most = 2 * max(part.weight for part in report.composite)
    labels = [
        tag(
            "label",
            tag("span", part.label),
            tag(
                "small",
                f"100 points at {words.number(part.good, part.unit)}, "
                f"none at {words.number(part.bad, part.unit)}",
            ),
            tag(
                "input",
                type="range",
                min=0,
                max=most,
                step=1,
                value=part.weight,
                data_weight=at,
            ),
            tag("output", f"{part.weight:g}"),
        )
        for at, part in enumerate(report.composite)
    ]
    return tag("div", *labels, class_="weights")


def _scores(report: Report, points: list[composite.Points]) -> Markup:
    weights = tuple(part.weight for part in report.composite)
    rows = []
    ranks = report.ranks
    for each in points:
        score = each.score(weights)
        told = ", ".join(
            f"{part.label}: not measured"
            if got is None
            else f"{part.label}: {words.number(value, part.unit)} = {got:.0f}"
            for part, value, got in zip(report.composite, each.values, each.points, strict=True)
        )
        rows.append(
            tag(
                "div",
                tag("p", tag("b", each.system), f" {words.source(each.source)}"),
                tag(
                    "meter",
                    min=0,
                    max=100,
                    value=score or 0.0,
                    class_=svg.colour(ranks.get(each.system, 0)),
                    aria_label=f"Score of {each.system}",
                ),
                tag("output", words.NOT_MEASURED if score is None else f"{score:.0f}"),
                tag("p", told, class_="muted"),
                class_="score",
                data_points=json.dumps(each.points),
            )
        )
    return tag("div", *rows, class_="scores")
