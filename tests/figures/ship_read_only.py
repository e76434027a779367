"""Holds a spoken conversation on a read-only machine, and shows every file that it wrote.

    python -m tests.figures.ship_read_only

Needs root, Linux, `unshare`, `mount` and `strace`, and the starter pack. In a mount namespace of
its own every file system is made read-only but for a tmpfs, which is EDGE_ASSISTANT_STATE_DIR.
There three processes in a row open the models of the starter pack, of which nothing is known yet,
and `edge-assistant converse`, under `strace`, answers a question that espeak asks. Ends with 1 if
there is no answer, or if anything was written, made or removed outside that tmpfs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

QUESTION: Final = "What is the capital of France?"

VIRTUAL: Final = {"proc", "sysfs", "devtmpfs", "devpts", "cgroup2", "cgroup", "mqueue", "bpf"}
VIRTUAL_CALLS: Final = "/dev/null", "/dev/tty", "/proc/self/"
"""No files of a disk: what is written there is gone."""

CALLS: Final = (
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,"
    "link,linkat,truncate,mknod,mknodat,rmdir,chmod,fchmodat"
)
_WRITING: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_CALL: Final = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\)\s+= (-?\d+)( E\w+)?")


def main() -> int:
    """Run all of it in namespaces of its own."""
    if "--open" in sys.argv:
        open_models()
        return 0
    if "--inside" not in sys.argv:
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m"]
        return subprocess.run([*command, "tests.figures.ship_read_only", "--inside"]).returncode
    state = Path("/run/edge-assistant-read-only")
    state.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(state)], check=True)
    if (known := models() / "verdicts.json").exists():  # as a bundle brings them: without it
        (state / "none").touch()
        subprocess.run(["mount", "--bind", str(state / "none"), str(known)], check=True)
    closed = make_read_only(state)
    print(f"read-only: {', '.join(closed)}")
    environment = os.environ | {"EDGE_ASSISTANT_STATE_DIR": str(state), "TMPDIR": "/nonexistent"}
    environment |= {"EDGE_ASSISTANT_MODELS_DIR": str(models()), "PYTHONDONTWRITEBYTECODE": "1"}
    for _ in range(3):
        again = [sys.executable, "-m", "tests.figures.ship_read_only", "--open"]
        subprocess.run(again, env=environment, check=True)
    talk = [sys.executable, "-m", "edge_assistant"]
    question, reply = state / "question.wav", state / "reply.wav"
    say = [*talk, "say", QUESTION, "-o", str(question)]
    subprocess.run(say, env=environment, check=True)
    trace, events = state / "trace", state / "events.jsonl"
    traced = ["strace", "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(trace), *talk]
    converse = [*traced, "converse", str(question), str(reply), "--events", str(events)]
    subprocess.run(converse, env=environment, check=True, timeout=300)
    return report(state, trace, events)


def models() -> Path:
    from edge_assistant.store.store import default_root

    return default_root()


def open_models() -> None:
    """What each start does before an engine may see its files."""
    from edge_assistant.store.store import Store

    store = Store.default()
    started_s = time.perf_counter()
    opened = [store.open(entry.id) for entry in store.catalog.pack("starter")]
    size = sum(path.stat().st_size for model in opened for path in model.paths.values())
    took_s = time.perf_counter() - started_s
    print(f"opening {len(opened)} models ({size / 1e6:.0f} MB) took {took_s:.3f} s", flush=True)


def make_read_only(but: Path) -> list[str]:
    """Every file system of a disk or memory; returns where they are mounted."""
    closed = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind in VIRTUAL or Path(where) == but:
            continue
        again = ["mount", "-o", "remount,bind,ro", where]
        if subprocess.run(again, capture_output=True).returncode == 0:
            closed.append(where)
    return closed


def report(state: Path, trace: Path, events: Path) -> int:
    inside, outside, refused = set(), set(), set()
    for line in trace.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        name, arguments, result, _ = found.groups()
        if name in ("open", "openat") and not _WRITING.search(arguments):
            continue
        path = (re.findall(r'"([^"]*)"', arguments) or ["?"])[-1]
        if path.startswith(VIRTUAL_CALLS):
            continue
        if int(result) < 0:
            refused.add(f"{name} {path}{found[4]}")
        elif path.startswith(str(state)):
            inside.add(path)
        else:
            outside.add(f"{name} {path}")
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    heard = [each["heard"] for each in lines if each["event"] == "playback_finished"]
    print(f"asked: {QUESTION}\nanswered: {heard}")
    print(f"written in the state folder ({len(inside)}):", *sorted(inside), sep="\n  ")
    print(f"tried elsewhere and refused ({len(refused)}):", *sorted(refused), sep="\n  ")
    print(f"written elsewhere ({len(outside)}):", *sorted(outside), sep="\n  ")
    return 0 if heard and not outside else 1


if __name__ == "__main__":
    sys.exit(main())
