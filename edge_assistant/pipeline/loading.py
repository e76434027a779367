"""Loads all engines of a configuration, side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from edge_assistant.config import Config
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.pipeline import engines as build
from edge_assistant.store.store import Store
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.protocol import Voice
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.vad.protocol import VoiceActivityDetector


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
    config: Config, store: Store, on_fallback: Callable[[EdgeAssistantError], None]
) -> Engines:
    """Build every engine; hashing and loading release the GIL, so two cores share the work.

    Raises:
        EdgeAssistantError: of the first engine that cannot be had; those that could are closed.
    """
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="load") as pool:
        llm = pool.submit(build.build_llm, config, store)
        recognizer = pool.submit(build.build_recognizer, config, store)
        voice = pool.submit(build.build_voice, config, store, on_fallback)
        detector = pool.submit(build.build_turn_detector, config, store)
        vad = pool.submit(build.build_vad, config, store)
    parts: list[Future[LanguageModel] | Future[Recognizer] | Future[Voice]] = [
        llm,
        recognizer,
        voice,
    ]
    failure = next(
        (error for part in (*parts, detector, vad) if (error := part.exception()) is not None),
        None,
    )
    if failure is not None:
        for part in (*parts, detector):
            if part.exception() is None and (engine := part.result()) is not None:
                engine.close()
        raise failure
    return Engines(
        vad=vad.result(),
        onset_vad=build.build_onset_vad(config),
        turn_detector=detector.result(),
        recognizer=recognizer.result(),
        llm=llm.result(),
        voice=voice.result(),
        language=build.voice_language(config, store),
    )
