"""What the children of the device tests do: `python -m tests.device.scenarios NAME`.

Each function works a PortAudioCard against the sound server of its environment and returns facts as
JSON. Durations among them are for the reader; no test asserts one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edge_assistant.audio.cards.portaudio import PortAudioCard
from edge_assistant.audio.format import Samples, to_pcm16
from edge_assistant.audio.resample import Resampler
from edge_assistant.audio.settings import Settings
from edge_assistant.errors import EdgeAssistantError
from tests.device.sound_server import HUNG_S, SoundServer

Facts = dict[str, Any]
SERVER = SoundServer(Path(os.environ.get("SOUND_SERVER_FOLDER", ".")))
PATIENT_MS = 10_000


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll, and fail when it never comes."""
    give_up_s = time.monotonic() + HUNG_S
    while not condition():
        if time.monotonic() > give_up_s:
            raise SystemExit(f"never came: {what}")
        time.sleep(0.01)


class Session:
    """A started card whose callbacks write down what they see."""

    def __init__(self, card: PortAudioCard, play_hz: float = 0.0) -> None:
        self.card = card
        self.play_hz = play_hz
        self.heard: list[tuple[int, Samples, float]] = []
        self.asked: list[tuple[int, int, float]] = []
        self.lost: list[Exception | None] = []
        self.lost_at_s = self.back_at_s = 0.0
        self.backs = 0
        card.on_back = self._back
        card.start(self._capture, self._playback, self._lost)

    def _capture(self, block: Samples, first_frame: int, time_s: float) -> None:
        self.heard.append((first_frame, block.copy(), time_s))

    def _playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
        at_s = np.arange(first_frame, first_frame + len(out)) / self.card.playback_rate
        out[:] = 0.5 * np.sin(2 * np.pi * self.play_hz * at_s)
        self.asked.append((first_frame, len(out), dac_time_s))

    def _lost(self, error: Exception | None) -> None:
        self.lost_at_s = time.monotonic()
        self.lost.append(error)

    def _back(self) -> None:
        self.back_at_s = time.monotonic()
        self.backs += 1

    def wait_blocks(self, count: int) -> None:
        """Until `count` more blocks came and went."""
        heard, asked = len(self.heard) + count, len(self.asked) + count
        wait_until(lambda: len(self.heard) >= heard, f"{count} captured blocks")
        wait_until(lambda: len(self.asked) >= asked, f"{count} played blocks")

    def wait_lost(self, count: int = 1) -> None:
        wait_until(lambda: len(self.lost) >= count, "on_lost")

    def wait_back(self, count: int = 1) -> None:
        wait_until(lambda: self.backs >= count, "on_back")

    def wait_routes(self) -> None:
        """Until the card knows where both streams are, which it asks once a second: only then can
        it see them move."""
        routes = self.card._routes
        wait_until(
            lambda: all(routes.device_name(kind) for kind in ("input", "output")), "the routes"
        )

    def gaps(self) -> list[int]:
        """Frames that are missing between captured blocks."""
        jumps = (after[0] - before[0] - len(before[1]) for before, after in pairwise(self.heard))
        return [jump for jump in jumps if jump != 0]

    def losses(self) -> list[str]:
        """Codes and messages of what was lost."""
        return [f"{e.code}: {e.message}" for e in self.lost if isinstance(e, EdgeAssistantError)]


def pitch_hz(samples: Samples, sample_rate: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * sample_rate / len(samples))


def sing(hz: float, seconds: float = 3.0) -> subprocess.Popen[bytes]:
    """Somebody speaks into the microphone, so to say."""
    at_s = np.arange(int(16_000 * seconds)) / 16_000
    words = ["pacat", "--playback", "-d", "micsrc", "--raw", "--format=s16le", "--rate=16000"]
    singer = subprocess.Popen([*words, "--channels=1"], stdin=subprocess.PIPE)
    assert singer.stdin is not None
    tone = to_pcm16((0.5 * np.sin(2 * np.pi * hz * at_s)).astype(np.float32))
    threading.Thread(target=_feed, args=(singer, tone), daemon=True).start()
    return singer


def _feed(singer: subprocess.Popen[bytes], tone: bytes) -> None:
    assert singer.stdin is not None
    singer.stdin.write(tone)
    singer.stdin.close()


def listen_to(source: str, frames: int) -> Samples:
    """The first `frames` frames of `source` at 16 kHz, counted from the first that is not zero."""
    words = ["pacat", "--record", "-d", source, "--raw", "--format=s16le", "--rate=16000"]
    with subprocess.Popen(
        [*words, "--channels=1", "--latency-msec=30"], stdout=subprocess.PIPE
    ) as listener:
        assert listener.stdout is not None
        heard = np.zeros(0, np.float32)
        give_up_s = time.monotonic() + HUNG_S
        while len(heard) < frames and time.monotonic() < give_up_s:
            fresh = np.frombuffer(listener.stdout.read(640), "<i2").astype(np.float32) / 32_768
            heard = np.concatenate([heard, fresh])
            if not heard.any():
                heard = heard[:0]
        listener.terminate()
    return heard


