"""A voice loop as it is mostly written first, one step after the other, behind the pipe.

600 ms of silence, then the whole transcript, then the whole reply, then the whole of its sound.
From the end of the user's speech until the reply's last sample it is deaf. It has the models and
settings of `edge-assistant converse --pipe`; it is only worse in doing one thing at a time. What
that costs:

    edge-assistant bench --events --system ours="edge-assistant converse --pipe" \\
        --system naive="python -m edge_assistant.examples.naive_loop" -o run

It is also an example of the contract in docs/interfaces.md: any program, in any language, that
reads blocks of 20 ms from stdin and writes one for each to stdout can be benched. The events are
optional: without `--events` the bench measures what can be heard.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms, from_pcm16, to_pcm16
from edge_assistant.audio.level import first_audible_frame
from edge_assistant.audio.resample import resample
from edge_assistant.audio.ring import HistoryRing
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.config import Config, load
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.llm.history import Exchange, History
from edge_assistant.llm.protocol import Message
from edge_assistant.pipeline.attempt import Marks, latency_segments
from edge_assistant.pipeline.loading import Engines, load_engines
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.store.store import Store
from edge_assistant.trace import EventLog
from edge_assistant.tts.normalise import speakable
from edge_assistant.vad.segmenter import Segmenter

BLOCK_FRAMES: Final = frames_of_ms(20)
SILENCE_MS: Final = 600
TAIL_MS: Final = 200
"""Kept behind the last speech, so that no final consonant is cut."""


@dataclass(slots=True)
class Turn:
    """What the user said, and what becomes of it on the worker."""

    number: int = 0
    started_frames: int = 0
    marks: Marks = field(default_factory=Marks)
    stage: str = "stt"
    question: str = ""
    reply: str = ""
    """As it is spoken."""
    sound: Samples = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


class NaiveLoop:
    """Listens, thinks (on one worker thread), speaks; never two of them at a time."""

    def __init__(self, config: Config, engines: Engines, log: EventLog) -> None:
        self._config, self._engines, self._log = config, engines, log
        self._clock = SampleClock(SAMPLE_RATE, BLOCK_FRAMES, MonotonicClock())
        self._now_frames = 0
        self._max_frames = frames_of_ms(config.turns.max_utterance_ms)
        self._past = HistoryRing(self._max_frames + 5 * SAMPLE_RATE)
        self._history = History()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="think")
        self._token = CancelToken()
        self._tokens = TokenLedger()
        self._turn = Turn()
        engines.llm.prefill(self._messages(None), self._token)
        self._tokens.book(None, engines.llm.stats)
        self._listen_again()
        log.emit("listening", 0)

    def answer(self, block: Samples) -> Samples:
        """Take 20 ms of the user, give 20 ms of the reply; never waits."""
        self._now_frames += len(block)
        self._clock.anchor(self._now_frames)
        self._past.append(block)
        if self._thinking is None:
            self._listen(block)
        elif self._turn.marks.first_out_frames is not None:
            self._finish_if_played(self._turn, self._turn.marks.first_out_frames)
        elif self._thinking.done():
            self._begin_reply(self._turn, self._thinking.exception())
        out = np.zeros(BLOCK_FRAMES, dtype=np.float32)
        if self._turn.marks.first_out_frames is not None:
            played_frames = self._now_frames - self._turn.marks.first_out_frames
            piece = self._turn.sound[played_frames : played_frames + BLOCK_FRAMES]
            out[: len(piece)] = piece
        return out

    def close(self) -> None:
        """Stop the worker, whatever it is doing, and give the engines back."""
        self._token.cancel("the input has ended")
        self._worker.shutdown()
        self._log.emit("closed", self._now_frames, **self._tokens.close_all())
        self._engines.close()

    def _tell(self, event: str, at_frames: int | None = None, /, **fields: Any) -> None:
        at_frames = self._clock.now_frames() if at_frames is None else at_frames
        self._log.emit(event, at_frames, self._turn.number, **fields)

    def _listen_again(self) -> None:
        vad, turns = self._config.vad, self._config.turns
        self._segmenter = Segmenter(
            speech_threshold=vad.speech_threshold,
            silence_threshold=vad.silence_threshold,
            min_speech_ms=turns.min_speech_ms,
            pause_ms=SILENCE_MS,
            onset_ms=turns.onset_ms,
        )
        self._engines.vad.reset()
        self._window: Samples = np.zeros(0, dtype=np.float32)
        self._listens_from_frames = self._now_frames
        self._thinking: Future[None] | None = None

    def _listen(self, block: Samples) -> None:
        self._window = np.concatenate([self._window, block])
        size = self._engines.vad.window_frames
        while len(self._window) >= size and self._thinking is None:
            window, self._window = self._window[:size], self._window[size:]
            at_frames = self._now_frames - len(self._window)
            speech_prob = self._engines.vad.speech_prob(window)
            for edge in self._segmenter.window(speech_prob, at_frames, size):
                if edge.kind == "started":
                    self._turn = Turn(self._turn.number + 1, edge.since_frames)
                    self._tell("speech_started", edge.since_frames)
                elif edge.kind == "paused":
                    self._take(self._turn, edge.since_frames, at_frames)
            spoken_frames = at_frames - self._turn.started_frames
            if self._segmenter.is_speech and spoken_frames >= self._max_frames:
                self._take(self._turn, at_frames, at_frames)

    def _take(self, turn: Turn, ended_frames: int, noticed_frames: int) -> None:
        """The user is done: think, and hear nothing until the reply is over."""
        turn.marks.ended_frames, turn.marks.paused_frames = ended_frames, noticed_frames
        turn.marks.committed_frames = self._now_frames
        self._tell("speech_ended", ended_frames)
        self._tell("draft_started", self._now_frames, draft=1)
        self._tell("committed", self._now_frames, draft=1)
        before = turn.started_frames - frames_of_ms(self._config.turns.preroll_ms)
        after = ended_frames + frames_of_ms(TAIL_MS)
        audio = self._past.read(max(before, self._listens_from_frames), after)
        self._thinking = self._worker.submit(self._think, turn, audio)

    def _messages(self, user: str | None) -> list[Message]:
        llm, prompt = self._engines.llm, self._config.llm.system_prompt
        return self._history.fit(prompt, user, count=llm.count_tokens, budget=llm.prompt_budget)

    def _think(self, turn: Turn, audio: Samples) -> None:
        """All that takes time; on the worker."""
        engines, token = self._engines, self._token
        turn.question = engines.recognizer.transcribe(audio, token).text.strip()
        self._tell("transcript", text=turn.question, final=True)
        if not turn.question:
            return
        turn.stage = "llm"
        text = "".join(engines.llm.generate(self._messages(turn.question), token)).strip()
        self._tokens.book(None, engines.llm.stats)
        turn.stage = "tts"
        turn.reply = speakable(text, engines.language)
        self._tell("reply", draft=1, text=text, spoken=turn.reply)
        chunks = [each.samples for each in engines.voice.synthesize(turn.reply, token)]
        if chunks:
            turn.sound = resample(np.concatenate(chunks), engines.voice.sample_rate, SAMPLE_RATE)
        turn.marks.leading_silence_frames = first_audible_frame(turn.sound)
        turn.marks.ready_frames = self._clock.now_frames()

    def _begin_reply(self, turn: Turn, error: BaseException | None) -> None:
        if isinstance(error, EdgeAssistantError):
            about = {"code": error.code, "message": error.message, "hint": error.hint}
            self._tell("error", **about, stage=turn.stage)
        elif error is not None:
            raise error
        if not len(turn.sound):
            self._finish("failed" if error or turn.question else "ignored")
            return
        # What answers this block is heard during the next one: from here on.
        turn.marks.first_out_frames = self._now_frames
        self._tell("playback_started", self._now_frames, draft=1)
        self._tell("latency", self._now_frames, **(latency_segments(turn.marks) or {}))

    def _finish_if_played(self, turn: Turn, first_out_frames: int) -> None:
        end_frames = first_out_frames + len(turn.sound)
        if self._now_frames >= end_frames:
            self._history.append(Exchange(user=turn.question, heard=turn.reply))
            self._tell("playback_finished", end_frames, draft=1, heard=turn.reply, exact=True)
            self._finish("answered")

    def _finish(self, outcome: str) -> None:
        tokens = self._tokens.close(self._turn.number)
        self._tell("turn_finished", outcome=outcome, **tokens)
        self._listen_again()


def main() -> None:
    """Answer block after block until the input ends."""
    parser = argparse.ArgumentParser(description="A voice loop that does one thing at a time.")
    parser.add_argument("--events", type=Path, metavar="FILE", help="write one JSON event a line")
    parser.add_argument("--config", type=Path, metavar="FILE", help="as of edge-assistant")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what an engine prints must not get among the sound
    try:
        config = load(options.config).with_overrides({"turn_detector.model": "none"})
        log = EventLog(options.events)
        loop = NaiveLoop(config, load_engines(config, Store.default(), lambda error: None), log)
        with suppress(BrokenPipeError):
            while len(data := sys.stdin.buffer.read(2 * BLOCK_FRAMES)) == 2 * BLOCK_FRAMES:
                sink.write(to_pcm16(loop.answer(from_pcm16(data))))
        loop.close()
        log.close()
    except EdgeAssistantError as error:
        parser.exit(1, f"error [{error.code}]: {error.message}\nhint: {error.hint}\n")


if __name__ == "__main__":
    main()
