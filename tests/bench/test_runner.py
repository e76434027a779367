from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.bench import machine
from edge_assistant.bench.examiner import FAILED, UNPLAYED, Examiner
from edge_assistant.bench.runner import DISTURBED, Limits, Progress, System, judged, replay, run
from edge_assistant.bench.storage import BenchError, load
from edge_assistant.bench.trial import Outcome, Trial
from tests.bench.parts import STRANGER, examiner, gone, trial, utterance

CALM = Limits(lateness_s=1e9, steal_share=1e9, load_per_core=1e9, other_cores=1e9)
"""The tests' machine may be as busy as it likes."""


def stranger(name: str, *options: str) -> System:
    return System(name=name, command=(*STRANGER, *options))


def fast(system: System) -> Examiner:
    return examiner(*system.command[len(STRANGER) :])


def trials(count: int) -> list[Trial]:
    return [trial(id=f"test/{number}", limit_s=0.1, seed=number) for number in range(count)]


class Scripted(Examiner):
    """Tells what it was asked, and gives the outcomes it was given, as if they had been heard."""

    def __init__(self, asked: list[tuple[str, str]], name: str, voids: Sequence[str] = ()) -> None:
        super().__init__(["none"], name=name)
        self._asked, self._voids = asked, list(voids)

    def run(self, what: Trial) -> Outcome:
        self._asked.append((what.id, self.name))
        late = self._voids.pop(0) if self._voids else ""
        sound = np.zeros(320, dtype=np.float32)
        return Outcome(
            trial=what,
            system=self.name,
            user=sound,
            reply=sound,
            played=(),
            lateness_s=9.0 if late == "late" else 0.0,
            void="" if late == "late" else late,
        )


def scripted(asked: list[tuple[str, str]], *voids: str) -> Callable[[System], Examiner]:
    return lambda system: Scripted(asked, system.name, voids)


PATIENT = replace(CALM, lateness_s=1.0)


def test_two_strangers_are_examined_in_turn_and_kept(tmp_path: Path) -> None:
    slow, quick = stranger("slow", "--delay-ms", "600"), stranger("quick", "--delay-ms", "200")
    what = [trial([utterance()], id="turn/0"), trial([utterance()], id="turn/1")]
    kept = run(what, [slow, quick], tmp_path, limits=CALM, examiner=fast)
    names = [(entry.trial_id, entry.system) for entry in kept.entries]
    assert names == [(f"turn/{n}", name) for n in (0, 1) for name in ("quick", "slow")]
    starts = {
        (each.trial.id, each.system): int(np.flatnonzero(each.reply)[0])
        for each in load(tmp_path).outcomes()
    }
    assert starts["turn/0", "slow"] - starts["turn/0", "quick"] == 6400
    assert starts["turn/1", "slow"] - starts["turn/1", "quick"] == 6400
    assert kept.info.systems["slow"][-1] == "600"
    assert kept.info.scenarios == {"test": 2}
    assert kept.info.machine["python"]


def test_the_order_within_a_trial_is_shuffled_by_the_seed(tmp_path: Path) -> None:
    systems = [stranger("a"), stranger("b")]
    orders = []
    for number, seed in enumerate((1, 1, 2)):
        asked: list[tuple[str, str]] = []
        folder = tmp_path / str(number)
        run(trials(12), systems, folder, seed=seed, limits=CALM, examiner=scripted(asked))
        assert [each for each, _ in asked[::2]] == [each for each, _ in asked[1::2]]
        orders.append([name for _, name in asked[::2]])
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == {"a", "b"}


@pytest.mark.parametrize(
    ("voids", "attempts", "void"),
    [
        ([], 1, ""),
        (["late"], 2, ""),
        (["late", "late"], 3, ""),
        (["late"] * 9, 3, f"{DISTURBED}a block 9000 ms late"),
        ([f"{FAILED}died", ""], 1, f"{FAILED}died"),
        ([f"{UNPLAYED}wait", ""], 1, f"{UNPLAYED}wait"),
    ],
)
def test_only_a_disturbed_trial_is_made_again_and_at_most_twice(
    tmp_path: Path, voids: list[str], attempts: int, void: str
) -> None:
    asked: list[tuple[str, str]] = []
    told: list[Progress] = []
    kept = run(
        trials(1),
        [stranger("a")],
        tmp_path,
        told.append,
        limits=PATIENT,
        examiner=scripted(asked, *voids),
    )
    (entry,) = kept.entries
    assert len(asked) == attempts
    assert entry.void == void
    assert len(entry.voided) == attempts - 1
    assert [each.attempt for each in told[:-1]] == list(range(1, attempts + 1))
    assert (told[-1].done, told[-1].last_void) == (1, void)


def test_what_counts_as_disturbed() -> None:
    cores = machine.cores() or 1
    calm = Scripted([], "a").run(trials(1)[0])
    calm = replace(calm, notes={"wall_s": 10.0})
    limits = Limits(lateness_s=0.1, steal_share=0.02, load_per_core=2.0, other_cores=0.2)
    assert judged(calm, limits).void == ""
    good = replace(calm, lateness_s=0.1, steal_s=0.2 * cores, load=2.0 * cores)
    good = replace(good, notes={"wall_s": 10.0, "other_cores": 0.2})
    assert judged(good, limits).void == ""
    for bad in (
        replace(calm, lateness_s=0.11),
        replace(calm, steal_s=0.21 * cores),
        replace(calm, load=2.1 * cores),
        replace(calm, notes={"wall_s": 10.0, "other_cores": 0.21}),
    ):
        assert judged(bad, limits).void.startswith(DISTURBED)
    failed = replace(calm, lateness_s=9.0, void=f"{FAILED}died")
    assert judged(failed, limits).void == failed.void


