"""What a voice is given: English in words, and in any language no markup and no pictures."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_assistant.tts.normalise import speakable

CASES = {
    # markdown and HTML
    "**Bold** and *italic*, `code`, ~~gone~~, __init__ snake_case": (
        "Bold and italic, code, gone, init snake case"
    ),
    "# Title\n\nSome text\nwrapped": "Title. Some text wrapped",
    "- one\n- [x] two\n* three!": "one. two. three!",
    "1. first\n2. second": "one. first. two. second.",
    "> quoted <b>text</b>&nbsp;&amp; more": "quoted text and more.",
    "| a | b |\n|---|---|\n| 1 | 2 |": "a, b. one, two.",
    "Look:\n```python\nprint(1)\n```\nDone": "Look: Code is not read out. Done",
    "See [the docs](http://a.b/c) and ![a cat](x.png).": "See the docs and a cat.",
    "Visit https://www.example.com/path?x=1.": "Visit example dot com.",
    "Mail joe.b@example.org": "Mail joe dot b at example dot org",
    "Hello 😀 world 👩‍👩‍👧, 1️⃣ 🇩🇪!": "Hello world, one!",
    # numbers
    "1,234,567": "one million two hundred thirty-four thousand five hundred sixty-seven",
    "3.14, 007 and .5": "three point one four, zero zero seven and zero point five",
    "-5 and 3 - 2": "minus five and three minus two",
    "the 1st, 22nd and 40th": "the first, twenty-second and fortieth",
    "1/2, 2 1/2, 3/4, 8/10, ½": (
        "one half, two and a half, three quarters, eight out of ten, one half"
    ),
    "mp3, H2O, 4K": "mp three, H two O, four K",
    "10^6 and x^2": "ten to the power of six and x squared",
    "v1.2.3": "version one point two point three",
    "No. 5 is #1": "number five is number one",
    "call 555-123-4567": "call five five five, one two three, four five six seven",
    "+49 30 1234567": "plus four nine, three zero, one two three four five six seven",
    "5-10 km": "five to ten kilometers",
    "1234567890123456": (
        "one two three four five six seven eight nine zero one two three four five six"
    ),
    # money and percentages
    "$5.50, €1,200, 20€, $1.5 million, £1, $0.99": (
        "five dollars and fifty cents, one thousand two hundred euros, twenty euros, "
        "one point five million dollars, one pound, ninety-nine cents"
    ),
    "50% or 10-15%": "fifty percent or ten to fifteen percent",
    # units
    "100 km/h at 20°C, 1 kg, 16GB, 250 ms, 12 m², 1 min, 6 ft": (
        "one hundred kilometers per hour at twenty degrees Celsius, one kilogram, "
        "sixteen gigabytes, two hundred fifty milliseconds, twelve square meters, one minute, "
        "six feet"
    ),
    # dates and times
    "In 1999 we had 1500 dogs": "In nineteen ninety-nine we had one thousand five hundred dogs",
    "since 2008, in 1905, the 1990s": (
        "since two thousand eight, in nineteen oh five, the nineteen nineties"
    ),
    "in 2000 steps": "in two thousand steps",
    "on Nov 20, 2026": "on November twentieth, twenty twenty-six",
    "5 May 2020": "the fifth of May, twenty twenty",
    "2026-11-20": "November twentieth, twenty twenty-six",
    "3/4/2024": "March fourth, twenty twenty-four",
    "at 10:30 am, 9:05, 9:00 and 14:00": (
        "at ten thirty A M, nine oh five, nine o'clock and fourteen hundred hours"
    ),
    "It was 3 p.m. Then 5pm.": "It was three P M. Then five P M.",
    # symbols and abbreviations
    "A & B + C = D → E": "A and B plus C equals D to E",
    "≈ 5 < 6": "about five less than six",
    "Dr. Smith vs. Mr. T, e.g. now, etc. And so on.": (
        "Doctor Smith versus Mister T, for example now, et cetera. And so on."
    ),
    "C++ and C#": "C plus plus and C sharp",
    "left -- right — end": "left, right, end",
    # nothing to say
    "": "",
    "😀": "",
    "***": "",
}


@pytest.mark.parametrize(("text", "spoken"), CASES.items())
def test_english(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("de", "# Titel\n\n- *eins* & 5 km\n- zwei 😀", "Titel. eins & 5 km. zwei."),
        ("fr", "Il est 10:30, **voilà**", "Il est 10:30, voilà"),
        ("hi", "क्\u200dष", "क्\u200dष"),
        ("de", "```\nx\n```", ""),
        ("en-gb", "3/4/2024", "April third, twenty twenty-four"),
        ("en_US", "3/4/2024", "March fourth, twenty twenty-four"),
    ],
)
def test_other_languages_keep_their_numbers(language: str, text: str, spoken: str) -> None:
    assert speakable(text, language) == spoken


_ODD = ["Dr.", "km", "p.m.", "St. ", "&amp;", "http://", "www.", "May ", "1.", "e5", "C#", "->"]
_MARKS = list("*_`~#|[]()<>{}&@+=-/\\.,:;!?^$€%°²½'\"0123456789 \n\t\u200d\ufe0f٣\ud800\x00")
_PIECES = st.sampled_from([*CASES, *_ODD, *_MARKS])


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=12).map("".join)))
@example("&amp;lt;b&gt;")
@example("9" * 5000)
@example("1/0")
def test_always_the_same_the_second_time_and_no_digit_left(text: str) -> None:
    for language in ("en", "de"):
        once = speakable(text, language)
        assert speakable(once, language) == once
        assert "\n" not in once
        assert not re.search(r"[*`\[\]{}|\\]", once)
        if language == "en":
            assert not re.search(r"\d", once)


@pytest.mark.parametrize(
    "piece", ["9", "1-", "**", "<a ", "[", "1,", "a.", "1 ", "|--", "_a", "http://"]
)
def test_long_text_takes_no_quadratic_time(piece: str) -> None:
    """10,000 characters of a bad kind come back; a quadratic pattern would hold the suite up."""
    speakable(piece * (10_000 // len(piece)))
