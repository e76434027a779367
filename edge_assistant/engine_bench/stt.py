"""A recogniser: how fast, and how many words are wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.probe import Job, Sheet
from edge_assistant.engine_bench.speech import Speech
from edge_assistant.stt.protocol import Recognizer


class SttProbe:
    """Hears the clips of the round, each once."""

    def __init__(self, recognizer: Recognizer, speech: Speech) -> None:
        self._recognizer = recognizer
        self._speech = speech

    def first_call(self, token: CancelToken) -> None:
        """The first clip."""
        self._recognizer.transcribe(self._speech.clips[0].sound, token)

    def measure(self, sheet: Sheet, token: CancelToken) -> None:
        """Real-time factor over all clips of the round, and the words of each."""
        compute_s = audio_s = 0.0
        for clip in self._speech.of_round(sheet.round.index):
            began_s = time.perf_counter()
            text = self._recognizer.transcribe(clip.sound, token).text
            compute_s += time.perf_counter() - began_s
            audio_s += clip.duration_s
            sheet.hear(clip, text)
        sheet.put("rtf", compute_s / audio_s)

    def jobs(self) -> tuple[Job, ...]:
        """One long transcription."""

        def run(token: CancelToken, begin: Callable[[], None]) -> None:
            begin()
            self._recognizer.transcribe(self._speech.talk, token)

        return (Job(name="stt", run=run),)

    def close(self) -> None:
        """Give the memory back."""
        self._recognizer.close()
