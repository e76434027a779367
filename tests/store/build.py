"""Catalogs and stores made for one test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from edge_assistant.store import Catalog, FileSpec, ModelEntry, Store
from edge_assistant.store.entry import Engine, Kind
from edge_assistant.store.hosts import NetworkPolicy
from edge_assistant.store.pulling import Fetcher
from tests.fakes.model_files import GOOD

QUICK = NetworkPolicy(
    allow_loopback_http=True,
    connect_timeout_s=5,
    read_timeout_s=2,
    attempts=3,
    retry_wait_s=0.01,
)
"""May talk to this machine, and does not wait long."""

ENGINES: dict[str, tuple[str, Kind, Engine]] = {
    "model.bin": ("a-whisper", "stt", "whispercpp"),
    "model.gguf": ("a-llama", "llm", "llamacpp"),
    "model.onnx": ("a-vad", "vad", "silero"),
    "model.ort": ("a-moonshine", "stt", "moonshine"),
}


def file_spec(name: str, data: bytes, source: str = "https://example.invalid/x") -> FileSpec:
    """A file whose bytes are known."""
    return FileSpec(
        name=name,
        sources=(source,),
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def unknown_spec(name: str, source: str, max_bytes: int = 10_000_000) -> FileSpec:
    """A file that is pinned on its first pull."""
    return FileSpec(name=name, sources=(source,), max_bytes=max_bytes)


def entry(
    model_id: str, kind: Kind, engine: Engine, *files: FileSpec, licence: str = "MIT"
) -> ModelEntry:
    """A model of the catalog."""
    return ModelEntry(
        id=model_id,
        kind=kind,
        engine=engine,
        title=model_id,
        languages=("en",),
        licence=licence,
        ram_bytes=1,
        files=files,
        template="chatml" if kind == "llm" else "",
    )


def store_of(
    root: Path,
    *entries: ModelEntry,
    system: Path | None = None,
    policy: NetworkPolicy = QUICK,
    pip_options: tuple[str, ...] = (),
) -> Store:
    """A store of just these models."""
    fetcher = Fetcher(policy=policy, pip_options=pip_options)
    return Store(root, Catalog(entries), system=system, fetcher=fetcher)


def known_models() -> list[ModelEntry]:
    """One model of every native format, with the bytes of `GOOD`."""
    return [
        entry(*ENGINES[name], file_spec(name, build_file())) for name, build_file in GOOD.items()
    ]


def install(store: Store, model_id: str, build_file: Callable[[], bytes]) -> Path:
    """Put a file where `pull` would; returns its path."""
    spec = store.entry(model_id).files[0]
    path = store.root / model_id / spec.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build_file())
    return path
