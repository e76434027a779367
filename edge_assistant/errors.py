"""Every error that a user can meet, drawn as the tree it is.

    EdgeAssistantError            code (stable, kebab-case), message (the cause), hint (what next)
    +-- ConfigError               the configuration file, an environment override, a flag
    +-- ModelError                files of the store
    |   +-- ModelNotFound         not installed, or no such id
    |   +-- ModelCorrupt          hash, size or header is wrong; native code has not seen the file
    |   +-- ModelIncompatible     a sound file that this engine or machine cannot use
    |   +-- DownloadError         the network, the disk or the host
    +-- AudioError
    |   +-- DeviceNotFound        no PortAudio, no such device, no permission
    |   +-- DeviceLost            a stream died while open
    |   +-- AudioFormatError      a file or block whose rate, dtype or shape cannot be used
    +-- EngineError               one inference failed; the engine object stays usable
    |   +-- DetectionError        vad, turn_detector
    |   +-- TranscriptionError    stt
    |   +-- GenerationError       llm
    |   +-- SynthesisError        tts
    +-- PipelineError             channels, threads, shutdown

`cancel.TurnCancelled` is control flow, a BaseException, and not part of this tree.
Mistakes of a programmer stay ValueError and TypeError.
"""

from __future__ import annotations


class EdgeAssistantError(Exception):
    """An error with a cause and a way out.

    Args:
        code: stable kebab-case name; scripts and translations rely on it.
        message: what happened, in one sentence, with the offending name or value in it.
        hint: the next thing to type or do. Empty only if there is nothing to do.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        tail = f" ({self.hint})" if self.hint else ""
        return f"{self.message}{tail} [{self.code}]"


class ConfigError(EdgeAssistantError):
    """A configuration that cannot be used."""


class ModelError(EdgeAssistantError):
    """A model file or catalog entry that cannot be used."""


class ModelNotFound(ModelError):
    """No such id, or its files are not installed."""


class ModelCorrupt(ModelError):
    """The bytes are not what they should be; native code has not seen them."""


class ModelIncompatible(ModelError):
    """A sound file that this engine, build or machine cannot run."""


class DownloadError(ModelError):
    """A file could not be fetched; nothing was put under its final name."""


class AudioError(EdgeAssistantError):
    """Sound cards and sound files."""


class DeviceNotFound(AudioError):
    """PortAudio, the device or the permission to use it is missing."""


class DeviceLost(AudioError):
    """A stream that was open delivers no more blocks."""


class AudioFormatError(AudioError):
    """Rate, dtype, shape or container cannot be used."""


class EngineError(EdgeAssistantError):
    """One inference failed. The turn fails; the loop goes on."""


class DetectionError(EngineError):
    """VAD or turn detector."""


class TranscriptionError(EngineError):
    """Speech to text."""


class GenerationError(EngineError):
    """Language model."""


class SynthesisError(EngineError):
    """Text to speech."""


class PipelineError(EdgeAssistantError):
    """A channel, a thread or the shutdown."""
