"""What goes into the microphone: stimuli where they must begin, background, and echo.

Stimuli that answer the system are taken in the order in which the trial lists them. Each refers
to the reply to the user's latest turn before it in that list.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.bench.ear import Ear
from edge_assistant.bench.trial import Played, Stimulus, Trial

TURN_ROLES: Final = frozenset({"question", "pause", "interruption", "monologue"})
"""Roles that want an answer. After a "stop", a backchannel or a noise none is waited for."""


def _is_turn(stimulus: Stimulus) -> bool:
    return stimulus.is_user and stimulus.role in TURN_ROLES


class EchoPath:
    """Convolves what the loudspeaker plays with a room, block by block (overlap-add)."""

    def __init__(self, room: Samples, gain_db: float) -> None:
        energy = float(np.sqrt(np.sum(np.square(room, dtype=np.float64))))
        gain = gain_of_db(gain_db) / energy if energy else 0.0
        self._response = (room * gain).astype(np.float32)
        self._tail = np.zeros(len(room) - 1, dtype=np.float32)

    def process(self, block: Samples) -> Samples:
        """Echo of the next block: float32, as long as the block."""
        size = len(block) + len(self._tail)
        bins = 1 << (size - 1).bit_length()
        spectrum = np.fft.rfft(block, bins) * np.fft.rfft(self._response, bins)
        full = np.fft.irfft(spectrum, bins)[:size].astype(np.float32)
        full[: len(self._tail)] += self._tail
        self._tail = full[len(block) :].copy()
        return full[: len(block)]


class Timeline:
    """Places the stimuli of one trial by what is heard, and mixes the microphone's blocks.

    Args:
        trial: what to play.
        ear: hears every block of the loudspeaker, and nobody else feeds it.
        answer_s: how long an unanswered turn is waited for, seconds of the clock.
    """

    def __init__(self, trial: Trial, ear: Ear, answer_s: float) -> None:
        self._trial = trial
        self._ear = ear
        self._answer_frames = int(answer_s * SAMPLE_RATE)
        self._placed: dict[int, Played] = {}
        self._frames = 0
        self._echo: EchoPath | None = None
        if trial.room is not None and len(trial.room):
            self._echo = EchoPath(trial.room, trial.echo_db)
        self.onset_late_frames = 0
        """Longest that an onset came after the moment it was due, because that moment was already
        over when it became known: an answer to the end of a reply within the ear's hangover."""

    @property
    def played(self) -> tuple[Played, ...]:
        """What was played so far, in the order of the clock."""
        return tuple(sorted(self._placed.values(), key=lambda each: each.begin_frames))

    @property
    def unplayed(self) -> tuple[Stimulus, ...]:
        """Stimuli that have not begun."""
        stimuli = enumerate(self._trial.stimuli)
        return tuple(each for index, each in stimuli if index not in self._placed)

    def next_block(self, heard: Samples) -> Samples:
        """What the microphone takes in while the loudspeaker plays `heard`; may exceed [-1, 1]."""
        self._ear.hear(heard)
        end = self._frames + len(heard)
        for index, stimulus in enumerate(self._trial.stimuli):
            if index not in self._placed:
                self._place(index, stimulus, end)
        block = self._background(len(heard))
        for each in self._placed.values():
            first = max(self._frames, each.begin_frames)
            last = min(end, each.begin_frames + len(each.stimulus.sound))
            if first < last:
                begin = each.begin_frames
                block[first - self._frames : last - self._frames] += each.stimulus.sound[
                    first - begin : last - begin
                ]
        if self._echo is not None:
            block += self._echo.process(heard)
        self._frames = end
        return block

    @property
    def is_over(self) -> bool:
        """Whether the trial ends here: by its limit, or because nothing more is to come.

        Nothing more is to come once the trial has seen enough (`after_s`, `enough_s`), or once
        every stimulus is over and the system has been silent for `tail_s`. A turn of the user that
        wants an answer and has none is waited for `answer_s`; a stimulus whose moment in the reply
        never came is given up. A trial without stimuli runs to its limit.
        """
        if self._frames >= round(self._trial.limit_s * SAMPLE_RATE):
            return True
        if not self._trial.stimuli or any(each.begins == "at" for each in self.unplayed):
            return False
        if self._awaits_end_of_reply():
            return False
        if self._has_seen_enough():
            return True
        ends = [each.begin_frames + len(each.stimulus.sound) for each in self._placed.values()]
        ends += [each.end_frames for each in self._ear.replies[-1:]]
        silent_frames = self._frames - max(ends, default=0)
        needed_frames = round(self._trial.tail_s * SAMPLE_RATE)
        if self.unplayed:
            needed_frames = max(needed_frames, self._ear.hangover_frames)
        if not self._is_answered():
            needed_frames = max(needed_frames, self._answer_frames)
        return silent_frames >= needed_frames

    def _has_seen_enough(self) -> bool:
        """Whether all was played long ago, or long enough, with an answer where it wants one."""
        if self.unplayed:
            return False
        last = max(self._placed.values(), key=lambda each: each.begin_frames)
        over = last.begin_frames + len(last.stimulus.sound)
        if self._has_passed(self._trial.after_s, over):
            return True
        if _is_turn(last.stimulus):
            reply = self._ear.reply_since(_onset(last))
            if reply is None or reply.end_frames <= _end(last):
                return False
            over = max(over, reply.start_frames)
        return self._has_passed(self._trial.enough_s, over)

    def _has_passed(self, duration_s: float | None, since: int) -> bool:
        return duration_s is not None and self._frames - since >= round(duration_s * SAMPLE_RATE)

    def _place(self, index: int, stimulus: Stimulus, end: int) -> None:
        """Let a stimulus begin, if that lies before `end`, the end of the present block."""
        due = self._due(index, stimulus)
        if due is None:
            return
        lead = stimulus.speech_frames[0][0] if stimulus.speech_frames else 0
        if due - lead >= end:
            return
        # A lead-in that reaches back before this block is cut, so that the onset comes in time.
        late = max(0, self._frames - due)
        self.onset_late_frames = max(self.onset_late_frames, late)
        self._placed[index] = Played(stimulus=stimulus, begin_frames=due + late - lead)

    def _due(self, index: int, stimulus: Stimulus) -> int | None:
        """Frame at which the onset is due; None as long as that is unknown."""
        delay = round(stimulus.delay_s * SAMPLE_RATE)
        if stimulus.begins == "at":
            return delay
        if not self._is_next(index):
            return None
        reply = self._ear.reply_since(self._latest_turn_frame(index))
        if reply is None:
            return None
        if stimulus.begins == "into_reply":
            due = reply.start_frames + delay
            return due if self._ear.is_in_reply and due >= self._frames else None
        return None if self._ear.is_in_reply else reply.end_frames + delay

    def _is_next(self, index: int) -> bool:
        """Whether all that the stimulus comes after have begun: turns, and answers to a reply."""
        before = enumerate(self._trial.stimuli[:index])
        return all(
            other in self._placed or (each.begins == "at" and not _is_turn(each))
            for other, each in before
        )

    def _latest_turn_frame(self, index: int) -> int:
        """Onset of the user's latest turn among the stimuli before `index`; 0 without one."""
        turns = (
            self._placed[other]
            for other, each in enumerate(self._trial.stimuli[:index])
            if other in self._placed and _is_turn(each)
        )
        return max((_onset(turn) for turn in turns), default=0)

    def _awaits_end_of_reply(self) -> bool:
        """Whether the next stimulus follows a reply that has been heard."""
        for index, stimulus in enumerate(self._trial.stimuli):
            if index not in self._placed:
                since = self._latest_turn_frame(index)
                is_heard = self._ear.reply_since(since) is not None
                return stimulus.begins == "after_reply" and is_heard
        return False

    def _is_answered(self) -> bool:
        """Whether a reply began after the onset of the latest turn and reached beyond its end."""
        turns = [each for each in self._placed.values() if _is_turn(each.stimulus)]
        if not turns:
            return not self.unplayed
        turn = max(turns, key=_onset)
        reply = self._ear.reply_since(_onset(turn))
        return reply is not None and reply.end_frames > _end(turn)

    def _background(self, frames: int) -> Samples:
        sound = self._trial.background
        if sound is None or not len(sound):
            return np.zeros(frames, dtype=np.float32)
        repeated = np.arange(self._frames, self._frames + frames) % len(sound)
        return np.asarray(sound[repeated], dtype=np.float32)


def _onset(played: Played) -> int:
    speech = played.speech()
    return speech[0][0] if speech else played.begin_frames


def _end(played: Played) -> int:
    speech = played.speech()
    return speech[-1][1] if speech else played.begin_frames + len(played.stimulus.sound)
