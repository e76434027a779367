"""Recorded commands and questions through `converse`: transcripts, audible replies, response gaps.

Run it on a quiet machine: `python -m tests.figures.replies [N]`. It prints a row a recording
and the quantiles of the response gap.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.figures.recordings import Recording, recordings

COMMAND = (sys.executable, "-m", "edge_assistant", "converse")
SEGMENTS = ("detect_s", "wait_s", "not_ready_s", "out_s", "leading_silence_s")


def requests(count: int) -> list[Recording]:
    """Spoken requests of at least 0.9 s: first those that are questions and commands, then
    orders."""
    spoken = [r for r in recordings("commands/") if r.facts["kind"] == "command"]
    # Left out: a clip that is padded for a streaming demo twice over, and one of 20 s with several
    # speakers.
    return [r for r in spoken if 0.9 <= r.seconds <= 13][:count]


def converse(recording: Recording, folder: Path) -> dict[str, Any]:
    """One conversation in a process of its own."""
    reply, events = folder / "reply.wav", folder / "events.jsonl"
    subprocess.run(
        [*COMMAND, str(recording.path), str(reply), "--events", str(events)],
        check=True,
    )
    log = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    sound, _ = soundfile.read(reply, dtype="float32")
    latencies = [event for event in log if event["event"] == "latency"]
    return {
        "text": " / ".join(e["text"] for e in log if e["event"] == "transcript"),
        "heard": " / ".join(e["heard"] for e in log if e["event"] == "playback_finished"),
        "audible": bool(np.max(np.abs(sound)) > 10 ** (-50 / 20)),
        "latencies": latencies,
        "adds_up": all(abs(sum(e[s] for s in SEGMENTS) - e["gap_s"]) < 1e-3 for e in latencies),
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    gaps: list[float] = []
    parts: dict[str, list[float]] = {name: [] for name in SEGMENTS}
    totals = {"transcript": 0, "audible": 0, "adds up": 0}
    chosen = requests(count)
    with tempfile.TemporaryDirectory() as folder:
        for recording in chosen:
            result = converse(recording, Path(folder))
            totals["transcript"] += bool(result["text"])
            totals["audible"] += result["audible"]
            totals["adds up"] += bool(result["latencies"]) and result["adds_up"]
            for latency in result["latencies"][:1]:
                gaps.append(latency["gap_s"])
                for name in SEGMENTS:
                    parts[name].append(latency[name])
            shown = [f"{e['gap_s']:.2f}" for e in result["latencies"]]
            print(f"{recording.path.name}\t{shown}\t{result['text']!r}\t{result['heard'][:70]!r}")
    print(f"n = {len(chosen)}: " + ", ".join(f"{name} {n}" for name, n in totals.items()))
    cuts = statistics.quantiles(gaps, n=10, method="inclusive")
    print(f"response gap p50 {statistics.median(gaps):.3f} s, p90 {cuts[8]:.3f} s")
    print({name: round(statistics.median(values), 3) for name, values in parts.items()})


if __name__ == "__main__":
    main()
