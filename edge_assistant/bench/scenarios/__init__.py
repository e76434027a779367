"""The scenarios: what is done to a system, by name.

Taxonomy: the nine classes of HumDial track 2 (arXiv 2604.21406), five interruptions and four that
are to be rejected, and our own additions (noises, echo, both start, monologue, silence).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios import (
    backchannel,
    both_start,
    echo,
    interruption,
    monologue,
    noises,
    pauses,
    side_talk,
    silence,
    turn_taking,
)
from edge_assistant.bench.trial import Source, Trial
from edge_assistant.errors import ConfigError

Size = Literal["quick", "standard", "full"]

Build = Callable[[Pool, int, int, Collection[str]], list[Trial]]
"""(pool, seed, count, only) -> trials, of the conditions in `only` (of all where it is empty).
Fewer than `count` only where the pool has nothing to make them of; then none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One family of trials."""

    name: str
    about: str
    build: Build
    count: int
    """Trials of a standard run with one pool: all scenarios and one system take 25 min at most."""
    full: int
    """Trials of a full run, whose intervals are narrow enough to publish."""
    quick: int
    """Trials of a quick run: a look, not a result."""
    conditions: tuple[str, ...] = ()
    """Those that can be asked for by name; empty where there is only one."""

    def number(self, size: Size) -> int:
        """Trials of a run of that size. A smaller run is the beginning of a larger one."""
        return {"quick": self.quick, "standard": self.count, "full": self.full}[size]


SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name=turn_taking.NAME,
            about="a finished request",
            build=turn_taking.build,
            count=28,
            full=40,
            quick=4,
        ),
        Scenario(
            name=pauses.NAME,
            about="pauses of 0.3, 0.5, 0.7, 1.0, 1.5 s inside a turn, and natural ones",
            build=pauses.build,
            count=35,
            full=42,
            quick=5,
            conditions=pauses.CONDITIONS,
        ),
        Scenario(
            name=interruption.NAME,
            about="follow-up, negation, repeat, change of topic, stop; 2 s into a reply",
            build=interruption.build,
            count=25,
            full=40,
            quick=5,
            conditions=interruption.CLASSES,
        ),
        Scenario(
            name=backchannel.NAME,
            about="a listener's response in a reply",
            build=backchannel.build,
            count=12,
            full=20,
            quick=2,
        ),
        Scenario(
            name=noises.NAME,
            about="cough, knock, keyboard, tap, music, babble, TV in a reply",
            build=noises.build,
            count=14,
            full=21,
            quick=3,
            conditions=noises.CONDITIONS,
        ),
        Scenario(
            name=side_talk.NAME,
            about="the user speaks to somebody else",
            build=side_talk.build,
            count=6,
            full=20,
            quick=2,
            conditions=side_talk.CONDITIONS,
        ),
        Scenario(
            name=both_start.NAME,
            about="both start to speak within 100 ms",
            build=both_start.build,
            count=6,
            full=20,
            quick=1,
        ),
        Scenario(
            name=echo.NAME,
            about="the system hears itself, with and without the user",
            build=echo.build,
            count=12,
            full=24,
            quick=2,
            conditions=echo.conditions_of((*echo.ROOMS, echo.RECORDED), echo.USERS),
        ),
        Scenario(
            name=monologue.NAME,
            about="the user speaks for half a minute",
            build=monologue.build,
            count=2,
            full=3,
            quick=0,
        ),
        Scenario(
            name=silence.NAME,
            about="a minute of room tone, of noise, of far voices",
            build=silence.build,
            count=2,
            full=6,
            quick=0,
            conditions=silence.CONDITIONS,
        ),
    )
}

HUMDIAL: Final[dict[str, tuple[str, str]]] = {
    "follow-up": ("interruption", "follow_up"),
    "negation": ("interruption", "negation"),
    "repeat request": ("interruption", "repeat_request"),
    "topic switch": ("interruption", "topic_change"),
    "stop": ("interruption", "stop"),
    "pause": ("pauses", ""),
    "backchannel": ("backchannel", ""),
    "speech to others": ("side_talk", ""),
    "third-party speech": ("noises", "tv"),
}
"""HumDial's class -> (scenario, condition; empty for any)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scenario, or one of its conditions, and how many trials of it."""

    scenario: Scenario
    condition: str = ""
    """Empty: all of them in turn."""
    count: int | None = None
    """None: as many as the run has of that scenario; a condition gets as many by itself."""

    def holds(self, trial: Trial) -> bool:
        """Whether the trial is one of those."""
        return trial.scenario == self.scenario.name and self.condition in ("", trial.condition)


