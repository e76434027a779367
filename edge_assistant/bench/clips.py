"""Speech to examine with: recordings that the user points at, or speech made by a voice.

The two are two pools with two names, and nothing here or later mixes their figures.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np

from edge_assistant.audio.files import read_sound
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.audio.level import gain_of_db
from edge_assistant.bench.sounds import faded
from edge_assistant.bench.trial import Source
from edge_assistant.bench.truth import find_speech
from edge_assistant.errors import AudioError, ConfigError

ACTIVE_DBFS: Final = -26.0
"""Active level that every clip of speech is brought to; -26 dB below overload is what speech levels
are set to in the ITU-T P.800 series."""

MARGIN_MS: Final = 180
"""What is kept before the onset and after the end of a clip; less than the shortest pause, so that
no stray sound beyond it is kept."""

BARE_KINDS: Final = frozenset({"noise", "music", "rir"})
"""Kinds that hold no speech to be found: no ends are sought, no margins cut."""

COMMAND: Final = ("edge-assistant", "say", "{text}", "-o", "{file}")
"""What makes the speech unless the user names another program."""

VARIANTS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("--set", "tts.rate=0.9", "--set", "tts.pitch=35"),
    ("--set", "tts.rate=1.15", "--set", "tts.pitch=65"),
)
"""Further arguments for the default command: three speakers out of one voice."""

VOICE_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One piece of sound, ready to be played."""

    name: str
    """Unique in its pool; what the report calls it."""
    sound: Samples
    """Float32, (frames,), 16000 Hz; speech at `ACTIVE_DBFS`, anything else as it was recorded."""
    text: str
    """What is said; empty where it is not known."""
    speaker: str
    """Empty where it is not known."""
    kind: str
    """What the manifest, or the list of texts, calls it."""
    source: Source
    speech_frames: tuple[tuple[int, int], ...] = ()
    """(onset, end) of each stretch of speech."""
    is_clear: bool = False
    """Its end can be told from the recording's noise (`truth.Speech.is_clear`)."""

    @property
    def speech_s(self) -> float:
        """Seconds from the first onset to the last end."""
        if not self.speech_frames:
            return 0.0
        return (self.speech_frames[-1][1] - self.speech_frames[0][0]) / SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """All clips of one source."""

    source: Source
    clips: tuple[Clip, ...]
    """In a fixed order: the seed chooses from it."""
    openers: tuple[Clip, ...] = ()
    """Made questions that call for a long answer. They only set the stage, so they serve both pools
    and may be synthetic in a real one."""

    def of(self, *kinds: str) -> tuple[Clip, ...]:
        """Clips of these kinds."""
        return tuple(clip for clip in self.clips if clip.kind in kinds)


_Row = TypeVar("_Row")


class Row(msgspec.Struct, frozen=True):
    """A line of `manifest.jsonl`; other fields are welcome and ignored."""

    file: str
    kind: str
    text: str | None = None
    speaker: str | None = None


class ListenerRow(msgspec.Struct, frozen=True):
    """A line of `backchannels.jsonl`."""

    file: str
    channel: int
    start_s: float
    end_s: float
    text: str = ""


