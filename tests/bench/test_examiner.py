from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples, from_pcm16, to_pcm16
from edge_assistant.audio.level import gain_of_db
from edge_assistant.bench.ear import Ear, Heard
from edge_assistant.bench.examiner import FAILED, UNPLAYED, Examiner
from edge_assistant.bench.partner import PIPE_BLOCK_FRAMES, Patience
from edge_assistant.bench.timeline import EchoPath, Timeline
from edge_assistant.bench.trial import Outcome, Played, Trial
from tests.bench.parts import STRANGER, examiner, gone, silence, tone, trial, utterance

BLOCK = PIPE_BLOCK_FRAMES


def heard(outcome: Outcome) -> list[Heard]:
    ear = Ear()
    for first in range(0, len(outcome.reply), BLOCK):
        ear.hear(outcome.reply[first : first + BLOCK])
    return ear.replies


def answer_frame(played: Played, delay_ms: int) -> int:
    """Where the stranger's tone is heard: it counts silent blocks after the last loud one, and
    output block n is heard during input block n + 1."""
    end = played.speech()[-1][1]
    return (math.ceil(end / BLOCK) + delay_ms // 20) * BLOCK


def frames(duration_s: float) -> int:
    return round(duration_s * SAMPLE_RATE)


# --- the whole conversation, with a stranger -----------------------------------------------------


@pytest.mark.parametrize("delay_ms", [20, 300, 700])
def test_the_delay_of_the_answer_is_where_the_stranger_put_it(delay_ms: int) -> None:
    outcome = examiner("--delay-ms", str(delay_ms)).run(trial([utterance(delay_s=0.31)]))
    assert outcome.void == ""
    (question,) = outcome.played
    assert question.speech()[0] == (frames(0.31), frames(0.81))
    (reply,) = heard(outcome)
    assert reply.start_frames == answer_frame(question, delay_ms)
    assert reply.end_frames - reply.start_frames > frames(0.99)


def test_in_real_time_nothing_is_different() -> None:
    """The examiner as it is used, at the pace at which it is used."""
    outcome = Examiner([*STRANGER, "--tone-ms", "200"]).run(trial([utterance(delay_s=0.2)]))
    assert outcome.void == ""
    (reply,) = heard(outcome)
    assert reply.start_frames == answer_frame(outcome.played[0], 400)
    assert outcome.system.endswith("--tone-ms 200")
    # Never faster than real time: block n is not sent before n * 20 ms.
    assert outcome.notes["wall_s"] >= outcome.notes["audio_s"] - 0.05
    assert outcome.listening_s > 0.0
    if sys.platform == "linux":
        assert outcome.peak_rss_bytes > 1_000_000
        assert 0.0 <= outcome.cpu_s < outcome.notes["wall_s"] + 1.0


@pytest.mark.parametrize("delay_s", [0.0, 0.5004, 0.777])
def test_an_interruption_begins_where_it_must_inside_a_reply(delay_s: float) -> None:
    interruption = utterance(
        role="interruption", begins="into_reply", delay_s=delay_s, lead_s=0.0, label="wait"
    )
    outcome = examiner("--tone-ms", "3000").run(trial([utterance(), interruption]))
    assert outcome.void == ""
    first, second = heard(outcome)
    question, played = outcome.played
    onset = played.speech()[0][0]
    assert first.start_frames == answer_frame(question, 400)
    # Its lead-in is 7 frames: with no delay the onset is 7 frames after the block's first.
    assert onset == first.start_frames + max(frames(delay_s), 0)
    begin = played.begin_frames + 7
    sound = played.stimulus.sound[7:]
    np.testing.assert_array_equal(outcome.user[begin : begin + len(sound)], quantised(sound))
    # The stranger needs 100 ms of speech, and its last tone is heard one block later.
    assert first.end_frames == pytest.approx(onset + frames(0.12), abs=2 * BLOCK)
    assert second.start_frames == answer_frame(played, 400)


def quantised(samples: Samples) -> Samples:
    return from_pcm16(to_pcm16(samples))


def test_the_next_question_follows_the_reply() -> None:
    again = utterance(begins="after_reply", delay_s=0.8123)
    outcome = examiner("--tone-ms", "300").run(trial([utterance(), again]))
    assert outcome.void == ""
    first, second = heard(outcome)
    assert outcome.played[1].speech()[0][0] == first.end_frames + frames(0.8123)
    assert second.start_frames == answer_frame(outcome.played[1], 400)
    assert outcome.notes["onset_late_s"] == 0.0


def test_a_deaf_stranger_talks_on() -> None:
    interruption = utterance(role="interruption", begins="into_reply", delay_s=0.3)
    outcome = examiner("--deaf", "--tone-ms", "1500").run(
        trial([utterance(), interruption], limit_s=4.0)
    )
    assert outcome.void == ""
    assert heard(outcome)[0].end_frames - heard(outcome)[0].start_frames > frames(1.49)


def test_a_stranger_that_speaks_first_is_heard_from_the_second_block_on() -> None:
    outcome = examiner("--at-once", "--tone-ms", "400").run(trial([utterance(delay_s=1.0)]))
    assert outcome.void == ""
    assert heard(outcome)[0].start_frames == BLOCK
    assert not outcome.reply[:BLOCK].any()


def test_both_channels_are_on_one_clock_with_echo_and_background() -> None:
    generator = np.random.default_rng(2)
    room = generator.standard_normal(1000).astype(np.float32) * np.exp(-np.arange(1000) / 200)
    room = (room / np.sqrt(np.sum(room**2))).astype(np.float32)
    background = (generator.standard_normal(777) * 0.01).astype(np.float32)
    outcome = examiner("--at-once", "--deaf", "--tone-ms", "700").run(
        trial(limit_s=1.0, room=room, echo_db=-12.0, background=background)
    )
    assert len(outcome.user) == len(outcome.reply) == SAMPLE_RATE
    assert outcome.reply.any()
    echo = np.convolve(outcome.reply, room)[:SAMPLE_RATE] * gain_of_db(-12.0)
    expected = echo + np.resize(background, SAMPLE_RATE)
    np.testing.assert_allclose(outcome.user, expected, atol=1.0 / 32768)


def test_a_reply_that_never_stops_ends_with_the_limit() -> None:
    outcome = examiner("--tone-ms", "-1").run(trial([utterance()], limit_s=2.0))
    assert outcome.void == ""
    assert len(outcome.user) == len(outcome.reply) == frames(2.0)
    assert heard(outcome)[0].end_frames >= frames(2.0) - 16  # the tone's zero crossings


def test_a_trial_ends_when_the_reply_is_over() -> None:
    outcome = examiner("--tone-ms", "300").run(trial([utterance()], tail_s=0.4))
    (reply,) = heard(outcome)
    assert 0 <= len(outcome.user) - reply.end_frames - frames(0.4) < BLOCK


def test_a_moment_that_never_comes_makes_the_trial_void() -> None:
    """No reply to interrupt: the sound is kept, for the take-over rate is in it."""
    interruption = utterance(role="interruption", begins="into_reply", delay_s=0.5, label="wait")
    outcome = examiner("--mute", answer_s=0.6).run(trial([utterance(), interruption]))
    assert outcome.void == f"{UNPLAYED}wait (into_reply)"
    assert [each.stimulus.role for each in outcome.played] == ["question"]
    ended = outcome.played[0].begin_frames + len(outcome.played[0].stimulus.sound)
    assert 0 <= len(outcome.user) - ended - frames(0.6) < BLOCK


def test_events_are_taken_from_whoever_keeps_them() -> None:
    told = examiner(takes_events=True).run(trial(limit_s=0.2))
    assert told.events == ({"t": 0.0, "event": "listening"}, {"t": 0.1})
    assert told.notes["bad_event_lines"] == 1.0
    assert examiner().run(trial(limit_s=0.2)).events == ()


# --- strangers that misbehave --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason", "blocks"),
    [
        (["--hang-at", "0"], "hangs: block 0 not back in 3 s", 0),
        (["--hang-at", "9"], "hangs: block 9 not back in 1 s", 9),
        (["--die-at", "7"], "exit code 3 after 7 blocks: the stranger has had enough", 7),
        (["--short-at", "5"], "block 5 not back in 1 s (320 of 640 bytes came)", 5),
        (["--long-at", "5"], "breaks the contract: 640 bytes too many after 6 blocks", 6),
        (["--chatty"], "breaks the contract: ", 0),
        (["--stay"], "had not ended 1 s after the end of its input", 15),
        (["--exit-code", "5"], "ended with exit code 5 after 15 blocks", 15),
    ],
)
def test_misbehaviour_is_told_and_nothing_leaks(
    tmp_path: Path, options: list[str], reason: str, blocks: int
) -> None:
    pids = tmp_path / "pids"
    patience = Patience(start_s=3.0, block_s=1.0, end_s=1.0)
    partner = examiner(*options, "--child", "--pids", str(pids), patience=patience)
    files = open_files()
    outcome = partner.run(trial(limit_s=0.3))
    assert outcome.void.startswith(FAILED)
    assert reason in outcome.void
    assert blocks <= len(outcome.user) // BLOCK <= 15
    assert len(outcome.user) == len(outcome.reply)
    assert gone(pids)
    assert open_files() == files


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_a_child_of_a_well_behaved_system_does_not_stay_either(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    outcome = examiner("--child", "--pids", str(pids)).run(trial(limit_s=0.2))
    assert outcome.void == ""
    assert len(pids.read_text("utf-8").splitlines()) == 2
    assert gone(pids)


def test_what_cannot_be_started_is_told() -> None:
    outcome = Examiner(["/no/such/program"]).run(trial(limit_s=0.2))
    assert outcome.void.startswith(f"{FAILED}cannot be started")
    assert len(outcome.user) == len(outcome.reply) == 0


def test_a_slow_block_is_noted_and_caught_up() -> None:
    slow = examiner("--slow-at", "20", "--slow-ms", "300", "--tone-ms", "300")
    outcome = slow.run(trial([utterance()]))
    assert outcome.void == ""
    # 300 ms are 3 s of the tests' fast clock; one block of grace.
    assert outcome.lateness_s >= 2.97
    assert outcome.notes["answer_max_s"] >= 3.0
    assert heard(outcome)[0].start_frames == answer_frame(outcome.played[0], 400)


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    partner = examiner("--child", "--pids", str(pids))

    def interrupt() -> None:
        while not pids.exists() or len(pids.read_text("utf-8").splitlines()) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        partner.run(trial(limit_s=600.0))
    thread.join()
    assert gone(pids)


# --- placing, in virtual time --------------------------------------------------------------------


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
