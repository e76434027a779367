"""The work on a turn that goes on: looks at its words, and the language model reading along."""

from __future__ import annotations

from edge_assistant.cancel import CancelToken
from edge_assistant.pipeline.jobs import LlmChannel, PartialJob, ReadJob, SttChannel
from edge_assistant.turns.commands import ReadAhead, TranscribePartial


class Ahead:
    """Gives out that work and takes it back. Thread: `floor`; nothing here blocks."""

    def __init__(self, stt: SttChannel, llm: LlmChannel) -> None:
        self._stt, self._llm = stt, llm
        self._look_token, self._read_token = CancelToken(), CancelToken()

    def look(self, command: TranscribePartial) -> None:
        """Transcribe what there is; behind a dip in place of the look that is under way."""
        if command.pad_frames:
            self._look_token.cancel("the level has fallen")
            self._look_token = CancelToken()
        job = PartialJob(
            turn=command.turn,
            from_frames=command.from_frames,
            to_frames=command.to_frames,
            breaks=command.breaks,
            pad_frames=command.pad_frames,
            token=self._look_token,
        )
        self._stt.offer(job)  # a full channel means a slow recogniser: the draft does it all

    def read(self, command: ReadAhead) -> None:
        """Let the language model read what was found."""
        job = ReadJob(
            turn=command.turn,
            text=command.text,
            is_whole=command.is_whole,
            token=self._read_token,
        )
        self._llm.offer(job)

    def stop(self, reason: str) -> None:
        """What was done stays; what is not done by now would only stand in the way."""
        self._look_token.cancel(reason)
        self._read_token.cancel(reason)
        self._look_token, self._read_token = CancelToken(), CancelToken()
