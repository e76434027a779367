"""Rooms for `echo`: a loudspeaker, a microphone, and the real ears between them, in lock step."""

from __future__ import annotations

import math
import queue
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import soundfile

from edge_assistant.audio.echo.canceller import EchoCanceller, EchoReport
from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.audio.level import gain_of_db
from edge_assistant.audio.playout import Playout
from edge_assistant.audio.resample import resample
from edge_assistant.bench.sounds import room_impulse, room_tone, unit_energy
from edge_assistant.bench.truth import find_speech
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.pipeline.ears import Ears
from edge_assistant.store.store import Store
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    Tick,
)
from edge_assistant.turns.settings import Settings as Turns
from edge_assistant.vad.segmenter import Segmenter
from edge_assistant.vad.settings import Settings as Vad
from edge_assistant.vad.silero import SileroVad
from edge_assistant.vad.webrtc import WebrtcVad
from tests.figures.recordings import recordings, speech_folder

RULES: Final = Turns()
RECORDED: Final = {
    "recorded": "noise/lhotse_rir_real_8ch",
    "kitchen": "noise/wa_ir_kitchen",
    "hall": "noise/sb_rir1",
}
"""A recorded room, a kitchen, and a hall whose echo comes 137 ms late and fades for a second."""

SYNTHETIC: Final = {"recorded": (0.25, 0.5), "kitchen": (0.45, 1.5), "hall": (0.8, 3.0)}
"""Reverberation time in s and distance in m of what stands in where there are no recordings."""

ROOM_S: Final = 1.0
LANDED_S: Final = 0.7
INTERRUPTION_S: Final = 3.0
PAUSE_S: Final = 1.5
"""Between two replies."""

OUT_LATENCY_S: Final = 0.03
ROUGH_DRIFT: Final = 1.0001
"""100 ppm between the two clocks, more than most cards have."""

ROUGH_JITTER_S: Final = 0.001


@dataclass(frozen=True, kw_only=True)
class Condition:
    room: str
    echo_db: float | None
    """None: headphones."""
    is_rough: bool = False
    """Two clocks that drift, stamps that tremble, a loudspeaker that distorts."""

    @property
    def name(self) -> str:
        level = "none" if self.echo_db is None else f"{self.echo_db:.0f} dB"
        return f"{self.room} {level}{' rough' if self.is_rough else ''}"


class Loudspeaker:
    """What leaves it, at its own clock, and what of that the microphone hears."""

    def __init__(self, condition: Condition, seed: int) -> None:
        self._is_rough = condition.is_rough
        self.clock = ROUGH_DRIFT if self._is_rough else 1.0
        level = -200.0 if condition.echo_db is None else condition.echo_db
        self._response = impulse(condition.room) * np.float32(gain_of_db(level))
        self._tail = np.zeros(len(self._response) - 1, dtype=np.float32)
        self._size = 1 << (BLOCK_FRAMES + len(self._tail) - 1).bit_length()
        self._spectrum = np.fft.rfft(self._response, self._size)
        self._line = np.zeros(0, dtype=np.float32)
        self._line_begin = 0
        self._rng = np.random.default_rng(seed)
        self.played_blocks = 0

    @property
    def due_s(self) -> float:
        """When the next block leaves it."""
        return self.played_blocks * BLOCK_FRAMES / SAMPLE_RATE * self.clock

    def play(self, fill: Callable[[Samples, int, float], None]) -> Samples:
        """Emit a block that `fill` gives, as a card does; its time stamp may tremble."""
        stamp_s = self.due_s
        if self._is_rough:
            stamp_s += float(self._rng.uniform(-ROUGH_JITTER_S, ROUGH_JITTER_S))
        out = np.zeros(BLOCK_FRAMES, dtype=np.float32)
        fill(out, self.played_blocks * BLOCK_FRAMES, stamp_s)
        self.played_blocks += 1
        self._line = np.concatenate([self._line, out])
        return out

    def heard(self, block: int) -> Samples:
        """What the microphone hears of it during its own block `block`."""
        direct = self._emitted(block * BLOCK_FRAMES / self.clock)
        if self._is_rough:
            direct = np.tanh(1.2 * direct) / 1.2
        whole = np.fft.irfft(np.fft.rfft(direct, self._size) * self._spectrum, self._size)
        full = np.asarray(whole[: BLOCK_FRAMES + len(self._tail)], dtype=np.float32)
        full[: len(self._tail)] += self._tail
        self._tail = full[BLOCK_FRAMES:].copy()
        return full[:BLOCK_FRAMES]

    def _emitted(self, place: float) -> Samples:
        """160 frames from `place`, between the frames if need be (a windowed sinc)."""
        first, reach = math.floor(place), 16
        begin = first - reach - self._line_begin
        if begin > 4 * SAMPLE_RATE:
            self._line, self._line_begin = self._line[begin:], self._line_begin + begin
            begin = 0
        piece = np.zeros(BLOCK_FRAMES + 2 * reach, dtype=np.float32)
        source = self._line[max(0, begin) : begin + len(piece)]
        piece[max(0, -begin) : max(0, -begin) + len(source)] = source
        if place == first:
            return piece[reach : reach + BLOCK_FRAMES]
        steps = np.arange(-reach, reach + 1) + (place - first)
        taps = np.sinc(steps) * np.cos(np.pi * steps / (2 * reach + 2)) ** 2
        return np.convolve(piece, taps, "valid")[:BLOCK_FRAMES].astype(np.float32)


