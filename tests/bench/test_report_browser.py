"""The page in a real browser: it draws, its script runs under its policy, nothing hostile does."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from edge_assistant.bench.report import composite, html
from edge_assistant.bench.report.model import Report
from tests.bench.report_values import example

pytestmark = pytest.mark.slow

PROBE = """
const audio = document.querySelector("audio");
audio.preload = "auto";  // what it loads, the page's own load waits for
audio.load();
addEventListener("load", () => {
  const seen = [];
  const say = (name, value) => seen.push(`${name}=${value}`);
  document.querySelector("#theme").click();
  say("theme", document.documentElement.dataset.theme);
  say("ground", getComputedStyle(document.body).backgroundColor);
  say("overflow", document.documentElement.scrollWidth - innerWidth);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const areas = all("svg").map((s) => s.getBoundingClientRect()).filter((area) => area.width);
  say("charts", areas.length);
  say("beyond", areas.filter((area) => area.right > innerWidth + 1).length);
  const score = () => all(".score output").map((o) => o.value).join("/");
  say("score", score());
  const sliders = document.querySelectorAll("[data-weight]");
  sliders[2].value = 0;
  sliders[2].dispatchEvent(new Event("input"));
  say("without", score());
  document.querySelector("#reset").click();
  say("reset", score());
  const rows = () => all("#all-trials tbody tr").filter((r) => !r.hidden);
  const filter = document.querySelector("#filter");
  filter.value = "void late";
  filter.dispatchEvent(new Event("input"));
  say("filtered", rows().length);
  filter.value = "";
  filter.dispatchEvent(new Event("input"));
  const heads = document.querySelectorAll("#all-trials thead th");
  heads[3].querySelector("button").click();
  const gaps = rows().filter((r) => r.cells[3].dataset.sort).map((r) => r.cells[3].dataset.sort);
  const rises = gaps.every((v, at) => at === 0 || Number(gaps[at - 1]) <= Number(v));
  say("sorted", rises && gaps.length > 9);
  say("seconds", audio.error ? "unplayable" : audio.duration.toFixed(1));
  document.title = seen.join(";");
});
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium here; to install it: apt-get install chromium")


def browse(chromium: str, page: str, folder: Path, *flags: str) -> str:
    """Let the browser load the page from its file; returns what it prints."""
    file = folder / "page.html"
    file.write_text(page, "utf-8")
    done = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=5000",
            *flags,
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=True,
    )
    return done.stdout


def probed(report: Report) -> str:
    """The page with a second script, which its policy would forbid, so that goes."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html.page(report))
    return page.replace("</body>", f"<script>{PROBE}</script></body>")


def title_of(dom: str) -> str:
    return unescape(re.findall(r"<title>(.*?)</title>", dom, re.DOTALL)[0])


@pytest.mark.parametrize("width", [1100, 500])
def test_the_page_works_wide_and_narrow(chromium: str, tmp_path: Path, width: int) -> None:
    page = probed(example())
    dom = browse(chromium, page, tmp_path, "--dump-dom", f"--window-size={width},900")
    seen = dict(part.split("=", 1) for part in title_of(dom).split(";"))
    assert seen["theme"] == "dark"
    assert seen["ground"] == "rgb(20, 23, 26)"
    assert int(seen["overflow"]) <= 0
    assert int(seen["charts"]) == 5 + page.count("<article")
    assert seen["beyond"] == "0"
    assert seen["score"] == "-/-/-"
    without = [each.score((3, 3, 0)) for each in composite.table(example())]
    assert seen["without"] == "/".join(f"{score:.0f}" for score in without)
    assert seen["reset"] == seen["score"]
    assert seen["filtered"] == "3"
    assert seen["sorted"] == "true"
    assert seen["seconds"] == "9.0"


def test_its_own_script_runs_under_its_policy_and_no_other_does(
    chromium: str, tmp_path: Path
) -> None:
    attack = "<script>document.title='pwned'</script><img src=x onerror=document.title='pwned'>"
    page = html.page(replace(example(), title="calm")).replace("</main>", f"{attack}</main>")
    dom = browse(chromium, page, tmp_path, "--dump-dom")
    assert title_of(dom) == "calm"
    assert re.search(r'<button type="button" id="theme">', dom), "its own script did not run"


def test_hostile_names_do_nothing(chromium: str, tmp_path: Path) -> None:
    name = "</script><script>document.title='pwned'</script><img src=x onerror=document.title=1>"
    report = example()
    report = replace(
        report,
        title="calm",
        systems=(replace(report.systems[0], name=name), *report.systems[1:]),
        trials=tuple(replace(row, system=name, outcome=name) for row in report.trials),
    )
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html.page(report))
    dom = browse(chromium, page, tmp_path, "--dump-dom")
    assert title_of(dom) == "calm"


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_picture_of_it_can_be_taken(chromium: str, tmp_path: Path, look: str) -> None:
    shot = tmp_path / "shot.png"
    page = html.page(example()).replace("<html ", f'<html data-theme="{look}" ', 1)
    browse(chromium, page, tmp_path, "--window-size=1000,1500", f"--screenshot={shot}")
    raw = shot.read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(raw) > 60_000, "an empty page compresses to less"
