"""The C library of espeak-ng, loaded once for the whole process.

espeak-ng keeps its voice, its rate and its text in global variables, so one lock guards every call.
It is found in the `espeakng-loader` package, or else installed by the system (`libespeak-ng1`).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import difflib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelIncompatible, ModelNotFound, SynthesisError
from edge_assistant.tts.short_path import short_path

# Constants and structures of espeak-ng/speak_lib.h, API revision 12 (espeak-ng 1.50 to 1.52).
_OUTPUT_SYNCHRONOUS: Final = 2
_INITIALIZE_DONT_EXIT: Final = 0x8000
_CHARS_UTF8: Final = 1
_PARAMETERS: Final = {"rate": 1, "volume": 2, "pitch": 3, "range": 4, "wordgap": 7}

EVENT_END_OF_LIST: Final = 0
EVENT_WORD: Final = 1
EVENT_SENTENCE: Final = 2

_HINT_INSTALL: Final = "pip install espeakng-loader, or on Debian: sudo apt install libespeak-ng1"


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _VoiceRecord(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_SYNTH_CALLBACK: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)

_SYNTH_ARGUMENTS: Final = (
    ctypes.c_char_p,  # text
    ctypes.c_size_t,  # its bytes, with the zero
    ctypes.c_uint,  # position to start at
    ctypes.c_int,  # type of that position
    ctypes.c_uint,  # position to end at
    ctypes.c_uint,  # flags
    ctypes.c_void_p,  # unique identifier, out
    ctypes.c_void_p,  # user data
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EspeakEvent:
    """A word or sentence that begins."""

    type: int
    """EVENT_WORD or EVENT_SENTENCE."""
    start_char: int
    """Offset in the text (espeak counts Unicode characters from 1; this counts from 0)."""
    length: int
    """Characters of the word as espeak sees it; 0 for a sentence."""
    frame: int
    """Frames from the start of the audio of this call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EspeakVoiceInfo:
    """One voice that espeak-ng can speak with."""

    identifier: str
    """What espeak-ng loads, e.g. `gmw/en-US`."""
    name: str
    languages: tuple[tuple[str, int], ...]
    """(language tag, priority), lower is better."""


