"""Which engines are measured, and how each is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from edge_assistant.config import Config
from edge_assistant.engine_bench.detectors import TurnProbe, VadProbe
from edge_assistant.engine_bench.llm import REPLY_TOKENS, LlmProbe
from edge_assistant.engine_bench.probe import Probe
from edge_assistant.engine_bench.readings import Stage
from edge_assistant.engine_bench.speech import Speech
from edge_assistant.engine_bench.stt import SttProbe
from edge_assistant.engine_bench.tts import TtsProbe
from edge_assistant.errors import ModelError, ModelNotFound
from edge_assistant.pipeline.engines import (
    build_llm,
    build_recognizer,
    build_turn_detector,
    build_vad,
    build_voice,
)
from edge_assistant.store.entry import Kind
from edge_assistant.store.store import Store

VADS: Final = ("webrtc", "silero")
NO_TURN_DETECTOR: Final = "none"

_CAN_ABORT: Final[tuple[Stage, ...]] = ("stt", "llm", "tts", "turn")
_KINDS: Final[dict[Stage, Kind]] = {
    "stt": "stt",
    "llm": "llm",
    "tts": "tts",
    "turn": "turn_detector",
}


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One engine to be measured."""

    stage: Stage
    target: str
    """Id of a model, path of a file, or name of a detector."""
    name: str
    """What the report calls it: the target, with a number where it comes twice."""
    engine: str = ""
    """What runs it; empty where the store does not say."""


def subjects(
    config: Config,
    stages: Collection[Stage],
    asked: Mapping[Stage, Sequence[str]],
    store: Store,
) -> tuple[Subject, ...]:
    """The engines that these stages need: those asked for, else those of the configuration.

    Raises:
        ModelNotFound: a model is unknown or not installed. Any other fault waits for its turn.
    """
    targets: dict[Stage, Sequence[str]] = {
        "stt": asked.get("stt") or (config.stt.model,),
        "llm": asked.get("llm") or (config.llm.model,),
        "tts": asked.get("tts") or (config.tts.voice,),
        "vad": VADS,
        "turn": ()
        if config.turn_detector.model == NO_TURN_DETECTOR
        else (config.turn_detector.model,),
    }
    found = []
    for stage, names in targets.items():
        if stage not in stages and not ("abort" in stages and stage in _CAN_ABORT):
            continue
        seen: Counter[str] = Counter()
        for target in names:
            seen[target] += 1
            name = target if seen[target] == 1 else f"{target} ({seen[target]})"
            engine = _engine(stage, target, store)
            found.append(Subject(stage=stage, target=target, name=name, engine=engine))
    return tuple(found)


def build(subject: Subject, config: Config, store: Store, speech: Speech) -> Probe:
    """Load an engine, bare: a voice without its cache and its fallback, a reply cut short.

    Raises:
        ModelError: its files are missing or wrong.
    """
    match subject.stage:
        case "stt":
            chosen = config.with_overrides({"stt.model": subject.target})
            return SttProbe(build_recognizer(chosen, store), speech)
        case "llm":
            chosen = config.with_overrides(
                {
                    "llm.model": subject.target,
                    "llm.max_tokens": REPLY_TOKENS,
                    "llm.wrap_up_tokens": REPLY_TOKENS,
                }
            )
            return LlmProbe(build_llm(chosen, store), config.llm.system_prompt)
        case "tts":
            chosen = config.with_overrides(
                {"tts.voice": subject.target, "tts.cache_bytes": 0, "tts.fallback": False}
            )
            return TtsProbe(build_voice(chosen, store))
        case "vad":
            chosen = config.with_overrides({"vad.engine": subject.target})
            return VadProbe(build_vad(chosen, store), speech)
        case _:
            chosen = config.with_overrides({"turn_detector.model": subject.target})
            detector = build_turn_detector(chosen, store)
            assert detector is not None
            return TurnProbe(detector, speech)


def settings(config: Config) -> dict[str, Any]:
    """The tables of the configuration that change what engines cost."""
    whole = msgspec.to_builtins(config)
    return {table: whole[table] for table in ("stt", "llm", "tts", "vad", "turn_detector")}


def _engine(stage: Stage, target: str, store: Store) -> str:
    if stage == "vad":
        return target
    try:
        return store.open(target, kind=_KINDS[stage]).entry.engine
    except ModelNotFound:
        raise
    except ModelError:
        return ""  # its row will say why
