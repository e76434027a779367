"""The report as one page that needs nothing but itself: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from string import Template
from typing import Final

from edge_assistant.bench.report import charts, composite, pick, published, svg, timeline, words
from edge_assistant.bench.report.markup import Content, Markup, join, tag
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
            _composite(report),
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


def _section(id_: str, title: str, about: str, *content: Content) -> Markup:
    return tag(
        "section",
        tag("h2", title, id=f"{id_}-title"),
        tag("p", about, class_="about"),
        *content,
        id=id_,
        aria_labelledby=f"{id_}-title",
    )


def _nothing(why: str) -> Markup:
    return tag("p", why, class_="nothing")


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
    return _section(
        "gaps",
        "How long until it answers",
        "From the user's last sample of speech, as annotated on the clean recording, to the first "
        "audible sample of the reply. Each dot is one conversation; left of the line it spoke too "
        "early. The bar below runs from the median to the 90th percentile. Filled: recorded "
        "people; hollow: synthetic voice.",
        charts.gaps(report) if has_any else _nothing("No scenario of this run asks for a reply."),
    )


def _trade_off(report: Report) -> Markup:
    return _section(
        "trade-off",
        "What quickness costs",
        "A quick assistant is worth little if it takes every breath for the end. Across: the "
        "median gap. Up: the share of pauses inside a turn, by their length, in which it began to "
        "speak, by any audible start. Lines are 95 % intervals. Best is the bottom left.",
        charts.trade_off(report) or _nothing("Gaps and pauses were not both measured in this run."),
    )


def _waterfall(report: Report) -> Markup:
    return _section(
        "stages",
        "Where the time goes",
        "Mean seconds of each stage on the critical path, by the system's own log: they add up, "
        "and there is no 'other'. The log counts from where the system itself believes that the "
        "speech ended, so the sum may differ from the gap of the two channels.",
        charts.waterfall(report) or _nothing("No system of this run keeps a log of its stages."),
    )


def _cases(report: Report) -> Markup:
    rows = [row for row in pick.worst(report, WORST_CASES) if row.timeline is not None]
    ranks = {system.name: at for at, system in enumerate(report.systems)}
    return _section(
        "worst",
        "The worst of it",
        "The conversations that went most wrong, each scenario and system in turn. Nothing here "
        "was chosen by hand.",
        timeline.cases(rows, ranks) if rows else _nothing("Nothing went wrong in this run."),
    )


def _composite(report: Report) -> Markup:
    points = composite.table(report)
    if not points:
        return Markup("")
    return _section(
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
    ranks = {system.name: at for at, system in enumerate(report.systems)}
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


def _beside(report: Report) -> Markup:
    found = published.ours(report)
    if not found:
        return Markup("")
    rows = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", c, class_="num") for c in row[1:]))
        for row in (*found, *published.PUBLISHED)
    ]
    return _section(
        "beside",
        "Beside Full-Duplex-Bench",
        "Our figures by its formulae, above those that its authors published (v1.0). TOR is the "
        "share of take-overs: low is good in pauses and under backchannel, high elsewhere.",
        _table("Full-Duplex-Bench", published.HEAD, rows),
        tag("ul", *(tag("li", caveat) for caveat in published.CAVEATS), class_="muted"),
    )


def _table(label: str, head: tuple[str, ...], rows: list[Markup], **more: str) -> Markup:
    columns = tag("tr", *(tag("th", name, scope="col") for name in head))
    table = tag("table", tag("thead", columns), tag("tbody", *rows), **more)
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


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
                _table(f"Figures of {scenario}", head, rows),
            )
        )
    return _section(
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
    return _section(
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
        _table("All trials", head, rows, class_="sortable", id="all-trials"),
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
    return _section(
        "method",
        "Machine, systems, method",
        "What is needed to do it again.",
        tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in facts), class_="machine"),
        _table("Systems", ("system", "version", "models", "command", "trials", "void"), systems),
        tag("ul", *(tag("li", note) for note in report.notes)) if report.notes else None,
    )
