"""The values of a report: JSON and back, what is picked from it, how it is scored."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench import metrics
from edge_assistant.bench.report import composite, model, pick, words
from edge_assistant.bench.report.envelope import envelope, flac
from edge_assistant.bench.report.model import Report, TrialRow
from edge_assistant.bench.scenarios import SCENARIOS
from edge_assistant.errors import EdgeAssistantError
from tests.bench.report_values import example


def silent(report: Report) -> Report:
    """The same without sound, as the JSON keeps it."""
    return replace(
        report,
        trials=tuple(
            replace(row, timeline=replace(row.timeline, audio=b"")) if row.timeline else row
            for row in report.trials
        ),
    )


def test_a_report_comes_back_from_json_as_it_went_but_for_the_sound() -> None:
    report = example()
    assert any(row.timeline and row.timeline.audio for row in report.trials)
    assert model.from_json(model.to_json(report)) == silent(report)


def test_the_json_names_its_schema_and_keeps_it_stable() -> None:
    told = json.loads(model.to_json(example()))
    assert told["schema"] == "edge-assistant-bench/1"
    assert set(told) == set(Report.__dataclass_fields__)
    assert {"id", "scenario", "condition", "source", "system", "seed", "outcome", "void"} <= set(
        told["trials"][0]
    )
    assert {"name", "value", "unit", "n", "low", "high", "voids"} <= set(told["figures"][0])


def test_a_reader_passes_over_fields_that_a_later_version_added() -> None:
    told = json.loads(model.to_json(example()))
    told["later"] = 1
    told["figures"][0]["later"] = 1
    assert model.from_json(json.dumps(told).encode()) == silent(example())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bench-report-invalid"),
        (b"[]", "bench-report-invalid"),
        (b'{"schema": 1}', "bench-report-invalid"),
        (b"{}", "bench-report-unknown"),
        (b'{"schema": "edge-assistant-bench/9"}', "bench-report-unknown"),
        (b'{"schema": "edge-assistant-bench/1"}', "bench-report-invalid"),
    ],
)
def test_what_is_no_report_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(EdgeAssistantError) as caught:
        model.from_json(raw)
    assert caught.value.code == code


def test_a_report_is_read_from_its_file_or_folder(tmp_path: Path) -> None:
    with pytest.raises(EdgeAssistantError) as caught:
        model.read(tmp_path)
    assert caught.value.code == "file-missing"
    (tmp_path / "report.json").write_bytes(model.to_json(example()))
    assert model.read(tmp_path) == model.read(tmp_path / "report.json")


def test_every_scenario_and_measure_that_is_picked_by_name_exists() -> None:
    scenarios = {scenario for _, scenario, _ in pick.HEADLINES} | {pick.PAUSE_SCENARIO}
    scenarios |= {term.scenario for term in metrics.read_terms()}
    assert scenarios <= set(SCENARIOS)
    for _, _, name in pick.HEADLINES:
        base = name.partition("[")[0]
        assert any(base in (each, f"{each}_p50", f"{each}_p90") for each in metrics.METRICS), name


def test_void_trials_and_other_scenarios_have_no_place_in_the_distribution() -> None:
    report = example()
    groups = pick.gap_groups(report)
    assert [(system, source) for system, source, _ in groups] == [
        ("edge-assistant", "real"),
        ("edge-assistant", "synthetic"),
        ("naive loop", "real"),
    ]
    for system, source, rows in groups:
        assert all((row.system, row.source, row.void) == (system, source, "") for row in rows)
        assert sum(row.gap_s is None for row in rows) == 1


def test_the_means_of_the_stages_add_up_to_the_mean_of_the_sums() -> None:
    report = example()
    [ours, made] = pick.stage_means(report)
    assert (ours[0], ours[1], made[1]) == ("edge-assistant", "real", "synthetic")
    sums = [
        sum(row.stages.values())
        for row in report.trials
        if row.system == "edge-assistant" and row.source == "real" and row.stages and not row.void
    ]
    assert ours[2] == len(sums)
    assert sum(ours[3].values()) == pytest.approx(np.mean(sums))


def row(scenario: str, number: int, fault: float, void: str = "") -> TrialRow:
    return TrialRow(
        id=f"{scenario}/x/real/{number:03d}",
        scenario=scenario,
        condition="x",
        source="real",
        system="s",
        seed=1,
        outcome="answered",
        fault=fault,
        void=void,
    )


def test_the_worst_are_one_of_each_scenario_before_the_second_of_any() -> None:
    rows = (
        row("a", 0, 0.9),
        row("a", 1, 1.0),
        row("b", 0, 0.5),
        row("c", 0, 0.1),
        row("d", 0, 1.0, void="late"),
    )
    report = replace(example(), trials=rows)
    assert [each.id for each in pick.worst(report, 9)] == [rows[1].id, rows[2].id, rows[0].id]
    assert len(pick.worst(report, 2)) == 2


def test_the_composite_is_a_weighted_mean_and_none_where_a_part_that_weighs_is_missing() -> None:
    report = example()
    table = composite.table(report)
    ours = table[0]
    assert ours.values[2] is None
    assert ours.score((3, 3, 1)) is None
    first, second, _ = ours.points
    assert first == pytest.approx(100 * (1.5 - 0.42) / 1.3)
    assert second == pytest.approx(60.0)
    assert ours.score((3, 1, 0)) == pytest.approx((3 * (first or 0) + (second or 0)) / 4)
    assert ours.score((0, 0, 0)) is None


def test_points_end_at_zero_and_hundred_whichever_way_is_good() -> None:
    falling = example().composite[0]
    assert [composite.points_of(falling, v) for v in (-1.0, 0.2, 1.5, 9.0)] == [100, 100, 0, 0]
    rising = replace(falling, good=1.0, bad=0.5)
    assert [composite.points_of(rising, v) for v in (0.0, 0.5, 0.75, 1.0)] == [0, 0, 50, 100]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "s", "-"),
        (float("nan"), "s", "-"),
        (0.337, "s", "0.34 s"),
        (-0.2, "s", "-0.20 s"),
        (0.0, "share", "0 %"),
        (0.0833, "share", "8.3 %"),
        (0.8333, "share", "83 %"),
        (1.0, "share", "100 %"),
        (3 * 2**20, "bytes", "3 MiB"),
        (12.0, "per hour", "12 per hour"),
        (0.5, "per hour", "0.5 per hour"),
    ],
)
def test_numbers_are_shown_to_the_digits_that_mean_something(
    value: float | None, unit: str, shown: str
) -> None:
    assert words.number(value, unit) == shown


def test_an_envelope_is_the_root_of_the_peak_of_each_step() -> None:
    samples = np.zeros(1000, dtype=np.float32)
    samples[330] = -0.25
    samples[999] = 1.5
    assert list(envelope(samples, 0.02)) == [0, 128, 0, 255]
    assert envelope(np.zeros(0, dtype=np.float32), 0.02) == b""


def test_the_sound_has_the_user_left_and_the_reply_right_from_where_it_begins() -> None:
    user = np.full(2 * SAMPLE_RATE, 0.25, dtype=np.float32)
    reply = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    reply[SAMPLE_RATE + 160] = 0.5
    sound, rate = soundfile.read(io.BytesIO(flac(user, reply, 1.0)))
    assert (rate, sound.shape) == (SAMPLE_RATE, (SAMPLE_RATE, 2))
    assert sound[0].tolist() == [0.25, 0.0]
    assert sound[160].tolist() == [0.25, 0.5]


def test_bytes_travel_as_base64() -> None:
    report = example()
    told = msgspec.json.decode(model.to_json(report))
    timelines = [each["timeline"] for each in told["trials"] if each["timeline"]]
    assert all(isinstance(each["user"], str) and each["audio"] == "" for each in timelines)


def test_a_card_needs_the_gap_if_any_has_one() -> None:
    report = example()
    name = report.systems[0].name
    assert pick.headed(report, name) == ["real", "synthetic"]

    def without_gap(*sources: str) -> model.Report:
        kept = [f for f in report.figures if f.source not in sources or "gap" not in f.name]
        return replace(report, figures=tuple(kept))

    assert pick.headed(without_gap("synthetic"), name) == ["real"]
    assert pick.headed(without_gap("real", "synthetic"), name) == ["real", "synthetic"]
