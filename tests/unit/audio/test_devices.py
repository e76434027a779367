"""Which device a setting means."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_assistant.audio.cards.devices import Device, Kind, _is_locked, find_device
from edge_assistant.errors import DeviceNotFound


def device(index: int, name: str, inputs: int, outputs: int, default: str = "") -> Device:
    return Device(
        index=index,
        name=name,
        host_api="ALSA",
        input_channels=inputs,
        output_channels=outputs,
        default_rate=48_000,
        is_default_input="i" in default,
        is_default_output="o" in default,
    )


DEVICES = [
    device(0, "HDMI 0", 0, 2),
    device(1, "USB Headset: Audio", 1, 2),
    device(2, "USB Camera: Audio", 2, 0, "i"),
    device(3, "default", 32, 32, "o"),
    device(4, "sysdefault", 32, 32),
]


@pytest.mark.parametrize(
    ("kind", "wanted", "index"),
    [
        ("input", None, 2),
        ("output", None, 3),
        ("input", 1, 1),
        ("output", "1", 1),
        ("input", "headset", 1),
        ("input", "CAMERA", 2),
        ("input", "default", 3),
        ("output", "usb", 1),
        ("output", "HDMI 0 (ALSA)", 0),
    ],
)
def test_it_is_found(kind: Kind, wanted: str | int | None, index: int) -> None:
    assert find_device(DEVICES, kind, wanted).index == index


@pytest.mark.parametrize(
    ("kind", "wanted", "code", "words"),
    [
        ("input", "usb", "device-ambiguous", ["1 = USB Headset", "2 = USB Camera"]),
        ("input", "nonesuch", "device-not-found", ["'nonesuch'", "microphone"]),
        ("input", 0, "device-not-found", ["HDMI 0", "not a microphone"]),
        ("output", 5, "device-not-found", ["5"]),
        ("output", -1, "device-not-found", ["-1"]),
    ],
)
def test_it_is_refused_with_a_way_out(
    kind: Kind, wanted: str | int, code: str, words: list[str]
) -> None:
    with pytest.raises(DeviceNotFound) as caught:
        find_device(DEVICES, kind, wanted)
    assert caught.value.code == code
    assert all(word in caught.value.message for word in words)
    assert caught.value.hint


def test_without_a_default_the_first_that_fits_is_taken() -> None:
    assert find_device(DEVICES[:2], "input", None).index == 1


@pytest.mark.parametrize(("kind", "noun"), [("input", "microphone"), ("output", "loudspeaker")])
def test_a_machine_without_devices_is_told_so(kind: Kind, noun: str) -> None:
    with pytest.raises(DeviceNotFound) as caught:
        find_device([], kind, None)
    assert caught.value.code in {f"no-{noun}", "audio-permission"}


def test_cards_that_nobody_may_open_are_locked(tmp_path: Path) -> None:
    assert not _is_locked(tmp_path / "none")
    assert not _is_locked(tmp_path)
    (tmp_path / "controlC0").touch()
    assert not _is_locked(tmp_path)
    (tmp_path / "controlC0").unlink()
    (tmp_path / "controlC0").symlink_to(tmp_path / "gone")  # not readable, whoever we are
    assert _is_locked(tmp_path)
