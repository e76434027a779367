"""JSON files of strangers: bounded in size and depth, and every fault is the file's, not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.store.hashing import identify

MAX_BYTES = 64 << 20
"""The largest `tokenizer.json` of the families that we read has 17 MB (128,000 tokens)."""


def read_object(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        ModelNotFound: there is no such regular file, or it may not be read.
        ModelCorrupt: `json-invalid`: too large, not JSON, a key twice, or no object.
    """
    if identify(path).size_bytes > max_bytes:
        raise _invalid(path.name, f"more than {max_bytes} bytes")
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as error:
        raise ModelNotFound("file-unreadable", f"cannot read {path}: {error}", "") from error
    return parse_object(raw, path.name)


def parse_object(raw: bytes, name: str) -> dict[str, Any]:
    """Parse bytes that hold one JSON object; `name` is what an error calls them.

    Raises:
        ModelCorrupt: `json-invalid`.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise _invalid(name, f"not JSON: {str(error)[:80]}") from error
    if not isinstance(value, dict):
        raise _invalid(name, "not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _invalid(name: str, fault: str) -> ModelCorrupt:
    return ModelCorrupt("json-invalid", f"{name}: {fault}", "fetch the file anew")