def test_ctrl_c_keeps_what_is_done_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    systems = [stranger("a", "--pids", str(pids)), stranger("b", "--child", "--pids", str(pids))]
    folder = tmp_path / "run"

    def interrupt(progress: Progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(trials(3), systems, folder, interrupt, limits=CALM, examiner=fast)
    assert len(load(folder).entries) == 3
    assert gone(pids)
    (folder / "trials" / ".half").mkdir()
    asked: list[tuple[str, str]] = []
    told: list[Progress] = []
    before = {(entry.trial_id, entry.system) for entry in load(folder).entries}
    run(
        trials(3),
        systems,
        folder,
        told.append,
        resume=True,
        limits=CALM,
        examiner=scripted(asked),
    )
    assert len(asked) == 3
    assert before.isdisjoint(asked)
    assert len(load(folder).entries) == 6
    assert [each.done for each in told] == [3, 4, 5, 6]
    assert [each.total for each in told] == [6] * 4
    assert told[0].left_s == pytest.approx(0.3)
    assert told[-1].left_s == pytest.approx(0.0)
    assert told[-1].trial_id == ""


def test_a_run_is_not_mixed_with_other_sounds(tmp_path: Path) -> None:
    run(trials(1), [stranger("a")], tmp_path, limits=CALM, examiner=scripted([]))
    other = [replace(trials(1)[0], seed=99)]
    with pytest.raises(BenchError) as caught:
        run(other, [stranger("a")], tmp_path, resume=True, examiner=scripted([]))
    assert caught.value.code == "bench-run-differs"


def test_names_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="test/0 is the trial id 2 times"):
        run([*trials(1), *trials(1)], [stranger("a")], tmp_path)
    with pytest.raises(BenchError, match="a is the name of a system 2 times"):
        run(trials(1), [stranger("a"), stranger("a", "--mute")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_is_replayed_by_its_id() -> None:
    what = [trial(id=f"noise/{number}/real/000", limit_s=0.2) for number in range(3)]
    outcome = replay(what, "noise/1/real/000", stranger("a", "--at-once"), CALM)
    assert (outcome.trial.id, outcome.system, outcome.void) == ("noise/1/real/000", "a", "")
    assert outcome.reply.any()
    with pytest.raises(BenchError, match=r"noise/9/real/000 among 3 \(did you mean noise/"):
        replay(what, "noise/9/real/000", stranger("a"))


# --- the machine ---------------------------------------------------------------------------------


def proc(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("p_", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def test_a_process_tree_is_all_of_a_session(tmp_path: Path) -> None:
    def stat(pid: int, session: int, ticks: Sequence[int]) -> str:
        rest = " ".join(str(tick) for tick in ticks)
        return f"{pid} (a (b) c) S 1 {session} {session} 0 -1 0 0 0 0 0 {rest} 20 0 1 0\n"

    folder = proc(
        tmp_path,
        p_7__stat=stat(7, 7, [100, 20, 30, 4]),
        p_7__status="Name:\ta\nVmHWM:\t  2048 kB\n",
        p_8__stat=stat(8, 7, [10, 0, 0, 0]),
        p_8__status="Name:\tb\nVmHWM:\t  1 kB\n",
        p_9__stat=stat(9, 9, [5000, 0, 0, 0]),
        p_9__status="VmHWM:\t 99999 kB\n",
        stat="cpu  1 2 3 4 5 6 7 800 9 10\ncpu0 0 0 0 0 0 0 0 0 0 0\n",
    )
    usage = machine.tree_usage(7, folder)
    assert usage is not None
    assert usage.cpu_s == pytest.approx(1.64)  # of 100 ticks a second, as everywhere on Linux
    assert usage.peak_rss_bytes == 2049 * 1024
    assert machine.tree_usage(6, folder) is None
    assert machine.steal_s(folder) == pytest.approx(8.0)
    assert machine.busy_s(folder) == pytest.approx(0.19)


def test_what_a_machine_does_not_tell_is_none(tmp_path: Path) -> None:
    assert machine.steal_s(tmp_path) is None
    assert machine.busy_s(tmp_path) is None
    assert machine.tree_usage(1, tmp_path / "nowhere") is None
    assert machine.steal_s(proc(tmp_path, stat="cpu 1 2 3 4 5 6 7\n")) is None


def test_this_machine_is_described(tmp_path: Path) -> None:
    folder = proc(tmp_path, cpuinfo="processor\t: 0\nmodel name\t: Abacus 3000\n")
    here = machine.this_machine(folder)
    assert here.cpu == "Abacus 3000"
    assert (here.cores or 0) >= 1
    assert (here.ram_bytes or 0) > 1_000_000
    assert here.versions["numpy"] == np.__version__
    (folder / "device-tree").mkdir()
    (folder / "device-tree" / "model").write_bytes(b"Raspberry Pi 5 Model B\0")
    assert machine.this_machine(folder).cpu == "Raspberry Pi 5 Model B"
