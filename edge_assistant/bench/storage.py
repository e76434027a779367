"""A run on disk, one folder a trial.

    RUN/run.json                        machine, systems, seeds, scenarios, command lines
    RUN/trials/ID--SYSTEM--hash/        user.wav reply.wav (PCM16, as on the pipe), trial.json,
                                        events.jsonl

A trial's folder appears under its name in one step, complete, or not at all. The sounds of the
stimuli are not kept: the same id and seed give them again, and their hash is there to tell.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import wave
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.atomic import write_atomically
from edge_assistant.audio.format import SAMPLE_RATE, Samples, from_pcm16, to_pcm16
from edge_assistant.bench.examiner import read_events
from edge_assistant.bench.trial import Outcome, Played, Stimulus, Trial
from edge_assistant.errors import EdgeAssistantError

FORMAT: Final = 1
_RUN, _TRIALS, _TRIAL = "run.json", "trials", "trial.json"


class BenchError(EdgeAssistantError):
    """A run that cannot be read, continued or made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What run.json says."""

    machine: Mapping[str, Any]
    """`machine.Machine` as a mapping."""
    systems: Mapping[str, Sequence[str]]
    """Command line of each system, by name."""
    seeds: Sequence[int]
    """Of the order of the systems within a trial; the trials' own seeds are with them."""
    scenarios: Mapping[str, int]
    """Number of trials of each scenario."""
    command_lines: Sequence[Sequence[str]] = ()
    """Of the program that made the run; one more each time that it was resumed."""
    started: str = ""
    """Date and time, ISO 8601, UTC."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Beyond which a trial counts as disturbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A trial that is done, without its sound."""

    folder: Path
    trial_id: str
    system: str
    seed: int
    void: str
    voided: tuple[str, ...]
    """Why earlier attempts at it were disturbed and made again."""

    def outcome(self) -> Outcome:
        """Read all of it; the stimuli's sounds are silence of the right length.

        Raises:
            BenchError: a file of it is missing or damaged.
        """
        return _read_outcome(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that was loaded."""

    info: RunInfo
    entries: tuple[Entry, ...]
    """Done trials by id, then by system."""

    def outcomes(self) -> Iterator[Outcome]:
        """All outcomes, read one after the other: a minute of one is 8 MB of memory."""
        return (entry.outcome() for entry in self.entries)


class Store:
    """The folder of one run, for writing.

    Args:
        folder: made if it is not there.
        info: of the run.
        resume: continue what is in the folder; otherwise it must hold no run.

    Raises:
        BenchError: the folder holds a run and `resume` is off, or a run of other systems.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, info: RunInfo, *, resume: bool = False) -> None:
        self._folder = folder
        self._trials = folder / _TRIALS
        self._trials.mkdir(parents=True, exist_ok=True)
        for half_written in self._trials.glob(".*"):
            shutil.rmtree(half_written, ignore_errors=True)
        if (folder / _RUN).exists():
            if not resume:
                raise BenchError(
                    "bench-run-exists",
                    f"{folder} holds a run already",
                    "continue it with --resume, or choose another folder",
                )
            info = _merged(folder, load(folder).info, info)
        _write_text(folder / _RUN, _to_json({"format": FORMAT, **asdict(info)}))

    def done(self) -> dict[tuple[str, str], Entry]:
        """Every trial that is whole, by (id, system)."""
        return {(entry.trial_id, entry.system): entry for entry in _entries(self._folder)}

    def save(self, outcome: Outcome, voided: Sequence[str] = ()) -> Path:
        """Write one trial; what was there for the same id and system is replaced.

        Raises:
            OSError: the disk is full, say; no half of it is left under its name.
        """
        final = self._trials / folder_name(outcome.trial.id, outcome.system)
        draft = self._trials / f".{final.name}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        _write_wav(draft / "user.wav", outcome.user)
        _write_wav(draft / "reply.wav", outcome.reply)
        # ASCII, and NaN let through: what a stranger logs need not be sound Unicode or JSON.
        events = "".join(f"{json.dumps(event)}\n" for event in outcome.events)
        (draft / "events.jsonl").write_text(events, "utf-8")
        _write_text(draft / _TRIAL, _to_json(_describe(outcome, voided)))
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
        return final


def _merged(folder: Path, before: RunInfo, now: RunInfo) -> RunInfo:
    """What to say of a run that is resumed, perhaps with more systems or scenarios."""
    for name, command in now.systems.items():
        if list(before.systems.get(name, command)) != list(command):
            raise BenchError(
                "bench-run-differs",
                f"in {folder} the system {name} is another command",
                "give it another name, or choose another folder",
            )
    return RunInfo(
        machine=now.machine,
        systems={**before.systems, **now.systems},
        seeds=sorted({*before.seeds, *now.seeds}),
        scenarios={**before.scenarios, **now.scenarios},
        command_lines=[*before.command_lines, *now.command_lines],
        started=before.started,
        limits=now.limits,
    )


