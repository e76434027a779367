"""Pulls the microphone out of a running assistant, and listens to what its loudspeaker says.

    python -m tests.figures.ship_notices

Needs PulseAudio and PortAudio, as the tests of `tests/device` do. A real card and a real assistant
run against a sound server without hardware (its engines are the stand-ins of the tests: recordings
need none). Ends with 1 unless the loudspeaker says in German that the microphone is gone while it
is gone, and that it is back once it is.
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

from tests.device.sound_server import SoundServer

LANGUAGE: Final = "de"
LIMIT_S: Final = 40.0


def main() -> int:
    """Start the sound server, and the rest as its child: PortAudio reads the environment."""
    if "SOUND_SERVER_FOLDER" in os.environ:
        return converse(SoundServer(Path(os.environ["SOUND_SERVER_FOLDER"])))
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        server = SoundServer(Path(folder))
        server.prepare()
        server.start()
        try:
            command = [sys.executable, "-m", "tests.figures.ship_notices"]
            return subprocess.run(command, env=server.environment, timeout=180).returncode
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

    def likeness(self, sound: np.ndarray) -> float:  # type: ignore[type-arg]
        """Largest correlation of what was played with `sound`, 0 to 1."""
        heard = np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), "<i2") / 32_768
        if len(heard) < len(sound):
            return 0.0
        size = 1 << (len(heard) + len(sound)).bit_length()
        spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size))
        found = np.fft.irfft(spectrum, size)[: len(heard) - len(sound) + 1]
        energy = np.concatenate([[0.0], np.cumsum(heard**2)])
        local = energy[len(sound) :] - energy[: -len(sound)]
        return float(np.max(found / np.sqrt(np.sum(sound**2) * np.maximum(local, 1e-3))))

    def wait_for(self, sound: np.ndarray, since_s: float, what: str) -> bool:  # type: ignore[type-arg]
        """Until it was heard; prints when."""
        while time.monotonic() - since_s < LIMIT_S:
            if (likeness := self.likeness(sound)) > 0.8:
                passed_s = time.monotonic() - since_s
                print(f"{what}: heard to its end after {passed_s:.1f} s (likeness {likeness:.2f})")
                return True
            time.sleep(0.25)
        print(f"{what}: not heard (likeness {self.likeness(sound):.2f})")
        return False

    def close(self) -> None:
        self._listener.kill()
        self._listener.wait()


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
    loudspeaker = Loudspeaker()
    assistant.start()
    time.sleep(4.0)  # until the card knows by which devices it is served
    server.unload("micsrc")
    pulled_s = time.monotonic()
    lost = recording("microphone_lost", LANGUAGE)
    is_told = loudspeaker.wait_for(lost, pulled_s, "the microphone is gone")
    time.sleep(1.0)
    server.load("micsrc")
    server.choose_defaults()
    plugged_s = time.monotonic()
    back = recording("sound_back", LANGUAGE)
    is_told_back = loudspeaker.wait_for(back, plugged_s, "the microphone is back")
    assistant.stop()
    loudspeaker.close()
    return 0 if is_told and is_told_back else 1


if __name__ == "__main__":
    sys.exit(main())
