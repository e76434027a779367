"""Words that a recogniser made up: rules that turn silence, noise and loops into no text.

A recogniser trained on subtitles answers with subtitles where nobody speaks. Four rules, each
cheap, each with the figures that it was set from:

1. Too quiet to be speech: not even given to the model (`is_silent`).
2. The model went in circles: the text ends before they begin (`believable_tokens`).
3. The model was unsure on average, over the whole text (`is_invented`, `MIN_MEAN_LOG_PROB`).
4. The text is what such models say to silence, and nothing else (`is_invented`, the two lists).

Figures: Moonshine tiny-en on 144 recordings of commands and read speech, against 90 synthetic
sounds (white and pink noise, hum, tone, click; 0.2 to 8 s, -50 to -20 dBFS) and 71 pieces of
recorded noise. Of the 161, one still gives text: a babble in which it hears "Mm-Hmm".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples, frames_of_ms

SILENCE_DBFS: Final = -60.0
"""Nobody speaks in audio whose loudest 30 ms stay below this. The quietest word of the recordings
comes to -41 dBFS; the noise floor of a poor sound card lies near -80."""

MIN_MEAN_LOG_PROB: Final = -0.8
"""Mean log-probability per token (natural log) below which a text counts as invented. Speech:
median -0.17, 5 % below -0.61; of 144 texts two fall below -0.8 and both are wrong. Recorded
noise: 36 of 71."""

_LOUDNESS_FRAMES: Final = frames_of_ms(30)

_LOOP_TIMES: Final = 4
_LOOP_TOKENS: Final = 12
_LOOP_PERIOD: Final = 12
"""A loop is up to 12 tokens, said at least 4 times in a row and over at least 12 tokens: "no, no,
no, no" and a telephone number with four zeros are still speech."""

_CREDITS: Final = frozenset(
    {
        "thank you for watching",
        "thanks for watching",
        "thank you so much for watching",
        "please subscribe",
        "please subscribe to my channel",
        "see you in the next video",
        "subtitles by the amara org community",
        "transcript emily beynon",
        "music",
        "applause",
        "silence",
        "blank audio",
    }
)
"""Subtitle habits. Never a request to an assistant, so left out however sure the model is."""

_FILLERS: Final = frozenset({"you", "so", "uh", "um", "thank you", "bye", "okay", "oh"})
"""What is said to silence, but by people too: left out only where other signs agree. Of 90
synthetic sounds 85 became "You" or "So" without a full stop."""


_FILLER_MEAN_LOG_PROB: Final = -0.5
"""A filler has to be more certain than a sentence. Not measured: noise gave Moonshine no filler
with a full stop above `MIN_MEAN_LOG_PROB`; this is meant for Whisper's "Thank you."."""


def loudest_dbfs(audio: Samples) -> float:
    """Level of the loudest 30 ms (RMS), -inf for digital silence or no audio at all."""
    if len(audio) == 0:
        return float("-inf")
    padded = np.zeros(-(-len(audio) // _LOUDNESS_FRAMES) * _LOUDNESS_FRAMES, dtype=np.float32)
    padded[: len(audio)] = audio
    power = float(np.square(padded.reshape(-1, _LOUDNESS_FRAMES)).mean(axis=1).max())
    return float(10.0 * np.log10(power)) if power > 0.0 else float("-inf")


def is_silent(audio: Samples) -> bool:
    """True where the audio is too quiet to hold speech at all."""
    return loudest_dbfs(audio) < SILENCE_DBFS


def believable_tokens(ids: Sequence[int]) -> int | None:
    """How many tokens to keep where `ids` ends in a loop; None where it does not.

    One round is kept if more was said before the loop than in it, otherwise nothing is. Meant to be
    asked after every token, so that the decoder can stop: it looks at the tail only.
    """
    for period in range(1, _LOOP_PERIOD + 1):
        span = period * max(_LOOP_TIMES, -(-_LOOP_TOKENS // period))
        if len(ids) < span:
            continue
        tail = ids[len(ids) - span :]
        if all(tail[at] == tail[at - period] for at in range(period, span)):
            before = len(ids) - span
            return before + period if before > span else 0
    return None


def is_invented(
    text: str,
    *,
    mean_log_prob: float,
    min_mean_log_prob: float = MIN_MEAN_LOG_PROB,
    latin: bool = True,
) -> bool:
    """True where `text` should not be believed.

    Args:
        text: what the model gave for one piece of audio.
        mean_log_prob: natural log, per token, the end token included.
        min_mean_log_prob: below this the whole text counts as invented.
        latin: the language is written in Latin letters, so a stray script or notes are no words.
    """
    if mean_log_prob < min_mean_log_prob or not _has_words(text, latin=latin):
        return True
    words = " ".join(re.findall(r"[^\W_]+", text.casefold()))
    if words in _CREDITS:
        return True
    # A model that heard a word ends it like a sentence; the reflex to noise has no punctuation.
    unsure = text[-1].isalnum() or mean_log_prob < _FILLER_MEAN_LOG_PROB
    return words in _FILLERS and unsure


def _has_words(text: str, *, latin: bool) -> bool:
    letters = [each for each in text if each.isalnum()]
    if not latin:
        return bool(letters)
    known = [each for each in letters if each.isdigit() or "LATIN" in unicodedata.name(each, "")]
    return len(known) * 2 > len(letters)
