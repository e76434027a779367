"""Whatever people, engines and programs do, the floor keeps its promises."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE
from edge_assistant.audio.playout import Key
from edge_assistant.turns.commands import (
    Answer,
    Commit,
    Discard,
    DropRequest,
    GoOn,
    OpenTurn,
    ResumeTurn,
    Speak,
    Yield,
)
from edge_assistant.turns.events import PushPressed, PushReleased, Requested, StopPressed
from edge_assistant.turns.settings import Settings
from tests.fakes.lines import voice_of
from tests.fakes.screenplay import Screenplay

TEXTS = (
    "what time is it",
    "",
    "stop",
    "mhm",
    "yeah okay right",
    "hey assistant tell me more",
    "no wait stop",
)
SCRIPT_ENDS_S = 12.0
QUIET_ENDS_S = 40.0
"""Long enough for everything that is owed to be said."""


@st.composite
def screenplays(draw: st.DrawFn) -> Screenplay:
    """People who speak at any time, engines of any speed that may fail, programs and keys."""
    rules = Settings(
        listen=draw(st.sampled_from(["open", "open", "open", "wake", "push"])),
        barge_in=draw(st.booleans()),
        draft_at=draw(st.sampled_from(["endpoint", "pause"])),
        partials=draw(st.booleans()),
        probe_ms=draw(st.sampled_from([0, 250])),
        barge_in_ms=draw(st.sampled_from([300, 1_500])),
        max_utterance_ms=draw(st.sampled_from([2_000, 30_000])),
    )
    failing = draw(st.sets(st.sampled_from(["stt", "llm"])))
    unlucky = draw(st.integers(1, 4))
    play = Screenplay(
        rules=rules,
        judge_ms=draw(st.integers(10, 400)),
        stt_ms=draw(st.integers(10, 900)),
        partial_ms=draw(st.integers(10, 900)),
        llm_ms=draw(st.integers(10, 900)),
        reply_s=draw(st.floats(0.05, 3.0)),
        probability=draw(st.none() | st.floats(0.0, 1.0)),
        fail=lambda stage, key: stage in failing and key[0] % unlucky == 0,
    )
    at_s = 0.3
    while at_s < SCRIPT_ENDS_S:
        at_s += draw(st.floats(0.05, 2.5))
        ends_s = at_s + draw(st.floats(0.02, 2.5))
        is_echo = draw(st.sampled_from([False, False, False, True]))
        play.user(at_s, ends_s, draw(st.sampled_from(TEXTS)), is_echo=is_echo)
        at_s = ends_s
    for number in range(draw(st.integers(0, 3))):
        play.request(draw(st.floats(0.1, 10.0)), number, answer=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        pressed_s = draw(st.floats(0.1, 10.0))
        _press(play, pressed_s, pressed_s + draw(st.floats(0.05, 3.0)))
    for _ in range(draw(st.integers(0, 1))):
        play.at(draw(st.floats(0.1, 12.0)), lambda: play.feed(StopPressed()))
    return play


def _press(play: Screenplay, from_s: float, to_s: float) -> None:
    for at_s, kind in ((from_s, PushPressed), (to_s, PushReleased)):
        event = kind(at_frames=int(at_s * SAMPLE_RATE))
        play.at(at_s, lambda event=event: play.feed(event))  # type: ignore[misc]


def _keys_heard(play: Screenplay) -> list[set[Key]]:
    """Whose voices can be told in each block, at full gain or ducked or fading."""
    keys = {(command.turn, command.draft) for command in play.commands(Commit)}
    steady = {round(voice_of(key), 4): key for key in keys}
    blocks = play.audio().reshape(-1, BLOCK_FRAMES)
    return [
        {steady[value] for value in set(np.round(block, 4).tolist()) & steady.keys()}
        for block in blocks
    ]


def _chains(play: Screenplay) -> list[list[Key]]:
    """The replies that answer somebody, each with those that it went on in."""
    after = {command.after: (command.turn, command.draft) for command in play.commands(GoOn)}
    reopened = {(each.turn, each.draft) for each in _reopened(play)}
    chains = []
    for answer in play.commands(Answer):
        chain = [(answer.turn, answer.draft)]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        if chain[0] not in reopened:
            chains.append(chain)
    return chains


def _reopened(play: Screenplay) -> list[Yield]:
    """The replies that gave way to the turn itself going on: it is transcribed again."""
    orders = [command for _, command in play.log]
    return [
        order
        for order, following in pairwise(orders)
        if isinstance(order, Yield)
        and isinstance(following, ResumeTurn)
        and order.turn == following.turn
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.data_too_large])
@given(play=screenplays())
def test_the_floor_keeps_its_promises(play: Screenplay) -> None:
    play.run(QUIET_ENDS_S)

    assert play.state.is_idle, play.state
    assert not play.state.ducked
    assert play.state.check is None
    assert play.playout.is_idle

    turns = {command.turn for command in play.commands(OpenTurn)} | set(play.outcomes)
    for turn in turns:
        assert len(play.outcomes.get(turn, [])) == 1, f"turn {turn}: {play.outcomes.get(turn)}"

    asked = [event.request for _, event in play.events if isinstance(event, Requested)]
    dropped = [command.request for command in play.commands(DropRequest)]
    begun = [
        command.request
        for _, command in play.log
        if isinstance(command, Answer | Speak) and command.request is not None
    ]
    assert sorted(asked) == sorted([*dropped, *begun])

    committed = {
        (command.turn, command.draft): at_s
        for at_s, command in reversed(play.log)
        if isinstance(command, Commit)
    }
    for number, heard in enumerate(_keys_heard(play)):
        assert len(heard) <= 1, f"two replies at once in block {number}: {heard}"
        for key in heard:
            assert committed[key] * SAMPLE_RATE <= (number + 1) * BLOCK_FRAMES

    silent_drafts = {(d.turn, d.draft) for d in play.commands(Discard)} - committed.keys()
    assert not silent_drafts & play.heard_frames.keys()

    # History is written from these counts: they must be what the loudspeaker played. The last frame
    # of a fade is played at gain zero.
    words = [word for chain in _chains(play) for key in chain for word in play.heard_words(key)]
    remembered = [word for each in play.history.exchanges for word in each.heard.split()]
    assert sorted(remembered) == sorted(words)
    told = [each.heard.split() for each in play.history.exchanges]
    for chain in _chains(play):
        whole = [word for key in chain for word in play.heard_words(key)]
        assert not whole or whole in told, f"{whole} is not one reply of {told}"

    silenced = {(command.turn, command.draft) for command in play.commands(Yield)}
    assert {command.after for command in play.commands(GoOn)} <= silenced

    counted, played = sum(play.heard_frames.values()), np.count_nonzero(play.audio())
    assert 0 <= counted - played <= len(play.commands(Yield))
