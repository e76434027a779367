"""The configuration to fall back to when the own one keeps crashing."""

from __future__ import annotations

from msgspec import structs

from edge_assistant.config import Config
from edge_assistant.errors import ModelError
from edge_assistant.llm.settings import Settings as LlmSettings
from edge_assistant.store.entry import Kind
from edge_assistant.store.store import Store
from edge_assistant.stt.settings import Settings as SttSettings
from edge_assistant.tts.settings import Settings as TtsSettings
from edge_assistant.turn_detector.settings import Settings as TurnDetectorSettings
from edge_assistant.vad.settings import Settings as VadSettings


def safe(config: Config, store: Store) -> Config:
    """`config` with the starter pack's small models in the place of its own, and no GPU.

    What infers is what crashes or runs out of memory, so all of that is changed. What makes the
    assistant this one is kept: devices, echo, system prompt, rules of the floor and what opens its
    ear; a kiosk that a phrase wakes must not begin to answer everybody.

    A model that is not installed is not chosen: a bundle may have left it out. Neither is an
    English one where another language is spoken.

    Args:
        config: which keeps crashing.
        store: tells what is installed; files are checked, which reads them.
    """
    stt, llm, tts = SttSettings(), LlmSettings(), TtsSettings()
    small = structs.replace(llm, system_prompt=config.llm.system_prompt)
    if not _is_there(store, llm.model, "llm"):
        n_ctx = min(config.llm.n_ctx, llm.n_ctx)
        small = structs.replace(config.llm, gpu_layers=0, n_ctx=n_ctx)
    hears_english = config.stt.language == "en" and _is_there(store, stt.model, "stt")
    speaks_english = _speaks_english(config, store) and _is_there(store, tts.voice, "tts")
    judge = TurnDetectorSettings()
    if not _is_there(store, judge.model, "turn_detector"):
        judge = TurnDetectorSettings(model="none")
    return structs.replace(
        config,
        vad=VadSettings(
            onset_aggressiveness=config.vad.onset_aggressiveness,
            speech_threshold=config.vad.speech_threshold,
            silence_threshold=config.vad.silence_threshold,
            engine="silero" if _is_there(store, "silero-vad", "vad") else "webrtc",
        ),
        stt=stt if hears_english else config.stt,
        turn_detector=judge,
        llm=small,
        tts=tts if speaks_english else config.tts,
    )


def _is_there(store: Store, model_id: str, kind: Kind) -> bool:
    try:
        store.open(model_id, kind=kind)
    except ModelError:
        return False
    return True


def _speaks_english(config: Config, store: Store) -> bool:
    try:
        languages = store.entry(config.tts.voice).languages
    except ModelError:  # a file of the user's own, or one that is gone: its language is not known
        return config.stt.language == "en"
    return not languages or languages[0].partition("-")[0] == "en"
