"""The child that llama.cpp works in, so that a crash is its own and not ours.

    python -m edge_assistant_quantize.llm.child

The first line of stdin is the job, as JSON; stdin stays open as long as the parent lives, and its
end ends this process and removes the file that it writes. On stdout come lines of JSON: `share` in
[0, 1], and in the end `done`, or `code`, `message` and `hint` of an error.

Jobs: {"job": "quantise", source, part, ftype, allow_requantize, imatrix, threads, expected_bytes}
and {"job": "imatrix", source, part, text, threads}.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from edge_assistant.store import preflight
from edge_assistant_quantize.errors import WorkshopError

Tell = Callable[[dict[str, Any]], None]

_ERROR = 4
"""GGML_LOG_LEVEL_ERROR (ggml.h)."""


def main() -> int:
    """Do the one job that the parent writes to us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which kills us
    tell = _line_writer()
    job = json.loads(sys.stdin.buffer.readline())
    part = Path(job["part"])
    threading.Thread(target=_end_with_parent, args=(part,), daemon=True).start()
    preflight.limit(preflight.BASE_BYTES + 3 * Path(job["source"]).stat().st_size)
    try:
        tell({"done": _JOBS[job["job"]](job, tell)})
    except WorkshopError as error:
        tell({"code": error.code, "message": error.message, "hint": error.hint})
        return 1
    return 0


def _line_writer() -> Tell:
    """Keep stdout for our lines: what native code prints goes to stderr from here on."""
    out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    return tell


def _end_with_parent(part: Path) -> None:
    # Not sys.stdin: a thread that waits in it would keep the interpreter from ending.
    while os.read(0, 4096):
        pass
    part.unlink(missing_ok=True)
    os._exit(1)


class _Log:
    """Listens to llama.cpp: keeps what it says of errors, and is called at each line."""

    def __init__(self, on_line: Callable[[], None]) -> None:
        import llama_cpp

        self.errors: list[str] = []
        self._on_line = on_line
        self._callback = llama_cpp.llama_log_callback(self._heard)
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()

    def _heard(self, level: int, text: bytes, _data: Any) -> None:
        if level == _ERROR and len(self.errors) < 20:
            self.errors.append(text.decode("utf-8", "replace").strip())
        self._on_line()

    @property
    def last_words(self) -> str:
        """The last thing that it said of an error, which of `llama_model_quantize` is the cause."""
        last = self.errors[-1] if self.errors else "no reason given"
        return last.rpartition("failed to quantize: ")[2]

    @property
    def cause(self) -> str:
        """The first thing that it said of an error; those behind it only say that it failed."""
        return self.errors[0] if self.errors else "no reason given"


def _quantise(job: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Quantise; the progress is the size of the file that is being written."""
    import llama_cpp

    part = Path(job["part"])

    def tell_share() -> None:
        size = part.stat().st_size if part.exists() else 0
        tell({"share": min(0.99, size / max(1, job["expected_bytes"]))})

    log = _Log(tell_share)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = job["ftype"]
    params.nthread = job["threads"]
    params.allow_requantize = job["allow_requantize"]
    if job["imatrix"]:
        from edge_assistant_quantize.llm import imatrix_file

        importance = imatrix_file.load(Path(job["imatrix"]))  # lives as long as the call
        params.imatrix = _native_imatrix(importance)
    status = llama_cpp.llama_model_quantize(
        os.fsencode(job["source"]), os.fsencode(part), ctypes.byref(params)
    )
    if status != 0:
        raise WorkshopError(
            "llama-failed",
            f"llama.cpp could not quantise {Path(job['source']).name}: {log.last_words}",
            "choose another type; `df -h` shows whether there is room",
        )
    return {}


def _native_imatrix(importance: dict[str, Any]) -> Any:
    """Entries, and one without a name behind them. It points into `importance`, no more."""
    import llama_cpp

    entry = llama_cpp.llama_cpp.llama_model_imatrix_data
    array = (entry * (len(importance) + 1))()
    for index, (name, weights) in enumerate(importance.items()):
        array[index].name = name.encode()
        array[index].data = weights.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        array[index].size = weights.size
    return array


def _imatrix(job: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Run a model over a text, and write what its weights were multiplied with."""
    from edge_assistant_quantize.llm import imatrix_file
    from edge_assistant_quantize.llm.activations import measure

    log = _Log(lambda: None)
    text = Path(job["text"])
    result = measure(
        Path(job["source"]),
        text.read_text("utf-8"),
        threads=job["threads"],
        on_share=lambda share: tell({"share": share}),
        reason=lambda: log.cause,
    )
    imatrix_file.save(Path(job["part"]), result, text.name)
    return {"chunks": result.chunks, "matrices": len(result.sums)}


_JOBS: dict[str, Callable[[dict[str, Any], Tell], dict[str, Any]]] = {
    "quantise": _quantise,
    "imatrix": _imatrix,
}

if __name__ == "__main__":
    sys.exit(main())
