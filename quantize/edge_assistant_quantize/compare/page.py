"""The comparison as one page that needs nothing but itself: no network, no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

import numpy as np

from edge_assistant.bench import report as bench_report
from edge_assistant.bench.report import svg
from edge_assistant.bench.report.markup import Content, Markup, join, nothing, section, table, tag
from edge_assistant_quantize.compare import plot, rule
from edge_assistant_quantize.compare.mel import log_mel
from edge_assistant_quantize.compare.messages import Candidate, Subject
from edge_assistant_quantize.compare.numbers import (
    beside,
    beside_interval,
    interval,
    number,
    value,
)
from edge_assistant_quantize.compare.png import spectrogram
from edge_assistant_quantize.compare.results import Heard, Line, Report
from edge_assistant_quantize.compare.run import Sound
from edge_assistant_quantize.compare.tasks import TASKS

MOST_RECORDINGS: Final = 40
"""Those that were heard differently, worst first."""
_HERE: Final = Path(__file__).parent
_SHARED_STYLE: Final = Path(bench_report.__file__).parent / "page.css"
_KINDS: Final[dict[Subject, str]] = {
    "llm": "language models",
    "stt": "recognisers",
    "tts": "voices",
}


def page(report: Report, sounds: Mapping[str, Sequence[Sound]]) -> str:
    """The whole page. Its content security policy allows no source but the page itself.

    Args:
        report: what was found.
        sounds: tts: the sentences of each voice, by label.
    """
    own = {"llm": _tasks, "stt": _recordings}.get(report.kind)
    special = own(report) if own else _sounds(report, sounds)
    parts = [_recommendation(report), _plot(report), _figures(report), special, _method(report)]
    titles = {"llm": ("tasks", "Tasks"), "stt": ("recordings", "Recordings")}
    name = titles.get(report.kind, ("sounds", "Sounds"))
    links = (
        ("recommendation", "Recommendation"),
        ("plot", "Size, speed, quality"),
        ("figures", "Figures"),
        name,
        ("method", "Method"),
    )
    *others, last = [each.label for each in report.models]
    title = f"{', '.join(others)} and {last}, side by side"
    return Template((_HERE / "page.html").read_text("utf-8")).substitute(
        title=tag("title", title),
        style=_SHARED_STYLE.read_text("utf-8") + (_HERE / "page.css").read_text("utf-8"),
        heading=_heading(report, title),
        nav=join(*(tag("a", text, href=f"#{id_}") for id_, text in links)),
        main=join(*parts),
    )


def _heading(report: Report, title: str) -> Markup:
    return join(
        tag("h1", title),
        tag(
            "p",
            f"{len(report.models)} {_KINDS[report.kind]} on "
            f"{report.machine.cpu or 'an unknown processor'}, {report.started[:10]}. Every figure "
            "is of this one run: each model in processes of its own, all of them in turn.",
        ),
    )


def _recommendation(report: Report) -> Markup:
    found = report.recommendation
    ranks = _ranks(report)
    items = [
        tag(
            "li",
            tag("span", verdict.label, class_=f"chip {svg.colour(ranks[verdict.label])}"),
            tag("span", verdict.text, "; on the front" if verdict.is_on_front else None),
        )
        for verdict in found.verdicts
    ]
    items += [
        tag(
            "li",
            tag("span", each.model, class_=f"chip {svg.colour(ranks.get(each.model, 0))}"),
            tag("span", f"failed: {each.message} [{each.code}]"),
        )
        for each in report.failures
    ]
    return section(
        "recommendation",
        "Recommendation",
        f"The rule: {found.rule} {rule.FRONT}",
        tag("p", found.headline, class_="pick"),
        tag("ul", *items, class_="verdicts"),
    )


def _plot(report: Report) -> Markup:
    corner = "right" if report.kind == "llm" else "left"
    return section(
        "plot",
        "Size, speed, quality",
        f"Up is worse. Best is the bottom left of the first drawing and the bottom {corner} of the "
        "second. Lines through a dot are 95 % intervals; ▴ lies beyond the drawing.",
        plot.drawn(report) or nothing("Quality was not measured."),
    )


def _figures(report: Report) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", line.title, tag("br"), tag("small", _direction(line)), scope="row"),
            *(_cell(line, model.label) for model in report.models),
        )
        for line in report.lines
    ]
    head = ("figure", *(model.label for model in report.models))
    return section(
        "figures",
        "Every figure",
        f"Medians of {report.repeats} rounds, or rates, with 95 % intervals; below them what it is "
        f"beside {report.reference}.",
        table("Figures", head, rows),
    )


def _direction(line: Line) -> str:
    return {"less": "less is better", "more": "more is better", "": ""}[line.better]


def _cell(line: Line, label: str) -> Markup:
    found = line.values.get(label)
    parts: list[Content] = [value(line, label)]
    if found is not None:
        if ends := interval(line, found):
            parts.append(tag("small", ends))
        if near := beside(line, found):
            ends = beside_interval(line, found)
            parts.append(tag("small", f"{near} ({ends})" if ends else near))
    return tag("td", *parts)


def _tasks(report: Report) -> Markup:
    labels = [each.label for each in report.models if each.label in report.answers]
    rows = []
    for at, task in enumerate(TASKS):
        cells = []
        for label in labels:
            answered = report.answers[label][at]
            faults = tag("small", tag("br"), "; ".join(answered.faults)) if answered.faults else ""
            cells.append(
                tag(
                    "td",
                    tag(
                        "span",
                        answered.text or "(nothing)",
                        class_="missed" if answered.faults else "passed",
                    ),
                    faults,
                )
            )
        turns = [message.content for message in task.messages]
        rows.append(tag("tr", tag("th", *_broken(turns), scope="row"), *cells))
    return section(
        "tasks",
        "Asked aloud",
        f"{len(TASKS)} questions with answers that a rule can check, all with the assistant's own "
        "system prompt and always the likeliest token. They tell a damaged model from a whole one; "
        "they are no measure of how clever it is.",
        table("Tasks", ("question", *labels), rows) if rows else nothing("Nothing was asked."),
    )


def _broken(turns: Sequence[str]) -> list[Content]:
    found: list[Content] = []
    for turn in turns:
        found += [turn, tag("br")]
    return found[:-1]


def _recordings(report: Report) -> Markup:
    labels = [
        each.label for each in report.models if any(each.label in h.texts for h in report.heard)
    ]
    told = [each for each in report.heard if _differ(each)]
    told.sort(key=lambda each: -(max(each.edits.values()) - min(each.edits.values())))
    rows = [
        tag(
            "tr",
            tag("th", each.text, tag("br"), tag("small", each.kind), scope="row"),
            *(
                tag(
                    "td",
                    each.texts.get(label) or "(nothing)",
                    tag("small", tag("br"), f"{each.edits.get(label, 0)} words wrong"),
                    class_="off" if each.edits.get(label) else None,
                )
                for label in labels
            ),
        )
        for each in told[:MOST_RECORDINGS]
    ]
    more = len(told) - len(rows)
    return section(
        "recordings",
        "Heard differently",
        f"{len(told)} of {len(report.heard)} recordings in which the models differ in the number "
        "of wrong words, the furthest apart first."
        + (f" {more} more are left out." if more else ""),
        table("Recordings", ("said", *labels), rows) if rows else nothing("None."),
    )


def _differ(heard: Heard) -> bool:
    return len(set(heard.edits.values())) > 1


def _sounds(report: Report, sounds: Mapping[str, Sequence[Sound]]) -> Markup:
    labels = [each.label for each in report.models if each.label in sounds]
    ranks = _ranks(report)
    blocks = []
    for at in range(min((len(sounds[label]) for label in labels), default=0)):
        mels = {
            label: log_mel(sounds[label][at].samples, sounds[label][at].sample_rate)
            for label in labels
        }
        top_db = max(float(mel.max()) for mel in mels.values())
        cells = []
        for label in labels:
            sound = sounds[label][at]
            picture = base64.b64encode(spectrogram(mels[label], top_db)).decode()
            length_s = len(sound.samples) / sound.sample_rate
            cells.append(
                tag(
                    "div",
                    tag(
                        "p",
                        tag("span", label, class_=f"chip {svg.colour(ranks[label])}"),
                        " ",
                        tag("small", number(length_s, "s")),
                    ),
                    tag(
                        "img",
                        src=f"data:image/png;base64,{picture}",
                        alt=f"Spectrogram of {label}: {sound.text}",
                    ),
                    tag(
                        "audio",
                        controls=True,
                        preload="none",
                        src=_wav(sound),
                        aria_label=f"{label}: {sound.text}",
                    ),
                )
            )
        text = sounds[labels[0]][at].text
        blocks.append(
            tag("article", tag("h3", text), tag("div", *cells, class_="said-by"), class_="case")
        )
    return section(
        "sounds",
        "To look at and listen to",
        "Log-mel spectrograms: time to the right, 50 Hz to 8 kHz upwards, 60 dB from dark to "
        "light, the same for all of a sentence. The distance is the mean absolute difference in "
        "dB, aligned in time by dynamic time warping. It says how much a voice differs, not which "
        "one is better.",
        *(blocks or [nothing("No voice spoke.")]),
    )


def _wav(sound: Sound) -> str:
    import soundfile

    file = io.BytesIO()
    clipped = np.clip(sound.samples, -1.0, 1.0)
    soundfile.write(file, clipped, sound.sample_rate, subtype="PCM_16", format="WAV")
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def _method(report: Report) -> Markup:
    machine = report.machine
    memory = f"{machine.ram_bytes / 2**30:.1f} GiB" if machine.ram_bytes else "unknown"
    facts = (
        ("Processor", f"{machine.cpu or 'unknown'}, {machine.cores or '?'} cores"),
        ("Memory", memory),
        ("System", f"{machine.system}, {machine.python}"),
        ("Packages", ", ".join(f"{k} {v}" for k, v in machine.versions.items())),
        ("Date, version", f"{report.started}, {report.version}"),
        ("Rounds, seed", f"{report.repeats}, {report.seed}"),
    )
    rows = [
        tag(
            "tr",
            tag("th", model.label, scope="row"),
            tag("td", model.engine),
            tag("td", model.about),
            tag("td", model.licence),
            tag("td", *_files(model)),
        )
        for model in report.models
    ]
    return section(
        "method",
        "Models, machine, method",
        "What is needed to do it again: edge-assistant compare "
        + " ".join(model.target for model in report.models),
        table("Models", ("model", "engine", "header", "licence", "SHA-256"), rows, class_="files"),
        tag("ul", *(tag("li", note) for note in report.notes)) if report.notes else None,
        tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in facts), class_="machine"),
    )


def _files(model: Candidate) -> list[Content]:
    found: list[Content] = []
    for name, digest in model.sha256.items():
        found += [name, " ", tag("code", digest[:16]), tag("br")]
    return found[:-1] or ["-"]


def _ranks(report: Report) -> dict[str, int]:
    return {model.label: rank for rank, model in enumerate(report.models)}
