"""What the gate is asked: its limits, whose run, and the command line around it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_assistant.bench import gate
from edge_assistant.bench.scenarios import SCENARIOS
from edge_assistant.bench.storage import BenchError, RunInfo, Store
from edge_assistant.bench.trial import Outcome
from edge_assistant.cli.bench import bench
from edge_assistant.errors import ConfigError, EdgeAssistantError
from tests.bench.test_gate import answer, run_of


def test_our_own_limits_are_of_scenarios_and_rows_that_there_are() -> None:
    limits = gate.read_limits()
    assert {limit.scenario for limit in limits} <= {"", *SCENARIOS}
    assert {limit.metric for limit in limits} >= {
        *("failed", "response_gap", "takeover", "pause_take_any", "stop_latency", "stopped"),
        *("answered", "floor_kept", "heard_exact", "cpu_talk", "peak_rss", "time_to_listening"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "limits"),
        ('measure = "takeover"', "needs one of"),
        ('measure = "takeover"\ndrop = 0.1\nrise = 0.1', "needs one of"),
        ('measure = "takover"\ndrop = 0.1', "no such measure"),
        ('measure = "takeover"\nratio = 1.1', "`drop` or `rise`"),
        ('measure = "failed"\nratio = 1.1', "`drop` or `rise`"),
        ('measure = "response_gap_p50"\nrise = 0.1', "only a share"),
        ('measure = "response_gap_p42"\nratio = 1.1', "no such measure"),
        ('measure = "cpu_talk_p50"\nratio = 1.1', "no quantiles"),
        ('measure = "response_gap_p50"\nratio = 0.9', "ratio"),
        ('measure = "phantom_replies"\nratio = 1.1', "rare events"),
        ('measure = "floor_kept"\ndrop = 0.1', "row"),
        ('measure = "takeover[4 s and more]"\ndrop = 0.1', "all rows"),
        ('measure = "takeover"\ndrop = 0.1\nmost = 3', "most"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(f"[[limits]]\n{text}\n" if text else "limits = []\n")
    with pytest.raises(ConfigError) as caught:
        gate.read_limits(file)
    assert caught.value.code == "bench-limits"
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("systems", "asked", "found"),
    [
        (("baseline", "mine"), (None, None), ("baseline", "mine")),
        (("candidate", "baseline"), (None, None), ("baseline", "candidate")),
        (("baseline", "x", "candidate"), (None, None), ("baseline", "candidate")),
        (("a", "b"), ("b", None), ("b", "a")),
        (("a", "b", "c"), ("c", "a"), ("c", "a")),
    ],
)
def test_who_is_judged_by_whom(
    systems: tuple[str, ...], asked: tuple[str | None, str | None], found: tuple[str, str]
) -> None:
    assert gate.sides(systems, *asked) == found


@pytest.mark.parametrize(
    ("systems", "asked", "code"),
    [
        (("candidate",), (None, None), "bench-gate-one-system"),
        (("a", "b"), (None, None), "bench-gate-system-unknown"),
        (("baseline", "b"), (None, "c"), "bench-gate-system-unknown"),
        (("baseline", "a", "b"), (None, None), "bench-gate-system-unknown"),
        (("a", "b"), ("a", "a"), "bench-gate-one-system"),
    ],
)
def test_who_is_not_there_cannot_be_judged(
    systems: tuple[str, ...], asked: tuple[str | None, str | None], code: str
) -> None:
    with pytest.raises(BenchError) as caught:
        gate.sides(systems, *asked)
    assert caught.value.code == code
    assert all(name in f"{caught.value.message} {caught.value.hint}" for name in systems)


def stored(folder: Path, outcomes: Sequence[Outcome]) -> str:
    """A run on disk; the folder's name."""
    systems = {one.system: ["edge-assistant", "converse", "--pipe"] for one in outcomes}
    info = RunInfo(machine={"cores": 2}, systems=systems, seeds=[0], scenarios={"turn_taking": 12})
    store = Store(folder, info)
    for one in outcomes:
        store.save(one)
    return str(folder)


def call(*args: str) -> tuple[int, str, str]:
    """Exit code, stdout, and the code of an error of ours."""
    result = CliRunner().invoke(bench, ["gate", *args])
    if isinstance(result.exception, EdgeAssistantError):
        return 1, result.stdout, result.exception.code
    return result.exit_code, result.stdout, ""


def test_the_command_judges_a_run_on_disk(tmp_path: Path) -> None:
    folder = stored(tmp_path, run_of([0.5] * 12, [0.9] * 12))
    code, out, _ = call(folder)
    assert code == 1
    line = next(line for line in out.splitlines() if line.startswith("turn_taking/response_gap"))
    assert "0.50 s" in line
    assert "0.90 s" in line
    assert "ratio 1.80 (1.80 to 1.80)" in line
    assert line.endswith("worse")
    assert "1 worse" in out
    assert "5 % at most" in out
    assert call(folder, "--baseline", "candidate", "--candidate", "baseline")[0] == 0
    code, out, _ = call(folder, "--json")
    told = json.loads(out)
    assert (code, told["schema"], told["baseline"]) == (1, gate.SCHEMA, "baseline")
    assert {row["verdict"] for row in told["rows"]} == {"worse", "unknown"}
    wide = tmp_path / "wide.toml"
    wide.write_text('[[limits]]\nmeasure = "response_gap_p50"\nratio = 2.0\n')
    code, out, _ = call(folder, "--limits", str(wide))
    assert code == 0
    assert "worse than the baseline, within the limit" in out


def test_a_run_under_looser_limits_is_judged_again(tmp_path: Path) -> None:
    busy = {"wall_s": 5.0, "other_cores": 0.9}
    outcomes = run_of([0.5] * 14, [0.9] * 14)
    spoiled = [replace(o, notes=busy) if o.trial.id.endswith("3") else o for o in outcomes]
    code, out, _ = call(stored(tmp_path, spoiled), "--json")
    [row] = [r for r in json.loads(out)["rows"] if r["measure"] == "response_gap_p50"]
    assert (code, row["pairs"], row["left_out"]) == (1, 12, 2)


def test_a_tiny_run_is_shown_and_does_not_pass(tmp_path: Path) -> None:
    code, out, error = call(stored(tmp_path, run_of([0.5] * 3, [0.5] * 3)))
    assert (code, error) == (1, "bench-gate-too-few")
    assert "at least 10 are needed" in out


def test_runs_that_cannot_be_judged(tmp_path: Path) -> None:
    alone = stored(tmp_path / "alone", run_of([], [0.5]))
    assert call(alone)[2] == "bench-gate-one-system"
    apart = stored(tmp_path / "apart", [answer(0, "baseline", 0.5), answer(1, "candidate", 0.5)])
    assert call(apart)[2] == "bench-gate-no-pairs"
    assert call(apart, "--candidate", "nobody")[2] == "bench-gate-system-unknown"
    assert call(str(tmp_path / "none"))[2] == "bench-run-unreadable"
