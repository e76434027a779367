"""What the model is told of the conversation so far."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.llm.history import Exchange, History
from edge_assistant.llm.protocol import Message

exchanges = st.lists(
    st.builds(
        Exchange,
        user=st.text(min_size=1, max_size=20),
        heard=st.sampled_from(["", "  ", "Yes.", "Well, that is a"]),
        is_interrupted=st.booleans(),
    ),
    max_size=8,
)


def words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


def spelt(messages: Sequence[Message]) -> list[str]:
    return [f"{message.role}: {message.content}" for message in messages]


def test_a_plain_conversation() -> None:
    history = History([Exchange(user="Hello", heard="Hi.")])
    assert spelt(history.messages("Be kind.", "How are you?")) == [
        "system: Be kind.",
        "user: Hello",
        "assistant: Hi.",
        "user: How are you?",
    ]


def test_an_interrupted_reply_is_what_was_heard_of_it() -> None:
    history = History([Exchange(user="Tell me", heard="Once upon a ", is_interrupted=True)])
    assert spelt(history.messages("", "Stop"))[1] == "assistant: Once upon a"


def test_a_reply_that_nobody_heard_leaves_its_question_for_the_next() -> None:
    history = History(
        [
            Exchange(user="Hello", heard="Hi."),
            Exchange(user="What's the weather", heard="", is_interrupted=True),
        ]
    )
    assert spelt(history.messages("", "in Paris")) == [
        "user: Hello",
        "assistant: Hi.",
        "user: What's the weather\nin Paris",
    ]
    assert spelt(history.messages("", None)) == ["user: Hello", "assistant: Hi."]


def test_a_reply_that_goes_on_is_one_reply() -> None:
    history = History(
        [
            Exchange(user="Hello", heard="Hi."),
            Exchange(user="Tell me", heard="Once upon", is_interrupted=True),
        ]
    )
    history.go_on("a time", is_interrupted=True)
    assert history.exchanges[-1] == Exchange(
        user="Tell me", heard="Once upon a time", is_interrupted=True
    )
    history.go_on("there was.", is_interrupted=False)
    assert history.exchanges == (
        Exchange(user="Hello", heard="Hi."),
        Exchange(user="Tell me", heard="Once upon a time there was."),
    )


def test_a_reply_that_goes_on_may_have_been_silent_so_far_or_from_then_on() -> None:
    history = History([Exchange(user="Tell me", heard="", is_interrupted=True)])
    history.go_on("", is_interrupted=True)
    history.go_on("Once.", is_interrupted=False)
    history.go_on("", is_interrupted=True)
    assert history.exchanges == (Exchange(user="Tell me", heard="Once.", is_interrupted=True),)


def test_a_reply_that_was_forgotten_meanwhile_stays_forgotten() -> None:
    history = History([Exchange(user="Tell me", heard="Once", is_interrupted=True)])
    history.replace([])
    history.go_on("upon a time", is_interrupted=False)
    assert history.exchanges == ()


@given(exchanges, st.one_of(st.none(), st.text(min_size=1)))
def test_roles_alternate(past: list[Exchange], user: str | None) -> None:
    roles = [message.role for message in History(past).messages("Be kind.", user)]
    assert roles[0] == "system"
    assert roles[1::2] == ["user"] * len(roles[1::2])
    assert roles[2::2] == ["assistant"] * len(roles[2::2])
    assert (roles[-1] == "user") == (user is not None)


@given(exchanges, st.text(min_size=1))
def test_what_can_be_evaluated_ahead_is_a_beginning(past: list[Exchange], user: str) -> None:
    history = History(past)
    ahead = history.messages("Be kind.", None)
    assert history.messages("Be kind.", user)[: len(ahead)] == ahead


@given(exchanges, st.integers(min_value=0, max_value=60))
def test_fits_by_forgetting_the_oldest(past: list[Exchange], budget: int) -> None:
    history = History(past)
    messages = history.fit("Be kind.", "And now?", count=words, budget=budget)
    kept = history.exchanges
    assert kept == tuple(past[len(past) - len(kept) :])
    assert messages == history.messages("Be kind.", "And now?")
    assert messages[0].content == "Be kind."
    assert words(messages) <= budget or not kept


def test_forgets_some_at_once_so_that_the_next_turns_need_not() -> None:
    history = History([Exchange(user="one two", heard="three four")] * 25)
    assert words(history.fit("", "five", count=words, budget=100)) <= 75
    before = history.exchanges
    history.append(before[0])
    history.fit("", "five", count=words, budget=100)
    assert history.exchanges[: len(before)] == before


def test_replaced_and_forgotten() -> None:
    history = History()
    history.append(Exchange(user="a", heard="b"))
    history.replace([Exchange(user="c", heard="d"), Exchange(user="e", heard="f")])
    assert [exchange.user for exchange in history.exchanges] == ["c", "e"]
    history.replace([])
    assert history.exchanges == ()


def test_many_threads_lose_nothing() -> None:
    history = History()

    def talk(name: str) -> None:
        for number in range(200):
            history.append(Exchange(user=f"{name}{number}", heard="yes"))

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({exchange.user for exchange in history.exchanges}) == 800
