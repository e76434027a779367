"""Quantise a language model with llama.cpp's own quantiser, and say what really came of it."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

from edge_assistant.errors import ModelCorrupt
from edge_assistant.store.hashing import identify
from edge_assistant.store.headers import inspect
from edge_assistant.store.headers.gguf import GgufContents, GgufTensor
from edge_assistant_quantize import gguf_file
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.gguf_file import FLOATS, bits
from edge_assistant_quantize.llm import imatrix_file
from edge_assistant_quantize.llm.imatrix import make_imatrix
from edge_assistant_quantize.llm.run import run_llama
from edge_assistant_quantize.llm.types import LlmType, find_type
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.outputs import new_file


def quantise_llm(
    source: Path,
    output: Path,
    type_name: str,
    *,
    allow_requantize: bool = False,
    imatrix: Path | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Make a smaller GGUF of a GGUF. Blocks; llama.cpp works in a child, which ends with us.

    Args:
        source: GGUF, best of F16, BF16 or F32.
        output: the file to make.
        type_name: one of `llm_types.TYPES`.
        allow_requantize: take a source that is quantised already. Its errors stay, and add up.
        imatrix: an importance matrix (GGUF), or a text to learn one from.
        threads: 0 for one a core.
        overwrite: replace `output` if it is there.
        progress: told the share of the file that is written, and of the text that is read.

    Raises:
        ModelCorrupt, ModelNotFound: `source` is not sound, or not there.
        WorkshopError: `type-unknown`, `imatrix-needed`, `imatrix-of-another-model`,
            `output-unsound`, and those of what is called here.
    """
    started_s = time.monotonic()
    wanted = find_type(type_name)
    before = _admitted(source, wanted, imatrix, allow_requantize=allow_requantize)
    with (
        new_file(output, source, *filter(None, [imatrix]), overwrite=overwrite) as part,
        tempfile.TemporaryDirectory(prefix="edge-assistant-") as folder,
    ):
        part.touch()  # now, not after a long text: a folder that is not there
        notes: list[str] = []
        if imatrix is not None:
            imatrix = _learnt(imatrix, source, Path(folder), threads, progress)
            notes.append(_coverage(imatrix, before))
        job = {
            "job": "quantise",
            "source": str(source),
            "part": str(part),
            "ftype": wanted.ftype,
            "allow_requantize": allow_requantize,
            "imatrix": None if imatrix is None else str(imatrix),
            "threads": threads,
            "expected_bytes": _expected_bytes(source, before, wanted),
        }
        run_llama(job, "quantise", progress)
        after = _read_back(part)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=source.stat().st_size,
        took_s=time.monotonic() - started_s,
        types=gguf_file.shares(after.tensors),
        notes=(*notes, *_differences(before, after, wanted)),
    )


def _admitted(
    source: Path, wanted: LlmType, imatrix: Path | None, *, allow_requantize: bool
) -> GgufContents:
    """What is in the source, if it makes sense to do this with it."""
    inspect(source, "gguf")
    contents = gguf_file.read(source)
    refuse_nonsense(contents, wanted, source.name, allow_requantize=allow_requantize)
    if imatrix is not None:
        identify(imatrix)
    elif wanted.needs_imatrix:
        raise WorkshopError(
            "imatrix-needed",
            f"{wanted.name} without an importance matrix would be garbage",
            "give a text with --imatrix, or take Q3_K_S, or Q2_K",
        )
    return contents


def refuse_nonsense(
    contents: GgufContents, wanted: LlmType, name: str, *, allow_requantize: bool
) -> None:
    """Refuse what costs bytes or quality and gains nothing.

    Raises:
        WorkshopError: `source-split`, `type-same`, `type-wider`, `source-quantised`.
    """
    tensors, told = contents.tensors, contents.metadata.values
    has = gguf_file.main_type(tensors) or "F32"
    if told.get("split.count", 1) != 1:
        raise WorkshopError(
            "source-split", f"{name} is one of several parts", "join them with llama-gguf-split"
        )
    is_so_called = told.get("general.file_type") == wanted.ftype and has not in FLOATS
    if has == wanted.name or is_so_called:
        raise WorkshopError(
            "type-same", f"{name} is {wanted.name} already", "choose a narrower type"
        )
    if bits(wanted.main) > bits(has):
        raise WorkshopError(
            "type-wider",
            f"{name} is mostly {has} ({bits(has):g} bits a weight); {wanted.name} "
            f"({bits(wanted.main):g} bits) would make it larger and bring nothing back",
            "choose a narrower type, or quantise the original in F16",
        )
    quantised = [each for each in gguf_file.matrices(tensors) if each.type_name not in FLOATS]
    if quantised and not allow_requantize:
        raise WorkshopError(
            "source-quantised",
            f"{name} is quantised already (mostly {has}); the errors of both times would add up",
            "quantise the original in F16, or pass --allow-requantize",
        )


