"""A clean Debian root without any network, and an account in it that talks to the assistant.

The root is a copy of what `debootstrap --variant=minbase bookworm MINBASE` made. Everything in it
runs in a network namespace of its own, where not even the loopback is up; packages come from a
folder. The account is but a number and a home. What belongs to the trial itself, the sound server
too, is in `srv/talk`, so that the home holds only what the assistant writes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.figures.recordings import speech_folder

OURS = (
    "var/lib/dpkg/",
    "var/lib/apt/",
    "var/log/",
    "var/cache/apt/",
    "var/cache/debconf/",
    "var/cache/ldconfig/",
    "etc/ld.so.cache",
    "packages/",
    "etc/apt/sources.list",
    "srv/talk/",
)
"""What dpkg, apt and ldconfig write of any package, and what belongs to the trial."""
TALKER = 12_345
HOME = "home/talker"
PLACE = "srv/talk"
SOUND = "pulseaudio pulseaudio-utils libasound2-plugins"
APT = (
    "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 --no-install-recommends "
    "-o Dpkg::Options::=--force-unsafe-io"
)
_ASOUND = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
_CLIENT = "autospawn = no\ncookie-file = /srv/talk/cookie\n"
_LIVE = """
cd /srv/talk; export XDG_RUNTIME_DIR=/srv/talk/run PULSE_CLIENTCONFIG=/srv/talk/client.conf
pulse() {{ HOME=/srv/talk pulseaudio "$@"; }}
pulse -n --daemonize=yes --exit-idle-time=-1 --log-level=error --use-pid-file=yes \\
  -L 'module-native-protocol-unix auth-cookie=/srv/talk/cookie' \\
  -L 'module-null-sink sink_name=spk' -L 'module-null-sink sink_name=micsrc' \\
  -L 'module-remap-source master=micsrc.monitor source_name=mic' >/dev/null 2>&1
pactl set-default-sink spk; pactl set-default-source mic
{program} doctor >doctor.txt 2>&1
date +%s.%N >started
{program} run --listen open --events events.jsonl {options} >/dev/null 2>run.err & assistant=$!
for i in $(seq 900); do grep -qs '"listening"' events.jsonl && break; sleep 0.1; done
sleep 1
parec --device=spk.monitor --rate=16000 --channels=1 --file-format=wav reply.wav & recorder=$!
paplay --device=micsrc user.wav
for i in $(seq 900); do grep -qs '"turn_finished"' events.jsonl && break; sleep 0.1; done
kill $recorder $assistant; wait $assistant; code=$?; pulse --kill; exit $code
"""
"""The conversation through a card: what is played into `micsrc` is what the microphone hears."""
_FILES = """
cd /srv/talk; date +%s.%N >started
exec {program} converse user.wav reply.wav --events events.jsonl --tail-s 30 {options}
"""
_LOUD = 0.01
"""Root mean square of 20 ms, of full scale: the null sink is silent to the bit, speech is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A conversation that was held."""

    exit_code: int
    listening_s: float
    """From the start of the program until it listened; negative if it never did."""
    heard: str
    said: str
    sounding_s: float
    """How long the loudspeaker was not silent."""

    @property
    def is_right(self) -> bool:
        """Heard, answered, loud, and ended as it should."""
        return self.exit_code in (0, 143) and bool(self.heard and self.said) and self.sounding_s > 0

    def __str__(self) -> str:
        return (
            f"listening after {self.listening_s:.2f} s, heard {self.heard!r}, said {self.said!r}, "
            f"{self.sounding_s:.1f} s of sound, exit code {self.exit_code}"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every trial in a root is given."""
    parser.add_argument("--root", type=Path, required=True, help="a minbase root; it is copied")
    parser.add_argument("--wav", type=Path, help="what the user says")


def wav_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Path:
    """The file with the user's words, a recording if none is given."""
    speech = speech_folder()
    if given.wav is None and speech is None:
        parser.error("no recordings here: name a WAV file with --wav")
    wav: Path = given.wav or (speech or Path()) / "commands" / "az_whatstheweatherlike.wav"
    return wav


