"""One gate for every file on its way to native code: hash first, then header, then remember."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_assistant.errors import ModelCorrupt, ModelError
from edge_assistant.store.entry import FileSpec, ModelEntry
from edge_assistant.store.hashing import Identity, digest, identify
from edge_assistant.store.headers import Form, inspect
from edge_assistant.store.ledger import Ledger, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a file has to be."""

    size_bytes: int
    sha256: str


def expected_form(entry: ModelEntry, spec: FileSpec) -> Form:
    """Say which format a file of a model has to have."""
    suffix = Path(spec.name).suffix.lower()
    match entry.engine:
        case "whispercpp":
            return "ggml"
        case "llamacpp":
            return "gguf"
        case "silero" | "smart_turn":
            return "onnx"
        case "piper":
            return "piper-json" if suffix == ".json" else "onnx"
        case "moonshine":
            return "ort" if suffix == ".ort" else "opaque"
        case "espeak" | "espeak-program":
            return "opaque"


def check_file(
    ledger: Ledger, path: Path, form: Form, expected: Expected, hint: str, *, fresh: bool = False
) -> Verdict:
    """Check a file against its hash, then its header; native code may see it when this returns.

    Args:
        ledger: where a past verdict on the same bytes may spare us the work.
        path: absolute path.
        form: the format that it must have.
        expected: size and hash from the catalog, or pinned when it was pulled.
        hint: what to type if it fails.
        fresh: read the file again, whatever the ledger says.

    Raises:
        ModelNotFound: `file-missing` and its like.
        ModelCorrupt: `size-mismatch`, `hash-mismatch`, `wrong-format`, `header-invalid`.
    """
    identity = _identify(path, hint)
    if identity.size_bytes != expected.size_bytes:
        raise ModelCorrupt(
            "size-mismatch",
            f"{path} has {identity.size_bytes} bytes, not {expected.size_bytes}",
            hint,
        )
    verdict = None if fresh else ledger.verdict(path, identity)
    # Images that are built to the same bytes may give another file the same inode, size and times:
    # a past verdict may clear a file, and never condemns one.
    if verdict is None or verdict.sha256 != expected.sha256:
        found = digest(path)
        verdict = Verdict(identity=found.identity, sha256=found.sha256)
    if verdict.sha256 != expected.sha256:
        raise ModelCorrupt(
            "hash-mismatch",
            f"{path}: SHA-256 is {verdict.sha256[:16]}..., not {expected.sha256[:16]}...",
            hint,
        )
    return with_header(ledger, path, form, verdict, hint)


def with_header(ledger: Ledger, path: Path, form: Form, verdict: Verdict, hint: str) -> Verdict:
    """Add the header's verdict to that of the hash, and remember both."""
    if verdict.form == form and verdict.summary:
        return verdict
    try:
        info = inspect(path, form)
    except ModelError as error:
        raise type(error)(error.code, error.message, error.hint or hint) from error
    verdict = Verdict(
        identity=verdict.identity,
        sha256=verdict.sha256,
        summary=info.summary,
        form=form,
        was_run=verdict.was_run,
        run_note=verdict.run_note,
    )
    if _identify(path, hint) != verdict.identity:
        raise ModelCorrupt("file-changed", f"{path} changed while it was being checked", hint)
    ledger.judge(path, verdict)
    return verdict


def _identify(path: Path, hint: str) -> Identity:
    try:
        return identify(path)
    except ModelError as error:
        raise type(error)(error.code, error.message, hint) from error
