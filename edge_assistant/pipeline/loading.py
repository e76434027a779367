"""Loads all engines of a configuration, side by side, and lets each work once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.config import Config
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.pipeline import engines as build
from edge_assistant.pipeline import warm
from edge_assistant.store.store import Store
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.protocol import Voice
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.vad.protocol import VoiceActivityDetector

_LOGGER: Final = logging.getLogger(__name__)

WARM_UP_S: Final = 1.5
"""How long the warm-up may go on once everything is loaded. Of a system prompt that takes longer,
the rest is evaluated while the assistant listens already."""

E = TypeVar("E")

Exercise = Callable[[CancelToken], None]
"""Lets one engine work once; the token breaks it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """Everything that infers."""

    vad: VoiceActivityDetector
    onset_vad: VoiceActivityDetector
    turn_detector: TurnDetector | None
    recognizer: Recognizer
    llm: LanguageModel
    voice: Voice
    language: str = "en"
    """Of the voice, for numbers and units."""

    def close(self) -> None:
        """Give the memory of all of them back."""
        for engine in (self.turn_detector, self.recognizer, self.llm, self.voice):
            if engine is not None:
                engine.close()


def load_engines(
    config: Config,
    store: Store,
    on_fallback: Callable[[EdgeAssistantError], None],
    token: CancelToken | None = None,
) -> Engines:
    """Build every engine and let it work once; hashing, loading and inference release the GIL, so
    two cores share the work.

    An engine is warmed up as soon as it is there, while others are still being loaded. A warm-up
    that fails stops nothing: the engine will say so when it is needed.

    Args:
        config: what to load.
        store: where the files are.
        on_fallback: as for `build_voice`; called on a thread of its own here.
        token: cancels the warm-up; the engines are loaded all the same.

    Raises:
        EdgeAssistantError: of the first engine that cannot be had; those that could are closed.
    """
    token = token or CancelToken()
    prompt, language = config.llm.system_prompt, build.voice_language(config, store)
    with ThreadPoolExecutor(max_workers=10, thread_name_prefix="load") as pool:
        llm = pool.submit(build.build_llm, config, store)
        recognizer = pool.submit(build.build_recognizer, config, store)
        voice = pool.submit(build.build_voice, config, store, on_fallback)
        detector = pool.submit(build.build_turn_detector, config, store)
        vad = pool.submit(build.build_vad, config, store)
        warmed = {
            "llm": pool.submit(_then, llm, lambda it: warm.warm_llm(it, prompt, token)),
            "stt": pool.submit(_then, recognizer, lambda it: warm.warm_recognizer(it, token)),
            "tts": pool.submit(_then, voice, lambda it: warm.warm_voice(it, language, token)),
            "judge": pool.submit(_then, detector, lambda it: warm.warm_turn_detector(it, token)),
            "vad": pool.submit(_then, vad, lambda it: warm.warm_vad(it, token)),
        }
        loaded: tuple[Future[Any], ...] = (llm, recognizer, voice, detector, vad)
        wait(loaded, return_when=FIRST_EXCEPTION)
        if any(part.done() and part.exception() is not None for part in loaded):
            token.cancel("an engine cannot be had")
        wait(warmed.values(), WARM_UP_S)
        token.cancel("long enough")
    failure = next((error for part in loaded if (error := part.exception()) is not None), None)
    if failure is not None:
        _close(llm, recognizer, voice, detector)
        raise failure
    _tell_cold(warmed)
    return Engines(
        vad=vad.result(),
        onset_vad=build.build_onset_vad(config),
        turn_detector=detector.result(),
        recognizer=recognizer.result(),
        llm=llm.result(),
        voice=voice.result(),
        language=language,
    )


def warm_up(exercises: Mapping[str, Exercise]) -> None:
    """Let engines that are loaded already work once, side by side, for `WARM_UP_S` at the most.

    A failure stops nothing, as in `load_engines`.

    Args:
        exercises: by the name of the engine.
    """
    if not exercises:
        return
    token = CancelToken()
    with ThreadPoolExecutor(len(exercises), thread_name_prefix="load") as pool:
        warmed = {name: pool.submit(each, token) for name, each in exercises.items()}
        wait(warmed.values(), WARM_UP_S)
        token.cancel("long enough")
    _tell_cold(warmed)


def _tell_cold(warmed: Mapping[str, Future[None]]) -> None:
    for name, part in warmed.items():
        if (error := part.exception()) is not None and not isinstance(error, TurnCancelled):
            _LOGGER.debug("%s could not be warmed up", name, exc_info=error)


def _then(loading: Future[E | None] | Future[E], exercise: Callable[[E], None]) -> None:
    """Wait for an engine and let it work; nothing where there is none."""
    if loading.exception() is None and (engine := loading.result()) is not None:
        exercise(engine)


def _close(
    *parts: Future[LanguageModel]
    | Future[Recognizer]
    | Future[Voice]
    | Future[TurnDetector | None],
) -> None:
    for part in parts:
        if part.exception() is None and (engine := part.result()) is not None:
            engine.close()
