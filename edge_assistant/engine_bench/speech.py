"""Speech to measure with: recordings that the user points at, or made by espeak."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edge_assistant.audio.files import read_sound, write_wav
from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.audio.resample import resample
from edge_assistant.bench.clips import VARIANTS, Row
from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config, parse_assignment
from edge_assistant.engine_bench.wer import words
from edge_assistant.errors import ConfigError
from edge_assistant.pipeline.engines import build_voice
from edge_assistant.store.programs import PREFIX
from edge_assistant.store.store import Store

KINDS: Final = ("command", "read")
"""Kinds of recordings whose words are counted; `made` is added where the speech is made."""

MADE: Final = "made"

LIBRARY: Final = "espeak-en"
"""The voice in our own process."""

LEAST_CLIPS: Final = 4
"""A round has at least so many, of different lengths, if need be some of them again."""

TALK_S: Final = 10.0
MARGIN_MS: Final = 200
"""Silence before and after what espeak says, about what the segmenter leaves on an utterance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One utterance."""

    name: str
    kind: str
    text: str
    sound: Samples
    """Float32, (frames,), 16000 Hz."""

    @property
    def duration_s(self) -> float:
        """Of the whole sound."""
        return len(self.sound) / SAMPLE_RATE


@dataclass(frozen=True, kw_only=True)
class Speech:
    """All clips, dealt to the rounds like cards."""

    clips: tuple[Clip, ...]
    """Not empty; as `shuffled` leaves them."""
    repeats: int
    """Number of rounds."""

    def of_round(self, index: int) -> tuple[Clip, ...]:
        """The clips of one round; all rounds together have every clip."""
        size = max(LEAST_CLIPS, -(-len(self.clips) // self.repeats))
        size = min(size, len(self.clips))
        first = index * size
        return tuple(self.clips[(first + step) % len(self.clips)] for step in range(size))

    @cached_property
    def talk(self) -> Samples:
        """Speech of at least `TALK_S`, one clip after the other. Float32, (frames,), 16000 Hz."""
        pieces: list[Samples] = []
        missing = round(TALK_S * SAMPLE_RATE)
        while missing > 0:
            pieces.append(self.clips[len(pieces) % len(self.clips)].sound)
            missing -= max(1, len(pieces[-1]))
        return np.concatenate(pieces)


def shuffled(clips: Sequence[Clip], seed: int) -> tuple[Clip, ...]:
    """The clips in an order that depends on the seed alone."""
    order = sorted(clips, key=lambda clip: clip.name)
    random.Random(seed).shuffle(order)
    return tuple(order)


def recorded(folder: Path) -> list[Clip]:
    """Recordings of `KINDS` whose words are known, whole and at their own level.

    Args:
        folder: holds `manifest.jsonl`, whose lines name a `file`, its `kind` and its `text`.

    Raises:
        ConfigError: there is no manifest, a line of it cannot be read, or it names none of these.
        AudioFormatError: a file cannot be read.
    """
    manifest = folder / "manifest.jsonl"
    try:
        lines = manifest.read_text("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            "manifest-missing", f"{manifest} cannot be read: {error}", "name a folder that holds it"
        ) from error
    clips = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=Row)
        except msgspec.MsgspecError as error:
            raise ConfigError(
                "manifest-line", f"{manifest}, line {number}: {error}", "mend or delete that line"
            ) from error
        text = row.text or ""
        if row.kind in (*KINDS, MADE) and words(text):
            sound = read_sound(folder / row.file)
            clips.append(Clip(name=row.file, kind=row.kind, text=text, sound=sound))
    if not clips:
        raise ConfigError(
            "manifest-empty",
            f"{manifest} names no recording of the kinds {', '.join(KINDS)} with its text",
            "leave out --speech, or give another folder",
        )
    return clips


def made(texts: Sequence[str], config: Config, store: Store) -> list[Clip]:
    """Let espeak say `texts`, as the same three speakers that the bench of conversations has.

    Always espeak, so that the recogniser's task is the same on every machine: the library, which
    comes along, or where it was left out the system's program.

    Raises:
        ModelNotFound: `espeak-program-missing`: neither is there.
    """
    voice_id = LIBRARY if store.installed(LIBRARY) else f"{PREFIX}en-us"
    clips: dict[int, Clip] = {}
    for first, variant in enumerate(VARIANTS):
        changes = {
            "tts.rate": 1.0,
            "tts.pitch": 50,
            "tts.cache_bytes": 0,
            "tts.voice": voice_id,
            **dict(map(parse_assignment, variant[1::2])),
        }
        with closing(build_voice(config.with_overrides(changes), store)) as voice:
            for at in range(first, len(texts), len(VARIANTS)):
                pieces = [chunk.samples for chunk in voice.synthesize(texts[at], CancelToken())]
                sound = resample(np.concatenate(pieces), voice.sample_rate, SAMPLE_RATE)
                silence = np.zeros(frames_of_ms(MARGIN_MS), dtype=np.float32)
                clips[at] = Clip(
                    name=f"{MADE}-{at:02d}.wav",
                    kind=MADE,
                    text=texts[at],
                    sound=np.concatenate([silence, sound, silence]),
                )
    return [clips[at] for at in sorted(clips)]


def save(clips: Sequence[Clip], folder: Path) -> None:
    """Write clips and their manifest, so that another process can read them with `recorded`."""
    lines = []
    for clip in clips:
        write_wav(folder / clip.name, clip.sound)
        lines.append(json.dumps({"file": clip.name, "kind": clip.kind, "text": clip.text}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
