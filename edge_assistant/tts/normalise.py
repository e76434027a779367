"""Text as a language model writes it, made speakable for any voice (pure).

English is written out in full: numbers, dates, times, money, units, symbols, abbreviations. In
other languages only what is the same everywhere is done (markdown, HTML, links, emoji, control
characters); numbers and units are left to the voice, which knows its language. Word marks and
history refer to the text that comes out of here, because that is what `synthesize` is given.
"""

from __future__ import annotations

from typing import Final

from edge_assistant.tts.english import spoken_english
from edge_assistant.tts.markdown import without_markup

_MOST_PASSES: Final = 4
"""Taking one thing out can bring another together. As a rule the second pass finds nothing."""


def speakable(text: str, language: str = "en") -> str:
    """One line of plain text that any voice of `language` can speak; may be empty.

    Idempotent: what comes out passes through unchanged. Never raises. Give it whole blocks where
    markup spans lines (code, a table): a fence of code without its end hides the rest.

    Args:
        text: markdown or plain text.
        language: a tag such as "en", "en-GB", "de"; "en" and "en-us" read 4/5/2026 month first.
    """
    tag = language.strip().lower().replace("_", "-")
    english = tag == "en" or tag.startswith("en-")
    day_first = english and tag not in ("en", "en-us")
    for _ in range(_MOST_PASSES):
        plain = without_markup(text, code_notice="Code is not read out." if english else "")
        if english:
            plain = spoken_english(plain, day_first=day_first)
        if plain == text:
            break
        text = plain
    return text
