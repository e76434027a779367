"""What listening to silence costs: threads, CPU, memory, seconds to `listening`.

Run it on a quiet machine: `python -m tests.figures.idle [SECONDS]`. Linux only (/proc).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.pipe.client import Conversation


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(name + ":"))


def drop_cache(folder: Path) -> None:
    """Let the kernel forget what it has read of our models and libraries."""
    for root in (folder, Path(sys.prefix) / "lib"):
        for path in root.rglob("*"):
            if path.is_file() and path.stat().st_size > 1_000_000:
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def main() -> None:
    from edge_assistant.store import Store

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        for label in ("cold file cache", "warm file cache", "warm file cache"):
            if label.startswith("cold"):
                drop_cache(Store.default().root)
            partner = Conversation(Path(folder) / "events.jsonl")
            print(f"process start to listening, {label}: {partner.listening_s:.2f} s")
            partner.close()
        partner = Conversation(Path(folder) / "events.jsonl")
        partner.run(3.0)
        pid = partner.process.pid
        before = cpu_s(pid)
        partner.run(seconds)
        share = (cpu_s(pid) - before) / seconds
        names = [
            (task / "comm").read_text(encoding="ascii").strip()
            for task in sorted(Path(f"/proc/{pid}/task").iterdir())
        ]
        print(f"CPU while listening to {seconds:.0f} s of silence: {100 * share:.1f} % of a core")
        print(f"threads: {len(names)}: {names}")
        print(f"RSS {status(pid, 'VmRSS')}, peak {status(pid, 'VmHWM')}")
        partner.close()


if __name__ == "__main__":
    main()