def loud_part(session: Session, frames: int, sample_rate: int) -> Samples:
    """Wait for `frames` frames in a row that are not silent, converted to 16 kHz."""
    resampler = Resampler(sample_rate, 16_000, "LQ")
    taken = 0
    loud = np.zeros(0, np.float32)
    give_up_s = time.monotonic() + HUNG_S
    while len(loud) < frames and time.monotonic() < give_up_s:
        time.sleep(0.02)
        for _, block, _ in session.heard[taken:]:
            taken += 1
            if np.abs(block).max() > 0.2:
                loud = np.concatenate([loud, resampler.process(block)])
    return loud


def speak_and_hear() -> Facts:
    """A tone of 440 Hz in the room, another of 1000 Hz from the card."""
    session = Session(PortAudioCard(Settings()), play_hz=1_000.0)
    card = session.card
    session.wait_blocks(5)
    singer = sing(440.0)
    heard = loud_part(session, 8_000, card.capture_rate)
    spoken = listen_to("spk.monitor", 8_000)
    singer.kill()
    singer.wait()
    before = card.xruns
    at = len(session.heard)
    started_s = time.monotonic()
    session.wait_blocks(200)
    took_s = time.monotonic() - started_s
    first_frames = [asked[0] for asked in session.asked]
    times = [when for _, _, when in session.heard[at:]]
    now_s = time.monotonic()
    card.stop()
    settled = len(session.heard), len(session.asked)
    time.sleep(0.1)
    return {
        "rates": [card.capture_rate, card.playback_rate],
        "heard_hz": pitch_hz(heard[4_000:], 16_000),
        "spoken_hz": pitch_hz(spoken[4_000:], 16_000),
        "dtypes": sorted({str(block.dtype) for _, block, _ in session.heard}),
        "block_frames": sorted({len(block) for _, block, _ in session.heard}),
        "gaps": session.gaps(),
        "playback_is_contiguous": first_frames
        == [i * session.asked[0][1] for i in range(len(first_frames))],
        "times_rise": all(a < b for a, b in pairwise(times)),
        "capture_age_s": now_s - times[-1],
        "playback_lead_s": session.asked[-1][2] - now_s,
        "xruns_before": sum(getattr(before, name) for name in before.__slots__),
        "xruns_after": sum(getattr(card.xruns, name) for name in before.__slots__),
        "frames_per_s": (len(session.heard) - at) * card.capture_rate // 100 / took_s,
        "silent_after_stop": settled == (len(session.heard), len(session.asked)),
        "lost": session.losses(),
    }


def opens(wanted: str) -> Facts:
    """For each of `wanted` (JSON: names, indices, null), what is opened, or why nothing is."""
    return {json.dumps(device): _opens(device) for device in json.loads(wanted)}


def _opens(device: str | int | None) -> Facts:
    try:
        card = PortAudioCard(Settings(input_device=device, output_device=device))
    except EdgeAssistantError as error:
        return {"code": error.code, "message": error.message, "hint": error.hint}
    session = Session(card)
    session.wait_blocks(3)
    card.stop()
    return {"name": card.name}


def refused_rate() -> Facts:
    """Every rate but 44100 Hz and every mono stream are refused; all else is real."""
    import sounddevice

    def checker(real: Callable[..., None]) -> Callable[..., None]:
        def check(**words: Any) -> None:
            if words["samplerate"] != 44_100:
                raise sounddevice.PortAudioError("Invalid sample rate", -9997)
            if words["channels"] == 1:
                raise sounddevice.PortAudioError("Invalid number of channels", -9998)
            real(**words)

        return check

    sounddevice.check_input_settings = checker(sounddevice.check_input_settings)
    sounddevice.check_output_settings = checker(sounddevice.check_output_settings)
    session = Session(PortAudioCard(Settings()), play_hz=1_000.0)
    card = session.card
    session.wait_blocks(5)
    singer = sing(440.0)
    heard = loud_part(session, 8_000, card.capture_rate)
    singer.kill()
    singer.wait()
    spoken = listen_to("spk.monitor", 8_000)
    card.stop()
    return {
        "rates": [card.capture_rate, card.playback_rate],
        "heard_hz": pitch_hz(heard[4_000:], 16_000),
        "spoken_hz": pitch_hz(spoken[4_000:], 16_000),
        "peak": float(np.abs(heard[4_000:]).max()),
    }


