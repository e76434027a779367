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


def drop_cache() -> bool:
    """Let the kernel forget all files that it has read; False where we may not."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    except OSError:
        return False
    return True


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        for label in ("cold file cache", "warm file cache", "warm file cache"):
            if label.startswith("cold") and not drop_cache():
                print("cold file cache: not measured, it takes root to drop the cache")
                continue
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
