"""The system hears itself: levels times rooms, alone (nobody interrupts) and with the user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios.common import (
    HEARD_S,
    make_trial,
    opener,
    requests,
    rounds,
    shuffled,
    stimulus,
)
from edge_assistant.bench.sounds import room_impulse, unit_energy
from edge_assistant.bench.trial import Trial

NAME: Final = "echo"

LEVELS_DB: Final = (-20, -10, -30)
"""Gain of the way from loudspeaker to microphone; -10 dB is a loudspeaker beside the microphone."""

ROOMS: Final[dict[str, tuple[float, float]]] = {"desk": (0.15, 0.3), "living": (0.45, 1.5)}
"""Simulated rooms: reverberation time in s, distance in m."""

RECORDED: Final = "recorded"
"""A room whose impulse response is among the recordings."""

USERS: Final = ("alone", "talking")

ALONE_S: Final = 7.0
"""How much of an undisturbed reply is listened to."""

AFTER_S: Final = 4.0

_ROOM_S: Final = 0.5
"""What is kept of a recorded impulse response: later reverberation is below -60 dB or noise."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """Conditions in turn, alone and talking beside each other; recorded rooms where there are."""
    rooms = rooms_of(pool, seed)
    clips = shuffled(requests(pool, most_s=3.0), seed, NAME)
    conditions = conditions_of(rooms, USERS if clips else USERS[:1])
    trials = []
    for condition, number in rounds(conditions, count, only):
        question = opener(pool, seed, NAME, number)
        if question is None:
            break
        room, level, user = condition.rsplit("_", 2)
        stimuli = [stimulus(question, "question")]
        is_talking = user == "talking"
        if is_talking:
            order = conditions.index(condition) // 2 + number
            clip = clips[order % len(clips)]
            stimuli.append(stimulus(clip, "interruption", "into_reply", 2.0))
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                stimuli,
                pool=pool,
                seed=seed,
                after_s=AFTER_S if is_talking else ALONE_S,
                enough_s=HEARD_S if is_talking else None,
                clip=None if is_talking else question,
                room=rooms[room],
                echo_db=float(level.removesuffix("dB")),
            )
        )
    return trials


def conditions_of(rooms: Iterable[str], users: Sequence[str]) -> tuple[str, ...]:
    """`desk_-20dB_alone` and the like, so ordered that a short run meets every room."""
    names = tuple(rooms)
    return tuple(f"{room}_{db}dB_{user}" for db in LEVELS_DB for room in names for user in users)


def rooms_of(pool: Pool, seed: int) -> dict[str, Samples]:
    """Impulse responses of unit energy by name: the simulated rooms, then a recorded one."""
    rooms = {
        name: room_impulse(seed, rt60_s, distance_m) for name, (rt60_s, distance_m) in ROOMS.items()
    }
    recorded = pool.of("rir")
    if recorded:
        impulse = shuffled(recorded, seed, NAME)[0].sound
        rooms[RECORDED] = unit_energy(impulse[: round(_ROOM_S * SAMPLE_RATE)])
    return rooms
