"""Who cancels: the sound system or we, by what pactl 16.1 prints."""

from __future__ import annotations

import pytest

from edge_assistant.audio.echo.system import cancels_echo
from edge_assistant.config import Config
from edge_assistant.pipeline import hearing
from tests.fakes.cards import ManualCard

PULSE = """\
0\tspk.monitor\tmodule-null-sink.c\ts16le 2ch 44100Hz\tIDLE
1\tmic\tmodule-alsa-card.c\ts16le 2ch 44100Hz\tIDLE
2\tclean\tmodule-echo-cancel.c\ts16le 1ch 32000Hz\tRUNNING
"""
PIPEWIRE = "57\techo-cancel-source\tPipeWire\tfloat32le 1ch 48000Hz\tRUNNING\n"


@pytest.mark.parametrize(
    ("device", "microphone", "default_source", "sources", "expected"),
    [
        (None, "default", "clean", PULSE, True),
        (None, "default", "mic", PULSE, False),
        (None, "pulse", "echo-cancel-source", PIPEWIRE, True),
        (None, "default", "", "", False),
        ("pulse", "pulse", "clean", PULSE, True),
        ("USB", "USB PnP Sound Device: Audio (hw:1,0)", "clean", PULSE, False),
        (3, "HDA Intel PCH: ALC257 (hw:0,0)", "clean", PULSE, False),
        ("Echo-Cancel", "Echo-Cancel Source", "mic", PULSE, True),
        (None, "Built-in Microphone", "", "", False),
    ],
)
def test_the_source_that_is_meant_tells(
    device: str | int | None, microphone: str, default_source: str, sources: str, expected: bool
) -> None:
    assert cancels_echo(device, microphone, default_source, sources) is expected


class _LiveCard(ManualCard):
    is_lock_step = False
    name = "default / default"


@pytest.mark.parametrize(
    ("asked", "is_served", "expected"),
    [("auto", True, "system"), ("auto", False, "auto"), ("webrtc", True, "webrtc")],
)
def test_there_are_never_two_in_series_unless_somebody_asks(
    monkeypatch: pytest.MonkeyPatch, asked: str, is_served: bool, expected: str
) -> None:
    monkeypatch.setattr(hearing, "system_cancels_echo", lambda device, microphone: is_served)
    config = Config().with_overrides({"audio.echo_canceller": asked})
    canceller = hearing.open_canceller(config, _LiveCard())
    assert canceller is not None
    assert canceller.mode == expected


def test_a_file_does_not_pass_the_sound_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "system_cancels_echo", lambda device, microphone: True)
    canceller = hearing.open_canceller(Config(), ManualCard())
    assert canceller is not None
    assert canceller.mode == "auto"


def test_off_is_off() -> None:
    config = Config().with_overrides({"audio.echo_canceller": "off"})
    assert hearing.open_canceller(config, ManualCard()) is None
