"""The comparison for a terminal: a figure a line, a model a column."""

from __future__ import annotations

from edge_assistant_quantize.compare.numbers import beside, value
from edge_assistant_quantize.compare.results import Line, Report


def to_text(report: Report) -> str:
    """The whole report; ends with a line break."""
    labels = [model.label for model in report.models]
    cells = [["figure", *labels]]
    cells += [[line.title, *(_cell(line, label) for label in labels)] for line in report.lines]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    found = report.recommendation
    lines += ["", found.headline, f"The rule: {found.rule}"]
    lines += [
        f"  {each.label}: {each.text}{'; on the front' if each.is_on_front else ''}"
        for each in found.verdicts
    ]
    lines += [f"failed: {each.model} [{each.code}]: {each.message}" for each in report.failures]
    lines += ["", *report.notes]
    return "\n".join(lines) + "\n"


def _cell(line: Line, label: str) -> str:
    text = value(line, label)
    found = line.values.get(label)
    near = beside(line, found) if found is not None else ""
    return f"{text} ({near})" if near else text