def make_clip(
    sound: Samples, *, name: str, kind: str, source: Source, text: str = "", speaker: str = ""
) -> Clip:
    """Find the speech in `sound`, cut to it with its margins, and set its level.

    Noise, music and impulse responses stay as they are. A clip in which no speech is found comes
    back whole, with no `speech_frames`.
    """
    bare = Clip(name=name, sound=sound, text=text, speaker=speaker, kind=kind, source=source)
    speech = find_speech(sound) if kind not in BARE_KINDS else None
    if speech is None or not speech.frames:
        return bare
    margin = frames_of_ms(MARGIN_MS)
    first = max(0, speech.onset_frames - margin)
    last = min(len(sound) // BLOCK_FRAMES * BLOCK_FRAMES, speech.end_frames + margin)
    gain = gain_of_db(ACTIVE_DBFS - speech.active_dbfs)
    peak = float(np.abs(sound[first:last]).max())
    cut = sound[first:last] * np.float32(min(gain, 0.99 / peak))
    return replace(
        bare,
        sound=faded(
            cut,
            begin=speech.onset_frames - first >= BLOCK_FRAMES,
            end=last - speech.end_frames >= BLOCK_FRAMES,
        ),
        speech_frames=tuple((a - first, b - first) for a, b in speech.frames),
        is_clear=speech.is_clear,
    )


def load_manifest(path: Path, openers: Sequence[Clip] = ()) -> Pool:
    """Read every sound that a manifest names, and the listener responses beside it.

    Args:
        path: the folder that holds `manifest.jsonl`, or a manifest of any name: part of the lines
            gives part of the speakers. Files are named from its folder, or by their whole path.
        openers: see `Pool`.

    Raises:
        ConfigError: there is no manifest, a line of it cannot be read, or names a file that is not
            there.
        AudioFormatError: a file that it names cannot be read.
    """
    file = path / "manifest.jsonl" if path.is_dir() else path
    rows = _rows(file, Row)
    for row in rows:
        if not (file.parent / row.file).is_file():
            raise ConfigError(
                "manifest-file-missing",
                f"{file} names {row.file}, and there is no {file.parent / row.file}",
                "name files from the folder of the manifest, or by their whole path",
            )
    clips = [
        make_clip(
            read_sound(file.parent / row.file),
            name=row.file,
            kind=row.kind,
            source="real",
            text=row.text or "",
            speaker=row.speaker or "",
        )
        for row in rows
    ]
    responses = file.parent / "backchannels.jsonl"
    if responses.is_file():
        # A manifest without a dialogue is one without its listeners.
        named = {file.parent / row.file for row in rows}
        clips += [
            _listener(file.parent, row)
            for row in _rows(responses, ListenerRow)
            if file.parent / row.file in named
        ]
    return Pool(source="real", clips=tuple(clips), openers=tuple(openers))


def _rows(file: Path, kind: type[_Row]) -> list[_Row]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            "manifest-missing", f"{file} cannot be read: {error}", "name a folder that holds it"
        ) from error
    rows: list[_Row] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(msgspec.json.decode(line, type=kind))
        except msgspec.MsgspecError as error:
            raise ConfigError(
                "manifest-line", f"{file}, line {number}: {error}", "mend or delete that line"
            ) from error
    return rows


def _listener(folder: Path, row: ListenerRow) -> Clip:
    """A listener's response cut out of a dialogue. `channel` is not needed while files are mono."""
    sound = read_sound(folder / row.file)
    first, last = round(row.start_s * SAMPLE_RATE), round(row.end_s * SAMPLE_RATE)
    return make_clip(
        sound[first:last],
        name=f"{row.file}@{row.start_s:g}",
        kind="backchannel",
        source="real",
        text=row.text,
        speaker=row.file,
    )


def make_speech(
    texts: Iterable[tuple[str, str]],
    folder: Path,
    command: Sequence[str] = COMMAND,
    variants: Sequence[Sequence[str]] = VARIANTS,
) -> tuple[Clip, ...]:
    """Let a voice speak a list of texts; what was spoken before is read from `folder`.

    Args:
        texts: (kind, text); text n is spoken by variant n modulo their number.
        folder: the cache. A file's name is the hash of command and text, so another voice behind
            the same command needs another folder, or an empty one.
        command: a program with its arguments, `{text}` and `{file}` among them; the file may be in
            any format that libsndfile reads.
        variants: arguments to add; `((),)` for a command that takes none.

    Raises:
        AudioError: the command is missing, fails, takes over two minutes or writes no sound.
    """
    made: list[Clip] = []
    counts: dict[str, int] = {}
    for index, (kind, text) in enumerate(texts):
        variant = index % len(variants)
        number = counts[kind] = counts.get(kind, -1) + 1
        sound = _spoken(text, folder, (*command, *variants[variant]))
        made.append(
            make_clip(
                sound,
                name=f"{kind}/{number:02d}",
                kind=kind,
                source="synthetic",
                text=text,
                speaker=f"voice-{variant}",
            )
        )
    return tuple(made)


def _spoken(text: str, folder: Path, command: Sequence[str]) -> Samples:
    key = hashlib.sha256("\0".join((*command, text)).encode()).hexdigest()[:24]
    cached = folder / f"{key}.wav"
    if not cached.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fresh = Path(scratch) / "speech.wav"
            words = [word.replace("{text}", text).replace("{file}", str(fresh)) for word in command]
            _run(words)
            if not fresh.is_file():
                raise _failed(command, "it wrote no file")
            fresh.replace(cached)
    return read_sound(cached)


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VOICE_TIMEOUT_S,
            check=False,
            env=os.environ,
        )
    except FileNotFoundError as error:
        raise _failed(command, "there is no such program") from error
    except subprocess.TimeoutExpired as error:
        raise _failed(command, f"no end after {VOICE_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _failed(command, last[-1] if last else f"exit code {done.returncode}")


def _failed(command: Sequence[str], reason: str) -> AudioError:
    return AudioError(
        "voice-command-failed",
        f"{command[0]} could not speak: {reason}",
        "try it by hand: edge-assistant say hello -o hello.wav",
    )
