"""The page: whole, well-formed, with nothing from outside, and drawn by a real browser."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from edge_assistant_quantize.compare import rule
from edge_assistant_quantize.compare.messages import Answered, Subject
from edge_assistant_quantize.compare.page import page
from edge_assistant_quantize.compare.results import Heard, Line, Report, Value
from edge_assistant_quantize.compare.run import Sound
from edge_assistant_quantize.compare.table import to_text
from edge_assistant_quantize.compare.tasks import TASKS

from edge_assistant.bench.machine import Machine
from edge_assistant.bench.report.markup import VOID
from edge_assistant.engine_bench.readings import Failure
from tests.bench.test_report_browser import browse, chromium, title_of
from tests.workshop.compare_models import candidate

__all__ = ["chromium"]

LABELS = ("reference", "smaller-model-Q4_K_M", "broken")
PROBE = """
addEventListener("load", () => {
  const areas = [...document.querySelectorAll("svg, img, audio, table")]
    .filter((each) => !each.closest(".scroll") || each.tagName !== "TABLE")
    .map((each) => each.getBoundingClientRect()).filter((area) => area.width);
  const images = [...document.querySelectorAll("img")];
  document.title = [
    `overflow=${document.documentElement.scrollWidth - innerWidth}`,
    `beyond=${areas.filter((area) => area.right > innerWidth + 1).length}`,
    `ground=${getComputedStyle(document.body).backgroundColor}`,
    `images=${images.length && images.every((each) => each.naturalWidth > 0)}`,
    `charts=${areas.length}`,
  ].join(";");
});
"""


def figure(key: str, unit: str, values: tuple[float, float, float], **more: Any) -> Line:
    """A line with intervals."""
    own = values[0]
    how = more.pop("versus", "ratio")
    return Line(
        key=key,
        title=key.replace("_", " "),
        unit=unit,
        better=more.pop("better", "less"),
        versus=how,
        values={
            label: Value(
                value=value,
                low=value * 0.95,
                high=value * 1.05,
                n=5,
                versus=None if at == 0 or not own else value / own,
            )
            for at, (label, value) in enumerate(zip(LABELS, values, strict=True))
        },
    )


def example(kind: Subject, labels: tuple[str, str, str] = LABELS) -> Report:
    """A report with everything in it."""
    lines = {
        "llm": [
            figure("size_bytes", "bytes", (98e6, 70e6, 60e6)),
            figure("peak_rss_bytes", "bytes", (300e6, 280e6, 270e6)),
            figure("decode_rate", "tokens/s", (40.0, 55.0, 60.0), better="more"),
            figure("kl", "nats", (0.0, 0.05, 4.0), versus=""),
            figure("bits_per_byte", "bits", (1.0, 1.01, 3.0), versus="difference"),
            figure("tasks", "tasks", (9, 8, 0), better="more", versus="difference"),
        ],
        "stt": [
            figure("size_bytes", "bytes", (98e6, 70e6, 60e6)),
            figure("rtf", "ratio", (0.1, 0.08, 0.07)),
            figure("wer[command]", "share", (0.05, 0.06, 0.99), versus="difference"),
            figure("wer_mean", "share", (0.05, 0.06, 0.99), versus="difference"),
        ],
        "tts": [
            figure("size_bytes", "bytes", (98e6, 70e6, 60e6)),
            figure("rtf", "ratio", (0.1, 0.08, 0.07)),
            figure("mel_distance", "dB", (0.5, 1.0, 9.0), versus=""),
        ],
    }[kind]
    answers = {
        label: [
            Answered(task=task.name, text=f"answer to {task.name}", faults=["lacks it"] * (at > 0))
            for task in TASKS
        ]
        for at, label in enumerate(labels)
    }
    heard = [
        Heard(
            clip="a.wav",
            kind="command",
            text="turn on the light",
            texts=dict(zip(labels, ("turn on the light", "turn of the light", ""), strict=True)),
            edits=dict(zip(labels, (0, 1, 4), strict=True)),
        )
    ]
    if labels != LABELS:
        lines = [
            msgspec.structs.replace(
                line, values=dict(zip(labels, line.values.values(), strict=True))
            )
            for line in lines
        ]
    return Report(
        started="2026-11-22T04:00:00+00:00",
        version="0.1.0",
        machine=Machine(cpu="a processor", cores=2, ram_bytes=8 << 30, system="Linux", python="3"),
        kind=kind,
        models=[candidate(label, kind) for label in labels],
        repeats=5,
        seed=0,
        lines=lines,
        recommendation=rule.recommend(kind, labels, lines),
        notes=["a note"],
        failures=[Failure(stage=kind, model="gone", code="it-failed", message="it failed")],
        answers=answers if kind == "llm" else {},
        heard=heard if kind == "stt" else [],
        rounds=[],
    )


def sounds(labels: tuple[str, ...] = LABELS) -> dict[str, list[Sound]]:
    """Half a second each."""
    noise = np.random.default_rng(1).standard_normal(8000).astype(np.float32) * 0.1
    return {
        label: [Sound(text=f"sentence {n}", samples=noise, sample_rate=16_000) for n in range(2)]
        for label in labels
    }


def drawn(kind: Subject) -> str:
    """The page of an example."""
    return page(example(kind), sounds() if kind == "tts" else {})


class Balanced(HTMLParser):
    """Complains of every tag that is not closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        found = dict(attrs)
        self.ids += [value for value in [found.get("id")] if value]
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset") and v is not None]
        if tag not in VOID or tag == "circle":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing is left open."""
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """It must be the last that was opened."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["llm", "stt", "tts"])
def test_the_page_is_well_formed_and_needs_nothing_else(kind: Subject) -> None:
    text = drawn(kind)
    seen = Balanced()
    seen.feed(text)
    assert seen.open == []
    assert len(seen.ids) == len(set(seen.ids))
    for address in seen.addresses:
        assert address.startswith(("#", "data:image/png;base64,", "data:audio/wav;base64,"))
        if address.startswith("#"):
            assert address[1:] in seen.ids
    assert "<script" not in text
    assert not re.search(r"@import|url\(", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("kind", ["llm", "stt", "tts"])
def test_the_page_says_everything(kind: Subject) -> None:
    report, text = example(kind), drawn(kind)
    for label in LABELS:
        assert text.count(label) > 5
    for line in report.lines:
        assert line.title in text
    for id_ in ("recommendation", "plot", "figures", "method"):
        assert f'id="{id_}"' in text
    assert report.recommendation.headline in text
    assert "it failed [it-failed]" in text
    assert "a note" in text
    assert text.count("<svg") == 2


def test_tasks_stand_side_by_side() -> None:
    text = drawn("llm")
    for task in TASKS:
        assert task.question in text
        assert text.count(f"answer to {task.name}") == 3
    assert text.count('class="passed"') == len(TASKS)
    assert text.count('class="missed"') == 2 * len(TASKS)


def test_recordings_that_were_heard_differently_are_shown() -> None:
    text = drawn("stt")
    assert "turn of the light" in text
    assert "(nothing)" in text


def test_voices_can_be_seen_and_heard() -> None:
    text = drawn("tts")
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    waves = re.findall(r"data:audio/wav;base64,([A-Za-z0-9+/=]+)", text)
    assert len(pictures) == len(waves) == 6
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in pictures)
    assert all(base64.b64decode(each).startswith(b"RIFF") for each in waves)


