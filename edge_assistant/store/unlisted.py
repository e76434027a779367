"""Files that no catalog knows: named by the user, judged by header, hash and a run in a child."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from edge_assistant.errors import ModelCorrupt, ModelError, ModelIncompatible
from edge_assistant.store.checks import expected_form, with_header
from edge_assistant.store.entry import Engine, FileSpec, Kind, ModelEntry
from edge_assistant.store.hashing import digest, identify
from edge_assistant.store.headers import Form, HeaderInfo, inspect, sniff
from edge_assistant.store.ledger import Ledger, Verdict
from edge_assistant.store.names import id_fault
from edge_assistant.store.trial import can_run, run_once

_BY_FORM: dict[Form, tuple[Kind, Engine]] = {
    "gguf": ("llm", "llamacpp"),
    "ggml": ("stt", "whispercpp"),
}
_ONNX_BY_KIND: dict[Kind, Engine] = {
    "vad": "silero",
    "turn_detector": "smart_turn",
    "tts": "piper",
}


@contextmanager
def way_out() -> Iterator[None]:
    """Give an error on a file that we cannot fetch again something to do next."""
    try:
        yield
    except ModelError as error:
        if error.hint:
            raise
        hint = "get the file anew, or choose another model: edge-assistant models list"
        raise type(error)(error.code, error.message, hint) from error


@way_out()
def describe(path: Path, kind: Kind | None) -> ModelEntry:
    """Work out what a file is: its format says the engine, except that ONNX needs the kind.

    A Piper voice is known by the `.onnx.json` beside it. Licence, languages and memory are told as
    far as the headers tell them.

    Args:
        path: absolute path of the (main) file.
        kind: what the caller wants it for, if that is known.

    Raises:
        ModelCorrupt: no format that we know, or a bad header.
        ModelIncompatible: `wrong-kind`, `kind-unknown`.
    """
    form = sniff(path)
    if form == "onnx":
        return _described_onnx(path, kind)
    info = inspect(path)
    if info.form not in _BY_FORM:
        raise ModelIncompatible(
            "kind-unknown",
            f"{path.name} is {info.form}, which works only together with files of a catalog model",
            "edge-assistant models list",
        )
    found, engine = _BY_FORM[info.form]
    if kind not in (None, found):
        raise ModelIncompatible(
            "wrong-kind",
            f"{path.name} is a model for {found}, not for {kind}",
            "edge-assistant models list",
        )
    entry = _entry(path, found, engine, {path: info})
    return replace(entry, template=template_of(info)) if found == "llm" else entry


def template_of(info: HeaderInfo) -> str:
    """Choose the pinned chat template for a file that no catalog knows."""
    return info.template or "chatml"


def _described_onnx(path: Path, kind: Kind | None) -> ModelEntry:
    config = path.with_name(path.name + ".json")
    if kind is None and config.is_file():
        kind = "tts"
    if kind is None or kind not in _ONNX_BY_KIND:
        raise ModelIncompatible(
            "kind-unknown" if kind is None else "wrong-kind",
            f"{path.name} is ONNX, which does not say {'what for' if kind is None else kind}",
            f"edge-assistant models add {path.name} --kind tts|vad|turn_detector",
        )
    beside = {config: inspect(config, "piper-json")} if kind == "tts" else {}
    return _entry(path, kind, _ONNX_BY_KIND[kind], {path: inspect(path, "onnx")} | beside)


def _entry(path: Path, kind: Kind, engine: Engine, infos: dict[Path, HeaderInfo]) -> ModelEntry:
    said = infos.values()
    file_bytes = sum(file.stat().st_size for file in infos)
    return ModelEntry(
        id=slug(path),
        kind=kind,
        engine=engine,
        title=path.stem[:100],
        languages=next((info.languages for info in said if info.languages), ("und",)),
        licence=next((info.licence for info in said if info.licence), "unknown"),
        ram_bytes=max(file_bytes, sum(info.ram_bytes for info in said)),
        files=tuple(FileSpec(name=file.name, sources=(f"file:{file}",)) for file in infos),
        notes="Added by the user.",
    )


def slug(path: Path) -> str:
    """Make an id of a file's name."""
    text = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:64].rstrip("-._")
    text = re.sub(r"\.{2,}", ".", text)
    return "my-model" if id_fault(text) else text


def vet(
    ledger: Ledger, path: Path, form: Form, hint: str, *, fresh: bool = False, run: bool = True
) -> Verdict:
    """Hash a file, read its header, and run it once in a child; remember the verdict.

    Args:
        ledger: may hold a verdict on the same bytes.
        path: absolute path.
        form: the format that it must have.
        hint: what to type if it fails.
        fresh: do it again, whatever the ledger says.
        run: False leaves the child out.

    Raises:
        ModelNotFound, ModelCorrupt, ModelIncompatible: as for `Store.open`.
    """
    verdict = None if fresh else ledger.verdict(path, identify(path))
    if verdict is None:
        inspect(path, form)  # before the hash: a lie is found in milliseconds, a hash takes seconds
        found = digest(path)
        verdict = Verdict(identity=found.identity, sha256=found.sha256)
    verdict = with_header(ledger, path, form, verdict, hint)
    if run and can_run(form) and not verdict.was_run:
        note = run_once(path, form)
        if identify(path) != verdict.identity:
            raise ModelCorrupt("file-changed", f"{path} changed while it was being checked", hint)
        verdict = msgspec.structs.replace(verdict, was_run=True, run_note=note)
        ledger.judge(path, verdict)
    return verdict


@way_out()
def vet_all(
    ledger: Ledger, entry: ModelEntry, folder: Path, *, fresh: bool = False
) -> dict[str, Verdict]:
    """Vet every file of a model that nobody vouches for, small files first.

    The JSON of a voice is judged before the voice itself is run.
    """
    specs = sorted(entry.files, key=lambda spec: can_run(expected_form(entry, spec)))
    return {
        spec.name: vet(ledger, folder / spec.name, expected_form(entry, spec), "", fresh=fresh)
        for spec in specs
    }
