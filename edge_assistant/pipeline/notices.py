"""Says what is wrong: by the voice, or by recordings that need no engine and no engine's thread."""

from __future__ import annotations

import logging
from typing import Final

from edge_assistant.audio.format import Samples
from edge_assistant.audio.playout import Playout
from edge_assistant.audio.resample import resample
from edge_assistant.clock import SampleClock
from edge_assistant.notices.phrases import Notice, find, phrase
from edge_assistant.notices.recordings import SAMPLE_RATE, recording
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.trace import EventLog
from edge_assistant.tts.protocol import SpeechChunk

_LOGGER: Final = logging.getLogger(__name__)

OF_STAGE: Final[dict[str, Notice]] = {
    "stt": "not_understood",
    "llm": "no_answer",
    "tts": "no_voice",
}
"""What is said instead of a reply, by the stage that failed."""


class Notices:
    """What to say when something is wrong, and its sound. Nothing here blocks.

    Args:
        language: of the voice; English where it has no phrases.
        is_recorded: play recordings; otherwise the voice speaks, and a voice that fails says
            nothing.
    """

    def __init__(self, language: str = "en", *, is_recorded: bool = False) -> None:
        self.language = language
        self.is_recorded = is_recorded

    def instead_of_reply(self, stage: str) -> str:
        """What is said where `stage` failed; empty where nothing can be said."""
        name = OF_STAGE.get(stage)
        if name is None or (stage == "tts" and not self.is_recorded):
            return ""
        return phrase(name, self.language)

    def sound(self, text: str) -> Samples | None:
        """The recording of what `text` says, float32 (frames,) at 16000 Hz; None if there is
        none, or the voice is to speak."""
        name = find(text) if self.is_recorded else None
        if name is None:
            return None
        try:
            return recording(name, self.language)
        except (OSError, RuntimeError) as error:
            _LOGGER.warning("the notice %s cannot be played: %s", name, error)
            return None

    def play(
        self, attempt: Attempt, text: str, playout: Playout, log: EventLog, clock: SampleClock
    ) -> bool:
        """Put the whole recording into playout, if there is one; False where the voice must speak.

        Thread: floor.
        """
        sound = self.sound(text)
        if sound is None:
            return False
        samples = resample(sound, SAMPLE_RATE, playout.sample_rate)
        chunk = SpeechChunk(samples=samples, start_char=0, end_char=len(text), words=None)
        attempt.clauses.append(text)
        attempt.clauses_begun += 1
        now = clock.now_frames()
        log.emit("reply", now, attempt.turn, draft=attempt.draft, text=text, spoken=text)
        attempt.marks.ready_frames = now
        attempt.add(text, chunk, len(samples))
        playout.put(attempt.key, samples, attempt.token)  # seconds: far from what makes it wait
        playout.finish(attempt.key)
        return True
