"""The page and the summary: whole, of one piece, and deaf to what hostile text tells them to do."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from edge_assistant.bench.metrics import METRICS
from edge_assistant.bench.report import html, markdown, model, published, words
from edge_assistant.bench.report.markup import Markup, join, tag
from edge_assistant.bench.scenarios import SCENARIOS
from tests.bench.report_values import example

VOID = {"meta", "link", "img", "input", "br", "hr", "path", "line", "rect", "circle", "polygon"}

HOSTILE = (
    "</script><script>document.title='pwned'</script>",
    '"><img src=x onerror="document.title=\'pwned\'">',
    "' onmouseover='document.title=1' x='",
    "</title></style><svg onload=alert(1)>",
    "| a | [b](javascript:alert(1)) `c` <b>",
    "&lt;script&gt; $title ${main} \u202e\x00",
)


SHOWN = {"speech_ended", "committed", "playback_started", "ducked", "yielded"}
"""Events of the example that the drawing knows by name; `odd` is one that it does not."""


class Page(HTMLParser):
    """Elements, attributes and text of a page; notes what does not fit together."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.faults: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._see(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._see(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1:] or 'nothing'}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style"):
            self.words.append(data)

    def _see(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, name: str) -> list[dict[str, str]]:
        """The attributes of every element of this name."""
        return [attributes for tag, attributes in self.elements if tag == name]


def poisoned(value: Any, text: str) -> Any:
    """The same value with `text` added to every string in it but the fixed words."""
    if isinstance(value, str):
        return value + text if value else value  # no condition, no reason to be void
    if isinstance(value, tuple):
        return tuple(poisoned(each, text) for each in value)
    if isinstance(value, dict):
        return {poisoned(key, text): poisoned(each, text) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        keep = {"schema", "source", "who", "values"}
        if hasattr(value, "scenario") or getattr(value, "name", "") in SHOWN:
            keep |= {"scenario", "name"}  # or nothing would find its place any more
        found = {f.name: getattr(value, f.name) for f in fields(value)}
        return replace(value, **{k: poisoned(v, text) for k, v in found.items() if k not in keep})
    return value


def test_the_page_is_well_formed_and_its_ids_are_unique() -> None:
    page = Page(html.page(example()))
    assert page.faults == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for a in page.of("a")}
    assert targets <= {f"#{each}" for each in ids}


def test_the_page_refers_to_nothing_outside_itself() -> None:
    text = html.page(example())
    page = Page(text)
    for name, attributes in page.elements:
        assert name not in ("link", "iframe", "object", "embed", "base", "img", "use")
        for key in ("src", "href", "srcset", "poster", "action", "xlink:href"):
            if key in attributes:
                assert attributes[key].startswith(("#", "data:audio/flac;base64,")), attributes
    assert "http:" not in text.replace('http-equiv="Content', "")
    assert "https:" not in text
    assert not re.search(r"url\(|@import|@font-face", text)


def test_the_policy_allows_the_one_script_of_the_page_and_no_source() -> None:
    text = html.page(example())
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [m["content"] for m in Page(text).of("meta") if "http-equiv" in m]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_and_no_attribute(text: str) -> None:
    clean, page = Page(html.page(example())), Page(html.page(poisoned(example(), text)))
    assert page.faults == []
    assert [name for name, _ in page.elements] == [name for name, _ in clean.elements]
    assert [set(a) for _, a in page.elements] == [set(a) for _, a in clean.elements]
    assert text.replace("\x00", "") in "".join(page.words).replace("\x00", "")


def test_everything_that_a_reader_needs_is_on_the_page() -> None:
    report = example()
    page = Page(html.page(report))
    told = " ".join(page.words)
    for figure in report.figures:
        assert words.plain(figure.name) in told
        assert words.number(figure.value, figure.unit) in told
        if figure.low is not None:
            assert words.interval(figure) in told
    for row in report.trials:
        assert row.id in told
        assert row.void in told
    for system in report.systems:
        assert " ".join(system.command) in told
    assert "AMD EPYC" in told
    assert "moonshine-tiny-en" in told
    assert report.notes[0] in told


def test_real_and_synthetic_speech_have_charts_rows_of_their_own() -> None:
    titles = [title for title in Page(html.page(example())).words if title.startswith("Response")]
    assert len(titles) == 2  # wide and narrow
    assert "edge-assistant, recorded people: n = 24, 1 unanswered" in titles[0]
    assert "edge-assistant, synthetic voice: n = 12, 1 unanswered" in titles[0]


