"""Carries out what the floor orders. Runs on the `floor` thread; nothing here blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from edge_assistant.audio.playout import Key, Playout, PlayoutFact
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import SampleClock
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.llm.history import Exchange, History
from edge_assistant.pipeline.ahead import Ahead
from edge_assistant.pipeline.attempt import Attempt, Cut, Heard, latency_segments
from edge_assistant.pipeline.channel import Channel
from edge_assistant.pipeline.jobs import (
    AnswerJob,
    ForgetJob,
    JudgeJob,
    LlmChannel,
    PrefillJob,
    SpeakJob,
    SttChannel,
    TranscribeJob,
    TtsChannel,
)
from edge_assistant.pipeline.notices import Notices
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.trace import EventLog
from edge_assistant.turns.commands import (
    Answer,
    Command,
    Commit,
    Conclude,
    Discard,
    DropRequest,
    Duck,
    EndTurn,
    FinishTurn,
    GoOn,
    JudgeTurn,
    OpenTurn,
    PauseTurn,
    ReadAhead,
    ResetSession,
    ResumeTurn,
    Speak,
    StartDraft,
    TranscribePartial,
    Unduck,
    Yield,
)
from edge_assistant.turns.events import (
    Event,
    Outcome,
    PlaybackFinished,
    PlaybackStarted,
    ReplyFailed,
    Yielded,
)

OnFinished = Callable[[int | None, int | None, Outcome, str], None]
"""(request, turn, outcome, heard): a turn is over, or a request will never become one."""


class Orders:
    """Owns the attempts; every method but `failed` runs on the `floor` thread."""

    def __init__(
        self,
        *,
        playout: Playout,
        history: History,
        log: EventLog,
        clock: SampleClock,
        judge: Channel[JudgeJob] | None,
        stt: SttChannel,
        llm: LlmChannel,
        tts: TtsChannel,
        tokens: TokenLedger,
        frame_at: Callable[[float], int],
        post: Callable[[Event], None],
        on_finished: OnFinished,
        forget_sound: Callable[[], None] = lambda: None,
        notices: Notices | None = None,
    ) -> None:
        self._playout, self._history, self._log, self._clock = playout, history, log, clock
        self._judge, self._stt, self._llm, self._tts = judge, stt, llm, tts
        self._tokens = tokens
        self._frame_at, self._post, self._on_finished = frame_at, post, on_finished
        self._forget_sound, self._notices = forget_sound, notices or Notices()
        self._attempts: dict[Key, Attempt] = {}
        self._ends: dict[int, tuple[int, int]] = {}
        """turn -> (ended, paused) frames of the user's speech."""
        self._heard: dict[int, str] = {}
        self._requests: dict[int, int] = {}
        self._idle_token = CancelToken()
        """Of the work that is done while nobody waits; cancelled as soon as someone does."""
        self._judge_token = CancelToken()
        self._cut: Cut | None = None
        self._ahead = Ahead(stt, llm)

    # --- commands ----------------------------------------------------------------------------

    def execute(self, command: Command) -> None:
        now = self._clock.now_frames()
        match command:
            case OpenTurn():
                self._log.emit("speech_started", command.started_frames, command.turn)
            case PauseTurn():
                self._log.emit("speech_paused", command.ended_frames, command.turn)
            case ResumeTurn():
                self._resume(command, now)
            case EndTurn():
                self._ends[command.turn] = (command.ended_frames, command.paused_frames)
                self._log.emit("speech_ended", command.ended_frames, command.turn)
            case JudgeTurn():
                self._ask_judge(command)
            case TranscribePartial():
                self._ahead.look(command)
            case ReadAhead():
                self._idle_token.cancel("somebody speaks")
                self._tokens.open(command.turn)
                self._ahead.read(command)
            case StartDraft():
                self._start_draft(command, now)
            case Answer() | Speak():
                self._reply(command, now)
            case GoOn():
                self._go_on(command, now)
            case Commit():
                self._commit(command, now)
            case Discard():
                self._discard(command, now)
            case Conclude():
                self._conclude(self._attempt((command.turn, command.draft)))
            case Duck():
                self._playout.duck()
                self._log.emit("ducked", now, command.turn)
            case Unduck():
                self._playout.unduck()
                self._log.emit("unducked", now, command.turn)
            case Yield():
                self._yield(self._attempt((command.turn, command.draft)))
            case FinishTurn():
                self._finish(command, now)
            case DropRequest():
                self._on_finished(command.request, None, Outcome.STOPPED, "")
            case ResetSession():
                self._reset_session(now)
            case _:
                assert_never(command)

    def _attempt(self, key: Key) -> Attempt:
        attempt = self._attempts.get(key)
        if attempt is None:
            attempt = self._attempts[key] = Attempt(key=key)
        return attempt

    def _resume(self, command: ResumeTurn, now: int) -> None:
        self._judge_token.cancel("resumed")
        for key, attempt in self._attempts.items():
            if key[0] == command.turn:  # its words are part of what the next attempt will answer
                attempt.user_text = ""
        self._log.emit("speech_resumed", now, command.turn)

    def _ask_judge(self, command: JudgeTurn) -> None:
        self._judge_token.cancel("another pause")
        if self._judge is None:
            return
        self._judge_token = CancelToken()
        job = JudgeJob(
            turn=command.turn,
            from_frames=command.from_frames,
            to_frames=command.to_frames,
            token=self._judge_token,
        )
        self._judge.offer(job)  # a full channel means a slow judge: the default wait stands in

    def _start_draft(self, command: StartDraft, now: int) -> None:
        if not command.is_looked_at:
            self._ahead.stop("a draft is due")
        attempt = self._attempt((command.turn, command.draft))
        self._log.emit("draft_started", now, command.turn, draft=command.draft)
        job = TranscribeJob(
            attempt=attempt,
            from_frames=command.from_frames,
            to_frames=command.to_frames,
            breaks=command.breaks,
            pad_frames=command.pad_frames,
        )
        self._send(self._stt.offer(job), attempt, "stt")

    def _reply(self, command: Answer | Speak, now: int) -> None:
        self._idle_token.cancel("a reply is due")
        attempt = self._attempt((command.turn, command.draft))
        if command.request is not None:
            attempt.request = command.request
            self._requests[command.turn] = command.request
            self._log.emit("draft_started", now, command.turn, draft=command.draft)
        if isinstance(command, Answer):
            attempt.user_text = command.text
            self._tokens.open(command.turn)
            self._send(self._llm.offer(AnswerJob(attempt=attempt)), attempt, "llm")
            return
        if not self._notices.play(attempt, command.text, self._playout, self._log, self._clock):
            self._say(attempt, [command.text])

    def _say(self, attempt: Attempt, clauses: list[str]) -> None:
        attempt.clauses.extend(clauses)
        texts = [*clauses, None]
        taken = all(self._tts.offer(SpeakJob(attempt=attempt, text=text)) for text in texts)
        self._send(taken, attempt, "tts")

    def _go_on(self, command: GoOn, now: int) -> None:
        attempt = self._attempt((command.turn, command.draft))
        attempt.is_rest = True
        self._log.emit("draft_started", now, command.turn, draft=command.draft, after=command.after)
        cut = self._cut
        if cut is None or cut.key != command.after:
            return
        attempt.goes_on = cut.is_remembered
        if not cut.is_remembered:
            attempt.user_text = cut.user_text
        if cut.clauses:
            self._say(attempt, cut.clauses)

    def _send(self, taken: bool, attempt: Attempt, stage: str) -> None:
        if not taken:
            self.failed(stage, attempt, _stalled(stage))

    def _commit(self, command: Commit, now: int) -> None:
        attempt = self._attempt((command.turn, command.draft))
        if command.turn in self._ends:
            attempt.marks.ended_frames, attempt.marks.paused_frames = self._ends[command.turn]
        attempt.commit(now)
        self._playout.commit(attempt.key)
        if attempt.is_rest and not attempt.clauses:  # what it takes up was as good as over
            self._playout.finish(attempt.key)
        self._log.emit("committed", now, command.turn, draft=command.draft)

    def _discard(self, command: Discard, now: int) -> None:
        key = (command.turn, command.draft)
        self._attempt(key).token.cancel(command.reason)
        self._purge(key)
        self._playout.discard(key)
        del self._attempts[key]
        self._log.emit(
            "draft_discarded", now, command.turn, draft=command.draft, reason=command.reason
        )

    def _conclude(self, attempt: Attempt) -> None:
        """Speak what is on its way to the voice, then end."""
        if not self._tts.offer(SpeakJob(attempt=attempt, text=None)):
            self._playout.finish(attempt.key)

    def _yield(self, attempt: Attempt) -> None:
        attempt.token.cancel("yielded")
        self._playout.yield_(attempt.key)
        self._purge(attempt.key)

    def _purge(self, key: Key) -> None:
        token = self._attempts[key].token
        self._stt.purge(lambda job: job.token is token)
        self._llm.purge(lambda job: job.token is token)
        self._tts.purge(lambda job: job.token is token)

    def _finish(self, command: FinishTurn, now: int) -> None:
        self._ends.pop(command.turn, None)
        heard = self._heard.pop(command.turn, "")
        request = self._requests.pop(command.turn, None)
        for key in [key for key in self._attempts if key[0] == command.turn]:
            self._attempts.pop(key).token.cancel("the turn is over")
            self._playout.discard(key)
        tokens = self._tokens.close(command.turn)
        outcome = command.outcome.value
        self._log.emit("turn_finished", now, command.turn, outcome=outcome, **tokens)
        self._on_finished(request, command.turn, command.outcome, heard)
        if command.outcome in (Outcome.ANSWERED, Outcome.INTERRUPTED):
            self.prefill()

    def _reset_session(self, now: int) -> None:
        """Forget what was said, here and in every engine that keeps some of it."""
        exchanges = len(self._history.exchanges)
        self._history.replace(())
        self._forget_sound()
        self._heard.clear()
        self._cut = None
        self._idle_token.cancel("the user has gone")
        self._ahead.stop("the user has gone")
        channels = {"stt": self._stt, "llm": self._llm, "tts": self._tts}
        for stage, channel in channels.items():
            if not channel.offer(ForgetJob()):  # type: ignore[attr-defined]
                self._tell(_stalled(stage), stage)
        self._log.emit("session_reset", now, exchanges=exchanges)
        self.prefill()

    def prefill(self) -> None:
        """Let the model take in the history while nobody waits; this also cuts its cache to it."""
        self._idle_token.cancel("there is more to take in")
        self._idle_token = CancelToken()
        self._llm.offer(PrefillJob(token=self._idle_token))

    # --- what playout reports ----------------------------------------------------------------

    def played(self, fact: PlayoutFact) -> Event | None:
        """Take down what became of a reply; returns the fact for the floor."""
        attempt = self._attempts.get(fact.key)
        if attempt is None:
            return None  # discarded in the meantime
        turn, draft = fact.key
        if fact.kind == "started":
            return self._playback_started(attempt, fact)
        is_interrupted = fact.kind == "faded"
        if not attempt.is_over:  # a yield may come when the last frame has just been played
            attempt.is_over = True
            heard = attempt.heard(fact.played_frames)
            is_remembered = self._remember(attempt, heard, is_interrupted=is_interrupted)
            if is_interrupted:
                self._cut = Cut(
                    key=attempt.key,
                    clauses=attempt.rest(fact.played_frames),
                    user_text=attempt.user_text,
                    is_remembered=is_remembered,
                )
        return (Yielded if is_interrupted else PlaybackFinished)(turn=turn, draft=draft)

    def _playback_started(self, attempt: Attempt, fact: PlayoutFact) -> Event:
        now = self._clock.now_frames()
        first_out = now if fact.dac_time_s is None else self._frame_at(fact.dac_time_s)
        attempt.marks.first_out_frames = first_out
        self._log.emit("playback_started", first_out, attempt.turn, draft=attempt.draft)
        segments = latency_segments(attempt.marks)
        if segments is not None:
            self._log.emit("latency", first_out, attempt.turn, **segments)
        self._log.emit("timings", first_out, attempt.turn, **attempt.timings)
        return PlaybackStarted(turn=attempt.turn, draft=attempt.draft, at_frames=first_out)

    def _remember(self, attempt: Attempt, heard: Heard, *, is_interrupted: bool) -> bool:
        """Tell what was heard of a reply, and put it into the history; False if it is not worth
        it."""
        event = "yielded" if is_interrupted else "playback_finished"
        self._heard[attempt.turn] = heard.text
        if attempt.marks.first_out_frames is not None or is_interrupted:
            self._log.emit(
                event,
                self._clock.now_frames(),
                attempt.turn,
                draft=attempt.draft,
                heard=heard.text,
                exact=heard.is_exact,
            )
        if attempt.goes_on:
            self._history.go_on(heard.text, is_interrupted=is_interrupted)
            return True
        was_audible = attempt.marks.first_out_frames is not None
        if not attempt.user_text or not (heard.text or was_audible):
            return False
        exchange = Exchange(user=attempt.user_text, heard=heard.text, is_interrupted=is_interrupted)
        self._history.append(exchange)
        return True

    # --- failures ----------------------------------------------------------------------------

    def failed(self, stage: str, attempt: Attempt, error: EdgeAssistantError) -> None:
        """A stage failed on this attempt; called on that stage's thread."""
        self._tell(error, stage, attempt.turn)
        notice = self._notices.instead_of_reply(stage)
        self._post(
            ReplyFailed(
                turn=attempt.turn,
                draft=attempt.draft,
                notice=notice,
                audible=attempt.has_audio,
                # A voice that fails has the rest to say too; if a recording can say it, none waits.
                pending=attempt.is_on_its_way and not (stage == "tts" and notice),
            )
        )

    def _tell(self, error: EdgeAssistantError, stage: str, turn: int | None = None) -> None:
        self._log.emit(
            "error",
            self._clock.now_frames(),
            turn,
            code=error.code,
            message=error.message,
            hint=error.hint,
            stage=stage,
        )


def _stalled(stage: str) -> EdgeAssistantError:
    return EdgeAssistantError(
        "stage-stalled",
        f"{stage} has not taken up its work; its channel is full.",
        "choose a smaller model: `edge-assistant models list`",
    )
