"""Whether the sound system cancels echoes already, so that ours must not do it once more.

PulseAudio and PipeWire have a module for it, `module-echo-cancel`, and what it cleans is a source
of its own. The server knows which one is meant, so we ask it with `pactl`, as `cards.pulse` does.
Without `pactl`, and on other systems, only the device's name can tell.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Final

_ASK_LIMIT_S: Final = 0.8
_NAMED: Final = re.compile(r"echo[-_ ]?cancel", re.IGNORECASE)
"""In PulseAudio's driver (`module-echo-cancel.c`), in the names that both servers give."""

_SERVED: Final = re.compile(r"\b(pulse|pipewire|default)\b", re.IGNORECASE)
"""ALSA's devices that lead to the sound server, to whichever source is its default."""


def cancels_echo(
    device: str | int | None, microphone: str, default_source: str, sources: str
) -> bool:
    """Whether the microphone is one that an echo canceller of the system has cleaned.

    Args:
        device: which one was asked for (`audio.input_device`).
        microphone: what the card calls the one it found.
        default_source: the server's default, of `pactl get-default-source`; empty if not known.
        sources: `pactl list short sources`; empty if not known.
    """
    if _NAMED.search(microphone) or (isinstance(device, str) and _NAMED.search(device)):
        return True
    if device is not None and not _SERVED.search(microphone):
        return False  # a device of its own, past the server
    rows = [line.split("\t") for line in sources.splitlines()]
    chosen = [row for row in rows if len(row) > 2 and row[1] == default_source]
    return bool(_NAMED.search(default_source)) or any(_NAMED.search(row[2]) for row in chosen)


def system_cancels_echo(device: str | int | None, microphone: str) -> bool:
    """`cancels_echo` of what the sound server says now; waits for it, some 3 ms as a rule."""
    default_source = os.environ.get("PULSE_SOURCE") or _ask("get-default-source").strip()
    return cancels_echo(device, microphone, default_source, _ask("list", "short", "sources"))


def _ask(*words: str) -> str:
    pactl = shutil.which("pactl")
    if pactl is None:
        return ""
    try:
        done = subprocess.run(
            [pactl, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_LIMIT_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
