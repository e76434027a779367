"""Which format a file has, and whether its header holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.store.hashing import identify
from edge_assistant.store.headers import ggml, gguf, onnx, ort, piper_json
from edge_assistant.store.headers.info import Form, HeaderInfo
from edge_assistant.store.headers.source import ByteSource, HeaderFault

_PARSERS: dict[Form, Callable[[ByteSource], HeaderInfo]] = {
    "ggml": ggml.parse,
    "gguf": gguf.parse,
    "onnx": onnx.parse,
    "ort": ort.parse,
    "piper-json": piper_json.parse,
}


def sniff(path: Path) -> Form | None:
    """Guess the format from the first bytes and the name; None if it is none that we know."""
    identify(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise ModelNotFound("file-unreadable", f"cannot read {path}: {error}", "") from error
    if start[:4] == b"GGUF":
        return "gguf"
    if start[:4] == b"lmgg":
        return "ggml"
    if start[4:8] == b"ORTM":
        return "ort"
    name = path.name.removesuffix(".part").lower()
    if name.endswith(".json") and start.lstrip()[:1] == b"{":
        return "piper-json"
    # ONNX has no magic: it begins with field 1 (ir_version, a small varint) of the model.
    if start[:1] == b"\x08" and len(start) > 16 and name.endswith(".onnx"):
        return "onnx"
    return None


def inspect(path: Path, form: Form | None = None) -> HeaderInfo:
    """Parse the header of a file; `form` says what it has to be, None takes what it looks like.

    Raises:
        ModelCorrupt: `header-invalid`, or `wrong-format` where it looks like something else.
        ModelNotFound: no such regular file.
    """
    looks_like = sniff(path)
    if form is None:
        form = looks_like
    if form is None or (looks_like != form and form != "opaque"):
        raise ModelCorrupt(
            "wrong-format",
            f"{path.name} is {_described(path, looks_like)}, not {form or 'a model that we know'}",
            "",
        )
    if form == "opaque":
        return HeaderInfo(form=form, summary=f"{path.stat().st_size} bytes")
    source = ByteSource(path)
    try:
        return _PARSERS[form](source)
    except HeaderFault as error:
        raise ModelCorrupt("header-invalid", f"{path.name} ({form}): {error}", "") from error
    finally:
        source.close()


def _described(path: Path, looks_like: Form | None) -> str:
    if looks_like is not None:
        return looks_like
    with path.open("rb") as file:
        start = file.read(256).lstrip().lower()
    if not start:
        return "empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page"
    return "of no known format"
