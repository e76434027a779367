"""Two reports side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edge_assistant.bench.report import compare
from edge_assistant.bench.report.model import Examined, Figure, Report
from tests.bench.report_values import example


def figure(value: float | None, low: float | None, high: float | None, system: str = "s") -> Figure:
    return Figure(
        scenario="turn_taking",
        condition="",
        source="real",
        system=system,
        name="response_gap_p50",
        value=value,
        unit="s",
        n=20,
        low=low,
        high=high,
    )


def report(*figures: Figure, system: str = "s") -> Report:
    return replace(
        example(), systems=(Examined(name=system, command=("x",)),), figures=figures, trials=()
    )


@pytest.mark.parametrize(
    ("a", "b", "verdict", "difference"),
    [
        ((0.4, 0.3, 0.5), (0.7, 0.6, 0.8), "apart", 0.3),
        ((0.7, 0.6, 0.8), (0.4, 0.3, 0.5), "apart", -0.3),
        ((0.4, 0.3, 0.5), (0.5, 0.45, 0.8), "overlap", 0.1),
        ((0.4, 0.3, 0.5), (0.6, 0.5, 0.8), "overlap", 0.2),
        ((0.4, None, None), (0.6, 0.5, 0.8), "unknown", 0.2),
        ((None, None, None), (0.6, 0.5, 0.8), "unknown", None),
    ],
)
def test_intervals_overlap_or_are_apart_or_it_is_not_known(
    a: tuple[float | None, float | None, float | None],
    b: tuple[float | None, float | None, float | None],
    verdict: str,
    difference: float | None,
) -> None:
    found = compare.compare(report(figure(*a)), report(figure(*b)))
    [row] = found.rows
    assert row.intervals == verdict
    assert row.difference == (None if difference is None else pytest.approx(difference))


def test_a_figure_that_one_report_lacks_is_shown_and_not_judged() -> None:
    found = compare.compare(report(figure(0.4, 0.3, 0.5)), report())
    [row] = found.rows
    assert (row.b, row.difference, row.intervals) == (None, None, "unknown")
    assert compare.compare(report(), report(figure(0.4, 0.3, 0.5))).rows[0].a is None


def test_the_only_systems_of_two_reports_are_compared_whatever_they_are_called() -> None:
    found = compare.compare(
        report(figure(0.4, 0.3, 0.5, "old"), system="old"),
        report(figure(0.7, 0.6, 0.8, "new"), system="new"),
    )
    [row] = found.rows
    assert (row.system, row.intervals) == ("old", "apart")


def test_other_limits_of_disturbed_trials_are_a_warning() -> None:
    old, new = report(), replace(report(), limits={"steal_share": 0.02})
    assert not compare.compare(new, new).warnings
    [warning] = compare.compare(old, new).warnings
    assert "bench report" in warning


def test_systems_of_one_name_are_paired_among_several() -> None:
    found = compare.compare(example(), example())
    assert len(found.rows) == len(example().figures)
    assert found.apart == ()
    assert {row.intervals for row in found.rows} == {"overlap", "unknown"}


def test_what_makes_two_runs_hard_to_compare_is_said() -> None:
    a = example()
    b = replace(a, seed=8, machine=replace(a.machine, cores=64))
    warnings = " ".join(compare.compare(a, b).warnings)
    assert "machines differ" in warnings
    assert "seeds differ" in warnings
    assert compare.compare(a, a).warnings == ()


def test_text_markdown_and_json_tell_the_same() -> None:
    found = compare.compare(
        report(figure(0.4, 0.3, 0.5)), report(figure(0.7, 0.6, 0.8)), ("a.json", "b|.json")
    )
    text, markdown = compare.to_text(found), compare.to_markdown(found)
    for each in (text, markdown):
        assert "+0.30 s (+75 %)" in each
        assert "apart" in each
        assert "n = 20" in each
    assert any(line.startswith("*") for line in text.splitlines())
    assert "**+0.30 s (+75 %)**" in markdown
    assert "b\\|.json" in markdown
    told = json.loads(compare.to_json(found))
    assert told["schema"] == "edge-assistant-bench-compare/1"
    assert told["rows"][0]["difference"] == pytest.approx(0.3)
    assert told["rows"][0]["a"]["value"] == 0.4


def test_shares_differ_by_points_and_not_by_percent() -> None:
    a, b = (replace(figure(v, None, None), unit="share") for v in (0.2, 0.45))
    [row] = compare.compare(report(a), report(b)).rows
    assert compare.change(row) == "+25 points"
