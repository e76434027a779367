"""A conversation in virtual time: the real floor, segmenter and playout, with scripted people and
engines.

Nothing sleeps and nothing is random: one call of `run` plays minutes in milliseconds, and the same
script always gives the same log. Each reply's audio is a constant that names its turn and draft, so
the output tells whose voice was heard in every frame.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.playout import Key, Playout
from edge_assistant.cancel import CancelToken
from edge_assistant.turns.commands import (
    Answer,
    Command,
    Commit,
    Conclude,
    Discard,
    Duck,
    FinishTurn,
    JudgeTurn,
    Speak,
    StartDraft,
    Unduck,
    Yield,
)
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
    Outcome,
    PlaybackFinished,
    PlaybackStarted,
    ReplyFailed,
    Requested,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    Tick,
    Transcribed,
    TurnJudged,
    WordsJudged,
    Yielded,
)
from edge_assistant.turns.floor import step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import State
from edge_assistant.vad.segmenter import Segmenter

C = TypeVar("C", bound=Command)


class VirtualClock:
    """A clock that the screenplay moves."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that the user says, or a noise (no text)."""

    start_s: float
    end_s: float
    text: str


def voice_of(key: Key) -> float:
    """The sample value that stands for a reply's voice."""
    return 0.1 * (key[0] % 8) + 0.01 * key[1]


