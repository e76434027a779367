"""The report for a terminal: a table for each stage, columns of a fixed width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge_assistant.engine_bench.readings import METRICS, WER, Round
from edge_assistant.engine_bench.report import Report, Row

_TITLES: Final = {
    "stt": "speech to text",
    "llm": "language model",
    "tts": "text to speech",
    "vad": "voice activity",
    "turn": "turn detector",
    "abort": "abort: from the cancellation until the call has ended",
}
_NONE: Final = "-"
_PAIRS: Final = """\
B/A: a model against the first one of the figure, another build against the same model in this one.
Of words wrong: B - A."""


def to_text(report: Report) -> str:
    """The whole report; ends with a line break."""
    blocks = [_head(report)]
    for stage, title in _TITLES.items():
        rows = [row for row in report.rows if row.stage == stage]
        if rows:
            blocks.append("\n".join([title, *_lines(rows)]))
    if any(row.against for row in report.rows):
        blocks.append(_PAIRS)
    failures = dict.fromkeys(_failures(report.rounds))
    if failures:
        blocks.append("\n".join(failures))
    return "\n\n".join(blocks) + "\n"


def number(value: float, unit: str) -> str:
    """A value with its unit, three digits of it."""
    match unit:
        case "s":
            for name, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
                if abs(value) * scale >= 1.0:
                    return f"{_digits(value * scale)} {name}"
            return f"{_digits(value * 1e6)} us"
        case "share":
            return f"{value * 100:.1f} %"
        case "tokens":
            return f"{value:.0f}"
        case "tokens/s":
            return f"{_digits(value)} tok/s"
    return _digits(value)


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _head(report: Report) -> str:
    machine, speech = report.machine, report.speech
    memory = f", {machine.ram_bytes / 2**30:.0f} GiB" if machine.ram_bytes else ""
    source = "made by espeak" if speech.is_made else "recorded"
    lines = [
        f"edge_assistant {report.version} on {machine.cpu or 'an unknown processor'},"
        f" {machine.cores or '?'} cores{memory}, {machine.system}",
        f"speech {source}: {speech.clips} clips, {speech.duration_s:.0f} s;"
        f" rounds: {report.repeats}, seed {report.seed}",
        *(
            f"build {build.name}: edge_assistant {build.version}, {build.python}"
            for build in report.builds
        ),
    ]
    lines += _disturbances(report.rounds)
    if not report.is_complete:
        lines.append("broken off: this is what was measured until then")
    return "\n".join(lines)


def _disturbances(rounds: Sequence[Round]) -> list[str]:
    disturbed = [each for each in rounds if each.disturbed]
    if not disturbed:
        return []
    what = "all of them count" if len(disturbed) == len(rounds) else "they do not count"
    reasons = "; ".join(f"{_name(each)} {each.disturbed}" for each in disturbed)
    return [f"disturbed: {len(disturbed)} of {len(rounds)} rounds, {what} ({reasons})"]


def _name(round_: Round) -> str:
    return f"{round_.index + 1}{' of ' + round_.build if round_.build else ''}:"


def _failures(rounds: Sequence[Round]) -> list[str]:
    return [
        f"failed: {each.model or round_.build} [{each.code}]: {each.message}"
        + (f"\nhint: {each.hint}" if each.hint else "")
        for round_ in rounds
        for each in round_.failures
    ]


def _lines(rows: Sequence[Row]) -> list[str]:
    """The rows of one stage, with the columns that they need."""
    has_builds = any(row.build for row in rows)
    has_pairs = any(row.against for row in rows)
    head = ["figure", "model", *(["build"] if has_builds else [])]
    head += ["median", "95 %", "worst", "n", *(["B/A", "95 %"] if has_pairs else [])]
    cells = [head]
    for row in rows:
        line = [_title(row), row.model, *([row.build] if has_builds else [])]
        line += [
            number(row.value, row.unit),
            _interval(row.low, row.high, row.unit),
            number(row.worst, row.unit) if row.worst is not None else _NONE,
            str(row.n),
        ]
        cells.append([*line, *(_pair(row) if has_pairs else [])])
    widths = [max(len(line[at]) for line in cells) for at in range(len(head))]
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


def _title(row: Row) -> str:
    name, _, kind = row.metric.partition("[")
    return METRICS[row.stage][name].title + (f", {kind.rstrip(']')}" if kind else "")


def _pair(row: Row) -> list[str]:
    against = row.against
    if against is None:
        return ["", ""]
    if row.metric.startswith(WER):
        sign = "+" if against.value >= 0 else ""
        return [
            sign + number(against.value, row.unit),
            _interval(against.low, against.high, row.unit),
        ]
    return [f"{_digits(against.value)}x", _interval(against.low, against.high, "ratio")]


def _interval(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return _NONE
    return f"{number(low, unit)} to {number(high, unit)}"
