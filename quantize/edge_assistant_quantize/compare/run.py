"""Measures candidates, each in child processes of its own, all of them in turn."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.readings import Failure, Round
from edge_assistant.engine_bench.rounds import watched
from edge_assistant.engine_bench.speech import Clip, Speech, save
from edge_assistant_quantize.compare.children import ask
from edge_assistant_quantize.compare.mel import distance_db, log_mel
from edge_assistant_quantize.compare.messages import Answer, Candidate, Order, Read
from edge_assistant_quantize.compare.rule import NO_KL
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Progress

AGAIN: Final = "again"
"""Folder of the reference's sounds, said once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared, and with what."""

    candidates: tuple[Candidate, ...]
    """All of one kind; the reference first."""
    repeats: int
    """Rounds of speed."""
    seed: int
    threads: int = 0
    clips: tuple[Clip, ...] = ()
    """stt: recordings with their words, in the order in which they are dealt to the rounds."""
    text: str = ""
    """llm: what is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One sentence of one voice."""

    text: str
    samples: Samples
    sample_rate: int


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the children found. It fills while they work."""

    rounds: list[Round] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    """Of speed, by label, a round each."""
    reads: dict[str, Read] = field(default_factory=dict)
    sounds: dict[str, list[Sound]] = field(default_factory=dict)
    distances: dict[str, list[float]] = field(default_factory=dict)
    """Of each sentence from the reference's, by label; the reference's own from itself again."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> frozenset[str]:
        """Labels of those that did not come to their end."""
        return frozenset(failure.model for failure in self.failures)


