from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples, from_pcm16, to_pcm16
from edge_assistant.audio.level import gain_of_db
from edge_assistant.bench.ear import Ear, Heard
from edge_assistant.bench.examiner import FAILED, UNPLAYED, Examiner
from edge_assistant.bench.partner import PIPE_BLOCK_FRAMES, Patience
from edge_assistant.bench.trial import Outcome, Played
from tests.bench.parts import STRANGER, examiner, gone, trial, utterance

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
    begun_s = time.monotonic()
    outcome = Examiner([*STRANGER, "--tone-ms", "200"]).run(trial([utterance(delay_s=0.2)]))
    took_s = time.monotonic() - begun_s
    assert outcome.void == ""
    (reply,) = heard(outcome)
    assert reply.start_frames == answer_frame(outcome.played[0], 400)
    assert outcome.system.endswith("--tone-ms 200")
    # Never faster than real time: block n is not sent before n * 20 ms.
    assert took_s - outcome.listening_s >= outcome.notes["audio_s"] - 0.05
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
