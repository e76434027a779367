"""Makes one report of what the children found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import edge_assistant
from edge_assistant.bench.machine import this_machine
from edge_assistant_quantize.compare import figures, rule
from edge_assistant_quantize.compare.results import Heard, Line, Report
from edge_assistant_quantize.compare.run import Findings, Plan, flat, same_quality, texts_of
from edge_assistant_quantize.compare.speaking import SENTENCES
from edge_assistant_quantize.compare.tasks import TASKS

LEAST_ROUNDS: Final = 5
"""Fewer give no intervals of speed."""


def assembled(plan: Plan, found: Findings, started: str) -> Report:
    """All figures, the recommendation, and what goes with them.

    Args:
        plan: what was asked.
        found: by `run.measure`.
        started: date and time.
    """
    whole = [each for each in plan.candidates if each.label not in found.failed]
    lines = _lines(plan, found)
    return Report(
        started=started,
        version=edge_assistant.__version__,
        machine=this_machine(),
        kind=plan.candidates[0].kind,
        models=list(plan.candidates),
        repeats=plan.repeats,
        seed=plan.seed,
        lines=lines,
        recommendation=rule.recommend(
            plan.candidates[0].kind,
            [each.label for each in whole],
            lines,
            same_quality(plan, found),
        ),
        notes=list(_notes(plan, found)),
        failures=found.failures,
        answers={label: read.answers for label, read in found.reads.items()},
        heard=_heard(plan, found),
        rounds=found.rounds,
    )


def _lines(plan: Plan, found: Findings) -> list[Line]:
    models = plan.candidates
    lines = [figures.of_files(models), *figures.of_memory(models, found.answers)]
    lines += figures.of_rounds(models, found.rounds, plan.seed)
    if found.reads:
        lines += figures.of_reading(models, found.reads)
    if found.distances:
        durations = {
            label: sum(len(each.samples) / each.sample_rate for each in sounds)
            for label, sounds in found.sounds.items()
        }
        lines += figures.of_sounds(models, found.distances, durations)
    return lines


def _notes(plan: Plan, found: Findings) -> Iterator[str]:
    others = [label for label, read in found.reads.items() if not read.is_comparable]
    if others:
        yield (
            f"{', '.join(others)}: other tokens than {plan.candidates[0].label}. Models that cut "
            "a text into different tokens have no KL divergence, no common likeliest token and no "
            "comparable perplexity a token; the bits that they need for a byte of the text are "
            "comparable."
        )
    if found.reads:
        own = found.reads[plan.candidates[0].label].windows
        tokens, rows = sum(each.tokens for each in own), sum(each.rows for each in own)
        yield (
            f"The text has {tokens} scored tokens of the reference's; {rows} were held side by "
            f"side. {len(TASKS)} tasks, answered with the likeliest token each time."
        )
    if found.distances:
        yield (
            f"{len(SENTENCES)} sentences. The reference's own distance is that between saying them "
            "once and saying them again: 0 for a voice without chance in it."
        )
    if plan.clips:
        length_s = sum(clip.duration_s for clip in plan.clips)
        kinds = ", ".join(dict.fromkeys(clip.kind for clip in plan.clips))
        yield f"{len(plan.clips)} recordings ({kinds}), {length_s:.0f} s, dealt to the rounds."
    if plan.repeats < LEAST_ROUNDS:
        yield f"{plan.repeats} rounds: fewer than {LEAST_ROUNDS} give no intervals of speed."
    if found.rounds and all(each.disturbed for each in found.rounds):
        yield "Every round was disturbed: the speed is that of a busy machine. Run it again."
    for each in found.rounds:
        if each.disturbed:
            yield f"Round {each.index + 1} was disturbed: {each.disturbed}."


def _heard(plan: Plan, found: Findings) -> list[Heard]:
    texts = texts_of(found)
    edits: dict[str, dict[str, int]] = {label: {} for label in texts}
    for round_ in found.rounds:
        for each in round_.heard:
            edits[each.model][each.clip] = each.edits
    return [
        Heard(
            clip=clip.name,
            kind=clip.kind,
            text=clip.text,
            texts={label: known[clip.name] for label, known in texts.items() if clip.name in known},
            edits={label: known[clip.name] for label, known in edits.items() if clip.name in known},
        )
        for clip in flat(plan.clips)
    ]
