"""New files, there as a whole or not at all, however the work on them ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_assistant.atomic import whole_file
from edge_assistant_quantize.errors import WorkshopError


@contextmanager
def new_file(path: Path, *sources: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden neighbour of `path` to write to; in the end it takes that name. See
    `edge_assistant.atomic.whole_file`.

    Args:
        path: the file to make, in a folder that is there.
        sources: what it is made from, none of which it may be.
        overwrite: replace a file that is there.

    Raises:
        WorkshopError: `output-exists`, `output-is-input`, `output-unwritable`.
    """
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise WorkshopError(
                "output-is-input", f"{path} is what it would be made from", "name another output"
            )
    if path.exists() and not overwrite:
        raise WorkshopError(
            "output-exists", f"{path} is there already", "name another output, or --overwrite"
        )
    try:
        with whole_file(path) as part:
            yield part
    except OSError as error:
        raise WorkshopError(
            "output-unwritable",
            f"{path} cannot be written: {error.strerror or error}",
            "choose a folder that is there, with room in it",
        ) from error
