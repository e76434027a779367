from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from edge_assistant.clock import SampleClock
from edge_assistant.errors import ConfigError, EdgeAssistantError
from edge_assistant.trace import EventLog


def test_events_are_lines_of_json_as_soon_as_they_are_emitted(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit("transcript", 24_000, 3, text="caf\u00e9", final=True)
    (line,) = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "t": 1.5,
        "event": "transcript",
        "turn": 3,
        "text": "caf\u00e9",
        "final": True,
    }
    log.close()
    log.emit("late", 0)


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        EventLog(tmp_path / "missing" / "events.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_ends_the_file_and_not_the_conversation() -> None:
    log = EventLog(Path("/dev/full"))
    stream = log.subscribe()
    log.emit("one", 0)
    log.emit("two", 0)
    log.close()
    assert log.is_broken
    assert [event["event"] for event in stream] == ["one", "two"]


def test_a_stream_drops_the_oldest_and_counts() -> None:
    log = EventLog()
    stream = log.subscribe(max_waiting=2)
    for number in range(5):
        log.emit(str(number), 0)
    log.close()
    assert [event["event"] for event in stream] == ["3", "4"]
    assert stream.dropped == 3


def test_a_reader_wakes_when_the_log_closes_or_it_has_had_enough() -> None:
    log = EventLog()
    streams = [log.subscribe(), log.subscribe()]
    readers = [threading.Thread(target=list, args=(stream,)) for stream in streams]
    for reader in readers:
        reader.start()
    streams[0].close()
    readers[0].join(10)
    assert not readers[0].is_alive()
    log.close()
    readers[1].join(10)
    assert not readers[1].is_alive()


def test_an_error_shows_cause_way_out_and_code() -> None:
    assert (
        str(EdgeAssistantError("a-code", "It broke.", "mend it")) == "It broke. (mend it) [a-code]"
    )
    assert str(EdgeAssistantError("a-code", "It broke.")) == "It broke. [a-code]"


class Clock:
    at_s = 100.0

    def now_s(self) -> float:
        return self.at_s


def test_the_sample_clock_runs_on_between_blocks_but_not_far() -> None:
    time = Clock()
    clock = SampleClock(16_000, 320, time)
    clock.anchor(1600)
    time.at_s += 0.01
    assert clock.now_frames() == 1760
    time.at_s += 5.0
    assert clock.now_frames() == 1920
    assert clock.captured_frames == 1600
