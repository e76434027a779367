"""Does it hear itself? Hours of echo in minutes: real ears, no model of language or speech.

`python -m tests.figures.echo [--minutes N] [--interruptions N] [--first N] [--modes
auto,webrtc,off]` lets a loudspeaker talk into three rooms and plays what comes back, faster than
real time, to the real thing: `Ears` with the canceller, webrtcvad and Silero, and `Playout`, ducked
at an onset and silenced after 700 ms of speech, as the floor does it by length alone. What the
loudspeaker says is our voice and recordings of people at the voice's level, in turn. In every
condition one canceller hears it alone, and another, as fresh, hears people interrupt it. Then, N
times in every condition with an echo, a canceller that never heard anything has 3 s of a first
reply alone, and another is interrupted 2 s into its first reply.

Counted are, alone: ducks (onsets while it sounds), self-turns (`speech_started`), and replies
silenced; interrupted: how many of the interruptions, at -26 dBFS, gave `speech_started` within
0.7 s of their onset. Without recordings the rooms are synthetic, and nobody interrupts.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.audio.resample import resample
from edge_assistant.bench.truth import active_dbfs, find_speech
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.espeak import EspeakVoice
from tests.figures.echo_room import RECORDED, Condition, Conversation, Tally
from tests.figures.recordings import Recording, recordings, speech_folder

LEVELS_DB: Final = (-20, -10, -6, 0)
USER_DBFS: Final = -26.0
HEADPHONES: Final = Condition(room="kitchen", echo_db=None)
FIRST_REPLY_S: Final = 3.0
INTO_FIRST_REPLY_S: Final = 2.0
SENTENCES: Final = (
    "The history of Rome is long. It began as a village on a hill, and it ended as the greatest "
    "empire of the old world.",
    "Its roads, its laws and its language are with us to this day. Would you like to hear more "
    "about the first emperors?",
    "Tomorrow it will be sunny, with a high of twenty three degrees and a light west wind.",
    "To boil an egg, put it into cold water, bring it to the boil, and wait for six minutes.",
    "I have set a timer for ten minutes. Is there anything else that I can do for you today?",
)


def conditions() -> list[Condition]:
    """Rooms times levels, each room rough once, and headphones."""
    smooth = [Condition(room=room, echo_db=db) for room in RECORDED for db in LEVELS_DB]
    rough = [Condition(room=room, echo_db=-6, is_rough=True) for room in RECORDED]
    return [*smooth, *rough, HEADPHONES]


def replies() -> list[Samples]:
    """What the loudspeaker says: our voice, and people, in turn."""
    voice = EspeakVoice("en-us")
    spoken = [
        resample(
            np.concatenate([chunk.samples for chunk in voice.synthesize(text, CancelToken())]),
            voice.sample_rate,
            SAMPLE_RATE,
        )
        for text in SENTENCES
    ]
    if speech_folder() is None:
        return spoken
    level = active_dbfs(spoken[0])
    people = [_at(level, clip.sound()) for clip in _read_aloud()[::2]]
    return [sound for pair in zip(spoken * len(people), people, strict=False) for sound in pair]


def interruptions() -> list[Samples]:
    """Commands and read sentences at `USER_DBFS`, in an order that mixes speakers; none of them
    comes out of the loudspeaker."""
    if speech_folder() is None:
        return []
    commands = [clip for clip in recordings("") if clip.facts["kind"] == "command"]
    sounds = [clip.sound() for clip in (*commands, *_read_aloud()[1::2]) if clip.seconds > 0.8]
    order = np.random.default_rng(1).permutation(len(sounds))
    return [_at(USER_DBFS, sounds[n]) for n in order if find_speech(sounds[n]).frames]


def _read_aloud() -> list[Recording]:
    return [c for c in recordings("") if c.facts["kind"] == "read" and 4.0 < c.seconds < 12.0]


def _at(level_dbfs: float, sound: Samples) -> Samples:
    gain = gain_of_db(level_dbfs - active_dbfs(sound))
    return np.asarray(np.clip(sound * np.float32(gain), -1.0, 1.0), dtype=np.float32)


def measure(
    condition: Condition,
    mode: str,
    sounds: list[Samples],
    users: list[tuple[Samples, bool]],
    sound_s: float,
) -> tuple[Tally, Tally]:
    """(alone, interrupted); `users` say with each clip whether it lands without an echo."""
    alone = Conversation(condition, mode, 1)
    alone.talk(sounds, sound_s)
    talking = Conversation(condition, mode, 2)
    for clip, would_land in users:
        landed = talking.interrupt(sounds, clip)
        talking.tally.would_land += would_land
        talking.tally.still_landed += would_land and landed
    return alone.close(), talking.close()


def lands_anyway(sounds: list[Samples], clips: list[Samples]) -> list[bool]:
    """Which interruptions land within 0.7 s with headphones and no canceller: some begin with a
    breath, which the truth counts and no detector does."""
    headphones = Conversation(HEADPHONES, "off", 2)
    landed = [headphones.interrupt(sounds, clip) for clip in clips]
    headphones.close()
    return landed


def first_reply(condition: Condition, mode: str, sounds: list[Samples], number: int) -> Tally:
    """3 s of loudspeaker for ears that never heard it; every session begins with another reply."""
    conversation = Conversation(condition, mode, 10 + number)
    conversation.talk(_from(sounds, number), FIRST_REPLY_S)
    return conversation.close()


def first_interruption(
    condition: Condition, mode: str, sounds: list[Samples], clip: Samples, number: int
) -> Tally:
    """`clip` 2 s into the first reply that these ears hear."""
    conversation = Conversation(condition, mode, 5)
    conversation.interrupt(_from(sounds, number), clip, INTO_FIRST_REPLY_S)
    return conversation.close()


def _from(sounds: list[Samples], number: int) -> list[Samples]:
    first = number * 5 % len(sounds)
    return sounds[first:] + sounds[:first]


def row(name: str, alone: Tally, talking: Tally) -> str:
    reports = [r for r in alone.reports if r.erle_db is not None]
    erle = f"{statistics.median(r.erle_db or 0.0 for r in reports):4.0f}" if reports else "   -"
    found = f"{sum(bool(r.is_echo) for r in reports)}/{len(reports)}"
    minutes = alone.sound_s / 60.0
    return (
        f"{name:20} {minutes:5.1f} {alone.ducks:5} {alone.self_turns:5} {alone.silenced:5}"
        f" {erle} {found:>7}   {talking.interruptions:4} {talking.landed:4}"
        f" {talking.still_landed:4}/{talking.would_land:<4} {talking.ducks:4}"
        f" {talking.self_turns:4}"
    )


def bound(count: int, minutes: float) -> str:
    """A rate and its upper 95 % bound, by the minute: exact for 0 (the rule of three)."""
    upper = 3.0 if count == 0 else count + 2.0 + 2.0 * count**0.5
    return (
        f"{count} in {minutes:.1f} min ({count / minutes:.3f}, below {upper / minutes:.3f} a min)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of loudspeaker, in all")
    parser.add_argument("--interruptions", type=int, default=8, help="in each condition")
    parser.add_argument("--first", type=int, default=10, help="sessions in each condition")
    parser.add_argument("--modes", default="auto", help="auto,webrtc,off")
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    given = parser.parse_args()
    chosen = [c for c in conditions() if given.only in c.name]
    sounds, clips = replies(), interruptions()
    wanted = min(len(clips), given.interruptions * len(chosen)) if given.minutes else 0
    users = list(zip(clips[:wanted], lands_anyway(sounds, clips[:wanted]), strict=True))
    for mode in given.modes.split(","):
        if given.minutes:
            table(mode, chosen, sounds, users, given.minutes * 60.0, given.interruptions)
        if given.first:
            echoes = [c for c in chosen if c.echo_db is not None]
            first_table(mode, echoes, sounds, clips, given.first)


def first_table(
    mode: str,
    chosen: list[Condition],
    sounds: list[Samples],
    clips: list[Samples],
    each: int,
) -> None:
    """First replies alone, and of the interruptions of first replies those that land without an
    echo and a canceller."""
    print(f"\n{mode}: first replies alone | interrupted {INTO_FIRST_REPLY_S:.0f} s into them")
    print("condition              min ducks turns silen      n land  dcks turns", flush=True)
    alone, talked = Tally(), Tally()
    for place, condition in enumerate(chosen):
        here, over = Tally(), Tally()
        for number in range(each):
            here.add(first_reply(condition, mode, sounds, number))
        for number in range(place * each, (place + 1) * each if clips else 0):
            clip = clips[number % len(clips)]
            if first_interruption(HEADPHONES, "off", sounds, clip, number).landed:
                over.add(first_interruption(condition, mode, sounds, clip, number))
        print(first_row(condition.name, here, over), flush=True)
        alone.add(here)
        talked.add(over)
    if alone.sound_s:
        print(first_row("all", alone, talked))
        print("self-turns:", bound(alone.self_turns, alone.sound_s / 60.0))


def first_row(name: str, alone: Tally, talked: Tally) -> str:
    return (
        f"{name:20} {alone.sound_s / 60.0:5.1f} {alone.ducks:5} {alone.self_turns:5}"
        f" {alone.silenced:5}   {talked.interruptions:4} {talked.landed:4}"
        f"  {talked.ducks:4} {talked.self_turns:4}"
    )


def table(
    mode: str,
    chosen: list[Condition],
    sounds: list[Samples],
    users: list[tuple[Samples, bool]],
    sound_s: float,
    each: int,
) -> None:
    print(f"\n{mode}: alone | with people talking over it", flush=True)
    print(
        "condition              min ducks turns silen ERLE   found      n land still     dcks turns"
    )
    echo, talked = Tally(), Tally()
    for number, condition in enumerate(chosen):
        some = [users[(number * each + k) % len(users)] for k in range(each if users else 0)]
        alone, talking = measure(condition, mode, sounds, some, sound_s / len(chosen))
        print(row(condition.name, alone, talking), flush=True)
        if condition.echo_db is not None:
            echo.add(alone)
            talked.add(talking)
    if echo.sound_s:
        minutes = echo.sound_s / 60.0
        print(row("all with an echo", echo, talked))
        print("self-turns:", bound(echo.self_turns, minutes))
        print("ducks:     ", bound(echo.ducks, minutes))


if __name__ == "__main__":
    main()