class EspeakLibrary:
    """The bound functions; `espeak_library()` gives the one instance. Hold `lock` around calls."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._lib, data_path = _load()
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        self._lib.espeak_Synth.argtypes = _SYNTH_ARGUMENTS
        path = None if data_path is None else str(data_path).encode()
        rate = self._lib.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, path, _INITIALIZE_DONT_EXIT)
        if rate <= 0:
            raise ModelIncompatible(
                "espeak-data-unusable",
                f"espeak-ng cannot read its data in {data_path or 'the system folder'}",
                _HINT_INSTALL,
            )
        self.sample_rate = int(rate)
        self._callback = _SYNTH_CALLBACK(self._on_audio)
        self._lib.espeak_SetSynthCallback(self._callback)
        self._voice = ""
        self._blocks: list[NDArray[np.int16]] = []
        self._events: list[EspeakEvent] = []
        self._is_cancelled: Callable[[], bool] = _never
        self._failure: BaseException | None = None
        self._voices = tuple(self._list_voices())

    @property
    def voices(self) -> tuple[EspeakVoiceInfo, ...]:
        """Every voice of the data folder (read once)."""
        return self._voices

    def resolve(self, name: str) -> str:
        """The identifier that espeak-ng loads for an identifier, a language tag or a voice name.

        espeak_SetVoiceByName knows files and names only: 1.52 refuses "en-gb" and "fr-fr", because
        those are languages of the voices gmw/en and roa/fr. So the list of voices decides. A
        variant ("en-us+f3") is kept.

        Raises:
            ModelNotFound: no voice answers to that name.
        """
        wanted, plus, variant = name.strip().lower().replace("_", "-").partition("+")
        found: list[tuple[int, str]] = []
        for voice in self._voices:
            identifier = voice.identifier.lower()
            if wanted in (identifier, identifier.rpartition("/")[2], voice.name.lower()):
                found.append((0, voice.identifier))
            found += [(rank, voice.identifier) for tag, rank in voice.languages if tag == wanted]
        if found:
            return min(found)[1] + plus + variant
        tags = sorted({tag for voice in self._voices for tag, _ in voice.languages})
        close = difflib.get_close_matches(wanted, tags, n=3)
        raise ModelNotFound(
            "voice-not-found",
            f"espeak-ng has no voice {name!r}",
            f"did you mean {', '.join(close)}?" if close else "use a language tag: en-us, de, fr",
        )

    def synthesize(
        self,
        text: str,
        identifier: str,
        parameters: dict[str, int],
        is_cancelled: Callable[[], bool],
    ) -> tuple[NDArray[np.int16], list[EspeakEvent]]:
        """Audio and events of `text` (a `harmless` one), on the calling thread; hold `lock`.

        Audio: int16, (frames,), at `sample_rate`. Cancel: `is_cancelled` is asked every 60 ms of
        audio (well below 1 ms of work); what was made so far is returned.

        Raises:
            SynthesisError: the library refused the text, or the callback failed.
        """
        if not self.select(identifier):
            raise SynthesisError("espeak-failed", f"espeak-ng cannot load its voice {identifier}")
        for name, value in parameters.items():
            self._lib.espeak_SetParameter(_PARAMETERS[name], value, 0)
        self._blocks, self._events, self._failure = [], [], None
        self._is_cancelled = is_cancelled
        data = text.encode()
        try:
            status = self._lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        finally:
            self._is_cancelled = _never
        blocks, self._blocks = self._blocks, []
        if self._failure is not None or status != 0:
            raise SynthesisError(
                "espeak-failed", f"espeak-ng could not speak the text (status {status})"
            ) from self._failure
        audio = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int16)
        return audio, self._events

    def select(self, identifier: str) -> bool:
        """Make that voice the library's voice (0.1 ms if it was another); hold `lock`."""
        if identifier != self._voice:
            loaded = self._lib.espeak_SetVoiceByName(identifier.encode()) == 0
            self._voice = identifier if loaded else ""
        return self._voice == identifier

    def _on_audio(self, wave: Any, num_frames: int, events: Any) -> int:
        """Called by C on the thread inside espeak_Synth; 1 stops the synthesis."""
        try:
            if wave and num_frames > 0:
                self._blocks.append(np.ctypeslib.as_array(wave, shape=(num_frames,)).copy())
            index = 0
            while events[index].type != EVENT_END_OF_LIST:
                event = events[index]
                if event.type in (EVENT_WORD, EVENT_SENTENCE):
                    self._events.append(
                        EspeakEvent(
                            type=event.type,
                            start_char=event.text_position - 1,
                            length=event.length,
                            frame=event.sample,
                        )
                    )
                index += 1
            return 1 if self._is_cancelled() else 0
        # A true border: ctypes would print the exception and go on with a made-up return value.
        except BaseException as error:
            self._failure = error
            return 1

    def _list_voices(self) -> Iterator[EspeakVoiceInfo]:
        records = self._lib.espeak_ListVoices(None)
        index = 0
        while records[index]:
            record = records[index].contents
            yield EspeakVoiceInfo(
                identifier=record.identifier.decode(),
                name=record.name.decode(),
                languages=tuple(_languages(record.languages)),
            )
            index += 1


def _languages(address: int) -> Iterator[tuple[str, int]]:
    """Decode (priority byte, zero-terminated tag) pairs, ended by a zero byte."""
    while rank := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield tag.decode().lower(), rank
        address += 2 + len(tag)


def _never() -> bool:
    return False


def _load() -> tuple[ctypes.CDLL, Path | None]:
    """The library, and its data folder (None: the library knows)."""
    try:
        import espeakng_loader

        data_path = short_path(Path(espeakng_loader.get_data_path()))
        return ctypes.CDLL(espeakng_loader.get_library_path()), data_path
    except (ImportError, OSError, RuntimeError) as error:
        bundled_error = error
    system = ctypes.util.find_library("espeak-ng")
    if system is not None:
        try:
            return ctypes.CDLL(system), None
        except OSError as error:
            bundled_error = error
    raise ModelNotFound(
        "espeak-not-installed", f"no espeak-ng library: {bundled_error}", _HINT_INSTALL
    ) from bundled_error


_INSTANCE_LOCK: Final = threading.Lock()
_instance: EspeakLibrary | None = None


def espeak_library() -> EspeakLibrary:
    """The one library of this process, initialised at the first call.

    Raises:
        ModelNotFound: neither the package nor the system has espeak-ng.
        ModelIncompatible: its data cannot be read.
    """
    global _instance
    with _INSTANCE_LOCK:
        if _instance is None:
            _instance = EspeakLibrary()
        return _instance
