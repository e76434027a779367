"""One conversation over files, from listening to the last word."""

from __future__ import annotations

from typing import Final

from edge_assistant.audio.cards.wav import WavCard
from edge_assistant.pipeline.assistant import Assistant

QUIET_S: Final = 1.0
"""Once the user's file is over, so long without anything owed means that the conversation is."""

_LOOK_S: Final = 0.1


def hold_conversation(assistant: Assistant, card: WavCard) -> None:
    """Block until the user's file is over and answered, or the card's tail has passed.

    `assistant` must have been started on `card`; stopping it afterwards writes the reply's file.
    """
    quiet_s = 0.0
    while not assistant.wait_closed(_LOOK_S):
        is_over = card.user_finished.is_set() and assistant.is_idle
        quiet_s = quiet_s + _LOOK_S if is_over else 0.0
        if quiet_s >= QUIET_S:
            card.end()