def test_every_control_and_every_chart_has_a_name() -> None:
    page = Page(html.page(example()))
    for attributes in page.of("svg"):
        assert attributes["role"] == "img"
    titles = [name for name, _ in page.elements].count("title")
    assert titles >= len(page.of("svg")) + 1
    assert all(a.get("aria-label") for a in page.of("audio"))
    assert all(a.get("aria-label") for a in page.of("meter"))
    regions = [a for _, a in page.elements if a.get("role") == "region"]
    assert regions
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("h1")) == 1


def test_only_the_worst_cases_carry_sound_and_it_is_flac() -> None:
    report = example()
    page = Page(html.page(report))
    sounds = page.of("audio")
    assert 0 < len(sounds) <= html.WORST_CASES
    kinds = {base64.b64decode(a["src"].partition(",")[2])[:4] for a in sounds}
    assert kinds == {b"fLaC"}


def test_a_report_of_nothing_still_makes_a_page_and_a_summary() -> None:
    empty = replace(example(), systems=(), figures=(), trials=(), composite=(), notes=())
    assert Page(html.page(empty)).faults == []
    assert markdown.summary(empty).startswith("# How well")
    unmeasured = replace(example(), figures=tuple(f for f in example().figures if f.value is None))
    assert Page(html.page(unmeasured)).faults == []
    assert "no score" in html.page(unmeasured) or "One number" not in html.page(unmeasured)


def test_a_gap_beyond_the_axis_is_counted_at_its_edge() -> None:
    report = example()
    [first, *rest] = report.trials
    late = replace(report, trials=(replace(first, gap_s=40.0, fault=0.0), *rest))
    assert "1 later" in html.page(late)
    assert "later ▸" not in html.page(report)


def test_the_summary_holds_every_figure_with_its_n_and_voids() -> None:
    report = example()
    lines = markdown.summary(report).splitlines()
    for figure in report.figures:
        cells = [
            markdown.cell(words.plain(figure.name)),
            markdown.cell(words.condition(figure.condition)),
            words.source(figure.source),
            markdown.cell(figure.system),
            words.number(figure.value, figure.unit),
            words.interval(figure),
            str(figure.n),
            str(figure.voids),
        ]
        assert f"| {' | '.join(cells)} |" in lines
    for row in report.trials:
        if row.void:
            assert any(row.id in line and row.void in line for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_cell_of_the_summary(text: str) -> None:
    clean = markdown.summary(example()).splitlines()
    lines = markdown.summary(poisoned(example(), text)).splitlines()
    assert len(lines) == len(clean)
    for line, before in zip(lines, clean, strict=True):
        bars = re.sub(r"\\.", "", line).count("|")
        assert bars == re.sub(r"\\.", "", before).count("|")
        outside = re.sub(r"(`+).*?\1", "", re.sub(r"\\.", "", line))
        assert not re.search(r"[<>]|\]\(", outside)


def test_markup_escapes_all_but_what_it_built() -> None:
    assert tag("p", "a < b", join("&", Markup("<br/>"))) == "<p>a &lt; b&amp;<br/></p>"
    assert tag("i", class_='"x"', data_a=None, hidden=True, tabindex=0) == (
        '<i class="&quot;x&quot;" hidden tabindex="0"></i>'
    )


def test_what_was_read_from_json_gives_the_same_page_but_for_the_sound() -> None:
    report = example()
    again = model.from_json(model.to_json(report))
    assert not Page(html.page(again)).of("audio")
    assert markdown.summary(again) == markdown.summary(report)


def test_published_figures_stand_below_ours_with_their_caveats() -> None:
    page, summary = html.page(example()), markdown.summary(example())
    for text in (page, summary):
        assert text.index("0.50 s (n = 23)") < text.index("GPT-Realtime")
        assert published.CAVEATS[0] in text
    without = replace(example(), figures=())
    assert "GPT-Realtime" not in html.page(without) + markdown.summary(without)
    for name, scenario in published._COLUMNS:
        assert name in METRICS
        assert scenario in SCENARIOS
    assert {len(row) for row in (published.HEAD, *published.PUBLISHED)} == {7}
