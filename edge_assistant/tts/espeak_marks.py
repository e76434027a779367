"""From espeak-ng's word events to chunks and word marks (pure).

An event says that a word begins, never that it ends, and not every word of the text has its own:
"of the" is one event, "isn't" is reported as "isn", "1999" comes as three events inside one token,
an emoji as one event for every word of its name. So an event counts as a boundary only if it lies
beyond the word before it and does not split a token; the text between two boundaries belongs to the
first. A word has ended at the last audible frame before the next boundary (or the end of the
text): in flowing speech that is the beginning of the next word, and a pause after a word does not
delay the moment at which it was heard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import Samples
from edge_assistant.tts.espeak_library import EVENT_SENTENCE, EVENT_WORD, EspeakEvent
from edge_assistant.tts.protocol import SpeechChunk, WordMark
from edge_assistant.tts.trim import audible_span, leading_cut, with_pause

_IDEOGRAPH: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_UNSPOKEN_TAIL: Final = re.compile(r"\s+[^\w]*$|\s+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boundary:
    start_char: int
    frame: int
    begins_sentence: bool


def chunks_of_events(
    text: str, audio: NDArray[np.int16], events: Sequence[EspeakEvent], sample_rate: int
) -> list[SpeechChunk]:
    """One chunk for every sentence in which a word is spoken; together they cover all of `text`.

    Args:
        text: what was synthesised.
        audio: int16, (frames,), everything espeak-ng gave for it.
        events: in order, with frames counted from the start of `audio`.
        sample_rate: Hz of `audio`.
    """
    words = _boundaries(text, events)
    if not words:
        return []
    samples = audio.astype(np.float32) / 32768.0
    firsts = [i for i, word in enumerate(words) if i == 0 or word.begins_sentence]
    chunks = []
    for first, after in zip(firsts, [*firsts[1:], len(words)], strict=True):
        last = after == len(words)
        end_char = len(text) if last else words[after].start_char
        end_frame = len(samples) if last else words[after].frame
        start_char = 0 if first == 0 else words[first].start_char
        start_frame = 0 if first == 0 else words[first].frame
        piece = _Piece(text, samples[:end_frame], start_char, end_char, start_frame)
        chunks.append(piece.chunk(words[first:after], sample_rate, is_last=last))
    return chunks


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    samples: Samples
    start_char: int
    end_char: int
    start_frame: int

    def chunk(self, words: Sequence[_Boundary], sample_rate: int, *, is_last: bool) -> SpeechChunk:
        audio = self.samples[self.start_frame :]
        cut, kept = leading_cut(audio, sample_rate)
        audio = audio[cut:]
        if is_last:
            audio = with_pause(audio, self.text, sample_rate)
        marks = self._marks(words, self.start_frame + cut, len(audio))
        return SpeechChunk(
            samples=np.ascontiguousarray(audio),
            start_char=self.start_char,
            end_char=self.end_char,
            words=marks,
            leading_silence_frames=kept,
        )

    def _marks(self, words: Sequence[_Boundary], base: int, length: int) -> tuple[WordMark, ...]:
        marks: list[WordMark] = []
        ends = [(word.start_char, word.frame) for word in words[1:]]
        for word, (end_char, end_frame) in zip(
            words, [*ends, (self.end_char, len(self.samples))], strict=True
        ):
            span = audible_span(self.samples[word.frame : end_frame])
            heard = word.frame + span[1] if span else end_frame
            spoken = _UNSPOKEN_TAIL.sub("", self.text[word.start_char : end_char])
            end_frames = min(max(heard - base, 0), length)
            marks.append(WordMark(end_char=word.start_char + len(spoken), end_frames=end_frames))
        return tuple(marks)


def _boundaries(text: str, events: Sequence[EspeakEvent]) -> list[_Boundary]:
    """The events at which a new word of the text really begins."""
    words: list[_Boundary] = []
    begins_sentence = False
    word_end = 0
    for event in events:
        if event.type == EVENT_SENTENCE:
            begins_sentence = True
            continue
        if event.type != EVENT_WORD or not _begins_token(text, event.start_char, word_end):
            continue
        start = _with_openers(text, event.start_char, word_end)
        word_end = event.start_char + max(event.length, 1)
        words.append(
            _Boundary(start_char=start, frame=event.frame, begins_sentence=begins_sentence)
        )
        begins_sentence = False
    return words


def _begins_token(text: str, start: int, word_end: int) -> bool:
    if not word_end <= start < len(text) or text[start].isspace():
        return False
    return start == 0 or not text[start - 1].isalnum() or bool(_IDEOGRAPH.match(text[start]))


def _with_openers(text: str, start: int, word_end: int) -> int:
    """`start` moved back over the quote or bracket that stands right before the word."""
    token = start
    while token > word_end and not text[token - 1].isspace():
        token -= 1
    return token if token == 0 or text[token - 1].isspace() else start
