"""The catalog: which models there are, where their files come from, what their bytes are.

It is TOML that ships with the package. It is read strictly, because its words become paths,
addresses and lines on a terminal: one bad entry refuses the whole catalog, with file and line.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from edge_assistant.errors import ModelError, ModelNotFound
from edge_assistant.store.entry import Engine, FileSpec, Kind, ModelEntry
from edge_assistant.store.names import id_fault, language_fault, name_fault, text_fault
from edge_assistant.store.sources import parse_source

SCHEMA = 1
ENGINES: dict[str, tuple[str, ...]] = {
    "vad": ("silero",),
    "turn_detector": ("smart_turn",),
    "stt": ("whispercpp", "moonshine"),
    "llm": ("llamacpp",),
    "tts": ("piper", "espeak"),
}
_MAX_CATALOG_BYTES = 1_000_000
_MAX_MODELS = 1000
_MAX_FILE_BYTES = 64_000_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

_Bytes = Annotated[int, msgspec.Meta(ge=1, le=_MAX_FILE_BYTES)]


class _FileTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    sources: Annotated[list[str], msgspec.Meta(min_length=1, max_length=8)]
    size_bytes: _Bytes | None = None
    sha256: str | None = None
    max_bytes: _Bytes | None = None


class _ModelTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    kind: Kind
    engine: Engine
    title: str
    languages: Annotated[list[str], msgspec.Meta(min_length=1, max_length=200)]
    licence: str
    ram_bytes: _Bytes
    files: Annotated[list[_FileTable], msgspec.Meta(max_length=16)]
    template: str = ""
    notes: str = ""
    packs: Annotated[list[str], msgspec.Meta(max_length=8)] = []


_TABLES: Final = msgspec.json.Decoder(_ModelTable)
"""Nothing is decoded with it: it makes msgspec work out the type now, on the thread that imports.
msgspec crashes where two threads first meet a type."""


class Catalog:
    """All models that can be named, by id.

    Immutable once built; may be shared between threads.
    """

    def __init__(self, entries: Iterable[ModelEntry]) -> None:
        self._by_id = {entry.id: entry for entry in entries}

    @classmethod
    def load(cls, folder: Path | None = None) -> Catalog:
        """Read every `*.toml` of a folder; without one, the catalog that ships with the package.

        Raises:
            ModelError: `catalog-missing`, or `catalog-invalid` with file, line and reason. Nothing
                of an invalid catalog is used.
        """
        folder = folder or _packaged_folder()
        texts = sorted(folder.glob("*.toml"))
        if not texts:
            raise ModelError(
                "catalog-missing", f"no catalog in {folder}", "reinstall edge-assistant"
            )
        entries: dict[str, ModelEntry] = {}
        for path in texts:
            for entry, line in _read(path):
                if entry.id in entries:
                    raise _invalid(path, line, f"id {entry.id!r} is there twice")
                entries[entry.id] = entry
        return cls(entries.values())

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._by_id

    def get(self, model_id: str) -> ModelEntry:
        """Find a model.

        Raises:
            ModelNotFound: `model-unknown`, with the nearest ids as the hint.
        """
        entry = self._by_id.get(model_id)
        if entry is None:
            raise unknown_model(model_id, self._by_id)
        return entry

    def pack(self, name: str) -> tuple[ModelEntry, ...]:
        """Return the models of a pack; empty if there is no such pack."""
        return tuple(entry for entry in self if name in entry.packs)

    def packs(self) -> tuple[str, ...]:
        """Return the names of all packs, sorted."""
        return tuple(sorted({name for entry in self for name in entry.packs}))


def unknown_model(model_id: str, known: Iterable[str]) -> ModelNotFound:
    """Build the error for an id that is not there, with a did-you-mean."""
    near = difflib.get_close_matches(model_id[:64], list(known), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return ModelNotFound(
        "model-unknown", f"no model {model_id[:64]!r}", f"{hint}edge-assistant models list"
    )


def _packaged_folder() -> Path:
    # A wheel carries `models/` as data of the package; a checkout has it beside the package.
    package = Path(str(resources.files("edge_assistant")))
    data = package / "catalog_data"
    return data if data.is_dir() else package.parent / "models"


def _invalid(path: Path, line: int, reason: str) -> ModelError:
    return ModelError("catalog-invalid", f"{path.name}:{line}: {reason}", f"mend or remove {path}")


def _read(path: Path) -> list[tuple[ModelEntry, int]]:
    """Read one file; returns each model with the line of its id."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_CATALOG_BYTES + 1)
        if len(raw) > _MAX_CATALOG_BYTES:
            raise _invalid(path, 1, f"longer than {_MAX_CATALOG_BYTES} bytes")
        text = raw.decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise _invalid(path, 1, f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"line (\d+)", str(error))
        raise _invalid(path, int(found[1]) if found else 1, f"not TOML: {error}") from error
    schema = document.pop("schema", None)
    if schema != SCHEMA or isinstance(schema, bool):
        raise _invalid(path, 1, f"schema {schema!r} is not the one we read ({SCHEMA})")
    models = document.pop("model", [])
    if document:
        raise _invalid(path, 1, f"unknown key {next(iter(document))!r}")
    if not isinstance(models, list) or len(models) > _MAX_MODELS:
        raise _invalid(path, 1, f"`model` must be a list of at most {_MAX_MODELS} tables")
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() == "[[model]]"]
    lines += [1] * (len(models) - len(lines))
    return [(_entry(path, line, raw), line) for line, raw in zip(lines, models, strict=False)]