@dataclass(kw_only=True)
class Tally:
    sound_s: float = 0.0
    ducks: int = 0
    self_turns: int = 0
    silenced: int = 0
    interruptions: int = 0
    landed: int = 0
    ducked: int = 0
    would_land: int = 0
    """Interruptions that land where there is neither echo nor canceller."""
    still_landed: int = 0
    """Of those."""
    reports: list[EchoReport] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("sound_s", "ducks", "self_turns", "silenced"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("interruptions", "landed", "ducked", "would_land", "still_landed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reports += other.reports


class Conversation:
    """A loudspeaker, a microphone, and the ears between them, block by block."""

    def __init__(self, condition: Condition, mode: str, seed: int) -> None:
        self.tally = Tally()
        self._loudspeaker = Loudspeaker(condition, seed)
        self._canceller = canceller_of(mode)
        self._playout = Playout(
            SAMPLE_RATE,
            on_played=self._canceller.reference.note if self._canceller is not None else None,
        )
        self._facts: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._ears = ears_of(self._playout, self._canceller, self._facts.put)
        self._tone = room_tone(10 * SAMPLE_RATE, seed)
        self._rng = np.random.default_rng(seed)
        self._block = 0
        self._replies = 0
        self._reply: tuple[int, int] | None = None
        self._sound = np.zeros(0, dtype=np.float32)
        self._next_s = 1.0
        self._speech_from: int | None = None
        self._user: Samples | None = None
        self._user_begin = 0
        self._onset = -10 * SAMPLE_RATE
        self._got: set[str] = set()
        self._ears.start()

    def close(self) -> Tally:
        self._ears.stop(5.0)
        if self._canceller is not None:
            while report := self._canceller.take_report():
                self.tally.reports.append(report)
        return self.tally

    def talk(self, sounds: list[Samples], sound_s: float) -> None:
        """Let the loudspeaker talk, undisturbed, until it has sounded for so long."""
        until_s = self.tally.sound_s + sound_s
        while self.tally.sound_s < until_s:
            self._step(sounds)

    def interrupt(self, sounds: list[Samples], clip: Samples, begin_s: float | None = None) -> bool:
        """Let `clip` be said `begin_s` into a reply (None: early or late in it); whether it
        landed."""
        while self._reply is None or self._played_s < 0.02:
            self._step(sounds)
        room_s = max(1.0, len(self._sound) / SAMPLE_RATE - 2.5)
        at_s = float(self._rng.uniform(1.0, room_s)) if begin_s is None else begin_s
        while self._reply is not None and self._played_s < at_s:
            self._step(sounds)
        if self._reply is None:
            return self.interrupt(sounds, clip, begin_s)  # it was silenced before
        speech = find_speech(clip)
        first = max(0, speech.onset_frames - frames_of_ms(300))
        self._user, self._user_begin = clip[first:], self._block * BLOCK_FRAMES
        self._onset = self._user_begin + speech.onset_frames - first
        self._got = set()
        self.tally.interruptions += 1
        for _ in range(round((INTERRUPTION_S + 1.5) * 100)):
            self._step(sounds)
        self.tally.landed += "started" in self._got
        self.tally.ducked += "ducked" in self._got
        return "started" in self._got

    @property
    def _played_s(self) -> float:
        return self._block / 100 - self._next_s

    def _step(self, sounds: list[Samples]) -> None:
        if self._reply is None and self._block / 100 >= self._next_s and self._user is None:
            self._begin(sounds)
        now_s = self._block / 100
        while self._loudspeaker.due_s < now_s + OUT_LATENCY_S:
            out = self._loudspeaker.play(self._playout.on_playback)
            self.tally.sound_s += 0.01 * bool(np.abs(out).max() > 1e-4)
        self._ears.on_capture(self._microphone(), self._block * BLOCK_FRAMES, now_s)
        self._block += 1
        while not isinstance(fact := self._facts.get(timeout=60), Tick):
            self._take(fact)
        if self._speech_from is not None and self._reply is not None:
            if fact.at_frames - self._speech_from >= frames_of_ms(RULES.barge_in_ms):
                self._playout.yield_(self._reply)
                self.tally.silenced += not self._is_user_there
                self._end()
        elif self._reply is not None and self._playout.is_idle:
            self._end()

    def _microphone(self) -> Samples:
        first = self._block * BLOCK_FRAMES
        block = self._loudspeaker.heard(self._block)
        block += self._tone[first % len(self._tone) :][:BLOCK_FRAMES]
        if self._user is not None:
            said = self._user[first - self._user_begin :][:BLOCK_FRAMES]
            block[: len(said)] += said
            if first - self._onset > INTERRUPTION_S * SAMPLE_RATE or not len(said):
                self._user = None
        return np.clip(block, -1.0, 1.0).astype(np.float32)

    def _begin(self, sounds: list[Samples]) -> None:
        self._sound = sounds[self._replies % len(sounds)]
        self._replies += 1
        self._reply = (self._replies, 1)
        self._next_s = self._block / 100
        self._playout.put(self._reply, self._sound, CancelToken())
        self._playout.finish(self._reply)
        self._playout.commit(self._reply)

    def _end(self) -> None:
        self._reply = None
        self._next_s = self._block / 100 + PAUSE_S
        self._playout.unduck()

    @property
    def _is_user_there(self) -> bool:
        since = self._block * BLOCK_FRAMES - self._onset
        return -frames_of_ms(300) <= since <= (INTERRUPTION_S + 1.0) * SAMPLE_RATE

    def _take(self, fact: Event) -> None:
        since = self._block * BLOCK_FRAMES - self._onset
        is_prompt = 0 <= since <= LANDED_S * SAMPLE_RATE
        match fact:
            case SpeechOnset():
                self.tally.ducks += self._reply is not None and not self._is_user_there
                self._got |= {"ducked"} if is_prompt else set()
                self._playout.duck()
            case SpeechStarted():
                self._speech_from = fact.started_frames
                self.tally.self_turns += not self._is_user_there
                self._got |= {"started"} if is_prompt else set()
                self._playout.duck()
            case OnsetDropped() | SpeechPaused():
                self._speech_from = None
                self._playout.unduck()
            case _:
                pass


def canceller_of(mode: str) -> EchoCanceller | None:
    if mode == "off":
        return None
    return EchoCanceller(EchoReference(SAMPLE_RATE), mode="webrtc" if mode == "webrtc" else "auto")


def ears_of(
    playout: Playout, canceller: EchoCanceller | None, post: Callable[[Event], None]
) -> Ears:
    vad = Vad()
    return Ears(
        capture_rate=SAMPLE_RATE,
        clock=SampleClock(SAMPLE_RATE, BLOCK_FRAMES, MonotonicClock()),
        playout=playout,
        vad=SileroVad(Store.default().open("silero-vad", kind="vad").path),
        onset_vad=WebrtcVad(vad.onset_aggressiveness),
        segmenter=Segmenter(
            speech_threshold=vad.speech_threshold,
            silence_threshold=vad.silence_threshold,
            min_speech_ms=RULES.min_speech_ms,
            pause_ms=RULES.pause_ms,
            onset_ms=RULES.onset_ms,
        ),
        echo=canceller,
        history_ms=2_000,
        beginning_ms=500,
        post=post,
        post_playout=lambda fact: None,
        on_error=_raise,
        on_failure=_raise,
    )


def _raise(error: EdgeAssistantError) -> None:
    raise error


@cache
def impulse(room: str) -> Samples:
    """The way from the loudspeaker to the microphone, of unit energy."""
    if speech_folder() is None:
        return room_impulse(1, *SYNTHETIC[room])
    file = recordings(RECORDED[room])[0].path
    channels, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return unit_energy(resample(channels[:, 0], rate, SAMPLE_RATE)[: round(ROOM_S * SAMPLE_RATE)])
