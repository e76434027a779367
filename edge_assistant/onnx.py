"""How every ONNX model is opened, and how its work is stopped. A leaf: it knows no room.

onnxruntime is imported when the first session is opened. Sessions have their threads for good, and
these sleep instead of spinning while idle: a spinning thread takes a core from the language model
(a clause of a Piper voice then took 65 ms in place of 19, on two cores).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from edge_assistant.borders import failing_as
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelCorrupt, ModelNotFound


class InferenceFailed(Exception):
    """onnxruntime failed. Adapters turn it into the error of their room."""


def open_session(path: Path, *, hint: str, num_threads: int = 1) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU.

    Args:
        path: of a model that the store has verified.
        hint: what to type if it cannot be opened.
        num_threads: within an operator; operators follow each other.

    Raises:
        ModelNotFound: `model-not-found`.
        ModelCorrupt: `model-unreadable`, onnxruntime does not take it.
    """
    if not path.is_file():
        raise ModelNotFound("model-not-found", f"there is no model file {path}", hint)
    import onnxruntime

    options = session_options(num_threads)

    def unreadable(error: Exception) -> ModelCorrupt:
        return ModelCorrupt("model-unreadable", f"onnxruntime cannot read {path}: {error}", hint)

    with failing_as(unreadable):
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def session_options(num_threads: int) -> Any:
    """What every session of ours runs with: its threads sleep while idle, and it logs nothing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return options


@contextmanager
def stoppable(token: CancelToken) -> Iterator[Any]:
    """`RunOptions` for sessions that run inside; the token ends them within one graph node.

    Raises:
        TurnCancelled: the token was cancelled, before or meanwhile.
        InferenceFailed: onnxruntime failed for another reason.
    """
    import onnxruntime

    run_options = onnxruntime.RunOptions()
    unsubscribe = token.on_cancel(lambda: setattr(run_options, "terminate", True))
    try:
        token.raise_if_cancelled()
        with failing_as_ours():
            yield run_options
    except InferenceFailed:
        token.raise_if_cancelled()
        raise
    finally:
        unsubscribe()
    token.raise_if_cancelled()


def failing_as_ours() -> AbstractContextManager[None]:
    """Any failure of onnxruntime inside becomes `InferenceFailed`."""
    return failing_as(lambda error: InferenceFailed(str(error)))