def test_hostile_names_stay_text() -> None:
    bad = "<script>alert(1)</script>"
    text = page(example("llm", (bad, "b", "c")), {})
    assert "<script" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("kind", ["llm", "stt", "tts"])
def test_the_table_says_the_same(kind: Subject) -> None:
    report = example(kind)
    text = to_text(report)
    assert report.recommendation.headline in text
    assert report.recommendation.rule in text
    for line in report.lines:
        assert line.title in text
    assert "failed: gone [it-failed]: it failed" in text


def test_the_report_survives_json() -> None:
    report = example("llm")
    raw = msgspec.json.encode(report)
    assert msgspec.json.Decoder(Report).decode(raw) == report


@pytest.mark.slow
@pytest.mark.parametrize("width", [1100, 500])
@pytest.mark.parametrize("kind", ["llm", "stt", "tts"])
def test_a_browser_draws_it(chromium: str, tmp_path: Path, kind: Subject, width: int) -> None:
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", drawn(kind))
    text = text.replace("</body>", f"<script>{PROBE}</script></body>")
    dom = browse(chromium, text, tmp_path, "--dump-dom", f"--window-size={width},900")
    seen = dict(part.split("=", 1) for part in title_of(dom).split(";"))
    assert int(seen["overflow"]) <= 0
    assert seen["beyond"] == "0"
    assert int(seen["charts"]) >= 1
    assert seen["ground"] == "rgb(250, 249, 246)"
    if kind == "tts":
        assert seen["images"] == "true"
