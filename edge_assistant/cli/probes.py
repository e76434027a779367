"""Tries engines and sound devices in child processes: what breaks takes only the child with it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 60.0

_DISTRIBUTIONS: Final = {
    "onnxruntime": "onnxruntime",
    "llama_cpp": "llama-cpp-python",
    "pywhispercpp.model": "pywhispercpp",
    "piper": "piper-tts",
    "espeakng_loader": "espeakng-loader",
    "webrtcvad": "webrtcvad-wheels",
    "pywebrtc_audio": "pywebrtc-audio",
    "soxr": "soxr",
    "soundfile": "soundfile",
}
"""Module to import, and the distribution that brings it."""

_NO_LIBRARY: Final = re.compile(r"(lib[^\s/:']+\.so[.\d]*): cannot open shared object file")
_OF_DEBIAN: Final = {"libgomp.so.1": "libgomp1", "libstdc++.so.6": "libstdc++6"}
"""What a small system may lack and a compiled engine ask for, and the package that has it."""

_DEVICES: Final = """
import json
from edge_assistant.audio.cards.devices import find_device, list_devices, load_sounddevice
from edge_assistant.errors import EdgeAssistantError
found = []
def note(name, works, detail, mend=""):
    found.append([name, works, detail, mend])
try:
    sounddevice = load_sounddevice()
    note("PortAudio", True, sounddevice.get_portaudio_version()[1])
    devices = list_devices(sounddevice)
    for kind, name in (("input", "microphone"), ("output", "loudspeaker")):
        try:
            device = find_device(devices, kind, None)
            note(name, True, f"{device.index} = {device.name} ({device.host_api})")
        except EdgeAssistantError as error:
            note(name, False, error.message, error.hint)
except EdgeAssistantError as error:
    note("PortAudio", False, error.message, error.hint)
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a child found out."""

    name: str
    works: bool
    detail: str
    mend: str


def probe_engines() -> list[Probe]:
    """Import every engine, each in a process of its own."""
    return [_probe_engine(module, name) for module, name in _DISTRIBUTIONS.items()]


def probe_devices() -> list[Probe]:
    """PortAudio and the default devices."""
    ended, output, complaint = _run(_DEVICES)
    if ended == 0:
        found = json.loads(output.splitlines()[-1])
        return [Probe(name=n, works=w, detail=d, mend=m) for n, w, d, m in found]
    return [
        Probe(
            name="PortAudio",
            works=False,
            detail=_death(ended, complaint),
            mend="start the sound server again, then: edge-assistant devices",
        )
    ]


def _probe_engine(module: str, distribution: str) -> Probe:
    ended, output, complaint = _run(
        f"import {module}, importlib.metadata as m; print(m.version({distribution!r}))"
    )
    return Probe(
        name=distribution,
        works=ended == 0,
        detail=output.split()[-1] if ended == 0 else _death(ended, complaint),
        mend="" if ended == 0 else mend_of(distribution, complaint),
    )


def mend_of(distribution: str, complaint: str) -> str:
    """What to type where an engine does not load.

    Args:
        distribution: that brings the engine.
        complaint: what the child said at its end.
    """
    from edge_assistant.config import BUNDLE_CONFIG

    absent = _NO_LIBRARY.search(complaint)
    if absent and (package := _OF_DEBIAN.get(absent[1])) and not _brings(distribution, absent[1]):
        return f"sudo apt install {package}"
    if bundled := os.environ.get(BUNDLE_CONFIG):
        # Its wheels were checked when they were installed, and there is no pip: the version is
        # damaged, and install.sh does not build one that is there.
        installer = Path(bundled).parents[1] / "install.sh"
        return f"{installer} --uninstall, then install.sh of the unpacked bundle"
    # An engine that dies on import was built for another processor: build it anew.
    return f"{sys.executable} -m pip install --force-reinstall --no-cache-dir {distribution}"


def _brings(distribution: str, library: str) -> bool:
    """Whether the library is one of the distribution's own files, so that it is damaged."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(each.name == library for each in files)


def _run(program: str) -> tuple[int, str, str]:
    try:
        child = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"no answer within {_TIMEOUT_S:.0f} s"
    return child.returncode, child.stdout, child.stderr


def _death(ended: int, complaint: str) -> str:
    if ended < 0:
        return f"died of signal {-ended}"
    lines = complaint.strip().splitlines()
    return lines[-1] if lines else f"ended with {ended}"
