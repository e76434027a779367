"""What a person is to see of the assistant, made out of its events."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Shown(StrEnum):
    """One at a time."""

    OFF = "off"
    """It is not there yet, or not any more."""
    IDLE = "idle"
    LISTENING = "listening"
    """It hears somebody."""
    THINKING = "thinking"
    SPEAKING = "speaking"
    TROUBLE = "trouble"
    """Nobody speaks, and something went wrong that nothing has gone right after."""


class Watcher:
    """Follows the events of one assistant. Of one thread."""

    def __init__(self) -> None:
        self._is_there = False
        self._user_turn: int | None = None
        self._thinks = self._speaks = self._is_troubled = False

    def see(self, event: Mapping[str, Any]) -> Shown:
        """What to show after `event`, a line of EVENTS.jsonl."""
        turn = event.get("turn")
        match event["event"]:
            case "listening":
                self._is_there = True
            case "speech_started" | "speech_resumed":
                self._user_turn, self._thinks = turn, False
            case "speech_ended":
                self._user_turn = None
            case "committed":
                self._thinks = True
            case "playback_started":
                self._thinks, self._speaks = False, True
            case "playback_finished" | "yielded":
                self._speaks = False
            case "turn_finished":
                self._end_turn(turn, event.get("outcome"))
            case "device_back":
                self._is_troubled = False
            case "error":
                self._is_troubled = True
            case "closed":
                self._is_there = False
        return self._shown()

    def _end_turn(self, turn: int | None, outcome: str | None) -> None:
        if turn == self._user_turn:
            self._user_turn = None
        self._thinks = False
        self._is_troubled = self._is_troubled and outcome != "answered"

    def _shown(self) -> Shown:
        if not self._is_there:
            return Shown.TROUBLE if self._is_troubled else Shown.OFF
        if self._user_turn is not None:
            return Shown.LISTENING
        if self._speaks:
            return Shown.SPEAKING
        if self._thinks:
            return Shown.THINKING
        return Shown.TROUBLE if self._is_troubled else Shown.IDLE
