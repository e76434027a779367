"""Does the package install where there is no network, talk, and leave nothing behind?

As root: `python -m tests.figures.ship_deb --root MINBASE --packages DIR [--depends DIR] [--wav F]`.
MINBASE is what `debootstrap --variant=minbase bookworm MINBASE` made; it is copied, not changed.
DIR holds our packages, and the other one the packages of Debian that they depend on and that are
not in MINBASE; both are served by `apt` from a folder. Everything in the root runs in a network
namespace without so much as a loopback. The conversation is held by an account that is but a
number and a home, which goes before the packages do.

With `--older DIR` that revision of the packages is installed first, its configuration is changed,
and the new one has to keep it and leave none of the old one's files.
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
from pathlib import Path

from tests.figures.recordings import speech_folder

OURS = ("edge-assistant", "edge-assistant-models-starter")
BOOKS = (
    "var/lib/dpkg/",
    "var/lib/apt/",
    "var/log/",
    "var/cache/apt/",
    "var/cache/debconf/",
    "var/cache/ldconfig/",
    "etc/ld.so.cache",
    "packages/",
    "etc/apt/sources.list",
)
"""What dpkg, apt and ldconfig write of any package; ours have nothing in it but lines of theirs."""
TALKER = 12_345
SOUND = "pulseaudio pulseaudio-utils libasound2-plugins"
LIVE = """
cd; export XDG_RUNTIME_DIR=$HOME/run PULSE_LATENCY_MSEC=30; mkdir -m 700 -p run .config/pulse
echo 'autospawn = no' >.config/pulse/client.conf
printf 'pcm.!default { type pulse }\\nctl.!default { type pulse }\\n' >.asoundrc
pulseaudio -n --daemonize=yes --exit-idle-time=-1 --log-level=error --use-pid-file=yes \\
  -L module-native-protocol-unix -L 'module-null-sink sink_name=spk' \\
  -L 'module-null-sink sink_name=micsrc' \\
  -L 'module-remap-source master=micsrc.monitor source_name=mic' >/dev/null 2>&1
pactl set-default-sink spk; pactl set-default-source mic
rm -f events.jsonl
$program run --listen open --events events.jsonl >/dev/null 2>run.err & assistant=$!
for i in $(seq 600); do grep -qs '"listening"' events.jsonl && break; sleep 0.1; done
sleep 1
parec --device=spk.monitor --rate=16000 --channels=1 --file-format=wav reply.wav & recorder=$!
paplay --device=micsrc user.wav
for i in $(seq 600); do grep -qs '"turn_finished"' events.jsonl && break; sleep 0.1; done
kill $recorder $assistant; wait $assistant; code=$?; pulseaudio --kill; exit $code
"""
"""The conversation through a card: what is played into `micsrc` is what the microphone hears."""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 --no-install-recommends"


def main() -> int:
    """Print what was seen; 1 if something is left or was not said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--depends", type=Path, required=True)
    parser.add_argument("--older", type=Path, help="packages of an older revision")
    parser.add_argument("--card", action="store_true", help="talk through PulseAudio, too")
    parser.add_argument("--wav", type=Path, help="what the user says")
    given = parser.parse_args()
    speech = speech_folder()
    if given.wav is None and speech is None:
        parser.error("no recordings here: name a WAV file with --wav")
    wav = given.wav or (speech or Path()) / "commands" / "az_whatstheweatherlike.wav"
    with tempfile.TemporaryDirectory(prefix="ship-deb-") as folder:
        root = Path(folder) / "root"
        subprocess.run(["cp", "-a", given.root, root], check=True)
        try:
            if given.older:
                return upgrade(root, given.older, [given.packages, given.depends], wav)
            return examine(root, [given.packages, given.depends], wav, given.card)
        finally:
            subprocess.run(["umount", "-q", root / "proc"], check=False)


def examine(root: Path, folders: list[Path], wav: Path, has_card: bool) -> int:
    """All steps, in the root."""
    prepare(root, folders)
    if has_card:
        inside(root, f"{APT} install {SOUND}")
    for package in sorted((root / "packages").glob("edge-assistant*.deb")):
        print(f"{package.name}: {package.stat().st_size / 1e6:.1f} MB")
    before = listing(root)
    took_s = inside(root, f"{APT} install {' '.join(OURS)}")
    with_it = listing(root)
    grown = sum(with_it[name][1] for name in with_it.keys() - before.keys())
    print(f"installed, with its dependencies: {took_s:.1f} s, {grown / 1e6:.0f} MB of files")
    print("network inside:", output(root, "cat /proc/net/dev").count(":"), "interfaces")
    starts = ["cold", "again"] + ["through the card"] * has_card
    is_heard = all(converse(root, wav, name) for name in starts)
    shutil.rmtree(root / "home" / "talker")
    after = listing(root)
    print("written while it talked:", sorted(after.keys() ^ with_it.keys()) or "nothing")
    took_s = inside(root, f"{APT} remove {' '.join(OURS)}")
    removed = listing(root)
    print(f"removed: {took_s:.1f} s; left of it:")
    for name in sorted(name for name in removed if "edge-assistant" in name):
        print("   ", name)
    inside(root, f"{APT} purge {' '.join(OURS)}")
    ours = [name for name in listing(root) if "edge-assistant" in name]
    print("purged; left of it:", ours or "nothing")
    inside(root, f"{APT} autoremove --purge")
    end = listing(root)
    changed = [name for name in before.keys() & end.keys() if before[name] != end[name]]
    print(
        "its dependencies purged; files that were not there before:",
        sorted(end.keys() - before.keys()),
    )
    print("  files that are gone:", sorted(before.keys() - end.keys()))
    print("  files that are not as before:", sorted(changed))
    print(f"  files compared: {len(end)}")
    return 0 if is_heard and not ours and end.keys() == before.keys() and not changed else 1


