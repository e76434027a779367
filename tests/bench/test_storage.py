from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import from_pcm16
from edge_assistant.bench.storage import BenchError, RunInfo, Store, folder_name, load
from edge_assistant.bench.trial import Outcome, Played
from tests.bench.parts import trial, utterance

INFO = RunInfo(
    machine={"cpu": None, "cores": 2},
    systems={"ours": ["ä", "\udcff", "--pipe"], "theirs": ["b"]},
    seeds=[7],
    scenarios={"test": 2},
    command_lines=[["bench", "--x"]],
    started="2026-01-01T00:00:00+00:00",
    limits={"lateness_s": 0.1},
)


def outcome(trial_id: str = "pause/0.7/real/012", system: str = "ours", **more: Any) -> Outcome:
    generator = np.random.default_rng(3)
    question = utterance(text="Wie spät ist es?", label="de/012", delay_s=0.25)
    noise = utterance(role="tv", is_user=False, speech_frames=(), begins="into_reply")
    what = trial([question, noise], id=trial_id, background=question.sound, echo_db=-12.5)
    fields: dict[str, Any] = {
        "trial": what,
        "system": system,
        "user": from_pcm16(generator.bytes(6400)),
        "reply": from_pcm16(generator.bytes(6400)),
        "played": (
            Played(stimulus=noise, begin_frames=-5),
            Played(stimulus=question, begin_frames=9),
        ),
        "events": ({"t": 0.5, "event": "transcript", "text": "spät \ud800", "odd": math.inf},),
        "listening_s": 1.5,
        "cpu_s": 0.25,
        "peak_rss_bytes": 123,
        "lateness_s": 0.01,
        "load": 0.5,
        "steal_s": 0.02,
        "void": "disturbed: load",
        "notes": {"audio_s": 0.2},
    }
    return Outcome(**(fields | more))


def test_an_outcome_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = outcome()
    Store(tmp_path, INFO).save(kept, voided=["disturbed: a block 300 ms late"])
    run = load(tmp_path)
    assert run.info == INFO
    (entry,) = run.entries
    assert (entry.trial_id, entry.system, entry.seed) == ("pause/0.7/real/012", "ours", 1)
    assert entry.void == "disturbed: load"
    assert entry.voided == ("disturbed: a block 300 ms late",)
    (read,) = run.outcomes()
    np.testing.assert_array_equal(read.user, kept.user)
    np.testing.assert_array_equal(read.reply, kept.reply)
    for name in set(Outcome.__dataclass_fields__) - {"trial", "user", "reply", "played"}:
        assert getattr(read, name) == getattr(kept, name), name
    for before, after in zip(kept.trial.stimuli, read.trial.stimuli, strict=True):
        assert len(after.sound) == len(before.sound)
        silent = np.zeros(1, dtype=np.float32)
        assert repr(replace(after, sound=silent)) == repr(replace(before, sound=silent))
    assert [each.begin_frames for each in read.played] == [-5, 9]
    assert read.played[1].stimulus is read.trial.stimuli[0]
    assert read.played[1].speech() == kept.played[1].speech()
    assert read.trial.room is None
    assert read.trial.background is not None
    assert len(read.trial.background) == len(kept.trial.stimuli[0].sound)
    assert (read.trial.echo_db, read.trial.condition) == (-12.5, "plain")


def test_a_trial_that_is_made_again_replaces_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path, INFO)
    store.save(outcome(void="disturbed: load"))
    store.save(outcome(void=""))
    assert [entry.void for entry in load(tmp_path).entries] == [""]


@pytest.mark.parametrize("damage", ["no trial.json", "half trial.json", "half sound", "no sound"])
def test_a_half_written_trial_is_not_done(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path, INFO)
    store.save(outcome("whole"))
    folder = store.save(outcome("half"))
    entry = next(entry for entry in load(tmp_path).entries if entry.trial_id == "half")
    file = folder / ("reply.wav" if damage.endswith("sound") else "trial.json")
    if damage.startswith("half"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    assert set(store.done()) == {("whole", "ours")}
    with pytest.raises(BenchError) as caught:
        entry.outcome()
    assert caught.value.code == "bench-trial-unreadable"


def test_a_trial_that_was_not_named_yet_is_not_done(tmp_path: Path) -> None:
    """The machine went down after the last file was written, and before the folder's name was."""
    store = Store(tmp_path, INFO)
    folder = store.save(outcome())
    folder.rename(folder.with_name(f".{folder.name}"))
    assert store.done() == {}
    store.save(outcome())
    assert len(load(tmp_path).entries) == 1


def test_a_save_that_fails_leaves_no_trial(tmp_path: Path) -> None:
    store = Store(tmp_path, INFO)
    with pytest.raises(TypeError):
        store.save(outcome(events=({"event": object()},)))
    assert store.done() == {}
    assert [path.name[0] for path in (tmp_path / "trials").iterdir()] == ["."]
    Store(tmp_path, INFO, resume=True)
    assert list((tmp_path / "trials").iterdir()) == []


def test_a_run_is_resumed_by_intention_only(tmp_path: Path) -> None:
    Store(tmp_path, INFO).save(outcome())
    with pytest.raises(BenchError) as caught:
        Store(tmp_path, INFO)
    assert caught.value.code == "bench-run-exists"
    other = replace(INFO, systems={"ours": ["another"]})
    with pytest.raises(BenchError) as caught:
        Store(tmp_path, other, resume=True)
    assert caught.value.code == "bench-run-differs"
    more = replace(INFO, systems={"third": ["c"]}, command_lines=[["again"]], started="later")
    assert set(Store(tmp_path, more, resume=True).done()) == {("pause/0.7/real/012", "ours")}
    info = load(tmp_path).info
    assert set(info.systems) == {"ours", "theirs", "third"}
    assert info.command_lines == [["bench", "--x"], ["again"]]
    assert info.started == INFO.started


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"format": 99}', '{"format": 1}'])
def test_what_is_no_run_says_so(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text, "utf-8")
    with pytest.raises(BenchError) as caught:
        load(tmp_path)
    assert caught.value.code == "bench-run-unreadable"
    assert caught.value.hint


def test_every_trial_has_a_folder_of_its_own() -> None:
    ids = ["a/b", "a_b", "a//b", "A/b", "..", ".", "x" * 300, "x" * 301, "ä", "ö", "a\nb"]
    names = {folder_name(each, system) for each in ids for system in ("s", "S", "b\ns")}
    assert len(names) == 3 * len(ids)
    for name in names:
        assert len(name) < 250
        assert "/" not in name
        assert not name.startswith(".")


def test_the_sound_of_a_stimulus_is_known_by_its_hash(tmp_path: Path) -> None:
    folder = Store(tmp_path, INFO).save(outcome())
    told = json.loads((folder / "trial.json").read_text("utf-8"))
    sounds = [each["sound"] for each in told["trial"]["stimuli"]]
    assert sounds[0] == sounds[1]  # the same noise
    assert len(sounds[0]["sha256"]) == 64
    assert sounds[0]["frames"] == len(utterance().sound)