@contextmanager
def copy_of(minbase: Path) -> Iterator[Path]:
    """A root of our own with `/proc`, a home and a place for the trial; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="clean-root-") as folder:
        root = Path(folder) / "root"
        subprocess.run(["cp", "-a", minbase, root], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
        try:
            for name, mode in ((HOME, 0o755), (PLACE, 0o755), (f"{PLACE}/run", 0o700)):
                (root / name).mkdir(mode=mode)
                os.chown(root / name, TALKER, TALKER)
            (root / PLACE / "client.conf").write_text(_CLIENT)
            (root / "etc/asound.conf").write_text(_ASOUND)
            yield root
        finally:
            subprocess.run(["umount", "-q", root / "proc"], check=False)


def serve(root: Path, folders: Sequence[Path]) -> None:
    """Make an apt repository of plain files in the root."""
    packages = root / "packages"
    packages.mkdir()
    for folder in folders:
        for each in folder.glob("*.deb"):
            shutil.copy(each, packages)
    index = subprocess.run(
        ["dpkg-scanpackages", "-m", "."], cwd=packages, check=True, capture_output=True
    )
    (packages / "Packages").write_bytes(index.stdout)
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/packages ./\n")
    inside(root, f"{APT} update")


def converse(
    root: Path, wav: Path, program: str = "edge-assistant", *, card: bool = False, options: str = ""
) -> Talk:
    """Hold a conversation by the account, over files or through a card of PulseAudio's.

    Args:
        root: with SOUND installed if it is through a card.
        wav: what the user says.
        program: to start.
        card: through PortAudio and null sinks, with `run`; else `converse`.
        options: more words for the program.
    """
    place = root / PLACE
    for name in ("events.jsonl", "reply.wav", "started", "doctor.txt"):
        (place / name).unlink(missing_ok=True)
    shutil.copyfile(wav, place / "user.wav")
    script = (_LIVE if card else _FILES).format(program=program, options=options)
    events = place / "events.jsonl"
    process = subprocess.Popen(entered(root, script, TALKER), stdout=subprocess.DEVNULL)
    listening_at = None
    while process.poll() is None:
        if listening_at is None and events.exists() and '"listening"' in events.read_text():
            listening_at = time.time()
        time.sleep(0.02)
    text = events.read_text() if events.exists() else ""  # it may have refused to start
    lines = [json.loads(line) for line in text.splitlines()]
    started_at = float((place / "started").read_text())
    return Talk(
        exit_code=process.returncode,
        listening_s=listening_at - started_at if listening_at else -1.0,
        heard=" ".join(e["text"] for e in lines if e["event"] == "transcript" and e["final"]),
        said=" ".join(e["text"].strip() for e in lines if e["event"] == "reply"),
        sounding_s=_sounding_s(place / "reply.wav"),
    )


def _sounding_s(path: Path) -> float:
    if not path.exists():
        return 0.0
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    piece = rate // 50
    pieces = samples[: len(samples) // piece * piece, 0].reshape(-1, piece)
    return float(np.sum(np.sqrt(np.mean(pieces**2, axis=1)) > _LOUD)) / 50


def empty_home(root: Path) -> list[str]:
    """Take everything out of the account's home; what it was."""
    home = root / HOME
    found = sorted(each.relative_to(home).as_posix() for each in home.rglob("*"))
    for each in home.iterdir():
        shutil.rmtree(each)
    return found


def entered(root: Path, command: str, user: int = 0) -> list[str]:
    """The command in the root, without a network."""
    environ = ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
    environ.append(f"HOME=/{HOME}" if user else "HOME=/root")
    who = [f"--userspec={user}:{user}", "--groups="]
    return [*environ, "unshare", "--net", "chroot", *who, str(root), "sh", "-c", command]


def inside(root: Path, command: str, user: int = 0) -> float:
    """Run it, and say nothing unless it fails; the seconds that it took."""
    started_s = time.monotonic()
    done = tried(root, command, user)
    if done.returncode != 0:
        sys.exit(f"{command}\n{done.stdout[-3000:]}")
    return time.monotonic() - started_s


def tried(root: Path, command: str, user: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it; both of its outputs are in `stdout`."""
    words = entered(root, command, user)
    return subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def output(root: Path, command: str, user: int = 0) -> str:
    """What it prints, without its complaints."""
    return subprocess.run(entered(root, command, user), capture_output=True, text=True).stdout


def interfaces(root: Path) -> list[str]:
    """Those of the network that are seen inside, down as they may be."""
    lines = output(root, "cat /proc/net/dev").splitlines()
    return [line.partition(":")[0].strip() for line in lines if ":" in line]


def evict(root: Path) -> None:
    """Have the kernel forget what it holds of the root's files, as after a start of the machine."""
    os.sync()
    for path in _walk(root):
        if stat.S_ISREG(path.lstat().st_mode):
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


Listing = dict[str, tuple[int, int, str]]


def listing(root: Path) -> Listing:
    """Mode, size and hash of everything but the books of dpkg and apt, and the trial's own."""
    found: Listing = {}
    for path in _walk(root):
        relative = path.relative_to(root).as_posix()
        if relative.startswith(OURS):
            continue
        state = path.lstat()
        content = ""
        if stat.S_ISLNK(state.st_mode):
            content = str(path.readlink())
        elif stat.S_ISREG(state.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        size = state.st_size if stat.S_ISREG(state.st_mode) else 0
        found[relative] = (state.st_mode, size, content)
    return found


def _walk(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        yield from (Path(folder) / name for name in [*names, *files])
        if Path(folder) == root:
            names.remove("proc")


def grown_bytes(before: Listing, after: Listing) -> int:
    """Of the files that are new."""
    return sum(after[name][1] for name in after.keys() - before.keys())


def differences(before: Listing, after: Listing) -> list[str]:
    """Each with `+` for new, `-` for gone, `~` for another."""
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    found = dict.fromkeys(after.keys() - before.keys(), "+")
    found |= dict.fromkeys(before.keys() - after.keys(), "-")
    found |= dict.fromkeys(changed, "~")
    return [f"{mark} {name}" for name, mark in sorted(found.items())]
