"""Channels and outcomes made by hand, so that every answer is known before it is measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Played, Role, Source, Stimulus, Trial

Event = dict[str, Any]
Span = tuple[float, float]

LOUD = 0.1
NOTHING = Context()


def frames(at_s: float) -> int:
    return round(at_s * SAMPLE_RATE)


def channel(length_s: float, *spans: Span, level: float = LOUD) -> Samples:
    """Sound of a constant amplitude, every sample of it, in these spans; silence elsewhere."""
    samples = np.zeros(frames(length_s), dtype=np.float32)
    for begin_s, end_s in spans:
        count = frames(end_s) - frames(begin_s)
        samples[frames(begin_s) : frames(end_s)] = level * np.where(
            np.arange(count) % 40 < 20, 1, -1
        )
    return samples


def with_gain(samples: Samples, begin_s: float, end_s: float, gain_db: float) -> Samples:
    changed = samples.copy()
    changed[frames(begin_s) : frames(end_s)] *= np.float32(10.0 ** (gain_db / 20.0))
    return changed


def played(
    role: Role,
    *speech: Span,
    text: str = "",
    into_reply: bool = False,
    is_user: bool = True,
) -> Played:
    """A stimulus whose speech lies at these seconds of the clock; its sound begins 0.1 s before."""
    begin = frames(speech[0][0]) - frames(0.1)
    length = frames(speech[-1][1]) - begin + frames(0.1)
    stimulus = Stimulus(
        role=role,
        sound=np.zeros(length, dtype=np.float32),
        label=role,
        text=text,
        speech_frames=tuple((frames(a) - begin, frames(b) - begin) for a, b in speech),
        begins="into_reply" if into_reply else "at",
        is_user=is_user,
    )
    return Played(stimulus=stimulus, begin_frames=begin)


def outcome(
    reply: Samples,
    *what: Played,
    events: tuple[Event, ...] = (),
    id: str = "scenario/condition/synthetic/001",  # noqa: A002 - the field's own name
    system: str = "ours",
    source: Source = "synthetic",
    planned: tuple[Stimulus, ...] | None = None,
    room: Samples | None = None,
    **more: Any,
) -> Outcome:
    scenario, condition = id.split("/")[:2]
    trial = Trial(
        id=id,
        scenario=scenario,
        condition=condition,
        source=source,
        seed=1,
        stimuli=tuple(p.stimulus for p in what) if planned is None else planned,
        limit_s=60.0,
        room=room,
    )
    user = np.zeros_like(reply)
    return Outcome(
        trial=trial, system=system, user=user, reply=reply, played=what, events=events, **more
    )


def event(at_s: float, name: str, turn: int | None = None, **more: Any) -> Event:
    made: Event = {"t": at_s, "event": name, **more}
    return made if turn is None else {**made, "turn": turn}


def spoken(
    turn: int,
    begin_s: float,
    end_s: float,
    text: str,
    *,
    heard: str | None = None,
    transcript: str = "a question",
    ended: str = "playback_finished",
    exact: bool = True,
) -> tuple[Event, ...]:
    """What the log says of a reply, from its transcript to its end."""
    return (
        event(begin_s - 0.2, "transcript", turn, text=transcript, final=True),
        event(begin_s - 0.1, "reply", turn, draft=1, text=text),
        event(begin_s - 0.1, "committed", turn, draft=1),
        event(begin_s, "playback_started", turn, draft=1),
        event(end_s, ended, turn, draft=1, heard=text if heard is None else heard, exact=exact),
    )


def values(found: list[Observation]) -> list[float]:
    return [one.value for one in found if isinstance(one, Sample)]


def reasons(found: list[Observation]) -> list[str]:
    return [one.reason for one in found if isinstance(one, Void)]


def only(found: list[Observation]) -> float:
    """The one value, where nothing is void."""
    assert reasons(found) == []
    assert len(found) == 1
    return values(found)[0]
