"""Importance matrices: which columns of a model's weights matter, learned from a text.

Where a column of a weight is multiplied with large numbers, its rounding errors count more; given
these weights, llama.cpp's quantiser rounds so that the sum of weighted errors is least.
"""

from __future__ import annotations

import time
from pathlib import Path

from edge_assistant.store.hashing import identify
from edge_assistant.store.headers import inspect
from edge_assistant_quantize import gguf_file
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llm.run import run_llama
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.outputs import new_file

MAX_TEXT_BYTES = 16 << 20
"""Some four million tokens, a day's work. 50 KB to 200 KB are usual."""


def make_imatrix(
    source: Path,
    text: Path,
    output: Path,
    *,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Let a model read a text, and write which columns of its weights mattered.

    Weights of experts (MUL_MAT_ID) are not measured. Blocks; the model runs in a child process.

    Args:
        source: GGUF; the less quantised, the better.
        text: UTF-8, like what the model will read and say.
        output: a GGUF file that `quantise_llm` and llama.cpp's own tools take.
        threads: 0 for one a core.
        overwrite: replace `output` if it is there.
        progress: told the share of the text that is done.

    Raises:
        ModelCorrupt: `source` is not sound.
        ModelNotFound: no such file.
        WorkshopError: `text-unreadable`, `text-too-short`, `imatrix-unsupported`, `llama-failed`,
            and those of `outputs.new_file`.
    """
    started_s = time.monotonic()
    inspect(source, "gguf")
    _check_text(text)
    with new_file(output, source, text, overwrite=overwrite) as part:
        part.touch()  # now, not after a long text: a folder that is not there
        job = {
            "job": "imatrix",
            "source": str(source),
            "part": str(part),
            "text": str(text),
            "threads": threads,
        }
        done = run_llama(job, "measure importance", progress)
        types = gguf_file.shares(gguf_file.read(part).tensors)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=source.stat().st_size,
        took_s=time.monotonic() - started_s,
        types=types,
        notes=(f"{done['matrices']} weights measured over {done['chunks']} chunks of the text",),
    )


def _check_text(path: Path) -> None:
    """A text of a sensible size that can be decoded."""
    size = identify(path).size_bytes
    if size > MAX_TEXT_BYTES:
        fault = f"it has {size} bytes, more than {MAX_TEXT_BYTES} would take days"
    else:
        try:
            path.read_text("utf-8")
        except UnicodeDecodeError as error:
            fault = f"byte {error.start} is not UTF-8"
        else:
            return
    raise WorkshopError("text-unreadable", f"{path} is no text: {fault}", "name a text in UTF-8")