def load(folder: Path) -> Run:
    """Read a run; trials that are not whole are left out.

    Raises:
        BenchError: there is no run in the folder, or run.json cannot be read.
    """
    try:
        told = json.loads((folder / _RUN).read_text("utf-8"))
        version = told.pop("format")
        if version != FORMAT:
            raise ValueError(f"format {version}")
        info = RunInfo(**told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(
            "bench-run-unreadable",
            f"{folder} holds no run that can be read: {error}",
            "make one with: edge-assistant bench",
        ) from error
    return Run(info=info, entries=tuple(_entries(folder)))


def folder_name(trial_id: str, system: str) -> str:
    """Name of a trial's folder: readable, and another one for every id and system."""
    whole = f"{trial_id}\n{system}".encode()
    slugs = (re.sub(r"[^A-Za-z0-9.+-]+", "_", text)[:80] for text in (trial_id, system))
    return f"{'--'.join(slugs)}--{zlib.crc32(whole):08x}".lstrip(".")


def _entries(folder: Path) -> list[Entry]:
    found = []
    for path in (folder / _TRIALS).glob("[!.]*"):
        try:
            told = json.loads((path / _TRIAL).read_text("utf-8"))
            # A crash of the machine may leave files that are empty under the right name.
            if told["format"] != FORMAT or any(
                _wav_frames(path / name) != told["frames"] for name in ("user.wav", "reply.wav")
            ):
                continue
            found.append(
                Entry(
                    folder=path,
                    trial_id=told["trial"]["id"],
                    system=told["system"],
                    seed=told["trial"]["seed"],
                    void=told["void"],
                    voided=tuple(told["voided"]),
                )
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, wave.Error):
            continue
    return sorted(found, key=lambda entry: (entry.trial_id, entry.system))


def _describe(outcome: Outcome, voided: Sequence[str]) -> dict[str, Any]:
    trial = outcome.trial
    told = _fields(outcome, without=("trial", "user", "reply", "played", "events"))
    told |= {"format": FORMAT, "frames": len(outcome.user), "voided": list(voided)}
    told["trial"] = _fields(trial, without=("stimuli", "background", "room"))
    for name, sound in (("background", trial.background), ("room", trial.room)):
        told["trial"][name] = None if sound is None else _describe_sound(sound)
    told["trial"]["stimuli"] = [_describe_stimulus(each) for each in trial.stimuli]
    # By identity: stimuli hold arrays, which do not compare as one value.
    told["played"] = [
        {
            "stimulus": next(
                index for index, each in enumerate(trial.stimuli) if each is played.stimulus
            ),
            "begin_frames": played.begin_frames,
        }
        for played in outcome.played
    ]
    return told


def _describe_stimulus(stimulus: Stimulus) -> dict[str, Any]:
    return _fields(stimulus, without=("sound",)) | {"sound": _describe_sound(stimulus.sound)}


def _describe_sound(sound: Samples) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(sound, dtype="<f4").tobytes()).hexdigest()
    return {"frames": len(sound), "sha256": digest}


def _fields(value: Any, without: Sequence[str]) -> dict[str, Any]:
    """A flat dataclass as a mapping, without the named fields, which are not copied."""
    names = (name for name in value.__dataclass_fields__ if name not in without)
    return {name: getattr(value, name) for name in names}


def _read_outcome(folder: Path) -> Outcome:
    try:
        told = json.loads((folder / _TRIAL).read_text("utf-8"))
        trial = _read_trial(told.pop("trial"))
        played = tuple(
            Played(stimulus=trial.stimuli[each["stimulus"]], begin_frames=each["begin_frames"])
            for each in told.pop("played")
        )
        frames = told.pop("frames")
        del told["format"], told["voided"]
        events, _ = read_events(folder / "events.jsonl")
        return Outcome(
            trial=trial,
            user=_read_wav(folder / "user.wav", frames),
            reply=_read_wav(folder / "reply.wav", frames),
            played=played,
            events=events,
            **told,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, wave.Error) as error:
        raise BenchError(
            "bench-trial-unreadable",
            f"{folder} cannot be read: {error}",
            "remove that folder and make the trial again with: edge-assistant bench --resume",
        ) from error


def _read_trial(told: dict[str, Any]) -> Trial:
    stimuli = []
    for each in told.pop("stimuli"):
        speech = tuple((onset, end) for onset, end in each.pop("speech_frames"))
        sound = _stand_in(each.pop("sound"))
        stimuli.append(Stimulus(sound=sound, speech_frames=speech, **each))
    sounds = {name: told.pop(name) for name in ("background", "room")}
    return Trial(
        stimuli=tuple(stimuli),
        background=None if sounds["background"] is None else _stand_in(sounds["background"]),
        room=None if sounds["room"] is None else _stand_in(sounds["room"]),
        **told,
    )


def _stand_in(told: Mapping[str, Any]) -> Samples:
    """Silence of the right length that takes no memory; read-only."""
    return np.broadcast_to(np.zeros(1, dtype=np.float32), (told["frames"],))


def _write_wav(path: Path, samples: Samples) -> None:
    # Not audio.files.write_wav, whose scale (32767) is not that of the pipe (32768): every bit of
    # what went over the pipe is kept.
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(to_pcm16(samples))


def _read_wav(path: Path, frames: int) -> Samples:
    with wave.open(str(path), "rb") as file:
        samples = from_pcm16(file.readframes(file.getnframes()))
    if len(samples) != frames:
        raise ValueError(f"{path.name} has {len(samples)} frames, not {frames}")
    return samples


def _wav_frames(path: Path) -> int:
    """Frames that are really there, whatever the header promises."""
    with wave.open(str(path), "rb") as file:
        promised = file.getnframes()
    return promised if path.stat().st_size >= 44 + 2 * promised else -1


def _to_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _write_text(path: Path, text: str) -> None:
    # A command line may hold bytes that are no UTF-8; as `\udcff` they are sound JSON.
    write_atomically(path, text.encode("utf-8", errors="backslashreplace"))
