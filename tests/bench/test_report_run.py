"""From a run on disk to its report, and the command line around it; the outcomes are made here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench import metrics, storage
from edge_assistant.bench.report import assemble, html, model
from edge_assistant.bench.report.model import Report
from edge_assistant.bench.report.verdict import fault_of, outcome_of
from edge_assistant.bench.runner import Progress
from edge_assistant.bench.scenarios import SCENARIOS
from edge_assistant.bench.trial import Outcome, Played, Source, Stimulus, Trial
from edge_assistant.cli import examination
from edge_assistant.cli.bench import bench, time_left
from edge_assistant.errors import ConfigError, EdgeAssistantError
from tests.bench.report_values import speech

SECOND = SAMPLE_RATE


def stimulus(*stretches: tuple[float, float]) -> Stimulus:
    """A question, or one with a pause in it, whose sound lasts a second after it."""
    frames = tuple((round(a * SECOND), round(b * SECOND)) for a, b in stretches)
    return Stimulus(
        role="pause" if len(stretches) > 1 else "question",
        sound=speech(stretches[-1][1] + 1.0, stretches, 3),
        label="question/00",
        text="What does a cow eat?",
        speech_frames=frames,
    )


def outcome(
    number: int,
    gap_s: float | None,
    *,
    scenario: str = "turn_taking",
    source: Source = "real",
    void: str = "",
    stretches: tuple[tuple[float, float], ...] = ((0.2, 1.2),),
) -> Outcome:
    """The user asks until 1.2 s and the system replies `gap_s` later, for a second."""
    asked = stimulus(*stretches)
    trial = Trial(
        id=f"{scenario}/request/{source}/{number:03d}",
        scenario=scenario,
        condition="request",
        source=source,
        seed=5,
        stimuli=(asked,),
        limit_s=8.0,
    )
    user = np.zeros(8 * SECOND, dtype=np.float32)
    user[: len(asked.sound)] = asked.sound
    reply = np.zeros_like(user)
    events: tuple[dict[str, object], ...] = ({"t": 0.0, "event": "listening"},)
    if gap_s is not None:
        start_s = stretches[-1][1] + gap_s
        reply[round(start_s * SECOND) : round((start_s + 1) * SECOND)] = 0.2
        stages = {"detect_s": 0.1, "wait_s": gap_s - 0.15, "not_ready_s": 0.02}
        stages |= {"out_s": 0.02, "leading_silence_s": 0.01}
        turn = {"turn": 1, "draft": 1}
        events += (
            {"t": start_s - 0.1, "event": "reply", "text": "Grass.", **turn},
            {"t": start_s, "event": "playback_started", **turn},
            {"t": start_s - 0.01, "event": "latency", "turn": 1, "gap_s": gap_s, **stages},
            {"t": start_s + 1, "event": "playback_finished", "heard": "Grass.", **turn},
        )
    return Outcome(
        trial=trial,
        system="ours",
        user=user,
        reply=reply,
        played=(Played(stimulus=asked, begin_frames=0),),
        events=events,
        cpu_s=1.0,
        load=0.5,
        void=void,
    )


def written(folder: Path, outcomes: Sequence[Outcome]) -> storage.Run:
    """A run of these outcomes on disk."""
    info = storage.RunInfo(
        machine={"cpu": "Z80", "cores": 2, "ram_bytes": 2**30, "system": "CP/M", "python": "3"},
        systems={"ours": ["edge-assistant", "converse", "--pipe"]},
        seeds=[7],
        scenarios={"turn_taking": 4},
    )
    store = storage.Store(folder, info)
    for each in outcomes:
        store.save(each)
    return storage.load(folder)


def built(folder: Path, outcomes: Sequence[Outcome]) -> Report:
    about = {"ours": assemble.About(version="1.2", models={"stt": "m"})}
    run = written(folder, outcomes)
    return assemble.build(run, metrics.read_terms(), about, bench_version="0.1.0")


def test_a_run_becomes_a_report(tmp_path: Path) -> None:
    report = built(
        tmp_path,
        [
            outcome(0, 0.3),
            outcome(1, 0.5),
            outcome(2, None),
            outcome(3, 0.4, void="disturbed: a block 300 ms late"),
        ],
    )
    [system] = report.systems
    assert (system.trials, system.voids, system.version, system.models) == (
        4,
        1,
        "1.2",
        {"stt": "m"},
    )
    assert (report.machine.processor, report.machine.load, report.seed) == ("Z80", 0.5, 7)
    gap = next(f for f in report.figures if f.name == "response_gap_p50")
    assert gap.value == pytest.approx(0.4, abs=0.001)
    assert (gap.n, gap.condition, gap.source) == (2, "", "real")
    quick, slow, mute, void = report.trials
    assert quick.gap_s == pytest.approx(0.3, abs=0.001)
    assert slow.outcome == "answered after 0.50 s"
    assert (mute.gap_s, mute.outcome, mute.fault) == (None, "gave no answer", 1.0)
    assert (void.void, void.fault) == ("disturbed: a block 300 ms late", 0.0)
    assert list(quick.stages) == ["detect", "wait", "not_ready", "out", "leading_silence"]
    assert sum(quick.stages.values()) == pytest.approx(0.3)


def test_only_the_worst_trials_get_a_scene_and_it_shows_both_channels(tmp_path: Path) -> None:
    report = built(tmp_path, [outcome(0, 0.3), outcome(1, None), outcome(2, 2.0)])
    scenes = {row.id: row.timeline for row in report.trials}
    good, mute, slow = scenes.values()
    assert good is None
    assert mute is not None
    assert slow is not None
    assert {span.who for span in mute.spans} == {"user"}
    user, reply = slow.spans
    assert (user.who, user.text) == ("user", "What does a cow eat?")
    assert (user.begin_s, user.end_s) == (0.2, 1.2)
    assert (reply.who, reply.text) == ("system", "Grass.")
    assert reply.begin_s == pytest.approx(3.2, abs=0.001)
    assert slow.reply[round(3.3 / slow.step_s)] > 0
    assert slow.reply[round(3.0 / slow.step_s)] == 0
    assert slow.audio[:4] == b"fLaC"
    assert [mark.name for mark in slow.marks][:2] == ["listening", "reply"]
    assert "Grass." in html.page(report)


def test_the_two_sources_are_never_pooled(tmp_path: Path) -> None:
    report = built(tmp_path, [outcome(0, 0.3), outcome(1, 0.9, source="synthetic")])
    gaps = {f.source: f.value for f in report.figures if f.name == "response_gap_p50"}
    assert gaps == {
        "real": pytest.approx(0.3, abs=0.001),
        "synthetic": pytest.approx(0.9, abs=0.001),
    }


def test_a_reply_in_a_pause_is_called_by_its_name(tmp_path: Path) -> None:
    parts = ((0.2, 1.2), (2.2, 3.0))
    taken = outcome(0, -1.5, scenario="pauses", stretches=parts)
    waited = outcome(1, 0.5, scenario="pauses", stretches=parts)
    report = built(tmp_path, [taken, waited])
    assert report.trials[0].outcome == "began to speak in a pause of the user"
    assert report.trials[0].fault == 1.0
    assert report.trials[1].outcome == "waited through the pause"
    assert report.trials[1].expects_gap is False


def test_it_is_said_where_clips_come_round_again(tmp_path: Path) -> None:
    first, second = outcome(0, 0.3), outcome(1, 0.4)
    named = replace(second.trial.stimuli[0], label="another")
    other = replace(
        second,
        trial=replace(second.trial, stimuli=(named,)),
        played=(replace(second.played[0], stimulus=named),),
    )
    notes = built(tmp_path / "again", [first, second]).notes
    assert "turn_taking, request, recorded people: 1 different in 2 trials" in notes[-1]
    assert "come round" not in " ".join(built(tmp_path / "once", [first, other]).notes)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    notes = " ".join(built(tmp_path, [outcome(0, 0.3)]).notes)
    assert "1 of 4 trials" in notes
    assert "synthetic" in notes


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "nothing to judge"),
        ({"stopped": 0.0, "response_gap": 0.3}, "went on against the user"),
        ({"stopped": 1.0, "response_gap": 0.3}, "fell silent for the user"),
        ({"floor_kept[noise]": 0.0}, "gave way to a noise"),
        ({"floor_kept[noise]": 1.0}, "kept talking"),
        ({"phantom_replies": 60.0}, "spoke though nobody had spoken to it"),
        (
            {"takeover": 1.0, "response_gap": -0.2, "false_start": 1.0},
            "began before the user had ended",
        ),
    ],
)
def test_the_gravest_fault_names_the_outcome(values: dict[str, float], words: str) -> None:
    assert outcome_of(values, asks=True) == words


def test_a_fault_is_what_the_composite_would_take_away() -> None:
    terms = metrics.read_terms()
    gap = next(term for term in terms if term.measure == "response_gap_p50")
    middle = (gap.good + gap.bad) / 2
    assert fault_of({"response_gap": middle}, terms, gap.scenario) == pytest.approx(0.5)
    assert fault_of({"response_gap": middle}, terms, "echo") == 0.0
    assert fault_of({"self_interruptions": 20.0}, terms, "echo") == 1.0


def call(*args: str) -> tuple[int, str, str]:
    """Exit code as click has it (errors of ours come out as exceptions), stdout, stderr."""
    result = CliRunner().invoke(bench, args)
    if isinstance(result.exception, EdgeAssistantError):
        return 1, result.stdout, result.exception.code
    return result.exit_code, result.stdout, result.stderr


def test_the_report_of_a_folder_is_written_from_what_is_on_disk(tmp_path: Path) -> None:
    written(tmp_path, [outcome(0, 0.3)])
    assert call("report", str(tmp_path)) == (1, "", "file-missing")
    asked = examination.Asked(name="ours", command=("x",), takes_events=True, version="9.9")
    examination.Plan(systems=(asked,)).write(tmp_path)
    code, out, _ = call("report", str(tmp_path))
    assert code == 0
    assert [Path(line).name for line in out.splitlines()] == [
        "report.html",
        "report.md",
        "report.json",
    ]
    assert model.read(tmp_path).systems[0].version == "9.9"
    assert "9.9" in (tmp_path / "report.md").read_text("utf-8")


def test_a_run_under_looser_limits_is_judged_again(tmp_path: Path) -> None:
    busy = replace(outcome(1, 0.9), notes={"wall_s": 5.0, "other_cores": 0.9})
    report = built(tmp_path, [outcome(0, 0.3), busy])
    quiet, disturbed = report.trials
    assert quiet.void == ""
    assert "other programs used 0.9 cores" in disturbed.void


def test_two_folders_are_compared_in_each_form(tmp_path: Path) -> None:
    for name, gap_s in (("a", 0.3), ("b", 0.9)):
        (tmp_path / name).mkdir()
        report = built(tmp_path / name, [outcome(i, gap_s + 0.01 * i) for i in range(5)])
        (tmp_path / name / "report.json").write_bytes(model.to_json(report))
    folders = (str(tmp_path / "a"), str(tmp_path / "b"))
    code, text, _ = call("compare", *folders)
    assert code == 0
    assert "turn_taking/response_gap_p50" in text
    assert "+0.60 s" in text
    code, raw, _ = call("compare", *folders, "--format", "json", "--apart")
    told = json.loads(raw)
    assert {row["intervals"] for row in told["rows"]} == {"apart"}
    assert call("compare", *folders, "--format", "markdown")[1].startswith("# ")
    assert call("compare", str(tmp_path), folders[0])[2] == "file-missing"


def test_wrong_usage_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call()[0] == 2
    assert call("--scenarios", "nonsense", "-o", str(out))[2] == "scenario-unknown"
    assert call("--scenarios", "pauses/0.6", "-o", str(out))[2] == "scenario-condition-unknown"
    assert call("--voice", "say it", "-o", str(out))[0] == 2
    assert call("--system", "a 'b", "-o", str(out))[2] == "bench-system"
    assert not out.exists()


def test_a_resumed_run_cannot_be_asked_for_something_else(tmp_path: Path) -> None:
    written(tmp_path, [outcome(0, 0.3)])
    examination.Plan(systems=(), seed=3).write(tmp_path)
    code, _, said = call("--resume", "--seed", "4", "-o", str(tmp_path))
    assert code == 2
    assert "--seed" in said
    assert call("-o", str(tmp_path))[2] == "bench-run-exists"


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    asked = examination.Asked(name="n", command=("a", "b"), takes_events=False, models={"llm": "x"})
    plan = examination.Plan(systems=(asked,), scenarios=("pauses",), size="quick", seed=9)
    plan.write(tmp_path)
    assert examination.read_plan(tmp_path) == plan
    (tmp_path / examination.PLAN).write_text("{}")
    with pytest.raises(EdgeAssistantError, match="plan"):
        examination.read_plan(tmp_path)


def test_systems_have_names_and_strangers_are_not_asked_anything() -> None:
    named, bare = examination.asked_systems(["my loop=python 'a b.py' --x=1", "/bin/other"], False)
    assert (named.name, named.command) == ("my loop", ("python", "a b.py", "--x=1"))
    assert (bare.name, bare.command, bare.takes_events) == ("/bin/other", ("/bin/other",), False)
    with pytest.raises(ConfigError):
        examination.asked_systems(["a=x", "a=y"], False)


def test_our_own_build_is_the_default_and_says_what_it_runs() -> None:
    [ours] = examination.asked_systems([], False)
    assert ours.command[-2:] == ("converse", "--pipe")
    assert ours.takes_events
    assert ours.version
    assert set(ours.models) == {"stt", "llm", "voice"}


def test_the_scenarios_can_be_listed() -> None:
    code, out, _ = call("scenarios")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == list(SCENARIOS)
    named = {name for line in lines if line[0] == " " for name in line.split()}
    assert named == {f"{n}/{each}" for n, s in SCENARIOS.items() for each in s.conditions}


@pytest.mark.parametrize(
    ("left_s", "told"), [(0.0, "done"), (42.4, "42 s left"), (740.0, "12 min left")]
)
def test_the_time_left_is_as_coarse_as_it_is_known(left_s: float, told: str) -> None:
    assert time_left(left_s) == told


def test_what_a_run_will_take_is_told_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_assistant.cli.bench import _tell

    asked = examination.Asked(name="n", command=("x",), takes_events=False)
    plan = examination.Plan(
        systems=(asked, msgspec.structs.replace(asked, name="m")),
        scenarios=("turn_taking", "noises/music=4"),
    )
    _tell(plan, [outcome(number, 0.3).trial for number in range(30)])
    told = capsys.readouterr().err
    assert "30 turn_taking/request (real), 1 different\n" in told
    assert "30 trials with 2 systems, in real time: 8 min at the most" in told
    assert "no trial of noises/music=4" in told


def test_progress_off_a_terminal_is_a_line_for_each_tenth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from edge_assistant.cli.bench import _Show

    show: Callable[[Progress], None] = _Show()
    for done in range(41):
        show(Progress(done=done, total=40, left_s=40.0 - done))
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_the_verb_is_in_the_table() -> None:
    from edge_assistant.cli.verbs import cli

    found = cli.get_command(click.Context(cli), "bench")
    assert isinstance(found, click.Group)
    assert set(found.commands) == {"report", "replay", "compare", "scenarios", "gate", "engines"}
