"""A conversation in virtual time: the real floor, orders, segmenter, playout and history, with
scripted people and engines.

Nothing sleeps and nothing is random: one call of `run` plays minutes in milliseconds, and the same
script always gives the same log. Each reply's audio is a constant that names its turn and draft, so
the output tells whose voice was heard in every frame; its words name them too, so the history tells
what is taken for heard.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.playout import Key, Playout
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import SampleClock
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.llm.history import History
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.channel import Channel
from edge_assistant.pipeline.jobs import (
    AnswerJob,
    ForgetJob,
    JudgeJob,
    LlmChannel,
    PartialJob,
    SpeakJob,
    SttChannel,
    SwapJob,
    TranscribeJob,
    TtsChannel,
)
from edge_assistant.pipeline.orders import Orders
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.trace import EventLog
from edge_assistant.tts.protocol import SpeechChunk, WordMark
from edge_assistant.turns.commands import Command, FinishTurn
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
    Outcome,
    PartialTranscribed,
    Requested,
    SpeechDipped,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    Tick,
    Transcribed,
    TurnJudged,
    WordsJudged,
)
from edge_assistant.turns.floor import step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import State
from edge_assistant.vad.dip import DipDetector
from edge_assistant.vad.segmenter import Segmenter
from tests.fakes.lines import CLAUSES, Line, VirtualClock, clause_of, voice_of

C = TypeVar("C", bound=Command)
J = TypeVar("J")

BROKEN = EdgeAssistantError("engine-broke", "it broke", "mend it")


@dataclass
class Screenplay:
    """Engines answer after the given delays; `fail` makes them fail instead."""

    rules: Settings = field(default_factory=Settings)
    judge_ms: int = 30
    stt_ms: int = 50
    partial_ms: int = 50
    """What a look at the words so far takes."""
    llm_ms: int = 120
    reply_s: float = 3.0
    probability: float | None = 0.9
    """Answer of the turn detector; None: it never answers."""
    words: float | None = 0.5
    """The language model's word whether a draft's words are all; None: it never says."""
    words_ms: int = 40
    is_closed: bool = True
    """Whether transcripts are closed like a sentence."""
    is_loud: bool = False
    """The room is so loud that no pause begins with a dip in the level."""
    fail: Callable[[str, Key], bool] = lambda stage, key: False
    """(stage, key) -> whether `stt` or `llm` fails on this draft."""

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.state = State()
        self.lines: list[Line] = []
        self.log: list[tuple[float, Command]] = []
        self.events: list[tuple[float, Event]] = []
        self.heard_frames: dict[Key, int] = {}
        self.spoken: dict[Key, list[tuple[str, int]]] = {}
        """The words that were given to playout, each with its last frame."""
        self.outcomes: dict[int, list[Outcome]] = {}
        self.output: list[Samples] = []
        self.playout = Playout(SAMPLE_RATE, fade_ms=self.rules.fade_ms, clock=self.clock)
        self.history = History()
        self._sample_clock = SampleClock(SAMPLE_RATE, 0, self.clock)
        self._judge: Channel[JudgeJob] = Channel(4)
        self._stt: SttChannel = Channel(8)
        self._llm: LlmChannel = Channel(8)
        self._tts: TtsChannel = Channel(32)
        self.orders = Orders(
            playout=self.playout,
            history=self.history,
            log=EventLog(),
            clock=self._sample_clock,
            judge=self._judge,
            stt=self._stt,
            llm=self._llm,
            tts=self._tts,
            tokens=TokenLedger(),
            frame_at=lambda time_s: round(time_s * SAMPLE_RATE),
            post=self.feed,
            on_finished=lambda *report: None,
        )
        self._waiting: deque[Event] = deque()
        self._is_feeding = False
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._frames = 0
        self._dips = DipDetector()
        self._looks: dict[tuple[object, ...], float] = {}
        """When the look at a range of the sound is (or was) done."""
        self._segmenter = Segmenter(
            speech_threshold=0.5,
            silence_threshold=0.35,
            min_speech_ms=self.rules.min_speech_ms,
            pause_ms=self.rules.pause_ms,
            onset_ms=self.rules.onset_ms,
        )

    # --- the script --------------------------------------------------------------------------

    def user(
        self, start_s: float, end_s: float, text: str = "what time is it", *, is_echo: bool = False
    ) -> Screenplay:
        """The user speaks from `start_s` to `end_s`."""
        self.lines.append(Line(start_s=start_s, end_s=end_s, text=text, is_echo=is_echo))
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

    def heard_words(self, key: Key) -> list[str]:
        """The words of a reply that were played to their end."""
        played = self.heard_frames.get(key, 0)
        return [word for word, end_frames in self.spoken.get(key, []) if end_frames <= played]

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
        self._waiting.append(event)
        if self._is_feeding:
            return
        self._is_feeding = True
        while self._waiting:
            fact = self._waiting.popleft()
            self.events.append((self.now_s, fact))
            self.state, commands = step(self.state, fact, self.rules)
            for command in commands:
                self.log.append((self.now_s, command))
                if isinstance(command, FinishTurn):
                    self.outcomes.setdefault(command.turn, []).append(command.outcome)
                self.orders.execute(command)
                self._take_up_work()
        self._is_feeding = False

    def _block(self) -> None:
        self._frames += BLOCK_FRAMES
        self.clock.at_s = self.now_s
        self._sample_clock.anchor(self._frames)
        talking = any(
            line.start_s <= self.now_s - BLOCK_FRAMES / SAMPLE_RATE / 2 < line.end_s
            for line in self.lines
        )
        level_dbfs = -20.0 if talking or self.is_loud else -120.0
        if self._dips.block(level_dbfs, self._frames, is_speech=self._segmenter.is_speech):
            self.feed(SpeechDipped(at_frames=self._frames))
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
                        SpeechPaused(
                            at_frames=edge.at_frames,
                            ended_frames=edge.since_frames,
                            dipped_frames=self._dips.since_frames,
                        )
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
            if fact.kind != "started":
                self.heard_frames[fact.key] = fact.played_frames
            event = self.orders.played(fact)
            if event is not None:
                self.feed(event)

    def _take_up_work(self) -> None:
        for judging in _jobs(self._judge):
            if self.probability is not None:
                self._later(self.judge_ms, judging.token, self._judged, judging)
        for hearing in _jobs(self._stt):
            if isinstance(hearing, SwapJob | ForgetJob):
                continue
            heard = (hearing.from_frames, hearing.to_frames, hearing.pad_frames, hearing.breaks)
            if isinstance(hearing, TranscribeJob):
                left_s = self._looks.get(heard, self.now_s + self.stt_ms / 1000) - self.now_s
                self._later(max(0.0, left_s * 1000), hearing.token, self._transcribed, hearing)
            else:
                self._looks[heard] = self.now_s + self.partial_ms / 1000
                self._later(self.partial_ms, hearing.token, self._looked, hearing)
        for thinking in _jobs(self._llm):
            if isinstance(thinking, AnswerJob):
                attempt = thinking.attempt
                if self.words is not None and attempt.is_draft:
                    self._later(self.words_ms, attempt.token, self._judge_words, attempt)
                self._later(self.llm_ms, attempt.token, self._answer, attempt)
        for speaking in _jobs(self._tts):
            if isinstance(speaking, SpeakJob):
                attempt = speaking.attempt
                awaits_voice = attempt.is_on_its_way and not attempt.has_audio
                ms = self.llm_ms if awaits_voice else 0
                self._later(ms, speaking.token, self._say, speaking)

    def _later(self, ms: float, token: CancelToken, work: Callable[[J], None], job: J) -> None:
        def unless_cancelled() -> None:
            if not token.is_cancelled:
                work(job)

        self.at(self.now_s + ms / 1000, unless_cancelled)

    def _judged(self, job: JudgeJob) -> None:
        assert self.probability is not None
        paused = job.to_frames
        self.feed(TurnJudged(turn=job.turn, paused_frames=paused, probability=self.probability))

    def _judge_words(self, attempt: Attempt) -> None:
        assert self.words is not None
        self.feed(
            WordsJudged(
                turn=attempt.turn,
                draft=attempt.draft,
                probability=self.words,
                is_closed=self.is_closed,
            )
        )

    def _heard(self, from_frames: int, to_frames: int) -> list[Line]:
        from_s, to_s = from_frames / SAMPLE_RATE, to_frames / SAMPLE_RATE
        return [line for line in self.lines if line.start_s < to_s and line.end_s > from_s]

    def _transcribed(self, job: TranscribeJob) -> None:
        attempt = job.attempt
        if self.fail("stt", attempt.key):
            self.orders.failed("stt", attempt, BROKEN)
            return
        lines = self._heard(job.from_frames, job.to_frames)
        text = " ".join(line.text for line in lines).strip()
        is_echo = bool(text) and all(line.is_echo for line in lines)
        attempt.user_text = text
        self.feed(
            Transcribed(
                turn=attempt.turn,
                draft=attempt.draft,
                text=text,
                is_echo=is_echo,
                is_closed=self.is_closed,
            )
        )

    def _looked(self, job: PartialJob) -> None:
        """A line is spoken evenly, and the last word may still change."""
        if job.pad_frames:
            text = " ".join(each.text for each in self._heard(job.from_frames, job.to_frames))
            self.feed(PartialTranscribed(turn=job.turn, ahead=text, is_whole=True))
            return
        words: list[str] = []
        for line in self._heard(job.from_frames, job.to_frames):
            share = (job.to_frames / SAMPLE_RATE - line.start_s) / (line.end_s - line.start_s)
            said = line.text.split()
            words += said[: int(min(share, 1.0) * len(said))]
        self.feed(PartialTranscribed(turn=job.turn, ahead=" ".join(words[:-1])))

    def _answer(self, attempt: Attempt) -> None:
        if self.fail("llm", attempt.key):
            self.orders.failed("llm", attempt, BROKEN)
            return
        attempt.clauses.extend(clause_of(attempt.key, number) for number in range(CLAUSES))
        for clause in attempt.clauses:
            self._speak(attempt, clause)
        self.playout.finish(attempt.key)

    def _say(self, job: SpeakJob) -> None:
        attempt = job.attempt
        is_mute = job.text is None and attempt.is_on_its_way and not attempt.has_audio
        if self.fail("llm", attempt.key) or is_mute:
            self.orders.failed("tts", attempt, BROKEN)
        elif job.text is None:
            self.playout.finish(attempt.key)
        else:
            self._speak(attempt, job.text)

    def _speak(self, attempt: Attempt, text: str) -> None:
        """As the voice does; a clause is a part of a reply, anything else as long as one."""
        is_clause = text.endswith("b")
        frames = int(self.reply_s * SAMPLE_RATE) // (CLAUSES if is_clause else 1)
        samples = np.full(frames, voice_of(attempt.key), np.float32)
        half = (len(text) - 1) // 2 if is_clause else 0
        ends = ((half, frames // 2), (len(text), frames)) if half else ((len(text), frames),)
        marks = tuple(WordMark(end_char=char, end_frames=end) for char, end in ends)
        chunk = SpeechChunk(samples=samples, start_char=0, end_char=len(text), words=marks)
        attempt.clauses_begun += 1
        attempt.add(text, chunk, frames)
        attempt.marks.ready_frames = attempt.marks.ready_frames or self._frames
        words = self.spoken.setdefault(attempt.key, [])
        before = words[-1][1] if words else 0
        texts = text.split() if is_clause else [text]
        words += [(word, before + end) for word, (_, end) in zip(texts, ends, strict=True)]
        self.playout.put(attempt.key, samples, attempt.token)


def _jobs(channel: Channel[J]) -> list[J]:
    """What waits in it."""
    return [channel.get() for _ in range(channel.statistics().waiting)]