def choice(text: str) -> Choice:
    """Read `NAME`, `NAME/CONDITION`, and either with `=COUNT`.

    Raises:
        ConfigError: there is no such scenario or condition, or the count is no whole number above
            0.
    """
    asked, sign, number = text.partition("=")
    name, _, condition = asked.partition("/")
    if name not in SCENARIOS:
        raise ConfigError(
            "scenario-unknown",
            f"there is no scenario {name!r}",
            f"choose from: {', '.join(SCENARIOS)}",
        )
    scenario = SCENARIOS[name]
    if asked != name and condition not in scenario.conditions:
        raise ConfigError(
            "scenario-condition-unknown",
            f"{name} has no condition {condition!r}",
            f"choose from: {', '.join(scenario.conditions)}"
            if scenario.conditions
            else f"it has only one: write {name}",
        )
    if sign and not re.fullmatch("[1-9][0-9]{0,5}", number):
        raise ConfigError(
            "scenario-count",
            f"{number!r} is no number of trials",
            f"write a number above 0, such as {asked}=40",
        )
    return Choice(scenario=scenario, condition=condition, count=int(number) if sign else None)


def plan(
    pools: Sequence[Pool],
    names: Iterable[str] = (),
    seed: int = 0,
    *,
    size: Size = "standard",
    count: int | None = None,
) -> list[Trial]:
    """All trials of the named scenarios (of all, where none is named), every id once.

    Sounds that do not come from a pool, such as the cough, would otherwise be there for each.

    Args:
        pools: recordings, made speech, or both.
        names: what `choice` reads, such as `turn_taking` or `pauses/0.7=40`.
        seed: the same seed and pools give the same trials, bit for bit.
        size: how many trials of each scenario, or of each condition that is named.
        count: trials of each, whatever the size, unless the name has a number of its own.

    Raises:
        ConfigError: a name that no scenario or condition has.
    """
    trials: dict[str, Trial] = {}
    for wish in [choice(name) for name in list(names) or list(SCENARIOS)]:
        number = wish.count or count or wish.scenario.number(size)
        only = (wish.condition,) if wish.condition else ()
        for pool in pools:
            for trial in wish.scenario.build(pool, seed, number, only):
                trials.setdefault(trial.id, trial)
    return list(trials.values())


def clips_in(trials: Iterable[Trial]) -> dict[tuple[str, str, Source], tuple[int, int]]:
    """Trials, and different clips in them, by (scenario, condition, source).

    The clip that counts is the one that is played last. Where there are fewer clips than trials
    they come round again, and the intervals of the figures, which know of trials only, are too
    narrow.
    """
    ids: dict[tuple[str, str, Source], dict[str, str]] = {}
    for trial in trials:
        key = (trial.scenario, trial.condition, trial.source)
        label = trial.stimuli[-1].label if trial.stimuli else trial.id
        ids.setdefault(key, {})[trial.id] = label
    return {key: (len(labels), len(set(labels.values()))) for key, labels in ids.items()}


def humdial_classes(trials: Iterable[Trial]) -> set[str]:
    """Which of the nine classes some trial belongs to."""
    seen = {(trial.scenario, trial.condition) for trial in trials}
    scenarios = {name for name, _ in seen}
    return {
        label
        for label, (name, condition) in HUMDIAL.items()
        if ((name, condition) in seen if condition else name in scenarios)
    }


def missing_classes(seen: Iterable[tuple[str, str]]) -> list[str]:
    """HumDial's classes that have no trial, though their scenario was run.

    Args:
        seen: (scenario, condition) of the trials.
    """
    pairs = set(seen)
    names = {name for name, _ in pairs}
    return [
        label
        for label, (name, condition) in HUMDIAL.items()
        if name in names and condition and (name, condition) not in pairs
    ]
