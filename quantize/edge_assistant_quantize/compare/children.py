"""Our side of the children: start one, wait, and survive whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

import edge_assistant
import edge_assistant_quantize
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.readings import Failure, Round
from edge_assistant_quantize.compare.messages import ANSWERS, Answer, Order

TIMEOUT_S: Final = 3600.0
"""Of one child. A model of 3B on a small board reads the text in some minutes."""
_TAIL_BYTES: Final = 4_000
_COMMAND: Final = ("-m", "edge_assistant_quantize.compare.child")


def ask(order: Order, folder: Path, token: CancelToken) -> Answer:
    """Let a child of its own carry out an order.

    Args:
        order: what to do.
        folder: of this child alone; made here.
        token: cancels; the child is ended.

    Returns:
        What it found. A child that died, or hung, is an answer with its failure.

    Raises:
        TurnCancelled: `token` was cancelled.
    """
    folder.mkdir()
    (folder / "order.json").write_bytes(msgspec.json.encode(order))
    said = folder / "said.txt"
    # A file, not a pipe: a child that floods its output must neither block nor fill our memory.
    with said.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, *_COMMAND, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environ(),
        )
        unsubscribe = token.on_cancel(child.kill)
        try:
            child.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return _failed(order, "compare-child-hung", f"no answer in {TIMEOUT_S:.0f} s")
        finally:
            unsubscribe()
            child.kill()  # nothing where it has ended
            child.wait()
    token.raise_if_cancelled()
    answer = folder / "answer.json"
    if child.returncode == 0 and answer.is_file():
        return ANSWERS.decode(answer.read_bytes())
    return _failed(order, "compare-child-died", _ending(child.returncode, said))


def _environ() -> dict[str, str]:
    """The packages that run here are those that run there."""
    packages = (edge_assistant, edge_assistant_quantize)
    folders = [str(Path(each.__file__ or "").parents[1]) for each in packages]
    folders += filter(None, [os.environ.get("PYTHONPATH")])
    return {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)),
    }


def _failed(order: Order, code: str, reason: str) -> Answer:
    candidate = order.candidate
    failure = Failure(
        stage=candidate.kind,
        model=candidate.label,
        code=code,
        message=f"{candidate.label}: {reason}",
        hint=f"edge-assistant models verify {candidate.target}",
    )
    return Answer(round=Round(index=order.index), failure=failure)


def _ending(code: int, said: Path) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the child process was ended by {name}"
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").split("\n")
    told = [line.strip() for line in lines if line.strip()]
    return f"the child process ended with code {code}" + (f": {told[-1]}" if told else "")
