"""Whole conversations whose right answers were written down by hand, before they were measured.

The loudspeaker's channel is a voice as nasty as real ones are: syllables that rise and fall, breath
before and an echo behind that nobody hears (below -50 dBFS). What is annotated is where it is
audible; every latency must agree with that to one frame of 10 ms, every share exactly, and what
stands as None must not be measured at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.metrics import METRICS, context_of, trial_values
from edge_assistant.bench.trial import Played
from tests.bench.metrics_makers import Event, Span, event, frames, outcome, played, spoken

LONG = "it goes on and on, for longer than anybody would have listened to it"
FRAME_S = 0.01
SYLLABLES_PER_S = 4.0
UNHEARD = 0.0028
"""-51 dBFS."""

QUESTION = played("question", (1.0, 3.0))
PAUSED = played("pause", (1.0, 2.0), (2.7, 4.0))
TWICE = played("pause", (1.0, 2.0), (2.5, 3.0), (4.0, 5.0))
INTERRUPTION = played("interruption", (3.0, 4.5), text="no the other one", into_reply=True)
STOP = played("stop", (3.0, 3.4), text="stop", into_reply=True)
MHM = played("backchannel", (3.0, 3.4), text="mhm", into_reply=True)
COUGH = played("noise", (3.0, 3.3), into_reply=True, is_user=False)
TV = played("tv", (3.0, 6.0), into_reply=True, is_user=False)


def voice(length_s: float, *spans: Span) -> Samples:
    """Audible from the first to the last frame of each span, and nowhere else."""
    rng = np.random.default_rng(5)
    samples = np.zeros(frames(length_s), dtype=np.float32)
    for begin_s, end_s in spans:
        begin, end = frames(begin_s), frames(end_s)
        at_s = np.arange(end - begin) / SAMPLE_RATE
        syllables = 0.055 + 0.045 * np.cos(2 * np.pi * SYLLABLES_PER_S * at_s)
        samples[begin:end] = syllables * rng.uniform(-1.0, 1.0, end - begin)
        breath = slice(max(0, begin - frames(0.2)), begin)
        samples[breath] = UNHEARD * rng.uniform(-1.0, 1.0, samples[breath].size)
        echo = samples[end : end + frames(0.3)]
        echo += (UNHEARD * np.linspace(1.0, 0.0, echo.size) * rng.uniform(-1, 1, echo.size)).astype(
            np.float32
        )
    return samples


def turned(samples: Samples, begin_s: float, end_s: float, gain_db: float) -> Samples:
    """The voice at another level between two times, with ramps of 10 ms as playout makes them."""
    gain = np.ones(len(samples))
    low, ramp = 10.0 ** (gain_db / 20.0), frames(0.01)
    begin, end = frames(begin_s), frames(end_s)
    gain[begin:end] = low
    gain[begin : begin + ramp] = np.linspace(1.0, low, ramp)
    gain[end : end + ramp] = np.linspace(low, 1.0, len(gain[end : end + ramp]))
    return np.asarray(samples * gain, dtype=np.float32)


def fading_in(samples: Samples, begin_s: float, length_s: float) -> Samples:
    gain = np.clip((np.arange(len(samples)) - frames(begin_s)) / frames(length_s), 0.0, 1.0)
    return np.asarray(samples * gain, dtype=np.float32)


def with_click(samples: Samples, at_s: float) -> Samples:
    changed = samples.copy()
    changed[frames(at_s)] = 0.05
    return changed


@dataclass(frozen=True, kw_only=True)
class Case:
    """One conversation and what is true of it."""

    name: str
    reply: Samples
    user: tuple[Played, ...] = ()
    events: tuple[Event, ...] = ()
    truth: dict[str, float | None] = field(default_factory=dict)


def said(name: str, *spans: Span, user: Played = QUESTION, **truth: float | None) -> Case:
    return Case(name=name, reply=voice(12.0, *spans), user=(user,), truth=truth)


TURNS = (
    said("a quick answer", (3.05, 6.0), response_gap=0.05, takeover=1, false_start=0),
    said("an answer", (3.4, 6.0), response_gap=0.4, takeover=1, false_start=0, fdb_turn_tor=1),
    said("on the dot", (3.0, 6.0), response_gap=0.0, takeover=1, false_start=0),
    said("before the user's end", (2.6, 5.0), response_gap=-0.4, takeover=1, false_start=1),
    said("over before the user's end", (1.5, 2.0), response_gap=-1.5, takeover=0, false_start=1),
    said("two replies", (3.5, 4.2), (6.0, 7.0), response_gap=0.5, takeover=1),
    said("silence", response_gap=None, false_start=None, takeover=0, fdb_turn_tor=0),
    said("never stops", (0.2, 12.0), response_gap=None, takeover=0),
    said("before the turn, and an answer", (0.2, 0.7), (3.6, 5.0), response_gap=0.6, takeover=1),
    said(
        "a reply with holes", (3.4, 3.9), (4.3, 4.8), (5.2, 6.0), response_gap=0.4, fdb_turn_tor=1
    ),
    said("one word", (3.4, 3.9), response_gap=0.4, takeover=1, fdb_turn_tor=0),
    said("the last moment", (11.9, 12.0), response_gap=8.9, takeover=1),
    Case(
        name="a clipped start",
        reply=np.where(
            np.arange(12 * SAMPLE_RATE) < frames(3.3), 0.0, voice(12.0, (2.9, 6.0))
        ).astype(np.float32),
        user=(QUESTION,),
        truth={"response_gap": 0.3, "takeover": 1},
    ),
    Case(
        name="a soft start",
        reply=fading_in(voice(12.0, (3.3, 6.0)), 3.3, 0.1),
        user=(QUESTION,),
        truth={"response_gap": 0.3, "takeover": 1},
    ),
    Case(
        name="a click is heard",
        reply=with_click(voice(12.0, (3.9, 6.0)), 3.1),
        user=(QUESTION,),
        truth={"response_gap": 0.1, "takeover": 1, "fdb_turn_latency": 0.1},
    ),
)

PAUSES = (
    said("waits", (4.5, 6.0), user=PAUSED, pause_take_any=0, pause_take_tor=0, response_gap=0.5),
    said(
        "takes over", (2.4, 6.0), user=PAUSED, pause_take_any=1, pause_take_tor=1, response_gap=-1.6
    ),
    said(
        "begins and yields", (2.4, 2.9), (4.6, 6.0), user=PAUSED, pause_take_any=1, pause_take_tor=0
    ),
    said("begins on top of the user", (3.2, 3.6), user=PAUSED, pause_take_any=1, takeover=0),
    said("was over before", (0.3, 0.9), user=PAUSED, pause_take_any=0, takeover=0),
    said("the second of two", (3.5, 3.8), (5.4, 7.0), user=TWICE, pause_take_any=0.5),
)

OVERLAPS = (
    said(
        "yields and answers",
        (1.0, 3.25),
        (5.1, 7.0),
        user=INTERRUPTION,
        stop_latency=0.25,
        stop_after_word=None,
        stopped=1,
        ducked=1,
        duck_latency=0.25,
        answered_audibly=1,
    ),
    said(
        "never stops",
        (1.0, 12.0),
        user=INTERRUPTION,
        stop_latency=None,
        stopped=0,
        ducked=0,
        answered_audibly=0,
    ),
    said(
        "stops late",
        (1.0, 5.0),
        (6.0, 8.0),
        user=INTERRUPTION,
        stop_latency=2.0,
        stopped=0,
        answered_audibly=1,
    ),
    said("begins again", (1.0, 3.2), (3.9, 4.3), user=INTERRUPTION, stop_latency=1.3, stopped=1),
    said("says nothing more", (1.0, 3.2), user=INTERRUPTION, stop_latency=0.2, answered_audibly=0),
    said("had ended before", (1.0, 2.4), user=INTERRUPTION, stop_latency=None, stopped=None),
    said(
        "stop",
        (1.0, 3.3),
        user=STOP,
        stop_latency=0.3,
        stop_after_word=-0.1,
        stopped=1,
        answered_audibly=None,
    ),
    said("stop, and soon silent", (1.0, 3.55), user=STOP, stop_latency=0.55, stop_after_word=0.15),
    said("stop, and a last word", (1.0, 3.3), (3.9, 4.2), user=STOP, stop_after_word=0.8),
    said("stop, and it never does", (1.0, 12.0), user=STOP, stop_after_word=None, stopped=0),
    Case(
        name="ducks, then yields",
        reply=turned(voice(12.0, (1.0, 3.5), (5.3, 7.0)), 3.05, 3.6, -18.0),
        user=(INTERRUPTION,),
        truth={"ducked": 1, "duck_latency": 0.06, "stop_latency": 0.5, "stopped": 1},
    ),
    Case(
        name="ducks for a moment",
        reply=turned(voice(12.0, (1.0, 9.0)), 3.05, 3.25, -18.0),
        user=(INTERRUPTION,),
        truth={"ducked": 0, "duck_latency": None, "stopped": 0},
    ),
    Case(
        name="would have ended by itself",
        reply=voice(12.0, (1.0, 4.2)),
        user=(INTERRUPTION,),
        events=spoken(1, 1.0, 4.2, "a reply"),
        truth={"stopped": None, "stop_latency": None, "answered": None},
    ),
    Case(
        name="answers what was said",
        reply=voice(12.0, (1.0, 3.3), (5.0, 7.0)),
        user=(INTERRUPTION,),
        events=(
            *spoken(1, 1.0, 3.3, LONG, heard="it goes on", ended="yielded"),
            *spoken(2, 5.0, 7.0, "the second", transcript="No, the other one."),
        ),
        truth={"answered": 1, "answered_audibly": 1, "stop_latency": 0.3},
    ),
    Case(
        name="answers something else",
        reply=voice(12.0, (1.0, 3.3), (5.0, 7.0)),
        user=(INTERRUPTION,),
        events=(
            *spoken(1, 1.0, 3.3, LONG, heard="it goes on", ended="yielded"),
            *spoken(2, 5.0, 7.0, "the second", transcript="Tell me a story."),
        ),
        truth={"answered": 0, "answered_audibly": 1},
    ),
)

OTHERS = (
    said("under mhm it goes on", (1.0, 8.0), user=MHM, **{"floor_kept[backchannel]": 1}),
    said("mhm silences it", (1.0, 3.3), user=MHM, **{"floor_kept[backchannel]": 0}),
    said("back in time", (1.0, 3.2), (4.1, 8.0), user=MHM, **{"floor_kept[backchannel]": 1}),
    said("back too late", (1.0, 3.2), (4.9, 8.0), user=MHM, **{"floor_kept[backchannel]": 0}),
    said("a cough", (1.0, 8.0), user=COUGH, **{"floor_kept[noise]": 1, "stopped": None}),
    said(
        "the television speaks",
        (1.0, 9.0),
        user=TV,
        **{"floor_kept_over_others[tv]": 1, "others_answered[tv]": 0},
    ),
    said(
        "the television is answered",
        (1.0, 3.5),
        (7.5, 9.0),
        user=TV,
        **{"floor_kept_over_others[tv]": 0, "others_answered[tv]": 1},
    ),
    Case(name="nobody speaks", reply=voice(60.0), truth={"phantom_replies": 0}),
    Case(
        name="two phantoms",
        reply=voice(60.0, (10.0, 12.0), (12.6, 13.0), (40.0, 41.0)),
        truth={"phantom_replies": 120, "response_gap": None},
    ),
    Case(
        name="a turn that nobody took",
        reply=voice(60.0),
        events=(event(0.0, "listening"), event(9.0, "committed", 1, draft=1)),
        truth={"phantom_turns": 60, "phantom_replies": 0},
    ),
)

CASES = (*TURNS, *PAUSES, *OVERLAPS, *OTHERS)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 40
    assert sum(len(case.truth) for case in CASES) > 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_measures_agree_with_the_annotation(case: Case) -> None:
    assert case.truth
    conversation = outcome(case.reply, *case.user, events=case.events)
    found = trial_values(conversation, context_of([conversation]))
    for name, truth in case.truth.items():
        metric = METRICS[name.partition("[")[0]]
        if truth is None:
            assert name not in found, name
        elif metric.unit == "s":
            assert found[name] == pytest.approx(truth, abs=FRAME_S), name
        else:
            assert found[name] == pytest.approx(truth, abs=1e-9), name
