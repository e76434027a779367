"""PulseAudio's listings, as pactl 16.1 prints them."""

from __future__ import annotations

from edge_assistant.audio.cards.pulse import Move, is_monitor, parse_names, parse_streams

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
    assert parse_streams(SOURCE_OUTPUTS, "input", 8123) == {("input", 4): 2}
    assert parse_streams(SOURCE_OUTPUTS, "input", 1) == {}
    assert parse_streams("", "input", 8123) == {}


def test_sink_inputs_are_read_in_the_same_way() -> None:
    listing = SOURCE_OUTPUTS.replace("Source Output", "Sink Input").replace("Source:", "Sink:")
    assert parse_streams(listing, "output", 9000) == {("output", 7): 0}


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
