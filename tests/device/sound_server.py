"""A PulseAudio daemon of our own: null sinks make a loudspeaker and a microphone without a card.

`spk` is the loudspeaker (its monitor is what a listener in the room would hear); what is played
into `micsrc` is what the microphone `mic` hears.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

MODULES: Mapping[str, list[str]] = {
    "spk": ["module-null-sink", "sink_name=spk"],
    "micsrc": ["module-null-sink", "sink_name=micsrc"],
    "mic": ["module-remap-source", "master=micsrc.monitor", "source_name=mic"],
    "mic2": ["module-null-source", "source_name=mic2"],
}
PLUGGED_IN = ("spk", "micsrc", "mic")
"""Of those, what is there from the start."""
ASOUNDRC = """\
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.desk_phone { type pulse }
pcm.desk_headset { type pulse }
"""
HUNG_S = 30.0
"""Whatever takes longer than this is not slow but hung."""


def missing_parts() -> str:
    """What this machine lacks for these tests, with the mend; empty if nothing."""
    lacking = [tool for tool in ("pulseaudio", "pactl", "pacat") if shutil.which(tool) is None]
    if lacking:
        return f"{', '.join(lacking)} not found: sudo apt install pulseaudio pulseaudio-utils"
    if not any(Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's pulse plugin not found: sudo apt install libasound2-plugins"
    import ctypes.util

    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio not found: sudo apt install libportaudio2"
    return ""


class SoundServer:
    """One daemon in one folder. Usable from the test and from its child alike.

    Args:
        folder: for its socket and settings.
        modules: by name, in the order in which they are loaded; `spk` and `mic` are the defaults.
    """

    def __init__(self, folder: Path, modules: Mapping[str, list[str]] | None = None) -> None:
        self.folder = folder
        self._modules = modules or {name: MODULES[name] for name in PLUGGED_IN}
        self.runtime = folder / "run"
        self.home = folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """For every process that shall use this daemon; PortAudio reads it when it is loaded."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "ALSA_"))}
        return kept | {
            "XDG_RUNTIME_DIR": str(self.runtime),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "PULSE_LATENCY_MSEC": "30",  # without it PortAudio stalls on a null sink
            "SOUND_SERVER_FOLDER": str(self.folder),
        }

    def prepare(self) -> None:
        """Make the folders."""
        self.runtime.mkdir(mode=0o700, parents=True)
        settings = self.home / ".config" / "pulse"
        settings.mkdir(parents=True)
        (settings / "client.conf").write_text("autospawn = no\n")
        (self.home / ".asoundrc").write_text(ASOUNDRC)

    def start(self) -> None:
        """Returns once the daemon and its devices are there."""
        words = ["pulseaudio", "-n", "--daemonize=yes", "--exit-idle-time=-1", "--log-level=error"]
        words += ["--use-pid-file=yes", "-L", "module-native-protocol-unix"]
        for module in self._modules.values():
            words += ["-L", " ".join(module)]
        quiet = subprocess.DEVNULL  # a pipe would stay open in the daemon
        subprocess.run(words, env=self.environment, check=True, stdout=quiet, stderr=quiet)
        self.choose_defaults()

    def choose_defaults(self) -> None:
        """`spk` and `mic`, as soon as they are there."""
        self.pactl("set-default-sink", "spk")
        self.pactl("set-default-source", "mic")

    def pactl(self, *words: str) -> str:
        """Run pactl against this daemon."""
        done = subprocess.run(
            ["pactl", *words],
            env=self.environment | {"LC_ALL": "C"},
            check=True,
            capture_output=True,
            text=True,
            timeout=HUNG_S,
        )
        return done.stdout

    def load(self, *names: str) -> None:
        """Plug devices in."""
        for name in names:
            self.pactl("load-module", *MODULES[name])

    def unload(self, name: str) -> None:
        """Pull a device out."""
        wanted = MODULES[name]
        for line in self.pactl("list", "short", "modules").splitlines():
            index, module, arguments = line.split("\t")[:3]
            if module == wanted[0] and wanted[-1] in arguments:
                self.pactl("unload-module", index)

    @property
    def pid(self) -> int | None:
        """Of the daemon, while it lives."""
        try:
            pid = int((self.runtime / "pulse" / "pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid  # a container's init may be slow to reap

    def kill(self) -> None:
        """SIGKILL, as when it crashes."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        give_up_s = time.monotonic() + HUNG_S
        while self.pid is not None and time.monotonic() < give_up_s:
            time.sleep(0.01)
        # the next daemon would take one that is dead but not reaped for a living one
        (self.runtime / "pulse" / "pid").unlink(missing_ok=True)