@dataclass
class Screenplay:
    """Engines answer after the given delays; `fail` makes them fail instead."""

    rules: Settings = field(default_factory=Settings)
    judge_ms: int = 30
    stt_ms: int = 50
    llm_ms: int = 120
    reply_s: float = 3.0
    probability: float | None = 0.9
    """Answer of the turn detector; None: it never answers."""
    words: float | None = 0.5
    """The language model's word whether a draft's words are all; None: it never says."""
    words_ms: int = 40
    fail: Callable[[str, Key], bool] = lambda stage, key: False
    """(stage, key) -> whether `stt` or `llm` fails on this draft."""

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.state = State()
        self.lines: list[Line] = []
        self.log: list[tuple[float, Command]] = []
        self.events: list[tuple[float, Event]] = []
        self.heard_frames: dict[Key, int] = {}
        self.outcomes: dict[int, list[Outcome]] = {}
        self.output: list[Samples] = []
        self.playout = Playout(SAMPLE_RATE, fade_ms=self.rules.fade_ms, clock=self.clock)
        self._tokens: dict[Key, CancelToken] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._frames = 0
        self._segmenter = Segmenter(
            speech_threshold=0.5,
            silence_threshold=0.35,
            min_speech_ms=self.rules.min_speech_ms,
            pause_ms=self.rules.pause_ms,
            onset_ms=self.rules.onset_ms,
        )

    # --- the script --------------------------------------------------------------------------

    def user(self, start_s: float, end_s: float, text: str = "what time is it") -> Screenplay:
        """The user speaks from `start_s` to `end_s`."""
        self.lines.append(Line(start_s=start_s, end_s=end_s, text=text))
        return self

    def at(self, at_s: float, action: Callable[[], None]) -> Screenplay:
        """Do something at `at_s`."""
        heapq.heappush(self._due, (at_s, next(self._order), action))
        return self

    def request(self, at_s: float, request: int, *, answer: bool = False) -> Screenplay:
        """A program asks for a reply."""
        event = Requested(request=request, text="hello", answer=answer)
        return self.at(at_s, lambda: self.feed(event))

    def run(self, until_s: float) -> Screenplay:
        """Play on until `until_s`."""
        while self._frames < int(until_s * SAMPLE_RATE):
            self._block()
        return self

    # --- what happened -----------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return self._frames / SAMPLE_RATE

    def commands(self, kind: type[C]) -> list[C]:
        """All commands of one kind, in order."""
        return [command for _, command in self.log if isinstance(command, kind)]

    def when(self, kind: type[Command], nth: int = 0) -> float:
        """When the nth command of a kind was given, in seconds."""
        return [at_s for at_s, command in self.log if isinstance(command, kind)][nth]

    def audio(self) -> Samples:
        """All that the loudspeaker played."""
        return np.concatenate(self.output) if self.output else np.zeros(0, np.float32)

    def is_silent(self, from_s: float, to_s: float) -> bool:
        """Whether the loudspeaker was silent in between."""
        return not self.audio()[int(from_s * SAMPLE_RATE) : int(to_s * SAMPLE_RATE)].any()

    def names(self) -> list[str]:
        """Names of all commands, in order."""
        return [type(command).__name__ for _, command in self.log]

    # --- the world ---------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Let the floor know a fact and carry out what it orders."""
        self.events.append((self.now_s, event))
        self.state, commands = step(self.state, event, self.rules)
        for command in commands:
            self.log.append((self.now_s, command))
            self._obey(command)

    def _block(self) -> None:
        self._frames += BLOCK_FRAMES
        self.clock.at_s = self.now_s
        talking = any(
            line.start_s <= self.now_s - BLOCK_FRAMES / SAMPLE_RATE / 2 < line.end_s
            for line in self.lines
        )
        edges = self._segmenter.onset(talking, self._frames)
        edges += self._segmenter.window(1.0 if talking else 0.0, self._frames, BLOCK_FRAMES)
        for edge in edges:
            match edge.kind:
                case "onset":
                    self.feed(SpeechOnset(at_frames=edge.at_frames))
                case "dropped":
                    self.feed(OnsetDropped(at_frames=edge.at_frames))
                case "started":
                    self.feed(
                        SpeechStarted(at_frames=edge.at_frames, started_frames=edge.since_frames)
                    )
                case "paused":
                    self.feed(
                        SpeechPaused(at_frames=edge.at_frames, ended_frames=edge.since_frames)
                    )
        while self._due and self._due[0][0] <= self.now_s:
            heapq.heappop(self._due)[2]()
        self._service()
        self.feed(Tick(at_frames=self._frames, is_voiced=self._segmenter.is_voiced))
        out = np.full(BLOCK_FRAMES, np.nan, np.float32)
        self.playout.on_playback(out, self._frames - BLOCK_FRAMES, self.now_s)
        assert not np.isnan(out).any(), "the callback left frames unfilled"
        self.output.append(out)

    def _service(self) -> None:
        for fact in self.playout.service():
            turn, draft = fact.key
            match fact.kind:
                case "started":
                    started = PlaybackStarted(turn=turn, draft=draft, at_frames=self._frames)
                    self.feed(started)
                case "finished":
                    self.heard_frames[fact.key] = fact.played_frames
                    self.feed(PlaybackFinished(turn=turn, draft=draft))
                case "faded":
                    self.heard_frames[fact.key] = fact.played_frames
                    self.feed(Yielded(turn=turn, draft=draft))

    def _obey(self, command: Command) -> None:
        match command:
            case JudgeTurn():
                if self.probability is not None:
                    self._later(self.judge_ms, lambda: self._judged(command))
            case StartDraft():
                key = (command.turn, command.draft)
                self._later(self.stt_ms, lambda: self._transcribed(command), key)
            case Answer() | Speak():
                key = (command.turn, command.draft)
                if self.words is not None and self.state.user is not None:
                    self._later(self.words_ms, lambda: self._judge_words(key, self.words), key)
                self._later(self.llm_ms, lambda: self._speak(key), key)
            case Commit():
                self.playout.commit((command.turn, command.draft))
            case Discard():
                key = (command.turn, command.draft)
                self._token(key).cancel("discard")
                self.playout.discard(key)
            case Conclude():
                self.playout.finish((command.turn, command.draft))
            case Duck():
                self.playout.duck()
            case Unduck():
                self.playout.unduck()
            case Yield():
                key = (command.turn, command.draft)
                self._token(key).cancel("yield")
                self.playout.yield_(key)
            case FinishTurn():
                self.outcomes.setdefault(command.turn, []).append(command.outcome)
                for key, token in self._tokens.items():
                    if key[0] == command.turn:
                        token.cancel("over")
                        self.playout.discard(key)
            case _:
                pass

    def _token(self, key: Key) -> CancelToken:
        return self._tokens.setdefault(key, CancelToken())

    def _later(self, delay_ms: int, action: Callable[[], None], key: Key | None = None) -> None:
        token = None if key is None else self._token(key)

        def unless_cancelled() -> None:
            if token is None or not token.is_cancelled:
                action()

        self.at(self.now_s + delay_ms / 1000, unless_cancelled)

    def _judge_words(self, key: Key, probability: float | None) -> None:
        if probability is not None:
            self.feed(WordsJudged(turn=key[0], draft=key[1], probability=probability))

    def _judged(self, command: JudgeTurn) -> None:
        assert self.probability is not None
        self.feed(
            TurnJudged(
                turn=command.turn,
                paused_frames=command.to_frames,
                probability=self.probability,
            )
        )

    def _transcribed(self, command: StartDraft) -> None:
        key = (command.turn, command.draft)
        if self.fail("stt", key):
            self.feed(ReplyFailed(turn=key[0], draft=key[1], notice="sorry"))
            return
        from_s, to_s = command.from_frames / SAMPLE_RATE, command.to_frames / SAMPLE_RATE
        words = [line.text for line in self.lines if line.start_s < to_s and line.end_s > from_s]
        self.feed(Transcribed(turn=key[0], draft=key[1], text=" ".join(words).strip()))

    def _speak(self, key: Key) -> None:
        if self.fail("llm", key):
            self.feed(ReplyFailed(turn=key[0], draft=key[1], notice="sorry"))
            return
        samples = np.full(int(self.reply_s * SAMPLE_RATE), voice_of(key), np.float32)
        for chunk in np.array_split(samples, 4):
            self.playout.put(key, chunk, self._token(key))
        self.playout.finish(key)
