"""The models that are compared: found through the store, checked, and all of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge_assistant.pipeline.engines import DEFAULT_ACCENTS
from edge_assistant.store.checks import expected_form
from edge_assistant.store.entry import Engine, InstalledModel, Kind
from edge_assistant.store.hashing import digest
from edge_assistant.store.headers import inspect
from edge_assistant.store.programs import PREFIX
from edge_assistant.store.store import Store
from edge_assistant_quantize.compare.messages import Candidate, Subject
from edge_assistant_quantize.errors import WorkshopError

KINDS: Final[dict[Kind, Subject]] = {"stt": "stt", "llm": "llm", "tts": "tts"}
IN_WORDS: Final[dict[Kind, str]] = {
    "stt": "a recogniser",
    "llm": "a language model",
    "tts": "a voice",
    "vad": "a detector of speech",
    "turn_detector": "a turn detector",
}
ESPEAK: Final = "espeak:"
"""Before the name of a voice of espeak-ng: `espeak:en-us+f3`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    target: str
    label: str
    kind: Kind
    engine: Engine
    files: dict[str, str]
    about: str
    licence: str
    template: str = ""
    voice: str = ""


def resolve(
    targets: Sequence[str], store: Store, reference: str | None = None
) -> tuple[Candidate, ...]:
    """Check every model and put the reference first.

    A file that no catalog knows is judged by its header and its hash, and run once in a child
    (`Store.open`), before anything here reads it. One model may be named twice.

    Args:
        targets: ids of the store, paths of files, or `espeak:VOICE`.
        store: where the ids are looked up.
        reference: one of `targets`; None takes the first.

    Raises:
        ModelError: a model is unknown, not installed, or its file is faulty.
        WorkshopError: `compare-needs-two`, `compare-no-such-kind`, `compare-kinds-differ`,
            `compare-reference-unknown`, `compare-espeak-missing`.
    """
    if len(targets) < 2:
        raise WorkshopError(
            "compare-needs-two",
            "one model cannot be compared",
            "edge-assistant compare A B",
        )
    if reference is not None and reference not in targets:
        raise WorkshopError(
            "compare-reference-unknown",
            f"the reference {reference} is not among the models",
            f"name one of: {', '.join(targets)}",
        )
    first = targets.index(reference) if reference is not None else 0
    ordered = [targets[first], *targets[:first], *targets[first + 1 :]]
    found = [_find(target, store) for target in ordered]
    _require_one_kind(found)
    labels = _told_apart([each.label for each in found])
    return tuple(_candidate(each, label) for each, label in zip(found, labels, strict=True))


def _find(target: str, store: Store) -> _Found:
    if target.startswith(ESPEAK):
        _require_library(target)
        voice = target.removeprefix(ESPEAK)
        return _Found(
            target=target,
            label=voice or target,
            kind="tts",
            engine="espeak",
            files={},
            about="espeak-ng, library and data of all languages",
            licence="GPL-3.0-or-later",
            voice=voice,
        )
    if target.startswith(PREFIX):
        raise WorkshopError(
            "compare-no-such-kind",
            f"{target} is a program of the system; there is nothing of it to be loaded and weighed",
            "compare voices of Piper, or of the library: espeak:en-us",
        )
    path = Path(target).expanduser()
    is_file = path.is_file()
    model = store.open(path.absolute() if is_file else target)
    entry = model.entry
    language = entry.languages[0]
    return _Found(
        target=target,
        label=path.stem if is_file else entry.id,
        kind=entry.kind,
        engine=entry.engine,
        files={name: str(file) for name, file in model.paths.items()},
        about=_about(model),
        licence=entry.licence,
        template=entry.template,
        voice=DEFAULT_ACCENTS.get(language, language) if entry.engine == "espeak" else "",
    )


def _about(model: InstalledModel) -> str:
    """What the headers say."""
    told = []
    for spec in model.entry.files:
        form = expected_form(model.entry, spec)
        if form not in ("opaque", "piper-json"):
            told.append(inspect(model.paths[spec.name], form).summary)
    return "; ".join(told) or model.entry.title


def _require_one_kind(found: Sequence[_Found]) -> None:
    for each in found:
        if each.kind not in KINDS:
            raise WorkshopError(
                "compare-no-such-kind",
                f"{each.target} is {IN_WORDS[each.kind]}; there is no comparison for those",
                "compare recognisers, language models or voices",
            )
    first = found[0]
    for each in found[1:]:
        if each.kind != first.kind:
            raise WorkshopError(
                "compare-kinds-differ",
                f"{first.target} is {IN_WORDS[first.kind]}, {each.target} {IN_WORDS[each.kind]}",
                "compare models of one kind: edge-assistant models list",
            )


def _told_apart(labels: Sequence[str]) -> list[str]:
    """Number those that come again."""
    seen: Counter[str] = Counter()
    told = []
    for label in labels:
        seen[label] += 1
        told.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return told


def _candidate(found: _Found, label: str) -> Candidate:
    paths = [Path(path) for path in found.files.values()]
    return Candidate(
        label=label,
        target=found.target,
        kind=KINDS[found.kind],
        engine=found.engine,
        files=found.files,
        # It also brings the files into the file cache, for all alike.
        sha256={name: digest(Path(path)).sha256 for name, path in found.files.items()},
        size_bytes=sum(path.stat().st_size for path in paths or _espeak_files()),
        about=found.about,
        licence=found.licence,
        template=found.template,
        voice=found.voice,
    )


def _require_library(target: str) -> None:
    if find_spec("espeakng_loader") is None:
        raise WorkshopError(
            "compare-espeak-missing",
            f"{target} is a voice of espeak-ng's library, which is not installed here",
            "pip install espeakng-loader (it is under the GPL-3.0-or-later)",
        )


def _espeak_files() -> list[Path]:
    """The library and its data: voices of espeak have no file of their own."""
    import espeakng_loader

    data = Path(espeakng_loader.get_data_path())
    library = Path(espeakng_loader.get_library_path())
    return [path for path in (library, *data.rglob("*")) if path.is_file()]
