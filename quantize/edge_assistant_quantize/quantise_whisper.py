"""Whisper in fewer bits: whisper.cpp's ggml files from F32 or F16 to packed types.

The rule is upstream's: weights of two dimensions are packed; positional embeddings, biases and
norms stay F32, and convolutions F16 (they have three dimensions; rows of 3 make no block).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelCorrupt
from edge_assistant.store.headers import inspect
from edge_assistant.store.headers.tensor_types import TYPES
from edge_assistant_quantize import ggml_files
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.ggml_files import F16, F32, Tensor, WhisperFile
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.whisper_names import whisper_shapes

TARGETS: Final = {
    "f16": (F16, 1),
    "q8_0": (8, 2007),
    "q5_1": (7, 2009),
    "q5_0": (6, 2008),
    "q4_1": (3, 2003),
    "q4_0": (2, 2002),
}
"""Types by name: ggml's number of the element type, and what the file says of itself (its own
number of the type, plus 1000 times the version of the blocks). K-quants are not among them: `gguf`
unpacks them, but cannot make them."""

_MAX_LAYERS: Final = 64
_MAX_HEADS: Final = 64


def quantise_whisper(
    source: Path,
    output: Path,
    type_name: str,
    *,
    allow_requantize: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Write `source` again with its 2-D weights in another, smaller type.

    One tensor at a time is in memory, as float32.

    Args:
        source: a ggml file of whisper.cpp; F32, F16, or packed with `allow_requantize`.
        output: the file to make.
        type_name: one of `TARGETS`, in small or capital letters.
        allow_requantize: unpack a packed source first, and accept the error of both roundings.
        overwrite: replace `output` if it is there.
        progress: hears of every tensor.

    Raises:
        ModelCorrupt, ModelNotFound: the source cannot be read.
        WorkshopError: `type-unknown`, `type-same`, `upcast`, `requantise`, `rows-no-blocks`,
            `weights-not-finite`, and those of `new_file`.
    """
    started_s = perf_counter()
    if type_name.lower() not in TARGETS:
        raise WorkshopError(
            "type-unknown",
            f"whisper.cpp's files are not made in {type_name!r} here",
            f"choose one of {', '.join(TARGETS)}",
        )
    type_id, ftype = TARGETS[type_name.lower()]
    model = ggml_files.read(source, with_f32=True)
    if model.weight_type == F32:
        _refuse_what_f32_hides(source, model)
    _refuse_what_makes_no_sense(source, model, type_id, allow_requantize)
    with new_file(output, source, overwrite=overwrite) as part:
        ggml_files.write(part, _retyped(model, type_id, ftype), progress)
        inspect(part, "ggml")
        made = ggml_files.read(part)
    notes: tuple[str, ...] = ()
    if model.weight_type not in (F32, F16):
        notes = (f"made of {TYPES[model.weight_type][0]}: the error of both roundings is in it",)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=source.stat().st_size,
        took_s=perf_counter() - started_s,
        types=ggml_files.types(made),
        notes=notes,
    )


def target_type(tensor: Tensor, weight_type: int) -> int:
    """Type that a tensor gets in a file whose 2-D weights are of `weight_type`."""
    if len(tensor.shape) == 1 or tensor.name in ggml_files.STAYS_F32:
        return F32
    return weight_type if len(tensor.shape) == 2 else F16


def packing(name: str, values: Callable[[], NDArray[np.float32]], type_id: int) -> NDArray[Any]:
    """Load and pack the weights of one tensor.

    Raises:
        WorkshopError: `weights-not-finite`.
    """
    try:
        return ggml_files.pack(values(), type_id)
    except ValueError as error:
        raise WorkshopError(
            "weights-not-finite", f"tensor {name} has {error}", "get the checkpoint again"
        ) from error


def _retyped(model: WhisperFile, type_id: int, ftype: int) -> WhisperFile:
    def retyped(tensor: Tensor) -> Tensor:
        wanted = target_type(tensor, type_id)
        if wanted == tensor.type_id:
            return tensor
        return replace(
            tensor, type_id=wanted, load=partial(packing, tensor.name, tensor.values, wanted)
        )

    return replace(
        model,
        hyper_parameters=replace(model.hyper_parameters, ftype=ftype),
        tensors=tuple(retyped(tensor) for tensor in model.tensors),
    )


def _refuse_what_f32_hides(source: Path, model: WhisperFile) -> None:
    """Check here what the header checks would have, had they not let an F32 file pass.

    The file that is made of it goes through all of them in the end.
    """
    hyper = model.hyper_parameters
    width = hyper.n_audio_state
    is_sound = (
        hyper.n_text_state == width
        and 51864 <= hyper.n_vocab <= 51866
        and 1 <= hyper.n_audio_layer <= _MAX_LAYERS
        and 1 <= hyper.n_text_layer <= _MAX_LAYERS
        and all(
            1 <= heads <= _MAX_HEADS and width % heads == 0
            for heads in (hyper.n_audio_head, hyper.n_text_head)
        )
        and all(tensor.type_id == F32 for tensor in model.tensors)
        and {tensor.name: tensor.shape for tensor in model.tensors} == whisper_shapes(hyper)
    )
    if not is_sound:
        raise ModelCorrupt(
            "header-invalid",
            f"{source.name} (ggml): its tensors are not those of a Whisper with these numbers",
            "",
        )


def _refuse_what_makes_no_sense(
    source: Path, model: WhisperFile, type_id: int, allow_requantize: bool
) -> None:
    has, wanted = TYPES[model.weight_type][0], TYPES[type_id][0]
    is_packed = model.weight_type not in (F32, F16)
    if model.weight_type == type_id:
        raise WorkshopError(
            "type-same", f"{source.name} is {has} already", "choose a smaller type, or copy it"
        )
    if _bits(type_id) > _bits(model.weight_type):
        raise WorkshopError(
            "upcast",
            f"{source.name} is {has} ({_bits(model.weight_type):g} bits a weight): as {wanted} "
            f"({_bits(type_id):g} bits) it would be larger, and no better",
            "start from the F16 file, or choose a smaller type",
        )
    if is_packed and not allow_requantize:
        raise WorkshopError(
            "requantise",
            f"{source.name} is {has}: rounding it a second time adds to the error of the first",
            "start from the F16 file, or add --allow-requantize",
        )
    block = TYPES[type_id][1]
    for tensor in model.tensors:
        row = tensor.shape[-1]
        if target_type(tensor, type_id) == type_id and row % block:
            raise WorkshopError(
                "rows-no-blocks",
                f"{wanted} packs {block} weights of a row together; rows of {tensor.name}: {row}",
                "this model stays F16",
            )


def _bits(type_id: int) -> float:
    _, elements, size_bytes = TYPES[type_id]
    return 8 * size_bytes / elements
