"""One attempt at a reply: its token, its words as spoken, its latency marks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.playout import Key
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.protocol import SpeechChunk, WordMark


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the user heard of a reply."""

    text: str
    is_exact: bool
    """False where the voice gives no word times and the last words are an estimate."""


@dataclass(slots=True, kw_only=True)
class Marks:
    """Where the critical path passed, in frames of the sample clock; None where it did not come
    by."""

    ended_frames: int | None = None
    """End of the user's speech, as the ears have it."""
    paused_frames: int | None = None
    committed_frames: int | None = None
    ready_frames: int | None = None
    """First audio was handed to playout."""
    first_out_frames: int | None = None
    """First frame of the reply left the loudspeaker."""
    leading_silence_frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    text: str
    begin_frames: int
    end_frames: int
    words: tuple[WordMark, ...] | None
    first_char: int
    clause: int
    """Which of those that were given to the voice."""
    is_last: bool
    """The clause ends with it."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """Shared by the threads that work on it; the token is made with it and never re-armed.

    `spoken` frames are at the card's playback rate and count from the first frame of the reply.
    """

    key: Key
    request: int | None = None
    user_text: str = ""
    """What is answered; empty where a program only wants something said."""
    speech_s: float = 0.0
    """How long the user has spoken in the turn that is answered."""
    token: CancelToken = field(default_factory=CancelToken)
    marks: Marks = field(default_factory=Marks)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage took, for the curious; not part of the latency that adds up."""
    is_rest: bool = False
    """It takes up a reply that was cut."""
    goes_on: bool = False
    """And what was heard of that one is in the history already."""
    clauses: list[str] = field(default_factory=list)
    """What was given to the voice, as the language model wrote it."""
    clauses_begun: int = 0
    """How many of them the voice has taken up."""
    is_over: bool = False
    """Playout has said how much of it was heard."""
    _released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _spoken: list[_Spoken] = field(default_factory=list)

    @property
    def turn(self) -> int:
        return self.key[0]

    @property
    def draft(self) -> int:
        return self.key[1]

    @property
    def is_draft(self) -> bool:
        """Whether it answers a turn that is not over yet."""
        return self.request is None and self.marks.committed_frames is None

    @property
    def is_on_its_way(self) -> bool:
        """Whether some of the reply was given to the voice."""
        return bool(self.clauses)

    @property
    def has_audio(self) -> bool:
        """Whether any audio was handed to playout."""
        return self.marks.ready_frames is not None

    def commit(self, now_frames: int) -> None:
        """The turn is over: what was held back may go on."""
        self.marks.committed_frames = now_frames
        self._released.set()

    def hold(self) -> None:
        """Block until `commit`, so that no more is thought of than a commit needs to be quick.

        Cancel: raises TurnCancelled.
        """
        unsubscribe = self.token.on_cancel(self._released.set)
        try:
            self._released.wait()
        finally:
            unsubscribe()
        self.token.raise_if_cancelled()

    def add(self, text: str, chunk: SpeechChunk, playback_frames: int) -> None:
        """Note a chunk of `text`, and how many frames of playout it becomes, before they are
        handed over."""
        scale = playback_frames / max(1, len(chunk.samples))
        words = chunk.words and tuple(
            WordMark(end_char=mark.end_char, end_frames=round(mark.end_frames * scale))
            for mark in chunk.words
        )
        with self._lock:
            begin = self._spoken[-1].end_frames if self._spoken else 0
            piece = _Spoken(
                text=text[chunk.start_char : chunk.end_char],
                begin_frames=begin,
                end_frames=begin + playback_frames,
                words=words if chunk.words is not None else None,
                first_char=chunk.start_char,
                clause=self.clauses_begun - 1,
                is_last=chunk.end_char >= len(text),
            )
            self._spoken.append(piece)

    def rest(self, played_frames: int) -> list[str]:
        """The clauses that were not heard to their end within so many frames of the reply."""
        with self._lock:
            pieces = list(self._spoken)
        whole = [p.clause for p in pieces if p.is_last and p.end_frames <= played_frames]
        return self.clauses[max(whole, default=-1) + 1 :]

    def heard(self, played_frames: int) -> Heard:
        """The words whose last frame is among the first `played_frames` frames of the reply."""
        texts: list[str] = []
        is_exact = True
        with self._lock:
            pieces = list(self._spoken)
        for piece in pieces:
            if piece.end_frames <= played_frames:
                texts.append(piece.text)
                continue
            into = played_frames - piece.begin_frames
            if into > 0:
                texts.append(_cut(piece, into))
                is_exact = piece.words is not None
            break
        return Heard(text=_joined(texts), is_exact=is_exact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The reply that yielded last."""

    key: Key
    clauses: list[str]
    """Those that were not heard to their end."""
    user_text: str
    is_remembered: bool
    """What was heard of it is in the history."""


def _cut(piece: _Spoken, into_frames: int) -> str:
    if piece.words is not None:
        ends = [mark.end_char for mark in piece.words if mark.end_frames <= into_frames]
        return piece.text[: max(0, ends[-1] - piece.first_char)] if ends else ""
    share = into_frames / max(1, piece.end_frames - piece.begin_frames)
    estimate = piece.text[: int(len(piece.text) * share)]
    return estimate.rpartition(" ")[0]


def _joined(texts: list[str]) -> str:
    return " ".join(text.strip() for text in texts if text.strip())


def latency_segments(marks: Marks) -> dict[str, float] | None:
    """Seconds of the critical path from the end of the user's speech to the first audible sample.

    The segments follow each other without a gap, so they add up to `gap_s`; there is no
    remainder. None where no user was waiting (a request of a program) or nothing was played.
    """
    if marks.ended_frames is None or marks.paused_frames is None or marks.first_out_frames is None:
        return None
    out = marks.first_out_frames
    paused = min(marks.paused_frames, out)
    committed = min(max(marks.committed_frames or paused, paused), out)
    ready = min(max(marks.ready_frames or committed, committed), out)
    frames = {
        "detect_s": paused - marks.ended_frames,
        "wait_s": committed - paused,
        "not_ready_s": ready - committed,
        "out_s": out - ready,
        "leading_silence_s": marks.leading_silence_frames,
    }
    segments = {name: round(count / SAMPLE_RATE, 4) for name, count in frames.items()}
    return {"gap_s": round(sum(frames.values()) / SAMPLE_RATE, 4), **segments}
