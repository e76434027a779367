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

from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.espeak import EspeakVoice
from tests.figures.recordings import Recording, recordings
from tests.pipe.client import RATE, Conversation, Sound

AUDIBLE = 10 ** (-50 / 20)
QUIET_FRAMES = RATE // 5
INTO_REPLY_S = 2.0
LEAST_LEFT_S = 2.0
LEAD_S = 0.3
"""Silence kept before the onset of an interruption, so that its attack is whole."""

OPENER = "Tell me about the history of Rome."
"""A synthetic voice asks for a long reply; the interruptions are real recordings."""


def onset_frames(sound: Sound) -> int:
    """Where the voice begins: the first of three blocks within 35 dB of the clip's active level."""
    blocks = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    level = np.sqrt(np.mean(np.square(blocks), axis=1))
    active = np.sqrt(np.mean(np.square(level[level > level.max() / 10])))
    loud = level > active * 10 ** (-35 / 20)
    runs = loud[:-2] & loud[1:-1] & loud[2:]
    return int(np.flatnonzero(runs)[0]) * 160


def trimmed(sound: Sound) -> Sound:
    """The clip from `LEAD_S` before its onset."""
    return sound[max(0, onset_frames(sound) - int(LEAD_S * RATE)) :]


def silence_begins(heard: Sound, from_frames: int) -> int:
    """Frame after the last audible one before 200 ms of silence."""
    loud = np.flatnonzero(np.abs(heard[from_frames:]) > AUDIBLE)
    if not len(loud):
        return from_frames
    breaks = np.flatnonzero(np.diff(loud) > QUIET_FRAMES)
    return from_frames + int(loud[breaks[0]] if len(breaks) else loud[-1]) + 1


def whole_reply_s(opener: Sound, folder: Path) -> float:
    """How long the reply is if nobody interrupts; the same prompt gives the same reply."""
    partner = Conversation(folder / "whole.jsonl")
    partner.say(opener)
    partner.run_until(lambda: partner.has("playback_finished"), 60)
    partner.close()
    times = {event["event"]: event["t"] for event in partner.events()}
    return float(times["playback_finished"] - times["playback_started"])


def interrupt(opener: Sound, interruption: Recording, folder: Path) -> dict[str, Any] | None:
    """One trial; None where the voice did not yield."""
    path = folder / "events.jsonl"
    partner = Conversation(path)
    partner.say(opener)
    partner.run_until(lambda: partner.has("playback_started"), 40)
    begins_s = partner.events()[-1]["t"]
    sound = trimmed(interruption.sound())
    onset_s = onset_frames(sound) / RATE
    partner.run(begins_s + INTO_REPLY_S - onset_s - partner.now_s)
    began_s = partner.say(sound) + onset_s
    yielded = partner.run_until(lambda: partner.has("yielded"), 5.0)
    partner.run_until(lambda: partner.has("playback_started", 2), 30)
    partner.run(1.0)
    partner.close()
    if not yielded:
        return None
    log = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    heard = np.concatenate(partner.heard)
    silent = silence_begins(heard, int(began_s * RATE))
    return {
        "into_s": round(began_s - begins_s, 2),
        "stop_s": round(silent / RATE - began_s, 3),
        "duck_s": round(next(e["t"] for e in log if e["event"] == "ducked") - began_s, 3),
        "heard": next(e["heard"] for e in log if e["event"] == "yielded"),
        "played_s": round(silent / RATE - begins_s, 3),
        "transcripts": [e["text"] for e in log if e["event"] == "transcript"],
        "answered": sum(e["event"] == "playback_started" for e in log) >= 2,
    }


def spoken_words_s(voice_text: str) -> float:
    """Seconds that the voice needs for `voice_text`, synthesised on its own."""
    return len(synthetic(voice_text)) / RATE


def synthetic(text: str) -> Sound:
    """`text` in espeak's voice at 16 kHz."""
    voice = EspeakVoice("en-us")
    chunks = [chunk.samples for chunk in voice.synthesize(text, CancelToken())]
    return resample(np.concatenate(chunks), voice.sample_rate, RATE)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    interruptions = [
        r for r in recordings("commands/") if r.path.name.startswith(("s2i_", "gcp_brooklyn.wav"))
    ]
    opener = synthetic(OPENER)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        whole_s = whole_reply_s(opener, Path(folder))
        print(f"the whole reply takes {whole_s:.1f} s")
        if whole_s < INTO_REPLY_S + LEAST_LEFT_S:
            raise SystemExit("too short: every trial would be void")
        for interruption in interruptions[:count]:
            result = interrupt(opener, interruption, Path(folder))
            print(f"{interruption.path.name}: {json.dumps(result)}")
            if result is not None:
                results.append(result)
    stops = [r["stop_s"] for r in results]
    print(f"n = {count}, yielded {len(results)}, answered {sum(r['answered'] for r in results)}")
    print(f"voice silent after: median {statistics.median(stops):.3f} s, worst {max(stops):.3f} s")
    print(f"ducked after: median {statistics.median(r['duck_s'] for r in results):.3f} s")
    # The words told as heard, spoken on their own, must take about as long as was played.
    errors = [r["played_s"] - spoken_words_s(r["heard"]) for r in results if r["heard"]]
    print(f"played minus the length of the words heard: {[round(e, 2) for e in errors]} s")


if __name__ == "__main__":
    main()