def upgrade(root: Path, older: Path, folders: list[Path], wav: Path) -> int:
    """Install the older revision, then the newer one over it; purge."""
    prepare(root, [older, *folders])
    before = listing(root)
    found = [version_of(older), version_of(folders[0])]
    inside(root, f"{APT} install " + " ".join(f"{name}={found[0]}" for name in OURS))
    print("installed:", versions(root))
    is_heard = converse(root, wav, "older")
    settings = root / "etc/edge-assistant/config.toml"
    settings.write_text(settings.read_text() + "\n[llm]\nmax_tokens = 12\n")
    kept = settings.read_bytes()
    took_s = inside(root, f"{APT} install {' '.join(OURS)}")
    print(f"upgraded in {took_s:.1f} s: {versions(root)}")
    has_kept = settings.read_bytes() == kept
    print("configuration kept:", has_kept)
    left = strays(root)
    print("files of no package:", left or "nothing")
    is_heard = converse(root, wav, "newer") and is_heard
    limit = output(root, "edge-assistant config show | grep max_tokens").strip()
    print("the changed setting:", limit)
    shutil.rmtree(root / "home" / "talker")
    inside(root, f"{APT} purge {' '.join(OURS)}")
    inside(root, f"{APT} autoremove --purge")
    end = listing(root)
    changed = sorted(name for name in before if before[name] != end.get(name))
    new = sorted(end.keys() - before.keys())
    print("purged; new:", new or "nothing", "changed or gone:", changed or "nothing")
    is_clean = not (left or new or changed)
    is_newer = versions(root) == "" and found[0] != found[1]
    return 0 if is_heard and has_kept and is_clean and is_newer and "12" in limit else 1


def strays(root: Path) -> list[str]:
    """What dpkg does not know in our folders: all but bytecode of a file that is there."""
    known = set(output(root, f"dpkg -L {' '.join(OURS)}").split("\n"))
    return [
        name
        for name in listing(root)
        if "edge-assistant" in name
        and not name.startswith("home/")
        and f"/{name}" not in known
        and not name.endswith("/__pycache__")
        and not (name.endswith(".pyc") and f"/{source_of(name)}" in known)
    ]


def source_of(bytecode: str) -> str:
    """`a/__pycache__/b.cpython-311.pyc` is made of `a/b.py`."""
    path = Path(bytecode)
    return str(path.parent.parent / f"{path.name.partition('.')[0]}.py")


def version_of(folder: Path) -> str:
    """Of the program's package in it."""
    (package,) = folder.glob(f"{OURS[0]}_*.deb")
    return subprocess.run(
        ["dpkg-deb", "--field", package, "Version"], check=True, capture_output=True, text=True
    ).stdout.strip()


def versions(root: Path) -> str:
    """Of ours, as dpkg knows them."""
    return output(
        root, f"dpkg-query -W -f '${{Package}} ${{Version}} ' {' '.join(OURS)} 2>/dev/null"
    ).strip()


def prepare(root: Path, folders: list[Path]) -> None:
    """Give the root its /proc, and packages to install."""
    serve(root, folders)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    inside(root, f"{APT} update")


def serve(root: Path, folders: list[Path]) -> None:
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


def converse(root: Path, wav: Path, name: str, program: str = "edge-assistant") -> bool:
    """Hold a conversation over files, by an account that is a number and a home."""
    home = root / "home" / "talker"
    home.mkdir(exist_ok=True)
    os.chown(home, TALKER, TALKER)
    shutil.copyfile(wav, home / "user.wav")
    events = home / "events.jsonl"
    reply = home / "reply.wav"
    for each in (events, reply):
        each.unlink(missing_ok=True)
    command = (
        f"cd; exec {program} converse user.wav reply.wav --events events.jsonl --tail-s 30"
        " --set llm.temperature=0"
    )
    if "card" in name:
        command = f"program={program}{LIVE}"
    started_s = time.monotonic()
    process = subprocess.Popen(entered(root, command, TALKER))
    listening_s = None
    while process.poll() is None:
        if listening_s is None and events.exists() and '"listening"' in events.read_text():
            listening_s = time.monotonic() - started_s
        time.sleep(0.02)
    lines = (
        [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    )
    heard = [e["text"] for e in lines if e["event"] == "transcript" and e["final"]]
    said = [e["text"] for e in lines if e["event"] == "reply"]
    size = reply.stat().st_size if reply.exists() else 0
    print(f"{name}: exit {process.returncode}, listening after {listening_s or -1:.2f} s")
    print(f"  heard {heard}, said {said}, reply.wav {size} bytes")
    print(
        "  in its home:", sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())
    )
    return process.returncode in (0, 143) and bool(heard) and bool(said)


def entered(root: Path, command: str, user: int = 0) -> list[str]:
    """The command in the root, without a network."""
    environ = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
    environ.append("HOME=/home/talker" if user else "HOME=/root")
    who = [f"--userspec={user}:{user}", "--groups="]
    return [*environ, "unshare", "--net", "chroot", *who, str(root), "sh", "-c", command]


def inside(root: Path, command: str) -> float:
    """Run it, and say nothing unless it fails; the seconds that it took."""
    started_s = time.monotonic()
    done = subprocess.run(entered(root, command), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return time.monotonic() - started_s


def output(root: Path, command: str) -> str:
    """What it prints."""
    return subprocess.run(entered(root, command), capture_output=True, text=True).stdout


def listing(root: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, size and hash of everything but the books of dpkg and apt."""
    found: dict[str, tuple[int, int, str]] = {}
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if relative.startswith(("proc/", *BOOKS)):
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


if __name__ == "__main__":
    sys.exit(main())