def measure(plan: Plan, token: CancelToken, progress: Progress) -> Findings:
    """Measure everything.

    Quality comes first, one child a model; it also fills the file cache. Then the rounds: in each,
    every model is loaded by a new process, called once, and measured; round n begins with model n.

    Args:
        plan: what to do.
        token: cancels. Blocks until the end otherwise.
        progress: called on this thread.

    Raises:
        WorkshopError: the reference, or every other model, could not be measured.
        TurnCancelled: `token` was cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        work = _Work(plan, Path(name), token, progress)
        if plan.candidates[0].kind != "stt":
            work.quality()
        work.speed()
        return work.found


class _Work:
    def __init__(self, plan: Plan, folder: Path, token: CancelToken, progress: Progress) -> None:
        self._plan = plan
        self._folder = folder
        self._token = token
        self._progress = progress
        self._done = 0
        self.found = Findings()

    def quality(self) -> None:
        """What a text, or sentences, become."""
        reference = self._plan.candidates[0]
        shared = self._folder / "shared"
        shared.mkdir()
        for candidate in self._plan.candidates:
            order = Order(
                candidate=candidate,
                work="quality",
                threads=self._plan.threads,
                text=self._plan.text,
                shared=str(shared),
                is_reference=candidate is reference,
            )
            answer, folder = self._ask(order, f"{candidate.label}: quality")
            if answer.read is not None:
                self.found.reads[candidate.label] = answer.read
            if answer.spoken:
                self.found.sounds[candidate.label] = _sounds(answer, folder)
        if reference.kind == "tts" and reference.label in self.found.sounds:
            self._distances(reference)

    def speed(self) -> None:
        """All rounds."""
        plan = self._plan
        speech = Speech(clips=tuple(flat(plan.clips)), repeats=plan.repeats)
        for index in range(plan.repeats):
            clips = ""
            if plan.clips:
                folder = self._folder / f"clips-{index}"
                folder.mkdir()
                save(speech.of_round(index), folder)
                clips = str(folder)
            round_ = Round(index=index)
            self.found.rounds.append(round_)
            with watched(round_):
                self._round(round_, clips)

    def _round(self, round_: Round, clips: str) -> None:
        count = len(self._plan.candidates)
        for step in range(count):
            candidate = self._plan.candidates[(round_.index + step) % count]
            if candidate.label in self.found.failed:
                continue
            order = Order(
                candidate=candidate,
                work="speed",
                index=round_.index,
                threads=self._plan.threads,
                clips=clips,
            )
            what = f"{candidate.label}: round {round_.index + 1} of {self._plan.repeats}"
            answer, _ = self._ask(order, what)
            if answer.failure is None:
                self.found.answers[candidate.label].append(answer)
                round_.readings += answer.round.readings
                round_.heard += answer.round.heard

    def _ask(self, order: Order, what: str) -> tuple[Answer, Path]:
        plan = self._plan
        children = len(plan.candidates) * (plan.repeats + 1)
        self._progress(what, min(1.0, self._done / children))
        folder = self._folder / f"child-{self._done}"
        self._done += 1
        answer = ask(order, folder, self._token)
        if answer.failure is not None:
            self._note(answer.failure)
        return answer, folder

    def _note(self, failure: Failure) -> None:
        """A model that fails is left out from then on; without its reference nothing is left."""
        self.found.failures.append(failure)
        labels = {candidate.label for candidate in self._plan.candidates}
        is_reference = failure.model == self._plan.candidates[0].label
        if is_reference or len(labels - self.found.failed) < 2:
            raise WorkshopError(failure.code, failure.message, failure.hint)

    def _distances(self, reference: Candidate) -> None:
        order = Order(
            candidate=reference, work="quality", threads=self._plan.threads, is_reference=True
        )
        answer, folder = self._ask(order, f"{reference.label}: once more")
        own = self.found.sounds[reference.label]
        mels = [log_mel(each.samples, each.sample_rate) for each in own]
        pairs = {**self.found.sounds, reference.label: _sounds(answer, folder)}
        for label, sounds in pairs.items():
            self.found.distances[label] = [
                distance_db(mel, log_mel(each.samples, each.sample_rate))
                for mel, each in zip(mels, sounds, strict=True)
            ]


def flat(clips: Sequence[Clip]) -> list[Clip]:
    """The clips under names without folders, so that they can be written side by side."""
    return [
        Clip(
            name=f"{at:03d}-{clip.name.replace('/', '_')}",
            kind=clip.kind,
            text=clip.text,
            sound=clip.sound,
        )
        for at, clip in enumerate(clips)
    ]


def _sounds(answer: Answer, folder: Path) -> list[Sound]:
    return [
        Sound(
            text=each.text,
            samples=np.asarray(np.load(folder / each.file), dtype=np.float32),
            sample_rate=each.sample_rate,
        )
        for each in answer.spoken
    ]


def same_quality(plan: Plan, found: Findings) -> frozenset[str]:
    """Labels of the models that nothing here tells from the reference."""
    first, *others = [candidate.label for candidate in plan.candidates]
    kind = plan.candidates[0].kind
    tells = {"llm": _reads_alike, "stt": _hears_alike, "tts": _sounds_alike}[kind]
    return frozenset(
        label for label in others if label not in found.failed and tells(found, first, label)
    )


def _reads_alike(found: Findings, first: str, label: str) -> bool:
    mine, own = found.reads.get(label), found.reads[first]
    if mine is None or not mine.is_comparable:
        return False
    rows = sum(each.rows for each in mine.windows)
    return (
        sum(each.kl for each in mine.windows) <= NO_KL * rows
        and sum(each.same for each in mine.windows) == rows
        and mine.answers == own.answers
    )


def _hears_alike(found: Findings, first: str, label: str) -> bool:
    return all(
        mine.heard == own.heard
        for mine, own in zip(found.answers[label], found.answers[first], strict=True)
    )


def _sounds_alike(found: Findings, first: str, label: str) -> bool:
    """No sentence is further away than the reference's furthest is from itself."""
    mine, own = found.distances.get(label), found.distances.get(first)
    return bool(mine and own) and max(mine or [0.0]) <= max(own or [0.0]) + 1e-6


def texts_of(found: Findings) -> Mapping[str, dict[str, str]]:
    """What each recogniser heard, by label and name of the recording."""
    return {
        label: {name: text for answer in answers for name, text in answer.heard.items()}
        for label, answers in found.answers.items()
    }
