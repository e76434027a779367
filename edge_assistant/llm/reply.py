"""From tokens to text that may be spoken: whole characters, no markers, no endless loops."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

MAX_PERIOD = 40
"""Longest repeated stretch that is looked for, in tokens: a long sentence."""
MIN_LOOP_TOKENS = 24
"""A repetition shorter than this may be meant ("no, no, no"); 24 tokens are about 8 s of speech."""
MIN_COPIES = 3
"""Twice is emphasis."""


def is_looping(tokens: Sequence[int]) -> bool:
    """True if the reply ends in copies of one stretch: at least 3 of them and 24 tokens
    together."""
    for period in range(1, MAX_PERIOD + 1):
        copies = max(MIN_COPIES, -(-MIN_LOOP_TOKENS // period))
        length = period * copies
        if length > len(tokens):
            continue
        tail = tokens[-length:]
        if tail[period:] == tail[:-period]:
            return True
    return False


class ReplyText:
    """Token bytes in, text out.

    Holds back the half of a character that has not come yet, and what may become a stop string.
    Bytes that are no UTF-8 are dropped: there is nothing to say for them. White space before the
    first word is dropped too, so that the reply is tokenised the same way when it comes back as
    history.

    Args:
        stops: the reply ends before the first of these.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self._has_begun = False
        self.is_stopped = False
        """A stop string was met; whatever is fed from now on gives nothing."""

    def feed(self, data: bytes) -> str:
        """Text that is now certain; often empty."""
        if self.is_stopped:
            return ""
        self._held += self._decoder.decode(data)
        for stop in self._stops:
            at = self._held.find(stop)
            if at >= 0:
                self._held = self._held[:at]
                self.is_stopped = True
        keep = 0 if self.is_stopped else self._suspicious()
        text, self._held = self._split(keep)
        return self._begun(text)

    def finish(self) -> str:
        """What was held back in vain; an unfinished character is dropped."""
        text, self._held = self._held, ""
        return self._begun(text)

    def _suspicious(self) -> int:
        """Length of the longest tail that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0

    def _split(self, keep: int) -> tuple[str, str]:
        at = len(self._held) - keep
        return self._held[:at], self._held[at:]

    def _begun(self, text: str) -> str:
        if not self._has_begun:
            text = text.lstrip()
            self._has_begun = bool(text)
        return text
