"""The whole of `edge-assistant fit`: look, measure, predict, choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config, load_profile
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.fit import machine as machines
from edge_assistant.fit.choose import (
    STAGES,
    Candidate,
    Combination,
    Memory,
    Recommendation,
    combine,
    recommend,
    refuse,
)
from edge_assistant.fit.measure import Progress, speeds
from edge_assistant.fit.predict import Hardware, Speed, cost
from edge_assistant.fit.sizes import ram_bytes, size_of
from edge_assistant.store.entry import Engine
from edge_assistant.store.store import ModelStatus, Store

Setting = bool | int | str

THREAD_KEYS: Final = (
    "stt.num_threads",
    "llm.num_threads",
    "llm.num_threads_batch",
    "tts.num_threads",
)
"""Profiles name numbers for the machine that they have in mind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was found out about this machine."""

    machine: machines.Machine
    hardware: Hardware
    speeds: Mapping[Engine, Speed]
    profile: str
    language: str
    candidates: tuple[Candidate, ...]
    """Recognisers, language models and voices that the store knows."""
    combinations: tuple[Combination, ...]
    """Of those for the language that can be used here, quickest first, those refused at the end."""
    recommendation: Recommendation
    settings: Mapping[str, Setting]
    """What the recommended set means in the configuration; empty where there is none."""


def fit(
    config: Config,
    store: Store,
    token: CancelToken,
    *,
    language: str,
    installed_only: bool = False,
    is_quick: bool = False,
    progress: Progress = lambda text: None,
    tell: Callable[[EdgeAssistantError], None] = lambda error: None,
) -> Fit:
    """Look at this machine and at all models. Blocks for some seconds.

    Args:
        config: whose profile and settings hold.
        store: of the models.
        token: cancels.
        language: code of what is spoken, such as `en`.
        installed_only: leave out what is not installed.
        is_quick: let no engine work; everything is estimated.
        progress: told what is going on.
        tell: told of an engine that failed.

    Raises:
        TurnCancelled: `token` was cancelled.
    """
    progress("reading memory and multiplying matrices")
    machine = machines.look(store.root)
    hardware = machines.measure(machine)
    known = [
        candidate_of(status)
        for status in store.list()
        if status.entry.kind in STAGES and (status.is_installed or not installed_only)
    ]
    rates = speeds(
        known,
        hardware,
        config,
        store,
        machine.usable_cores,
        token,
        is_quick=is_quick,
        progress=progress,
        tell=tell,
    )
    candidates = [judged(each, rates, machine.memory) for each in known]
    combinations = combine(candidates, machine.memory, language)
    names = models_of(load_profile(config.profile))
    recommendation = recommend(combinations, machine.memory, config.profile, names)
    return Fit(
        machine=machine,
        hardware=hardware,
        speeds=rates,
        profile=config.profile,
        language=language,
        candidates=tuple(candidates),
        combinations=tuple(combinations),
        recommendation=recommendation,
        settings=settings_for(recommendation.best, config.profile, machine.usable_cores),
    )


def models_of(config: Config) -> tuple[str, str, str]:
    """Ids of recogniser, language model and voice."""
    return config.stt.model, config.llm.model, config.tts.voice


def candidate_of(status: ModelStatus) -> Candidate:
    """What is known of a model before anything was measured."""
    entry = status.entry
    file_bytes = status.size_bytes or None
    download = sum(spec.size_bytes or spec.max_bytes for spec in entry.files)
    return Candidate(
        entry=entry,
        size=size_of(entry, file_bytes),
        ram_bytes=ram_bytes(entry, file_bytes),
        is_installed=status.is_installed,
        download_bytes=0 if status.is_installed else file_bytes or download,
    )


def judged(candidate: Candidate, rates: Mapping[Engine, Speed], memory: Memory) -> Candidate:
    """The candidate with its cost, and with the reason where it cannot be used."""
    speed = rates[candidate.entry.engine]
    if candidate.size is not None:
        candidate = replace(
            candidate, cost=cost(candidate.size, speed), measured_with=speed.measured_with
        )
    return replace(candidate, refusal=refuse(candidate, memory))


def settings_for(best: Combination | None, profile: str, cores: int) -> dict[str, Setting]:
    """Keys and values of the configuration: the profile, its three models, and as many threads as
    there are cores where the profile has more."""
    import msgspec

    if best is None:
        return {}
    stt, llm, tts = best.ids
    settings: dict[str, Setting] = {
        "profile": profile,
        "stt.model": stt,
        "llm.model": llm,
        "tts.voice": tts,
    }
    values = msgspec.to_builtins(load_profile(profile))
    for key in THREAD_KEYS:
        section, _, name = key.partition(".")
        if values[section][name] > cores:
            settings[key] = cores
    return dict(sorted(settings.items(), key=lambda item: ("." in item[0], item[0])))
