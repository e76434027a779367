"""What quickness costs: which systems get a point, where it is drawn, and what is connected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from edge_assistant.bench.report import html, markdown, model, trade_off
from edge_assistant.bench.report.model import Examined, Figure, Panel, Report, TradeOff
from edge_assistant.bench.trial import Source
from tests.bench.report_values import example


def figure(
    system: str,
    scenario: str,
    name: str,
    value: float | None,
    *,
    condition: str = "",
    source: Source = "real",
) -> Figure:
    return Figure(
        scenario=scenario,
        condition=condition,
        source=source,
        system=system,
        name=name,
        value=value,
        unit="s" if "_p50" in name or "_p90" in name else "share",
        n=20,
        low=None if value is None else value - 0.05,
        high=None if value is None else value + 0.05,
    )


def measured(system: str, gap_s: float, *, source: Source = "real") -> list[Figure]:
    """A system that is the politer the slower it is."""
    found = [
        figure(system, "turn_taking", "response_gap_p50", gap_s, source=source),
        figure(system, "turn_taking", "response_gap_p90", gap_s + 0.3, source=source),
    ]
    for condition in ("0.7", "1"):
        for name in ("pause_take_any", "pause_take_tor"):
            share = 0.9 - gap_s / 2
            found.append(figure(system, "pauses", name, share, condition=condition, source=source))
    return found


def report(figures: Sequence[Figure]) -> Report:
    names = dict.fromkeys(each.system for each in figures)
    systems = tuple(Examined(name=name, command=("x",)) for name in names)
    bare = replace(example(), systems=systems, figures=tuple(figures), trials=())
    return replace(bare, trade_offs=trade_off.found(bare))


def planes(found: Report) -> dict[tuple[str, str], TradeOff]:
    return {(plane.title, plane.source): plane for plane in found.trade_offs}


def shown(panel: Panel) -> list[tuple[str, float | None, float | None]]:
    return [(each.system, each.across.value, each.up.value) for each in panel.points]


def test_two_systems_make_a_plane_and_one_makes_none() -> None:
    pair = report([*measured("a", 0.4), *measured("b", 0.8)])
    [plane] = pair.trade_offs
    assert [panel.title for panel in plane.panels] == [
        "pauses of 0.7 s, any start",
        "pauses of 1.0 s, any start",
        "pauses of 0.7 s, TOR",
        "pauses of 1.0 s, TOR",
    ]
    assert shown(plane.panels[0]) == [("a", 0.4, pytest.approx(0.7)), ("b", 0.8, 0.5)]
    far = plane.panels[0].points[0].far
    assert far is not None
    assert far.value == pytest.approx(0.7)
    assert report(measured("a", 0.4)).trade_offs == ()


def test_a_system_needs_both_measures() -> None:
    mute = [replace(each, value=None) for each in measured("b", 0.8) if each.unit == "s"]
    assert report([*measured("a", 0.4), *mute, *measured("b", 0.8)[2:]]).trade_offs == ()
    three = report([*measured("a", 0.4), *measured("b", 0.8)[:2], *measured("c", 1.0)])
    assert [each.system for each in three.trade_offs[0].panels[0].points] == ["a", "c"]


def test_recorded_and_made_speech_are_planes_of_their_own() -> None:
    found = report(
        [
            *measured("a", 0.4),
            *measured("b", 0.8),
            *measured("a", 0.3, source="synthetic"),
            *measured("b", 0.7, source="synthetic"),
        ]
    )
    for source, first_s in (("real", 0.4), ("synthetic", 0.3)):
        plane = planes(found)["Gap against take-over", source]
        figures = [f for panel in plane.panels for p in panel.points for f in (p.across, p.up)]
        assert {each.source for each in figures} == {source}
        assert plane.panels[0].points[0].across.value == first_s
    assert report([*measured("a", 0.4), *measured("b", 0.8, source="synthetic")]).trade_offs == ()


def test_a_pause_length_is_found_by_its_row_where_it_is_no_condition() -> None:
    rows = [
        figure(system, "pauses", "pause_take_any[0.7 s]", share)
        for system, share in (("a", 0.6), ("b", 0.2))
    ]
    both = [*measured("a", 0.4)[:2], *measured("b", 0.8)[:2], *rows]
    [panel] = report(both).trade_offs[0].panels
    assert shown(panel) == [("a", 0.4, 0.6), ("b", 0.8, 0.2)]


def test_the_only_condition_of_a_run_has_its_figure_over_all() -> None:
    figures = [*measured("a", 0.4)[:2], *measured("b", 0.8)[:2]]
    figures += [figure(system, "pauses", "pause_take_any", 0.3) for system in "ab"]
    trial = replace(example().trials[0], scenario="pauses", condition="0.7")
    bare = replace(report(figures), trials=(trial,))
    [plane] = trade_off.found(bare)
    assert [panel.title for panel in plane.panels] == ["pauses of 0.7 s, any start"]
    other = replace(bare, trials=(trial, replace(trial, condition="1.5")))
    assert trade_off.found(other) == ()


def stopping(system: str, stop_s: float, source: Source) -> list[Figure]:
    floor = "floor_kept[noise]"
    return [
        figure(system, "interruption", "stop_latency_p50", stop_s, source=source),
        figure(system, "backchannel", "floor_kept[backchannel]", 0.8, source=source),
        figure(system, "noises", floor, 0.7, condition="cough", source="synthetic"),
        figure(system, "noises", floor, 0.6, condition="music", source="synthetic"),
    ]


def test_a_cough_is_made_by_a_recipe_whoever_speaks_and_music_is_not() -> None:
    found = report([*stopping("a", 0.3, "real"), *stopping("b", 0.6, "real")])
    [plane] = found.trade_offs
    assert (plane.title, plane.source) == ("Stop time against floor kept", "real")
    sources = {panel.title: panel.points[0].up.source for panel in plane.panels}
    assert sources == {"under a backchannel": "real", "under a cough": "synthetic"}
    assert plane.panels[0].points[0].far is None
    assert "hollow" in html.page(found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wait-200", ("wait-*", 200.0)),
        ("v2 wait-400 ms", ("v2 wait-*", 400.0)),
        ("gate 0.35", ("gate *", 0.35)),
        ("600", ("*", 600.0)),
        ("naive loop", ("", 0.0)),
    ],
)
def test_a_family_is_the_name_up_to_its_last_number(name: str, expected: tuple[str, float]) -> None:
    assert trade_off.family(name) == expected


def test_a_family_is_connected_in_the_order_of_its_numbers() -> None:
    gaps = {"wait-1000": 1.1, "wait-200": 0.4, "other": 0.6, "wait-400": 0.7}
    found = report([each for name, gap_s in gaps.items() for each in measured(name, gap_s)])
    [plane] = found.trade_offs
    points = plane.panels[0].points
    assert [each.system for each in points] == ["other", "wait-200", "wait-400", "wait-1000"]
    lines = [tuple(float(v) for v in each) for each in connected(html.page(found))]
    assert len(lines) == 2 * 2 * 4  # two lines in each panel, wide and narrow
    first, second = lines[:2]
    assert first[2:] == second[:2]
    assert first[0] < first[2] < second[2]


def connected(page: str) -> list[tuple[str, ...]]:
    number = r'="([\d.]+)"'
    return re.findall(rf'<line x1{number} y1{number} x2{number} y2{number} class="family"/>', page)


def test_strangers_are_not_connected() -> None:
    assert connected(html.page(report([*measured("a", 0.4), *measured("b", 0.8)]))) == []


def test_the_page_has_a_dot_for_each_point_and_says_what_it_is() -> None:
    found = report([*measured("a", 0.4), *measured("b", 0.8)])
    page = html.page(found)
    assert "Gap against take-over, recorded people" in page
    assert page.count("a: 0.40 s (0.35 to 0.45 s, n = 20); pauses of 0.7 s, any start") == 2
    slow = html.page(report([*measured("a", 0.4), *measured("b", 9.0)]))
    assert "b ▸" in slow
    assert "b ▸" not in page


def test_a_source_with_one_system_keeps_the_plot_of_all_lengths() -> None:
    page = html.page(example())  # two systems with recordings, one with made speech
    assert "Gap against take-over, recorded people" in page
    assert "Gap against take-over, synthetic voice" not in page
    [told] = set(re.findall(r"<title>(Take-over in pauses[^<]*)", page))
    assert "synthetic voice" in told
    assert "recorded people" not in told


def test_the_summary_has_it_as_a_table() -> None:
    text = markdown.summary(report([*measured("a|b", 0.4), *measured("c", 0.8)]))
    head = next(line for line in text.splitlines() if line.startswith("| system | median gap |"))
    assert head.endswith("pauses of 0.7 s, TOR | pauses of 1.0 s, TOR |")
    share = "70 % (65 to 75 %, n = 20)"
    row = rf"| a\|b | 0.40 s (0.35 to 0.45 s, n = 20) | 0.70 s | {share} | {share} | {share} |"
    assert row in text
    assert "## Trade-offs" not in markdown.summary(report(measured("a", 0.4)))


def test_the_json_holds_the_data_and_an_old_report_is_read_without() -> None:
    found = report([*measured("wait-1", 0.4), *measured("wait-2", 0.8)])
    raw = model.to_json(found)
    assert model.from_json(raw).trade_offs == found.trade_offs
    assert b'"family": "wait-*"' in raw
    old = re.sub(rb'"trade_offs": \[.*?\n \],', b"", raw, flags=re.DOTALL)
    assert model.from_json(old).trade_offs == ()


def test_gaps_by_length_of_the_request_are_a_table_in_both() -> None:
    found = report(
        [
            figure("a", "turn_taking", "gap_by_length_p50[under 2 s]", 0.41),
            figure("a", "turn_taking", "gap_by_length_p90[under 2 s]", 0.73),
            figure("a", "turn_taking", "gap_by_length_p50[over 4 s]", 0.52),
            figure("b", "pauses", "gap_by_length_p50[over 4 s]", 0.91),
        ]
    )
    text, page = markdown.summary(found), html.page(found)
    [row] = [line for line in text.splitlines() if line.startswith("| a | recorded people | 0.41")]
    assert row.count(" | ") == 4
    assert "p90 0.73 s | - | 0.52 s" in row
    assert "By length of the request" in page
    assert re.search(
        r"0\.41 s <small>0\.36 to 0\.46 s, n = 20</small><br/><small>p90 0\.73 s", page
    )
    assert "By length of the request" not in html.page(report(measured("a", 0.4)))
