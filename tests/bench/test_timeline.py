"""Where stimuli begin and what the ear hears, in virtual time: no process, no clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.bench.ear import Ear, Heard
from edge_assistant.bench.partner import PIPE_BLOCK_FRAMES
from edge_assistant.bench.timeline import EchoPath, Timeline
from edge_assistant.bench.trial import Trial
from tests.bench.parts import silence, tone, trial, utterance

BLOCK = PIPE_BLOCK_FRAMES


def frames(duration_s: float) -> int:
    return round(duration_s * SAMPLE_RATE)


def play(what: Trial, loudspeaker: Samples, hangover_ms: int = 500) -> tuple[Timeline, Samples]:
    """Let a loudspeaker play on, whatever the user says; returns the microphone too."""
    timeline = Timeline(what, Ear(hangover_ms), answer_s=1.0)
    blocks = []
    for first in range(0, len(loudspeaker) - BLOCK + 1, BLOCK):
        if timeline.is_over:
            break
        blocks.append(timeline.next_block(loudspeaker[first : first + BLOCK]))
    return timeline, np.concatenate(blocks)


def onsets(timeline: Timeline) -> list[int]:
    return [each.speech()[0][0] for each in timeline.played]


def test_a_lead_in_is_cut_and_the_onset_stays() -> None:
    early = utterance(delay_s=0.05, lead_s=0.2)
    timeline, user = play(trial([early]), silence(3.0))
    (played,) = timeline.played
    assert played.begin_frames == frames(0.05) - frames(0.2) - 7
    assert int(np.flatnonzero(user)[0]) == frames(0.05) == onsets(timeline)[0]


def test_noise_without_speech_begins_with_its_first_frame() -> None:
    noise = utterance(role="noise", is_user=False, delay_s=0.3337, speech_frames=())
    timeline, _ = play(trial([noise]), silence(2.0))
    assert timeline.played[0].begin_frames == frames(0.3337)


def test_stimuli_that_overlap_are_added() -> None:
    both = [utterance(delay_s=0.5), utterance(role="tv", is_user=False, delay_s=0.5)]
    _, user = play(trial(both), silence(2.0))
    assert np.abs(user).max() == pytest.approx(0.5)


def test_two_moments_of_one_reply_and_one_of_the_next() -> None:
    backchannel: dict[str, Any] = {"role": "backchannel", "begins": "into_reply", "lead_s": 0.0}
    stimuli = [
        utterance(),
        utterance(**backchannel, delay_s=0.5),
        utterance(**backchannel, delay_s=1.5),
        utterance(role="interruption", begins="into_reply", delay_s=2.5, lead_s=0.0),
        utterance(role="interruption", begins="into_reply", delay_s=0.3, lead_s=0.0),
    ]
    # The second interruption is to the answer of the first, though the first reply still goes on.
    loudspeaker = np.concatenate([silence(1.0), tone(4.0), silence(0.8), tone(1.0), silence(1.0)])
    timeline, _ = play(trial(stimuli), loudspeaker)
    assert onsets(timeline)[1:] == [frames(at_s) for at_s in (1.5, 2.5, 3.5, 6.1)]


def test_a_moment_that_has_passed_is_waited_for_in_the_next_reply() -> None:
    more: dict[str, Any] = {"role": "backchannel", "begins": "into_reply", "lead_s": 0.0}
    stimuli = [utterance(), utterance(**more, delay_s=1.0), utterance(**more, delay_s=0.2)]
    loudspeaker = np.concatenate([silence(1.0), tone(2.0), silence(0.8), tone(1.0), silence(1.0)])
    timeline, _ = play(trial(stimuli, tail_s=1.0), loudspeaker)
    assert onsets(timeline)[1:] == [frames(2.0), frames(3.8 + 0.2)]


def test_a_reply_before_the_turn_is_not_the_answer_to_it() -> None:
    stimuli = [
        utterance(delay_s=1.5),
        utterance(role="interruption", begins="into_reply", delay_s=0.4),
    ]
    loudspeaker = np.concatenate([tone(1.8), silence(1.0), tone(1.0), silence(0.5)])
    timeline, _ = play(trial(stimuli), loudspeaker)
    assert onsets(timeline)[1] == frames(2.8 + 0.4)


def test_a_pause_in_a_reply_is_not_its_end() -> None:
    """Nor is one that is longer than the hangover, as long as the next stimulus has not begun."""
    stimuli = [utterance(), utterance(begins="after_reply", delay_s=1.2, lead_s=0.0)]
    pieces = [silence(1.0), tone(1.0), silence(0.3), tone(0.5), silence(0.9), tone(0.5)]
    timeline, _ = play(trial(stimuli), np.concatenate([*pieces, silence(3.0)]))
    assert onsets(timeline)[1] == frames(4.2 + 1.2)
    assert timeline.onset_late_frames == 0


def test_an_end_that_is_known_late_is_answered_late_and_says_so() -> None:
    stimuli = [utterance(), utterance(begins="after_reply", delay_s=0.1, lead_s=0.2)]
    loudspeaker = np.concatenate([silence(1.0), tone(1.0), silence(3.0)])
    timeline, user = play(trial(stimuli), loudspeaker)
    late = timeline.onset_late_frames
    assert onsets(timeline)[1] == frames(2.1) + late
    assert frames(0.4) - BLOCK <= late <= frames(0.4) + BLOCK
    assert user[onsets(timeline)[1]] != 0.0


@pytest.mark.parametrize("length_s", [0.1, 0.3])
def test_a_reply_that_is_too_short_is_not_interrupted(length_s: float) -> None:
    stimuli = [utterance(), utterance(role="interruption", begins="into_reply", delay_s=1.0)]
    loudspeaker = np.concatenate([silence(1.0), tone(length_s), silence(4.0)])
    timeline, user = play(trial(stimuli), loudspeaker)
    assert [each.begins for each in timeline.unplayed] == ["into_reply"]
    assert 0 <= len(user) - frames(1.0 + length_s + 0.5) < BLOCK  # the hangover; tail_s is 0.4


def test_an_unanswered_turn_is_waited_for() -> None:
    """`tail_s` alone would cut off a system that takes longer than that to answer."""
    question = utterance(lead_s=0.0)
    end = len(question.sound)
    _, user = play(trial([question]), silence(5.0))
    assert 0 <= len(user) - end - frames(1.0) < BLOCK
    _, user = play(trial([utterance(role="stop", lead_s=0.0)]), silence(5.0))
    assert 0 <= len(user) - end - frames(0.4) < BLOCK
    early = np.concatenate([silence(0.1), tone(0.2), silence(5.0)])  # yields before the user's end
    _, user = play(trial([question]), early)
    assert 0 <= len(user) - end - frames(1.0) < BLOCK


def test_silence_lasts_to_its_limit() -> None:
    _, user = play(trial([], limit_s=2.0, background=tone(0.01)), silence(5.0))
    assert len(user) == frames(2.0)
    assert (user == np.float32(0.1)).all()


# --- the ear -------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 80, 320])
def test_the_ear_knows_start_and_end_to_the_sample(block: int) -> None:
    gap = np.concatenate([tone(0.2), silence(0.4999), tone(0.1)])
    sound = np.concatenate([silence(0.1234), gap, silence(0.5), tone(0.05), silence(1.0)])
    ear = Ear(hangover_ms=500)
    for first in range(0, len(sound), block):
        ear.hear(sound[first : first + block])
    start = frames(0.1234)
    assert ear.replies == [
        Heard(start_frames=start, end_frames=start + len(gap)),
        Heard(
            start_frames=start + len(gap) + frames(0.5),
            end_frames=start + len(gap) + frames(0.55),
        ),
    ]
    assert not ear.is_in_reply
    assert ear.reply_since(start + 1) == ear.replies[1]
    assert ear.reply_since(ear.replies[1].start_frames + 1) is None


def test_the_ear_does_not_hear_what_is_too_soft() -> None:
    ear = Ear()
    ear.hear(np.full(BLOCK, gain_of_db(-50.1), dtype=np.float32))
    assert ear.replies == []
    ear.hear(np.full(BLOCK, -gain_of_db(-49.9), dtype=np.float32))
    assert ear.replies == [Heard(start_frames=BLOCK, end_frames=2 * BLOCK)]
    assert ear.is_in_reply


@pytest.mark.parametrize("taps", [1, 2, 319, 320, 321, 5000])
def test_the_echo_is_the_room_in_one_piece(taps: int) -> None:
    generator = np.random.default_rng(taps)
    room = generator.standard_normal(taps).astype(np.float32)
    sound = generator.standard_normal(20 * BLOCK).astype(np.float32)
    path = EchoPath(room, -6.0)
    echo = np.concatenate([path.process(block) for block in sound.reshape(-1, BLOCK)])
    unit = room / np.sqrt(np.sum(room.astype(np.float64) ** 2))
    whole = np.convolve(sound.astype(np.float64), unit)[: len(sound)] * gain_of_db(-6.0)
    np.testing.assert_allclose(echo, whole, atol=1e-4)


def test_enough_is_counted_from_the_answer_and_not_from_sound_that_came_too_early() -> None:
    # The question ends at 1.2 s; what sounds before is no answer, what begins at 2.0 s is one.
    question = utterance(delay_s=0.2, speech_s=1.0, lead_s=0.0)
    loudspeaker = np.concatenate(
        [silence(0.3), tone(0.2), silence(1.5), tone(6.0)],
    )
    _, user = play(trial([question], limit_s=9.0, enough_s=1.0), loudspeaker)
    assert len(user) == pytest.approx(frames(3.0), abs=BLOCK)


def test_enough_is_counted_from_the_end_of_what_wants_no_answer() -> None:
    aside = utterance(role="backchannel", begins="into_reply", delay_s=1.0, lead_s=0.0)
    length_s = len(aside.sound) / SAMPLE_RATE
    loudspeaker = np.concatenate([silence(0.8), tone(8.0)])
    _, user = play(trial([utterance(), aside], limit_s=9.0, enough_s=0.7), loudspeaker)
    assert len(user) == pytest.approx(frames(0.8 + 1.0 + length_s + 0.7), abs=BLOCK)


def test_an_answer_that_never_comes_is_waited_for_until_after_s() -> None:
    stop = utterance(role="interruption", begins="into_reply", delay_s=1.0, lead_s=0.0)
    length_s = len(stop.sound) / SAMPLE_RATE
    loudspeaker = np.concatenate([silence(0.8), tone(8.2)])  # it talks on
    what = trial([utterance(), stop], limit_s=9.0, enough_s=0.7, after_s=2.5)
    _, user = play(what, loudspeaker)
    assert len(user) == pytest.approx(frames(0.8 + 1.0 + length_s + 2.5), abs=BLOCK)