def _entry(path: Path, line: int, raw: Any) -> ModelEntry:
    label = raw.get("id", "?") if isinstance(raw, dict) else "?"
    try:
        return _checked(msgspec.convert(raw, _ModelTable))
    except (msgspec.ValidationError, ValueError) as error:
        raise _invalid(path, line, f"model {str(label)[:64]!r}: {error}") from error


def _checked(table: _ModelTable) -> ModelEntry:
    """Turn a table into an entry; every ValueError names the field."""
    _require("id", id_fault(table.id))
    for field in ("title", "licence", "notes", "template"):
        _require(field, text_fault(getattr(table, field)))
    if not table.title or not table.licence:
        raise ValueError("title and licence must not be empty")
    if table.engine not in ENGINES[table.kind]:
        raise ValueError(f"engine {table.engine!r} does not do {table.kind!r}")
    if (table.kind == "llm") != bool(table.template):
        raise ValueError("an llm, and only an llm, names its chat template")
    if bool(table.files) == (table.engine == "espeak"):
        raise ValueError("every engine but espeak needs files")
    for language in table.languages:
        _require("languages", language_fault(language))
    for name in (*table.packs, *filter(None, [table.template])):
        _require("packs or template", "" if _NAME.fullmatch(name) else f"{name[:40]!r}")
    names = [file.name.lower() for file in table.files]
    if len(set(names)) != len(names):
        raise ValueError("two files whose names differ by case at most")
    return ModelEntry(
        id=table.id,
        kind=table.kind,
        engine=table.engine,
        title=table.title,
        languages=tuple(table.languages),
        licence=table.licence,
        ram_bytes=table.ram_bytes,
        files=tuple(_file(file) for file in table.files),
        template=table.template,
        notes=table.notes,
        packs=tuple(table.packs),
    )


def _file(table: _FileTable) -> FileSpec:
    _require(f"file {table.name[:80]!r}", name_fault(table.name))
    for source in table.sources:
        parse_source(source)
    known = table.size_bytes is not None
    if known != (table.sha256 is not None):
        raise ValueError(f"file {table.name!r}: size_bytes and sha256 go together")
    if table.sha256 is not None and not _SHA256.fullmatch(table.sha256):
        raise ValueError(f"file {table.name!r}: sha256 must be 64 lower-case hex digits")
    if known == (table.max_bytes is not None):
        raise ValueError(f"file {table.name!r}: give size_bytes, or max_bytes where unknown")
    return FileSpec(
        name=table.name,
        sources=tuple(table.sources),
        size_bytes=table.size_bytes,
        sha256=table.sha256,
        max_bytes=table.max_bytes or 0,
    )


def _require(field: str, fault: str) -> None:
    if fault:
        raise ValueError(f"{field}: {fault}")
