"""The transcript of a turn that is still growing: every pass covers the newest few seconds only.

An engine transcribes what it is given from the start, so a long turn would cost more with every
look at it. What lies before an inner pause is therefore frozen once the stretch behind it has grown
long, and words that two looks in a row agree on are called stable (LocalAgreement-2; Macháček,
Dabre and Bojar, 2023): a language model may read them while the speaker goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.stt.pieces import cut_at_pauses
from edge_assistant.stt.protocol import Recognizer

OPEN_S: Final = 4.0
"""A stretch longer than this is frozen up to its last pause. Of 64 recordings of 4 to 14 s the
word error rate is 0.073 with pieces of 3.0 s (median; 9 in 10 below 5.2 s), 0.058 in one go."""

LEAST_S: Final = 1.5
"""Shortest piece that is frozen: a recogniser makes more errors in crumbs."""

MOST_S: Final = 8.0
"""Who speaks so long without a pause is cut where it is quietest: worse (cut so after 4 s, the same
recordings come to 0.130), but bounded."""

Heard = Callable[[int, int], Samples]
"""(from_frames, to_frames) of the sample clock to a copy of the audio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningText:
    """What is known of a turn so far."""

    text: str
    ahead: str
    """All but the last word, which the next sound may still change: worth reading ahead, though it
    may turn out otherwise."""
    stable: str
    """Its beginning that is not going to change, as far as two looks can tell; without its last
    word, which the next sound may still change."""


class RunningTranscript:
    """Transcribes one turn after the other, each again and again while it grows.

    Thread: `stt`.

    Args:
        heard: gives the audio; less than was asked for where its beginning is gone.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._from_frames = -1
        self._open_frames = 0
        self._frozen: list[str] = []
        self._words: list[str] = []
        """Of the open stretch, at the look before."""

    def hear(
        self,
        recognizer: Recognizer,
        from_frames: int,
        to_frames: int,
        breaks: Sequence[int],
        token: CancelToken,
        *,
        pad_frames: int = 0,
    ) -> RunningText:
        """The text between two positions of the sample clock; blocks for a pass or more.

        Args:
            recognizer: the engine to use.
            from_frames: start of the turn; another one begins a new transcript.
            to_frames: end of what there is.
            breaks: positions in the middle of the turn's inner pauses, in order.
            token: raises TurnCancelled; what was frozen until then stays frozen.
            pad_frames: digital silence to put behind.

        Raises:
            TranscriptionError: the engine failed.
        """
        if from_frames != self._from_frames or to_frames < self._open_frames:
            self._from_frames = self._open_frames = from_frames
            self._frozen, self._words = [], []
        audio = self._heard(self._open_frames, to_frames)
        # What the ears no longer have (the card was away, the turn is very long) is not there to
        # be transcribed, and must not count as a stretch that has grown long.
        self._open_frames = max(self._open_frames, to_frames - len(audio))
        while (size := self._cut(audio, breaks)) is not None:
            piece = recognizer.transcribe(audio[:size], token)
            self._frozen.append(piece.text)
            self._open_frames, self._words = self._open_frames + size, []
            audio = audio[size:]
        if pad_frames:
            audio = np.concatenate([audio, np.zeros(pad_frames, dtype=np.float32)])
        rest = recognizer.transcribe(audio, token).text
        before, self._words = self._words, rest.split()
        stable = self._words[: _agreed(before, self._words)]
        return RunningText(
            text=_joined([*self._frozen, rest]),
            ahead=_joined([*self._frozen, *self._words[:-1]]),
            stable=_joined([*self._frozen, *stable]),
        )

    def open_frames(self, from_frames: int) -> int:
        """Where the stretch begins that the next look at this turn will cover."""
        return self._open_frames if from_frames == self._from_frames else from_frames

    def _cut(self, audio: Samples, breaks: Sequence[int]) -> int | None:
        """How much of the open stretch, `audio`, to freeze; None where it is short enough, or has
        no pause yet."""
        if len(audio) <= OPEN_S * SAMPLE_RATE:
            return None
        end = min(len(audio), round(MOST_S * SAMPLE_RATE))
        pauses = (each - self._open_frames for each in breaks)
        later = [each for each in pauses if LEAST_S * SAMPLE_RATE <= each < end]
        early = [each for each in later if each <= OPEN_S * SAMPLE_RATE]
        if later:
            return early[-1] if early else later[0]
        if len(audio) <= MOST_S * SAMPLE_RATE:
            return None
        return cut_at_pauses(audio, longest_s=MOST_S)[0][1]


def _agreed(before: Sequence[str], words: Sequence[str]) -> int:
    """How many words at the start are the same in both, the last word of either left out."""
    count = 0
    for old, new in zip(before[:-1], words[:-1], strict=False):
        if _bare(old) != _bare(new):
            break
        count += 1
    return count


def _bare(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())


def _joined(texts: Sequence[str]) -> str:
    return " ".join(text for text in texts if text)
