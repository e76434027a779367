"""What a voice makes of a few sentences, kept as sound."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.readings import Round
from edge_assistant.errors import SynthesisError
from edge_assistant_quantize.compare import engines
from edge_assistant_quantize.compare.messages import Answer, Order, Spoken

SENTENCES: Final = (
    "The weather in London is cloudy, with a high of eleven degrees.",
    "I have set a timer for twenty five minutes.",
    "Your next meeting is at half past three, with Julia and Thomas.",
    "She sells six short chairs, which the judge measured with pleasure.",
    "Sorry, I did not catch that. Could you say it again?",
    "Why would you go out there now, on your own, in the dark?",
)
"""Replies of an assistant, one with most fricatives of English, two questions."""


def spoken(order: Order, folder: Path) -> Answer:
    """Say `SENTENCES` and leave each as a file in the child's folder.

    Raises:
        EdgeAssistantError: the voice cannot be loaded, failed, or was silent.
    """
    voice = engines.voice(order.candidate, order.threads)
    answer = Answer(round=Round(index=order.index))
    try:
        for at, text in enumerate(SENTENCES):
            pieces = [chunk.samples for chunk in voice.synthesize(text, CancelToken())]
            sound = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
            if not np.abs(sound).sum() > 0.0:
                raise SynthesisError("voice-silent", f"the voice made no sound of {text!r}")
            name = f"{at}.npy"
            np.save(folder / name, sound)
            answer.spoken.append(
                Spoken(
                    text=text,
                    file=name,
                    sample_rate=voice.sample_rate,
                    duration_s=len(sound) / voice.sample_rate,
                )
            )
    finally:
        voice.close()
    return answer
