"""Builds the engines that a configuration names, from files that the store has checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge_assistant.config import Config
from edge_assistant.errors import EdgeAssistantError, ModelIncompatible
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.store.entry import InstalledModel, Kind
from edge_assistant.store.store import Store
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.protocol import Voice
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.vad.protocol import VoiceActivityDetector

DEFAULT_ACCENTS: Final = {"en": "en-us", "fr": "fr-fr"}
"""espeak's name for a language that has several of its voices."""

OnFallback = Callable[[EdgeAssistantError], None]


def build_vad(config: Config, store: Store) -> VoiceActivityDetector:
    """The detector that decides about speech.

    Raises:
        ModelError: its file is missing or wrong.
    """
    if config.vad.engine == "webrtc":
        return build_onset_vad(config)
    from edge_assistant.vad.silero import SileroVad

    return SileroVad(store.open("silero-vad", kind="vad").path)


def build_onset_vad(config: Config) -> VoiceActivityDetector:
    """The fast detector, for the duck; needs no file."""
    from edge_assistant.vad.webrtc import WebrtcVad

    return WebrtcVad(config.vad.onset_aggressiveness)


def build_turn_detector(config: Config, store: Store) -> TurnDetector | None:
    """None where the configuration says `none`.

    Raises:
        ModelError: its file is missing or wrong.
    """
    if config.turn_detector.model == "none":
        return None
    from edge_assistant.turn_detector.smart_turn import SmartTurn

    return SmartTurn(store.open(config.turn_detector.model, kind="turn_detector").path)


def build_recognizer(config: Config, store: Store) -> Recognizer:
    """The recogniser of `stt.model`, an id or a path.

    Raises:
        ModelError: its files are missing or wrong.
    """
    model = _open(store, config.stt.model, "stt")
    if model.entry.engine == "moonshine":
        from edge_assistant.stt.moonshine import MoonshineRecognizer

        return MoonshineRecognizer(
            encoder=model.paths["encoder_model.ort"],
            decoder=model.paths["decoder_model_merged.ort"],
            tokenizer=model.paths["tokenizer.bin"],
            num_threads=config.stt.num_threads or 1,
        )
    if model.entry.engine == "whispercpp":
        from edge_assistant.stt.whispercpp import WhisperCppRecognizer

        return WhisperCppRecognizer(
            model.path, num_threads=config.stt.num_threads, language=config.stt.language
        )
    raise _unfit(model, "recognise speech", "stt")


def build_llm(config: Config, store: Store) -> LanguageModel:
    """The language model of `llm.model`, an id or a path.

    Raises:
        ModelError: its file is missing or wrong.
    """
    model = _open(store, config.llm.model, "llm")
    if model.entry.engine != "llamacpp":
        raise _unfit(model, "answer", "llm")
    from edge_assistant.llm.llamacpp import LlamaCpp
    from edge_assistant.llm.state_file import StateFolder, default_folder

    template = config.llm.template or model.entry.template
    states = StateFolder(default_folder())
    return LlamaCpp(model.path, template=template, settings=config.llm, states=states)


def build_voice(
    config: Config, store: Store, on_fallback: OnFallback = lambda error: None
) -> Voice:
    """The voice of `tts.voice`, with its cache, and espeak behind a neural one.

    Args:
        config: of the assistant.
        store: where the voice's files are.
        on_fallback: told each time that espeak has to speak instead; called on the `tts` thread.

    Raises:
        ModelError: its files are missing or wrong.
    """
    from edge_assistant.tts.cache import CachedVoice

    model = _open(store, config.tts.voice, "tts")
    voice: Voice
    if model.entry.engine == "espeak":
        voice = _espeak(config, model.entry.languages[0])
    elif model.entry.engine == "espeak-program":
        voice = _espeak_program(config, model)
    elif model.entry.engine == "piper":
        voice = _piper(config, model)
    else:
        raise _unfit(model, "speak", "tts")
    if config.tts.cache_bytes:
        voice = CachedVoice(voice, config.tts.cache_bytes)
    # The program is also what speaks where no GPL library may be: none stands behind it.
    if model.entry.engine in ("espeak", "espeak-program") or not config.tts.fallback:
        return voice
    from edge_assistant.tts.fallback import FallbackVoice

    # Outside the cache, so that a phrase that espeak had to speak is not kept as the voice's own.
    return FallbackVoice(voice, _espeak(config, model.entry.languages[0]), on_fallback)


def voice_language(config: Config, store: Store) -> str:
    """Language of the configured voice, for `tts.normalise`; English where it is not known."""
    languages = store.entry(config.tts.voice).languages
    return languages[0].partition("-")[0] if languages else "en"


def _espeak(config: Config, language: str) -> Voice:
    from edge_assistant.tts.espeak import EspeakVoice

    return EspeakVoice(
        DEFAULT_ACCENTS.get(language, language),
        words_per_minute=config.tts.words_per_minute,
        pitch=config.tts.pitch,
    )


def _espeak_program(config: Config, model: InstalledModel) -> Voice:
    from edge_assistant.store.programs import PREFIX
    from edge_assistant.tts.espeak_program import EspeakProgramVoice

    return EspeakProgramVoice(
        model.entry.id.removeprefix(PREFIX),
        words_per_minute=config.tts.words_per_minute,
        pitch=config.tts.pitch,
    )


def _piper(config: Config, model: InstalledModel) -> Voice:
    from edge_assistant.tts.piper import PiperTts

    by_suffix = {path.suffix: path for path in model.paths.values()}
    return PiperTts(
        by_suffix[".onnx"],
        by_suffix[".json"],
        num_threads=config.tts.num_threads,
        rate=config.tts.rate,
        speaker=config.tts.speaker,
    )


def _open(store: Store, target: str, kind: Kind) -> InstalledModel:
    path = Path(target).expanduser()
    return store.open(path.absolute() if path.is_file() else target, kind=kind)


def _unfit(model: InstalledModel, purpose: str, kind: str) -> ModelIncompatible:
    return ModelIncompatible(
        "model-wrong-kind",
        f"{model.entry.id} ({model.entry.engine}) cannot {purpose}.",
        f"choose one of: edge-assistant models list --kind {kind}",
    )
