"""Where a stream of text is cut for the voice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.llm.sentences import MAX_CHARS, SentenceSplitter, ends_sentence


def split(text: str, size: int = 0) -> list[str]:
    """All pieces of `text`, fed in slices of `size` (0 = at once)."""
    splitter = SentenceSplitter()
    step = size or max(1, len(text))
    pieces = [
        piece for at in range(0, len(text), step) for piece in splitter.feed(text[at : at + step])
    ]
    return pieces + splitter.finish()


CASES = {
    "": [],
    "Yes.": ["Yes."],
    "Paris is the capital. It is large.": ["Paris is the capital. ", "It is large."],
    # the first piece is early
    "Of course I can, and I will do it now.": ["Of course I can, ", "and I will do it now."],
    "Well, that depends. Shall we see?": ["Well, that depends. ", "Shall we see?"],
    "Good morning! What can I do for you today?": [
        "Good morning! ",
        "What can I do for you today?",
    ],
    "The weather looks quite sunny and warm today everywhere. Enjoy!": [
        "The weather looks quite sunny ",
        "and warm today everywhere. ",
        "Enjoy!",
    ],
    # ... but not behind a word that leans on the next
    "One two three four of the seven. Done.": [
        "One two three four of the seven. ",
        "Done.",
    ],
    # later ones are sentences, commas or not
    "Yes. First this, then that, and then the rest. End.": [
        "Yes. ",
        "First this, then that, and then the rest. ",
        "End.",
    ],
    # numbers, times, addresses
    "Pi is 3.14 or so. Fine.": ["Pi is 3.14 or so. ", "Fine."],
    "It is 10:30 now. Go to https://a.example/b?c=1,2 then. Ok.": [
        "It is 10:30 now. ",
        "Go to https://a.example/b?c=1,2 then. ",
        "Ok.",
    ],
    "It costs 1,000.50 euros. Or 2,000.": ["It costs 1,000.50 euros. ", "Or 2,000."],
    "That was in 1969. Then came 1970.": ["That was in 1969. ", "Then came 1970."],
    # abbreviations and initials
    "Ask Dr. Smith. He knows.": ["Ask Dr. Smith. ", "He knows."],
    "Ok. Eat fruit, e.g. an apple. Fine.": ["Ok. ", "Eat fruit, e.g. an apple. ", "Fine."],
    "Ok. J. R. R. Tolkien wrote it. Yes.": ["Ok. ", "J. R. R. Tolkien wrote it. ", "Yes."],
    "Ok. The U.S. army came. Yes.": ["Ok. ", "The U.S. army came. ", "Yes."],
    "So did I. He too.": ["So did I. ", "He too."],
    "Well... I think so. Yes.": ["Well... ", "I think so. ", "Yes."],
    # quotes and brackets belong to the sentence that they close
    'He said "go." Then he went.': ['He said "go." ', "Then he went."],
    "He left (at last!) Then it rained.": ["He left (at last!) ", "Then it rained."],
    "What?! Really?": ["What?! ", "Really?"],
    # layout
    "Try these:\n1. Eggs. Boiled.\n2. Rice\n\nEnjoy": [
        "Try these:\n",
        "1. Eggs. ",
        "Boiled.\n",
        "2. Rice\n",
        "\nEnjoy",
    ],
    "Ok. **This is bold. And this too.** End.": [
        "Ok. ",
        "**This is bold. And this too.** ",
        "End.",
    ],
    "Ok. Run `a. b. c` now. End.": ["Ok. ", "Run `a. b. c` now. ", "End."],
    "Ok. See [one. two](http://x.y). End.": ["Ok. ", "See [one. two](http://x.y). ", "End."],
    "Ok. So:\n```\na. b\nc.\n```\nEnd.": ["Ok. ", "So:\n", "```\na. b\nc.\n```\n", "End."],
    # scripts that put no space behind a full stop
    "你好。今天天气很好\uff01再见": ["你好。", "今天天气很好\uff01", "再见"],
    "「はい。」そうです。": ["「はい。」", "そうです。"],
}


@pytest.mark.parametrize("text", CASES, ids=lambda text: text[:20] or "empty")
def test_cuts_here(text: str) -> None:
    assert split(text) == CASES[text]


words = st.sampled_from(
    [
        *"aI.,;:!?*`[]()\"'\n —…。\uff01#-",
        "```",
        "**",
        "3.14",
        "Dr.",
        "e.g.",
        "10:30",
        "word",
        "https://a.b/c?d",
        " the ",
        " and so on, ",
        ". Then ",
        "x" * 90,
        "😀",
    ]
)
texts = st.one_of(st.text(), st.lists(words, max_size=60).map("".join))


@given(texts, st.lists(st.integers(min_value=1, max_value=30), max_size=20))
def test_pieces_are_the_text_however_it_was_chopped(text: str, sizes: list[int]) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert "" not in pieces
    assert split(text, 1) == pieces
    splitter = SentenceSplitter()
    chopped = []
    rest = text
    for size in sizes:
        chopped += splitter.feed(rest[:size])
        rest = rest[size:]
    chopped += splitter.feed(rest)
    assert chopped + splitter.finish() == pieces


@given(texts)
def test_no_piece_outside_a_fence_is_too_long(text: str) -> None:
    assert all(len(piece) <= MAX_CHARS for piece in split(text.replace("`", "")))


@given(texts)
def test_a_fence_is_never_cut(text: str) -> None:
    fenced = "```\n" + text.replace("`", "") + "```"
    assert any(fenced in piece for piece in split("So. " + fenced + "\nEnd."))


@given(texts)
def test_only_the_last_piece_may_be_blank(text: str) -> None:
    assert all(piece.strip() for piece in split(text)[:-1])


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    clause = "and this goes on for quite a while without an end, "
    pieces = split("Ok. " + clause * 8)
    assert pieces[0] == "Ok. "
    assert all(piece.endswith(", ") for piece in pieces[1:])
    assert all(len(piece) < 200 for piece in pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("Yes", False),
        ("Yes.", True),
        ("Yes. ", True),
        ('He said "yes."', True),
        ("Really?", True),
        ("Ask Dr.", False),
        ("fruit (e.g.", False),
        ("\n2.", False),
        ("2.", False),
        ("in 1969.", True),
        ("He and I.", True),
        ("by J.", False),
        ("Wait...", True),
        (".", True),
    ],
)
def test_ends_sentence(text: str, expected: bool) -> None:
    assert ends_sentence(text) is expected
