"""Recorded requests through a (virtual) sound card: the response gap with PulseAudio in between.

Run it on a quiet machine: `python -m tests.figures.sound_card [N]`. One sink of two channels is the
room: what is played into its left one is what the microphone hears, its right one is the
loudspeaker. So one recording of it holds both on one clock, and the gap is read off it: from the
last sample of the clip's speech to the first one of the reply above -50 dBFS. Beside it stands the
gap of the program's own log, which leaves the card's buffers out as far as it knows them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from edge_assistant.audio.files import write_wav
from edge_assistant.audio.level import first_audible_frame
from edge_assistant.bench.truth import find_speech
from edge_assistant.store.store import Store
from tests.device.sound_server import SoundServer, missing_parts
from tests.figures.recordings import Recording
from tests.figures.replies import requests
from tests.pipe.client import RATE, Sound

HALVES = {"micsrc": "front-left", "spk": "front-right"}
ROOM = {
    "room": ["module-null-sink", "sink_name=room", "channels=2", "rate=48000"],
    **{
        name: [
            "module-remap-sink",
            "master=room",
            f"sink_name={name}",
            "channels=1",
            "channel_map=mono",
            f"master_channel_map={half}",
            "remix=no",
        ]
        for name, half in HALVES.items()
    },
    "mic": [
        "module-remap-source",
        "master=room.monitor",
        "source_name=mic",
        "channels=1",
        "channel_map=mono",
        "master_channel_map=front-left",
        "remix=no",
    ],
}
RUN = (sys.executable, "-m", "edge_assistant", "run")
WAIT_S = 30.0
AFTER_S = 1.0
"""Longer than any buffer on the way."""


def clear_requests(count: int) -> list[Recording]:
    """Spoken requests with a clear end, in the manifest's order."""
    return [r for r in requests(sys.maxsize) if find_speech(r.sound()).is_clear][:count]


def events(path: Path, name: str) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == name]


def waited_for(path: Path, name: str) -> bool:
    give_up_s = time.monotonic() + WAIT_S
    while not events(path, name):
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def running(words: list[str], server: SoundServer) -> Iterator[None]:
    process = subprocess.Popen(
        words,
        env=server.environment | {"EDGE_ASSISTANT_MODELS_DIR": str(Store.default().root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def begin_of(clip: Sound, room: Sound) -> int:
    """Where in the recording the clip begins: the highest cross-correlation."""
    size = 1 << (len(clip) + len(room)).bit_length()
    product = np.fft.rfft(room, size) * np.conj(np.fft.rfft(clip, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(room)]))


def ask(clip: Sound, server: SoundServer, folder: Path) -> tuple[float, float] | None:
    """(gap in the room, gap of the log) in seconds; None where no reply came."""
    question, recorded, log = folder / "q.wav", folder / "room.wav", folder / "events.jsonl"
    log.unlink(missing_ok=True)
    write_wav(question, clip)
    record = ["parec", "--device=room.monitor", f"--rate={RATE}", "--channels=2"]
    with running([*RUN, "--events", str(log)], server):
        if not waited_for(log, "listening"):
            return None
        time.sleep(AFTER_S)  # the devices are open, and the room is silent
        with running([*record, "--file-format=wav", str(recorded)], server):
            time.sleep(AFTER_S)
            say = ["paplay", "--device=micsrc", str(question)]
            subprocess.run(say, env=server.environment, check=True)
            is_answered = waited_for(log, "latency")
            time.sleep(AFTER_S)
    if not is_answered:
        return None
    room, _ = soundfile.read(recorded, dtype="float32")
    end = begin_of(clip, room[:, 0]) + find_speech(clip).frames[-1][1]
    gap_s = first_audible_frame(room[end:, 1]) / RATE
    return gap_s, float(events(log, "latency")[0]["gap_s"])


def main() -> None:
    if lacking := missing_parts():
        raise SystemExit(lacking)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = SoundServer(folder, ROOM)
        server.prepare()
        server.start()
        try:
            for clip in clear_requests(count):
                gaps = ask(clip.sound(), server, folder)
                told = "no reply" if gaps is None else f"{gaps[0]:.3f} s, log {gaps[1]:.3f} s"
                print(f"{clip.path.name}: {told}", flush=True)
                found += [gaps] if gaps else []
        finally:
            server.kill()
    for label, gaps_s in zip(("room", "log"), zip(*found, strict=True), strict=True):
        p90 = float(np.quantile(gaps_s, 0.9))
        median = statistics.median(gaps_s)
        print(f"{label}: n = {len(gaps_s)}, p50 {median:.3f} s, p90 {p90:.3f} s")


if __name__ == "__main__":
    main()
