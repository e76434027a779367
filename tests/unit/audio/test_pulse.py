"""PulseAudio's listings, as pactl 16.1 prints them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_assistant.audio.cards.pulse import (
    Move,
    PulseRoutes,
    is_monitor,
    parse_device,
    parse_names,
)

SOURCE_OUTPUTS = """\
Source Output #4
\tDriver: protocol-native.c
\tOwner Module: 1
\tClient: 22
\tSource: 2
\tSample Specification: float32le 1ch 16000Hz
\tProperties:
\t\tmedia.name = "ALSA Capture"
\t\tapplication.name = "ALSA plug-in [python3.11]"
\t\tapplication.process.id = "8123"
\t\tapplication.process.user = "root"

Source Output #7
\tDriver: protocol-native.c
\tSource: 0
\tProperties:
\t\tapplication.process.id = "9000"

Source Output #9
\tDriver: protocol-native.c
\tSource: 4294967295
\tProperties:
\t\tapplication.process.id = "8123"
"""

SHORT_SOURCES = """\
0\tspk.monitor\tmodule-null-sink.c\ts16le 2ch 44100Hz\tIDLE
2\tmic\tmodule-remap-source.c\ts16le 2ch 44100Hz\tRUNNING
"""


def test_only_our_streams_that_are_somewhere_count() -> None:
    assert parse_device(SOURCE_OUTPUTS, 8123) == 2
    assert parse_device(SOURCE_OUTPUTS, 1) is None
    assert parse_device("", 8123) is None


def test_the_newest_stream_counts() -> None:
    later = SOURCE_OUTPUTS.replace("4294967295", "5")
    assert parse_device(later, 8123) == 5


def test_sink_inputs_are_read_in_the_same_way() -> None:
    listing = SOURCE_OUTPUTS.replace("Source Output", "Sink Input").replace("Source:", "Sink:")
    assert parse_device(listing, 9000) == 0


def test_devices_have_names() -> None:
    assert parse_names(SHORT_SOURCES) == {0: "spk.monitor", 2: "mic"}
    assert parse_names("Connection failure\n") == {}


def test_a_monitor_in_place_of_a_lost_microphone_is_our_own_voice() -> None:
    def move(old: str, new: str, is_old_gone: bool) -> Move:
        return Move(kind="input", old_name=old, new_name=new, is_old_gone=is_old_gone)

    assert is_monitor("spk.monitor")
    assert move("mic", "spk.monitor", True).hears_itself
    assert not move("mic", "spk.monitor", False).hears_itself, "somebody chose that"
    assert not move("mic", "mic2", True).hears_itself
    assert not move("a.monitor", "b.monitor", True).hears_itself


class Server:
    """A `pactl` that tells what the test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "pactl"
        program.write_text(f'#!/bin/sh\nexec cat "{folder}/$*"\n')
        program.chmod(0o755)
        self.devices = {"sources": {0: "spk.monitor", 2: "mic"}, "sinks": {0: "spk"}}
        self.show(source=2, sink=0)

    def show(self, *, source: int | None, sink: int | None) -> None:
        """Our streams are on these devices; None = not listed yet."""
        for noun, entry, word, device in (
            ("source-outputs", "Source Output", "Source", source),
            ("sink-inputs", "Sink Input", "Sink", sink),
        ):
            owner = f'\t\tapplication.process.id = "{os.getpid()}"\n'
            text = "" if device is None else f"{entry} #7\n\t{word}: {device}\n{owner}"
            (self.folder / f"list {noun}").write_text(text)
        for kind, names in self.devices.items():
            rows = (f"{index}\t{name}\tmodule\n" for index, name in names.items())
            (self.folder / f"list short {kind}").write_text("".join(rows))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return Server(tmp_path)


def test_a_stream_that_is_listed_late_is_followed(server: Server) -> None:
    server.show(source=None, sink=0)
    routes = PulseRoutes()
    assert routes.moves() == []
    assert (routes.device_name("input"), routes.device_name("output")) == (None, "spk")
    server.show(source=2, sink=0)
    assert routes.moves() == []
    assert routes.device_name("input") == "mic"
    server.devices["sources"] = {0: "spk.monitor"}
    server.show(source=0, sink=0)
    (move,) = routes.moves()
    assert (move.old_name, move.new_name, move.hears_itself) == ("mic", "spk.monitor", True)
    assert routes.moves() == []


def test_a_move_while_the_stream_is_not_listed_is_told(server: Server) -> None:
    routes = PulseRoutes()
    routes.moves()
    assert routes.is_listed
    server.devices["sources"][5] = "mic2"
    server.show(source=None, sink=0)
    assert routes.moves() == []
    assert not routes.is_listed
    server.show(source=5, sink=0)
    (move,) = routes.moves()
    assert (move.old_name, move.new_name, move.is_old_gone) == ("mic", "mic2", False)
    assert routes.is_listed


def test_a_server_that_does_not_answer_hides_no_move(server: Server) -> None:
    routes = PulseRoutes()
    routes.moves()
    server.devices["sinks"][4] = "headset"
    server.show(source=2, sink=4)
    for unanswered in ("list sink-inputs", "list short sinks"):
        text = (server.folder / unanswered).read_text()
        (server.folder / unanswered).unlink()
        assert routes.moves() == []
        assert not routes.is_listed
        (server.folder / unanswered).write_text(text)
    (move,) = routes.moves()
    assert (move.kind, move.old_name, move.new_name) == ("output", "spk", "headset")


def test_the_same_device_plugged_in_again_has_not_moved(server: Server) -> None:
    routes = PulseRoutes()
    routes.moves()
    server.devices["sources"] = {9: "mic"}
    server.show(source=9, sink=0)
    assert routes.moves() == []
    assert routes.is_listed
