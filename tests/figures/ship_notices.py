"""Lets things go wrong under a running assistant, and listens to what its loudspeaker says.

    python -m tests.figures.ship_notices

Needs PulseAudio and PortAudio, as the tests of `tests/device` do, and the starter pack. A real card
and a real assistant run against a sound server without hardware (its engines are the stand-ins of
the tests: recordings need none). Ends with 1 unless the loudspeaker says in German that the
microphone is gone while it is gone, and that it is back once it is; and unless `run --service` with
its own engines says that it is out of order when its floor fails (a planted error), and ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import numpy as np

from edge_assistant.store.store import default_root
from tests.device.sound_server import SoundServer

LANGUAGE: Final = "de"
LIMIT_S: Final = 30.0

FAILING: Final = """
import sys, time
from edge_assistant.cli.main import main
from edge_assistant.pipeline import conductor
step, begun_s = conductor.step, []
def failing(*arguments):
    begun_s.append(time.monotonic())
    if begun_s[-1] - begun_s[0] > 3.0:
        raise RuntimeError("planted")
    return step(*arguments)
conductor.step = failing
sys.argv = ["edge-assistant", "run", "--service", "--set", "turns.notices=recorded"]
main()
"""
"""A service whose floor fails 3 s after its first fact."""


def main() -> int:
    """Start the sound server, and the rest as its child: PortAudio reads the environment."""
    if "SOUND_SERVER_FOLDER" in os.environ:
        failed = converse(SoundServer(Path(os.environ["SOUND_SERVER_FOLDER"])))
        return give_up() or failed
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        server = SoundServer(Path(folder))
        server.prepare()
        server.start()
        try:
            command = [sys.executable, "-m", "tests.figures.ship_notices"]
            patient = server.environment | {"PULSE_LATENCY_MSEC": "120"}  # of a busy machine
            patient |= {"EDGE_ASSISTANT_MODELS_DIR": str(default_root())}
            return subprocess.run(command, env=patient, timeout=180).returncode
        finally:
            server.kill()


class Loudspeaker:
    """Writes down what the sink plays, 16 kHz mono."""

    def __init__(self) -> None:
        words = ["pacat", "--record", "-d", "spk.monitor", "--raw", "--format=s16le"]
        words += ["--rate=16000", "--channels=1", "--latency-msec=30"]
        self._listener = subprocess.Popen(words, stdout=subprocess.PIPE)
        self._data = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._listener.stdout is not None
        while data := self._listener.stdout.read(640):
            self._data += data

    def share_heard(self, sound: np.ndarray) -> float:
        """Share of the pieces of `sound` that were played; holes of a busy machine may part them.

        A piece of 0.3 s counts where it correlates with what was heard by 0.85 or more.
        """
        heard = np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), "<i2") / 32_768
        size = int(0.3 * 16_000)
        whole = range(0, len(sound) - size, size)
        pieces = [sound[first : first + size] for first in whole]
        loud = [piece for piece in pieces if np.std(piece) > 0.02]
        return float(np.mean([_likeness(heard, piece) >= 0.85 for piece in loud]))

    def wait_for(self, sound: np.ndarray, since_s: float, what: str) -> bool:
        """Until it was heard; prints when."""
        while time.monotonic() - since_s < LIMIT_S:
            if (share := self.share_heard(sound)) > 0.5:
                passed_s = time.monotonic() - since_s
                print(f"{what}: heard after {passed_s:.1f} s ({share:.0%} of its pieces)")
                return True
            time.sleep(0.25)
        print(f"{what}: not heard ({self.share_heard(sound):.0%} of its pieces)")
        return False

    def close(self) -> None:
        self._listener.kill()
        self._listener.wait()


def _likeness(heard: np.ndarray, piece: np.ndarray) -> float:
    """Largest correlation of `piece` with a stretch of what was heard, 0 to 1."""
    if len(heard) < len(piece):
        return 0.0
    size = 1 << (len(heard) + len(piece)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(piece, size))
    found = np.fft.irfft(spectrum, size)[: len(heard) - len(piece) + 1]
    energy = np.concatenate([[0.0], np.cumsum(heard**2)])
    local = energy[len(piece) :] - energy[: -len(piece)]
    return float(np.max(found / np.sqrt(np.sum(piece**2) * np.maximum(local, 1e-3))))


def converse(server: SoundServer) -> int:
    from edge_assistant.audio.cards.portaudio import PortAudioCard
    from edge_assistant.config import Config
    from edge_assistant.notices.recordings import recording
    from edge_assistant.pipeline.assistant import Assistant
    from edge_assistant.pipeline.loading import Engines
    from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeTurnDetector, FakeVad, FakeVoice

    engines = Engines(
        vad=FakeVad(),
        onset_vad=FakeVad(),
        turn_detector=FakeTurnDetector(),
        recognizer=FakeRecognizer(),
        llm=FakeLlm(),
        voice=FakeVoice(),
        language=LANGUAGE,
    )
    config = Config().with_overrides({"turns.notices": "recorded"})
    assistant = Assistant(config, PortAudioCard(config.audio), engines=engines)
    events = assistant.events()
    loudspeaker = Loudspeaker()
    assistant.start()
    time.sleep(4.0)  # until the card knows by which devices it is served
    server.unload("micsrc")
    pulled_s = time.monotonic()
    lost = recording("microphone_lost", LANGUAGE)
    is_told = loudspeaker.wait_for(lost, pulled_s, "the microphone is gone")
    time.sleep(1.0)
    server.load("micsrc", "mic")
    server.choose_defaults()
    loudspeaker.close()  # the sound server may have moved it to the new microphone
    loudspeaker = Loudspeaker()
    plugged_s = time.monotonic()
    back = recording("sound_back", LANGUAGE)
    is_told_back = loudspeaker.wait_for(back, plugged_s, "the microphone is back")
    assistant.stop()
    loudspeaker.close()
    told = ("error", "device_back", "playback_started", "playback_finished", "turn_finished")
    for event in events:
        if event["event"] in told:
            print({key: event.get(key) for key in ("t", "event", "code", "heard", "outcome")})
    print(assistant.statistics())
    return 0 if is_told and is_told_back else 1


def give_up() -> int:
    from edge_assistant.notices.recordings import recording

    loudspeaker = Loudspeaker()
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"RUNTIME_DIRECTORY": folder}
        service = subprocess.Popen(
            [sys.executable, "-c", FAILING], env=environ, stderr=subprocess.PIPE, text=True
        )
        assert service.stderr is not None
        said, failed_s = list[str](), 0.0
        for line in service.stderr:
            said.append(line.rstrip())
            failed_s = time.monotonic() if "floor-failed" in line else failed_s
        code = service.wait(LIMIT_S)
    ended_s = time.monotonic() - failed_s
    is_told = loudspeaker.wait_for(recording("out_of_order", "en"), failed_s, "it is out of order")
    loudspeaker.close()
    print(f"the service ended with {code}, {ended_s:.1f} s after it had failed:", *said, sep="\n  ")
    return 0 if is_told and failed_s and code else 1


if __name__ == "__main__":
    sys.exit(main())
