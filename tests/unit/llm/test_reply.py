"""From token bytes to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.llm.reply import ReplyText, is_looping

STOPS = ("<|im_end|>", "<|im_start|>")


def read(data: bytes, size: int, stops: tuple[str, ...] = STOPS) -> list[str]:
    text = ReplyText(stops)
    pieces = [text.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return [*pieces, text.finish()]


@given(st.text(), st.integers(min_value=1, max_value=7))
def test_whole_characters_however_the_bytes_came(text: str, size: int) -> None:
    assert "".join(read(text.encode(), size, ())) == text.lstrip()


@given(st.binary(), st.integers(min_value=1, max_value=7))
def test_any_bytes_give_text(data: bytes, size: int) -> None:
    for piece in read(data, size):
        piece.encode()
    assert "".join(read(data, size, ())) == data.decode(errors="ignore").lstrip()


def test_half_an_emoji_is_held_back() -> None:
    text = ReplyText(())
    emoji = "😀".encode()
    assert [text.feed(emoji[at : at + 1]) for at in range(4)] == ["", "", "", "😀"]
    assert text.feed(b"a" + emoji[:2]) == "a"
    assert text.finish() == ""


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_stops_before_a_marker_that_was_spelt_out(size: int) -> None:
    assert "".join(read(b"Yes. <|im_end|>\nuser: and", size)) == "Yes. "


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_the_first_marker_counts(size: int) -> None:
    assert "".join(read(b"a<|im_start|>b<|im_end|>c", size)) == "a"


def test_gives_nothing_after_a_stop() -> None:
    text = ReplyText(STOPS)
    assert text.feed(b"Yes.<|im_end|>") == "Yes."
    assert text.is_stopped
    assert text.feed(b" More") == ""


@given(st.lists(st.sampled_from(["<", "|", "<|im_", "end", "start", "a ", "é"]), max_size=30))
def test_what_only_looks_like_a_marker_comes_through(parts: list[str]) -> None:
    text = "".join(parts)
    assert "".join(read(text.encode(), 1)) == text.lstrip()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], False),
        ([7] * 23, False),
        ([7] * 24, True),
        ([1, *[7] * 24], True),
        ([*[7] * 24, 1], False),
        ([1, 2, 3] * 7, False),
        ([1, 2, 3] * 8, True),
        ([*range(20)] * 2, False),
        ([*range(20)] * 3, True),
        ([99, *[*range(40)] * 3], True),
        ([*range(41)] * 3, False),
        (list(range(200)), False),
    ],
)
def test_is_looping(tokens: list[int], expected: bool) -> None:
    assert is_looping(tokens) is expected