def _lose_and_regain(lose: Callable[[], None], regain: Callable[[], None]) -> Facts:
    session = Session(PortAudioCard(Settings()))
    session.wait_blocks(20)
    session.wait_routes()
    broken_s = time.monotonic()
    lose()
    session.wait_lost()
    heard = len(session.heard)
    time.sleep(1.5)
    heard_while_lost = len(session.heard) - heard
    backs_while_lost = session.backs
    regained_s = time.monotonic()
    regain()
    session.wait_back()
    session.wait_blocks(20)
    lost = session.losses()
    session.card.stop()
    return {
        "lost": lost,
        "heard_while_lost": heard_while_lost,
        "backs_while_lost": backs_while_lost,
        "backs": session.backs,
        "gaps": session.gaps(),
        "away_s": session.back_at_s - broken_s,
        "detected_s": session.lost_at_s - broken_s,
        "recovered_s": session.back_at_s - regained_s,
        "threads": [thread.name for thread in threading.enumerate()],
    }


def _plug_in() -> None:
    SERVER.load("micsrc", "mic")
    SERVER.choose_defaults()


def microphone_replaced_by_monitor() -> Facts:
    """The microphone goes; the loudspeaker's monitor is the only source left."""
    return _lose_and_regain(lambda: SERVER.unload("micsrc"), _plug_in)


def all_devices_gone() -> Facts:
    """Every sink goes, and comes back."""

    def lose() -> None:
        SERVER.unload("micsrc")
        SERVER.unload("spk")

    def regain() -> None:
        SERVER.load("spk")
        _plug_in()

    return _lose_and_regain(lose, regain)


def daemon_killed() -> Facts:
    """The sound server crashes, and is started again."""
    return _lose_and_regain(SERVER.kill, SERVER.start)


def microphone_replaced_by_another() -> Facts:
    """The microphone goes, a second one is there: sound goes on from it."""
    SERVER.load("mic2")
    SERVER.pactl("set-default-source", "mic")
    # On a busy machine sound may stand still for longer than usual while PulseAudio moves it.
    session = Session(PortAudioCard(Settings(watchdog_ms=PATIENT_MS)))
    session.wait_blocks(20)
    session.wait_routes()
    SERVER.unload("spk")  # so that no monitor is chosen; playback moves to micsrc
    session.wait_lost()
    session.wait_back()
    SERVER.unload("mic")
    SERVER.pactl("set-default-source", "mic2")
    session.wait_lost(2)
    session.wait_back(2)
    told: Facts = {"lost": session.losses(), "backs": session.backs}
    session.wait_blocks(20)
    session.card.stop()
    return told


def stop_while_lost() -> Facts:
    """`stop` in the middle of a loss, and twice."""
    session = Session(PortAudioCard(Settings()))
    session.wait_blocks(3)
    SERVER.kill()
    session.wait_lost()
    stopped = threading.Thread(target=session.card.stop, daemon=True)
    stopped.start()
    stopped.join(HUNG_S)
    session.card.stop()
    return {
        "hung": stopped.is_alive(),
        "losses": len(session.lost),
        "threads": [thread.name for thread in threading.enumerate()],
    }


def open_and_close(times: str) -> Facts:
    """Cycles of start and stop on one card; threads and files before and after."""
    card = PortAudioCard(Settings())

    def cycle() -> None:
        session = Session(card)
        wait_until(lambda: len(session.asked) > 0, "a played block")
        card.stop()

    def count() -> list[int]:
        return [threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))]

    cycle()
    before = count()
    for _ in range(int(times)):
        cycle()
    return {"before": before, "after": count()}


def raising_callbacks() -> Facts:
    """Callbacks that fail for a while: one report, and sound goes on."""
    card = PortAudioCard(Settings())
    lost: list[Exception | None] = []
    calls = [0, 0]

    def capture(block: Samples, first_frame: int, time_s: float) -> None:
        del block, first_frame, time_s
        calls[0] += 1
        if calls[0] <= 5:
            raise KeyError("a mistake")

    def playback(out: Samples, first_frame: int, dac_time_s: float) -> None:
        del first_frame, dac_time_s
        out.fill(0.0)
        calls[1] += 1

    card.start(capture, playback, lost.append)
    wait_until(lambda: calls[0] > 20, "blocks after the mistake")
    wait_until(lambda: len(lost) > 0, "on_lost")
    time.sleep(0.7)  # the watchdog looks twice more, and must not say it again
    card.stop()
    return {"lost": [str(error) for error in lost]}


def library_missing() -> Facts:
    """PortAudio cannot be found."""
    import ctypes.util

    ctypes.util.find_library = lambda name: None
    return _opens(None)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
