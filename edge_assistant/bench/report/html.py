"""The report as one page that needs nothing but itself: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from string import Template
from typing import Final

from edge_assistant.bench.report import (
    charts,
    curves,
    pick,
    published,
    scores,
    svg,
    timeline,
    words,
)
from edge_assistant.bench.report.markup import Content, Markup, join, nothing, section, table, tag
from edge_assistant.bench.report.model import Figure, Report

WORST_CASES: Final = 12
_HERE: Final = Path(__file__).parent


def page(report: Report) -> str:
    """The whole page. Its content security policy allows no source but the page itself."""
    script = (_HERE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template((_HERE / "page.html").read_text("utf-8")).substitute(
        title=tag("title", report.title),
        style=(_HERE / "page.css").read_text("utf-8"),
        script=script,
        digest=digest,
        heading=_heading(report),
        main=join(
            _cards(report),
            _gaps(report),
            _trade_off(report),
            _waterfall(report),
            _cases(report),
            scores.shown(report),
            _beside(report),
            _figures(report),
            _trials(report),
            _method(report),
        ),
    )


def _heading(report: Report) -> Markup:
    counted = len(words.counted(report.trials))
    voids = len(report.trials) - counted
    return join(
        tag("h1", report.title),
        tag(
            "p",
            f"{counted} conversations on {report.machine.processor}, {report.date[:10]}. "
            + (f"{voids} more are void and listed below. " if voids else "")
            + "Every number comes from the two channels of "
            "sound, in real time; speech of people and of a synthetic voice is never pooled.",
        ),
    )


def _cards(report: Report) -> Markup:
    cards = []
    for at, system in enumerate(report.systems):
        for source in pick.headed(report, system.name):
            (label, first), *rest = pick.headlines(report, system.name, source)
            cards.append(
                tag(
                    "div",
                    tag(
                        "p",
                        tag("span", system.name, class_=f"chip {svg.colour(at)}"),
                        " ",
                        tag("span", words.source(source), class_="muted"),
                    ),
                    tag("p", words.number(first.value, first.unit), class_="big"),
                    tag(
                        "p",
                        label,
                        tag("br"),
                        words.interval_and_n(first),
                        class_="muted",
                    ),
                    tag("dl", *(_fact(name, figure) for name, figure in rest)) if rest else None,
                    class_="card",
                )
            )
    return tag("div", *cards, class_="cards") if cards else Markup("")


def _fact(name: str, figure: Figure) -> Markup:
    return tag(
        "div",
        tag("dt", name),
        tag(
            "dd",
            words.number(figure.value, figure.unit),
            " ",
            tag("small", words.interval_and_n(figure)),
        ),
    )


def _gaps(report: Report) -> Markup:
    has_any = bool(pick.gap_groups(report))
    return section(
        "gaps",
        "How long until it answers",
        "From the user's last sample of speech, as annotated on the clean recording, to the first "
        "audible sample of the reply. Each dot is one conversation; left of the line it spoke too "
        "early. The bar below runs from the median to the 90th percentile. Filled: recorded "
        "people; hollow: synthetic voice.",
        charts.gaps(report) if has_any else nothing("No scenario of this run asks for a reply."),
        _lengths(report),
    )


def _lengths(report: Report) -> Markup | None:
    """The same gaps by the length of the request."""
    rows = [
        tag(
            "tr",
            tag("th", system, scope="row"),
            tag("td", words.source(source)),
            *(tag("td", *_cell(middle, far)) for middle, far in cells),
        )
        for system, source, cells in pick.lengths(report)
    ]
    if not rows:
        return None
    head = ("system", "speech", *pick.LENGTHS)
    return join(
        tag("h3", "By length of the request"),
        tag("p", "Seconds of speech in it; medians, and what they rest on.", class_="about"),
        table("Gaps by length of the request", head, rows),
    )


def _cell(middle: Figure | None, far: Figure | None) -> list[Content]:
    if middle is None:
        return [words.NOT_MEASURED]
    value, told = words.number(middle.value, middle.unit), words.interval_and_n(middle)
    p90 = tag("small", f"p90 {words.number(far.value, far.unit)}") if far else None
    return [value, " ", tag("small", told), tag("br"), p90]


def _trade_off(report: Report) -> Markup:
    planes = [
        join(
            tag("h3", f"{plane.title}, {words.source(plane.source)}"),
            tag("p", plane.about, class_="about"),
            curves.drawn(plane, report.ranks),
        )
        for plane in report.trade_offs
    ]
    single = charts.trade_off(report)
    if single is not None:
        about = "Across: the median gap. Up: the share of pauses in which it began to speak, by "
        about += "their length and by any audible start. Best is the bottom left."
        planes.append(join(tag("p", about, class_="about"), single))
    return section(
        "trade-off",
        "What quickness costs",
        "A quick assistant is worth little if it takes every breath for the end, or falls silent "
        "at every cough. Lines through a dot are 95 % intervals; systems whose names differ in "
        "the last number only are connected. Filled: recorded people; hollow: synthetic voice, or "
        "a sound made by a recipe.",
        *(planes or [nothing("Gaps and pauses were not both measured in this run.")]),
    )


def _waterfall(report: Report) -> Markup:
    return section(
        "stages",
        "Where the time goes",
        "Mean seconds of each stage on the critical path, by the system's own log: they add up, "
        "and there is no 'other'. The log counts from where the system itself believes that the "
        "speech ended, so the sum may differ from the gap of the two channels.",
        charts.waterfall(report) or nothing("No system of this run keeps a log of its stages."),
    )


def _cases(report: Report) -> Markup:
    rows = [row for row in pick.worst(report, WORST_CASES) if row.timeline is not None]
    return section(
        "worst",
        "The worst of it",
        "The conversations that went most wrong, each scenario and system in turn. Nothing here "
        "was chosen by hand.",
        timeline.cases(rows, report.ranks) if rows else nothing("Nothing went wrong in this run."),
    )


def _beside(report: Report) -> Markup:
    found = published.ours(report)
    if not found:
        return Markup("")
    rows = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", c, class_="num") for c in row[1:]))
        for row in (*found, *published.PUBLISHED)
    ]
    return section(
        "beside",
        "Beside Full-Duplex-Bench",
        "Our figures by its formulae, above those that its authors published (v1.0). TOR is the "
        "share of take-overs: low is good in pauses and under backchannel, high elsewhere.",
        table("Full-Duplex-Bench", published.HEAD, rows),
        tag("ul", *(tag("li", caveat) for caveat in published.CAVEATS), class_="muted"),
    )


def _figures(report: Report) -> Markup:
    blocks: list[Markup] = []
    ordered = words.by_row(report)
    for scenario in dict.fromkeys(figure.scenario for figure in ordered):
        rows = [
            tag(
                "tr",
                tag("th", words.plain(figure.name), scope="row"),
                tag("td", words.condition(figure.condition)),
                tag("td", words.source(figure.source)),
                tag("td", figure.system),
                tag("td", words.number(figure.value, figure.unit), class_="num"),
                tag("td", words.interval(figure), class_="num"),
                tag("td", figure.n, class_="num"),
                tag("td", figure.voids, class_="num"),
            )
            for figure in ordered
            if figure.scenario == scenario
        ]
        head = ("measure", "condition", "source", "system", "value", "95 % interval", "n", "void")
        blocks.append(
            tag(
                "details",
                tag("summary", words.plain(scenario), tag("small", f" {len(rows)} figures")),
                table(f"Figures of {scenario}", head, rows),
            )
        )
    return section(
        "figures",
        "Every figure",
        f"By scenario, with n and the interval ({report.intervals}). Void trials are left out of "
        "n and counted beside it.",
        *blocks,
    )


def _trials(report: Report) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", row.id)),
            tag("td", row.system),
            tag("td", f"void: {row.void}" if row.void else row.outcome),
            tag("td", words.number(row.gap_s, "s"), class_="num", data_sort=row.gap_s),
            tag("td", f"{row.fault:.2f}", class_="num", data_sort=row.fault),
            tag("td", row.seed, class_="num", data_sort=row.seed),
            class_="void" if row.void else None,
        )
        for row in report.trials
    ]
    head = ("trial", "system", "outcome", "gap", "fault", "seed")
    return section(
        "trials",
        "Every trial",
        "The void ones too, with the reason. Any of them is played again with: "
        "edge-assistant bench replay FOLDER TRIAL",
        tag(
            "label",
            "Show only those with ",
            tag("input", type="search", id="filter", placeholder="pause, void, synthetic …"),
            class_="filter",
        ),
        table("All trials", head, rows, class_="sortable", id="all-trials"),
    )


def _method(report: Report) -> Markup:
    machine = report.machine
    facts = (
        ("Processor", f"{machine.processor}, {machine.cores} cores"),
        ("Memory", f"{machine.memory_bytes / 2**30:.1f} GiB"),
        ("System", f"{machine.system}, {machine.python}"),
        ("Packages", ", ".join(f"{k} {v}" for k, v in machine.versions.items())),
        ("Highest load, time stolen", f"{machine.load:.1f}, {machine.steal_s:.2f} s"),
        ("Date, bench, seed", f"{report.date}, {report.bench_version}, {report.seed}"),
        ("Intervals", report.intervals),
    )
    systems = [
        tag(
            "tr",
            tag("th", system.name, scope="row"),
            tag("td", system.version or words.NOT_MEASURED),
            tag(
                "td", ", ".join(f"{k}: {v}" for k, v in system.models.items()) or words.NOT_MEASURED
            ),
            tag("td", tag("code", " ".join(system.command))),
            tag("td", system.trials, class_="num"),
            tag("td", system.voids, class_="num"),
        )
        for system in report.systems
    ]
    return section(
        "method",
        "Machine, systems, method",
        "What is needed to do it again.",
        tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in facts), class_="machine"),
        table("Systems", ("system", "version", "models", "command", "trials", "void"), systems),
        tag("ul", *(tag("li", note) for note in report.notes)) if report.notes else None,
    )
