"""Lets one installed model of every engine work for some seconds, through the bench of engines."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from edge_assistant.bench.scenarios.texts import TEXTS
from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config
from edge_assistant.engine_bench.readings import Round, Stage
from edge_assistant.engine_bench.rounds import Plan
from edge_assistant.engine_bench.rounds import measure as measure_rounds
from edge_assistant.engine_bench.speech import Clip, Speech, made, shuffled
from edge_assistant.engine_bench.subjects import subjects
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.fit.choose import STAGES, Candidate
from edge_assistant.fit.predict import (
    UTTERANCE_S,
    Cost,
    Hardware,
    Speed,
    calibrated,
    calibrated_llm,
    estimated,
)
from edge_assistant.fit.sizes import LlmSize, Size
from edge_assistant.pipeline.scheduler import Situation, Work, decide
from edge_assistant.store.entry import Engine
from edge_assistant.store.store import Store

ROUNDS: Final = 3
ROUNDS_S: Final = 3.0
"""No further round is begun after this: on a small board one takes long enough."""
CLIPS: Final = 6
"""Utterances for a recogniser, of those whose length is nearest to `UTTERANCE_S`."""

_STAGE_OF: Final[Mapping[str, Stage]] = {"stt": "stt", "llm": "llm", "tts": "tts"}

Progress = Callable[[str], None]


class NotMeasured(EdgeAssistantError):
    """An engine that could not be measured."""


def to_measure(candidates: Iterable[Candidate]) -> dict[Engine, Candidate]:
    """The smallest installed model of every engine: the rest is worked out from it."""
    chosen: dict[Engine, Candidate] = {}
    for each in candidates:
        engine = each.entry.engine
        if each.is_installed and each.size is not None and each.entry.kind in STAGES:
            before = chosen.get(engine)
            if before is None or each.ram_bytes < before.ram_bytes:
                chosen[engine] = each
    return chosen


def utterances(config: Config, store: Store) -> tuple[Clip, ...]:
    """Requests that espeak says, about as long as `UTTERANCE_S`."""
    clips = made(TEXTS["question"], config, store)
    nearest = sorted(clips, key=lambda clip: abs(clip.duration_s - UTTERANCE_S))
    return shuffled(nearest[:CLIPS], seed=0)


def as_in_a_turn(config: Config, engine: Engine, cores: int) -> Config:
    """The configuration with the threads that the scheduler gives in a conversation."""
    work = Work.FINAL if engine == "whispercpp" else Work.ANSWER_COMMITTED
    threads = decide(Situation(work=work, cores=cores)).num_threads
    keys: tuple[str, ...] = ()
    if engine == "llamacpp":
        chosen = {
            "llm.num_threads": config.llm.num_threads,
            "llm.num_threads_batch": config.llm.num_threads_batch,
        }
        keys = tuple(key for key, number in chosen.items() if number == 0)
    elif engine == "whispercpp" and config.stt.num_threads == 0:
        keys = ("stt.num_threads",)
    return config.with_overrides(dict.fromkeys(keys, threads))


def readings(
    candidate: Candidate,
    config: Config,
    store: Store,
    clips: Sequence[Clip],
    cores: int,
    token: CancelToken,
) -> dict[str, float]:
    """Medians of what the bench of engines reads of one model, by the names of its metrics.

    Blocks for some seconds, on the calling thread.

    Raises:
        EdgeAssistantError: the engine failed.
        TurnCancelled: `token` was cancelled.
    """
    entry = candidate.entry
    stage = _STAGE_OF[entry.kind]
    config = as_in_a_turn(config, entry.engine, cores)
    plan = Plan(
        config=config,
        store=store,
        subjects=subjects(config, [stage], {stage: [entry.id]}, store),
        stages=frozenset([stage]),
        speech=Speech(clips=tuple(clips), repeats=ROUNDS),
        repeats=ROUNDS,
        seed=0,
    )
    rounds: list[Round] = []
    measure_rounds(plan, _while_there_is_time(), rounds, token)
    for failure in (each for round_ in rounds for each in round_.failures):
        raise NotMeasured(failure.code, failure.message, failure.hint)
    found: dict[str, list[float]] = {}
    for reading in (each for round_ in rounds for each in round_.readings):
        found.setdefault(reading.metric, []).append(reading.value)
    return {metric: statistics.median(values) for metric, values in found.items()}


def _while_there_is_time() -> Iterator[int]:
    """Indices of rounds; loading comes before the first of them and does not count."""
    yield 0
    began_s = time.perf_counter()
    for index in range(1, ROUNDS):
        if time.perf_counter() - began_s > ROUNDS_S:
            return
        yield index


def speed_of(
    engine: Engine, size: Size, model: str, read: Mapping[str, float], like: Speed
) -> Speed:
    """The rates of an engine from what was read of one of its models.

    Args:
        engine: whose.
        size: of that model.
        model: what to call it.
        read: as `readings` gives them.
        like: `estimated` of that engine.
    """
    if isinstance(size, LlmSize):
        return calibrated_llm(
            size,
            tokens_s=read["decode_rate"],
            prompt_tokens=round(read["prompt_tokens"]),
            prefill_tokens_s=read["prefill_rate"],
            model=model,
        )
    if engine in ("piper", "espeak", "espeak-program"):
        took = Cost(first_s=read["first_audio_s"], per_speech_s=read["rtf"])
    else:
        took = Cost(first_s=read["rtf"] * UTTERANCE_S, per_speech_s=0.0)
    return calibrated(size, like, took, model=model)


def speeds(
    candidates: Sequence[Candidate],
    hardware: Hardware,
    config: Config,
    store: Store,
    cores: int,
    token: CancelToken,
    *,
    is_quick: bool = False,
    progress: Progress = lambda text: None,
    tell: Callable[[EdgeAssistantError], None] = lambda error: None,
) -> dict[Engine, Speed]:
    """The rates of every engine: measured where one of its models is installed, else estimated.

    Args:
        candidates: all models.
        hardware: what numpy reached.
        config: whose settings the engines get.
        store: where the files are.
        cores: that this process may use.
        token: cancels.
        is_quick: estimate all of them.
        progress: told what is measured.
        tell: told of an engine that failed, which is estimated then.

    Raises:
        TurnCancelled: `token` was cancelled.
    """
    chosen = {} if is_quick else to_measure(candidates)
    engines = {each.entry.engine for each in candidates if each.entry.kind in STAGES}
    found: dict[Engine, Speed] = {}
    for engine in sorted(engines):  # llamacpp before whispercpp, which is estimated like it
        like = found[engine] = estimated(engine, hardware, found.get("llamacpp"))
        candidate = chosen.get(engine)
        if candidate is None or candidate.size is None:
            continue
        progress(f"measuring {engine} with {candidate.entry.id}")
        try:
            clips = utterances(config, store) if candidate.entry.kind == "stt" else ()
            read = readings(candidate, config, store, clips, cores, token)
        except EdgeAssistantError as error:
            tell(error)
            continue
        found[engine] = speed_of(engine, candidate.size, candidate.entry.id, read, like)
    return found