def _learnt(
    given: Path, source: Path, folder: Path, threads: int, progress: Progress | None
) -> Path:
    """The file of an importance matrix: what was given, or learnt in `folder` from that text."""
    if imatrix_file.looks_like_one(given):
        return given
    learnt = folder / "imatrix.gguf"
    make_imatrix(source, given, learnt, threads=threads, progress=progress)
    return learnt


def _coverage(matrix: Path, contents: GgufContents) -> str:
    """What an importance matrix has to say of a model.

    Raises:
        WorkshopError: `imatrix-of-another-model`, `imatrix-invalid`.
    """
    weights = imatrix_file.load(matrix)
    in_layers = [each for each in gguf_file.matrices(contents.tensors) if "blk." in each.name]
    known = [each for each in in_layers if each.name in weights]
    # One number for each column, and of stacked experts for each column of each.
    odd = [
        each.name
        for each in known
        if weights[each.name].size != each.dims[0] * (each.dims[2] if len(each.dims) > 2 else 1)
    ]
    if odd or not known:
        fault = f"{odd[0]} has another width there" if odd else "it knows none of the weights"
        raise WorkshopError(
            "imatrix-of-another-model",
            f"the importance matrix does not go with this model: {fault}",
            "give a text, or the matrix of this very model",
        )
    return f"the importance matrix knows {len(known)} of {len(in_layers)} weights in the layers"


def _expected_bytes(source: Path, contents: GgufContents, wanted: LlmType) -> int:
    """About how large the output will be, for the progress."""
    size = source.stat().st_size
    for tensor in gguf_file.matrices(contents.tensors):
        narrow = gguf_file.element_count(tensor) * bits(wanted.main) / 8
        size += round(min(narrow, tensor.size_bytes)) - tensor.size_bytes
    return size


def _read_back(part: Path) -> GgufContents:
    """What is in a file that llama.cpp has just written.

    Raises:
        WorkshopError: `output-unsound`; llama.cpp does not notice each write that fails.
    """
    try:
        inspect(part, "gguf")
        return gguf_file.read(part)
    except ModelCorrupt as error:
        raise WorkshopError(
            "output-unsound",
            f"what llama.cpp wrote is not whole ({error.message})",
            "`df -h` shows whether there is room for it",
        ) from error


def _differences(before: GgufContents, after: GgufContents, wanted: LlmType) -> list[str]:
    """Where the result is not what the type's name promises, and why."""
    block = gguf_file.block_elements(wanted.main)
    was = {tensor.name: tensor for tensor in before.tensors}
    fallen: Counter[tuple[int, str]] = Counter()
    wider = []
    for tensor in gguf_file.matrices(after.tensors):
        old = was[tensor.name]
        is_new = tensor.type_name != old.type_name
        if tensor.dims[0] % block and (is_new or tensor.type_name not in FLOATS):
            fallen[tensor.dims[0], tensor.type_name] += 1
        if bits(tensor.type_name) > bits(old.type_name):
            wider.append(tensor)
    notes = [
        f"{count} of the tensors are {type_name}: their rows of {width} are no multiple of {block},"
        f" which {wanted.main} needs"
        for (width, type_name), count in fallen.most_common()
    ]
    if wider:
        notes.append(_told_wider(wider, was))
    old_bytes, new_bytes = (sum(t.size_bytes for t in c.tensors) for c in (before, after))
    if new_bytes >= old_bytes:
        notes.append("the tensors take no less room than in the source")
    return notes


def _told_wider(wider: list[GgufTensor], was: dict[str, GgufTensor]) -> str:
    changes = Counter((was[tensor.name].type_name, tensor.type_name) for tensor in wider)
    told = ", ".join(f"{old} to {new} ({n})" for (old, new), n in changes.most_common())
    return f"{len(wider)} of the tensors became wider than they were: {told}"
