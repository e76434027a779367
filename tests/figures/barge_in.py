"""Recorded interruptions 2 s into a reply, through `converse --pipe`.

Run it on a quiet machine: `python -m tests.figures.barge_in [N]`. Latency is from the onset of the
interruption to the last audible sample of the reply, both taken from the recording of the partner.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.figures.recordings import Recording, recordings
from tests.pipe.client import RATE, Conversation, Sound

AUDIBLE = 10 ** (-50 / 20)
QUIET_FRAMES = RATE // 5
OPENERS = ("az_whatstheweatherlike", "gcp_brooklyn.wav", "sphinx_goforward")


def onset_frames(sound: Sound) -> int:
    """First frame within 35 dB of the clip's active level: where the voice begins."""
    blocks = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    level = np.sqrt(np.mean(np.square(blocks), axis=1))
    active = np.percentile(level, 90)
    return int(np.flatnonzero(level > active * 10 ** (-35 / 20))[0]) * 160


def silence_begins(heard: Sound, from_frames: int) -> int:
    """Frame after the last audible one before 200 ms of silence."""
    loud = np.flatnonzero(np.abs(heard[from_frames:]) > AUDIBLE)
    if not len(loud):
        return from_frames
    breaks = np.flatnonzero(np.diff(loud) > QUIET_FRAMES)
    return from_frames + int(loud[breaks[0]] if len(breaks) else loud[-1]) + 1


def interrupt(opener: Recording, interruption: Recording, folder: Path) -> dict[str, Any] | None:
    """One trial; None where the reply was too short to be interrupted."""
    path = folder / "events.jsonl"
    partner = Conversation(path)
    partner.say(opener.sound())
    partner.run_until(lambda: partner.has("playback_started"), 40)
    partner.run(2.0)
    sound = interruption.sound()
    began_s = partner.say(sound) + onset_frames(sound) / RATE
    if not partner.run_until(lambda: partner.has("yielded"), 5.0):
        partner.close()
        return None
    partner.run_until(lambda: partner.has("playback_started", 2), 30)
    partner.run(1.0)
    partner.close()
    log = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    heard = np.concatenate(partner.heard)
    yielded = next(e for e in log if e["event"] == "yielded")
    silent = silence_begins(heard, int(began_s * RATE))
    transcripts = [e["text"] for e in log if e["event"] == "transcript"]
    return {
        "stop_s": silent / RATE - began_s,
        "duck_s": next(e["t"] for e in log if e["event"] == "ducked") - began_s,
        "heard": yielded["heard"],
        "spoken_s": silent / RATE - next(e["t"] for e in log if e["event"] == "playback_started"),
        "transcripts": transcripts,
        "answered": sum(e["event"] == "playback_started" for e in log) >= 2,
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    spoken = recordings("commands/")
    openers = [r for name in OPENERS for r in spoken if name in r.path.name]
    interruptions = [r for r in spoken if r.path.name.startswith("s2i_")]
    results: list[dict[str, Any]] = []
    void = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, interruption in enumerate(interruptions):
            if len(results) == count:
                break
            result = interrupt(openers[number % len(openers)], interruption, Path(folder))
            if result is None:
                void += 1
                print(f"{interruption.path.name}: void, the reply had ended or did not yield")
                continue
            results.append(result)
            print(f"{interruption.path.name}: {json.dumps(result)}")
    stops = [r["stop_s"] for r in results]
    print(f"n = {len(results)}, void {void}, answered {sum(r['answered'] for r in results)}")
    print(f"voice silent after: median {statistics.median(stops):.3f} s, worst {max(stops):.3f} s")
    print(f"ducked after: median {statistics.median(r['duck_s'] for r in results):.3f} s")


if __name__ == "__main__":
    main()
