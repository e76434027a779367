"""Our side of the child that llama.cpp works in: start it, follow it, survive what it does.

llama.cpp aborts the process where it finds something impossible, and cannot be stopped while it
quantises. So it works in a child, which ends with us, however we end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import edge_assistant
import edge_assistant_quantize
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Progress

_TAIL_BYTES = 4000


def run_llama(job: dict[str, Any], what: str, progress: Progress | None) -> dict[str, Any]:
    """Let the child do one job; it writes to the file `job["part"]`.

    Args:
        job: see `child`.
        what: what is being done, for `progress` and in errors: `quantise`.
        progress: told shares in [0, 1] from this thread.

    Returns:
        What the child says of the result.

    Raises:
        WorkshopError: with the child's own code, or `llama-failed` if it could not say.
    """
    last: dict[str, Any] = {}
    # A file, not a pipe: a child that floods its error output must not block.
    with tempfile.TemporaryFile() as log, _started(log) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        with suppress(BrokenPipeError):  # dead at once: the reason is in the log
            os.write(child.stdin.fileno(), json.dumps(job).encode() + b"\n")
        for line in child.stdout:
            if not line.endswith(b"\n"):  # cut off by its death
                break
            last = json.loads(line)
            if progress is not None and "share" in last:
                progress(what, last["share"])
        code = child.wait()
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        said = log.read().decode("utf-8", "replace").strip().splitlines()
    done = last.get("done")
    if code == 0 and isinstance(done, dict):
        if progress is not None:
            progress(what, 1.0)
        return done
    if "code" in last:
        raise WorkshopError(last["code"], last["message"], last["hint"])
    raise WorkshopError(
        "llama-failed",
        f"llama.cpp failed ({what} {Path(job['source']).name}): {_ending(code, said)}",
        "check the file with `edge-assistant models verify`, and the free memory and disk space",
    )


@contextmanager
def _started(log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child; it is dead behind this block."""
    packages = (edge_assistant, edge_assistant_quantize)
    parents = [str(Path(package.__path__[0]).resolve().parent) for package in packages]
    paths = [*parents, *filter(None, [os.environ.get("PYTHONPATH")])]
    child = subprocess.Popen(
        [sys.executable, "-m", "edge_assistant_quantize.llm.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def _ending(code: int, said: list[str]) -> str:
    """Why a child ended that did not say so: a signal and its last words, or an exit code."""
    if code >= 0:
        how = f"its process ended with code {code}"
    else:
        try:
            how = f"its process was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"its process was ended by signal {-code}"
    # An assertion of ggml's comes with a backtrace; the line that names it says most.
    words = next((line for line in said if "GGML_ASSERT" in line), said[-1] if said else "")
    return f"{how}: {words[:200]}" if words else how
