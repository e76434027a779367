"""Builds the engine of a candidate, bare: no cache, no fallback, no kept state."""

from __future__ import annotations

import importlib
from typing import Any, Final

from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.llm.settings import Settings as LlmSettings
from edge_assistant.store.entry import Engine
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.protocol import Voice
from edge_assistant_quantize.compare.messages import Candidate

LIBRARIES: Final[dict[Engine, tuple[str, ...]]] = {
    "llamacpp": ("llama_cpp",),
    "whispercpp": ("pywhispercpp.model",),
    "moonshine": ("onnxruntime",),
    "piper": ("onnxruntime", "piper"),
    "espeak": ("espeakng_loader",),
}


def import_library(engine: Engine) -> None:
    """Import what the engine runs on, so that its time and memory are not the model's."""
    for name in LIBRARIES.get(engine, ()):
        importlib.import_module(name)


def language_model(candidate: Candidate, threads: int, **settings: Any) -> LanguageModel:
    """A GGUF with the assistant's settings and these.

    Raises:
        ModelError: llama.cpp cannot load it.
    """
    from edge_assistant.llm.llamacpp import LlamaCpp

    chosen = LlmSettings(num_threads=threads, num_threads_batch=threads, **settings)
    return LlamaCpp(candidate.file(""), template=candidate.template, settings=chosen)


def recognizer(candidate: Candidate, threads: int) -> Recognizer:
    """A Whisper or a Moonshine.

    Raises:
        ModelError: its library cannot load it.
    """
    if candidate.engine == "moonshine":
        from edge_assistant.stt.moonshine import MoonshineRecognizer

        return MoonshineRecognizer(
            encoder=candidate.file("encoder_model.ort"),
            decoder=candidate.file("decoder_model_merged.ort"),
            tokenizer=candidate.file("tokenizer.bin"),
            num_threads=threads or 1,
        )
    from edge_assistant.stt.whispercpp import WhisperCppRecognizer

    return WhisperCppRecognizer(candidate.file(""), num_threads=threads)


def voice(candidate: Candidate, threads: int) -> Voice:
    """A Piper voice or one of espeak.

    Raises:
        ModelError: its library cannot load it.
    """
    if candidate.engine == "espeak":
        from edge_assistant.tts.espeak import EspeakVoice

        return EspeakVoice(candidate.voice)
    from edge_assistant.tts.piper import PiperTts

    return PiperTts(candidate.file(".onnx"), candidate.file(".json"), num_threads=threads or 1)
