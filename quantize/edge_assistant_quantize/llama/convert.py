"""Llama-family checkpoints of Hugging Face to GGUF, without torch.

What becomes of the tensors is in `tensors`, of the tokenizer in `tokenizer`. The result
is what llama.cpp's own converter would write for these architectures, from the same sources.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal

import gguf
import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelCorrupt
from edge_assistant.store.headers import inspect
from edge_assistant_quantize import gguf_file
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llama.config import LlamaShape, read_shape
from edge_assistant_quantize.llama.tensors import (
    ROPE_FACTORS,
    Expected,
    check_tensors,
    paired,
    rope_factors,
    rope_frequencies,
)
from edge_assistant_quantize.llama.tokenizer import Vocabulary, read_vocabulary
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.safetensors_files import LazyTensor, open_tensors

TypeName = Literal["f32", "f16"]
_MATRIX_TYPES: Final[dict[TypeName, type[np.float32] | type[np.float16]]] = {
    "f32": np.float32,
    "f16": np.float16,
}
_FILE_TYPES: Final = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16}
_ARCHITECTURES: Final = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
_MAX_CARD_BYTES: Final = 1 << 16
_LICENCE: Final = re.compile(r"^license:[ \t]*([A-Za-z0-9][\w.+-]{0,63})[ \t]*$", re.MULTILINE)


def convert_llama(
    folder: Path,
    output: Path,
    type_name: TypeName = "f16",
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Make a GGUF of a checkpoint: Llama, SmolLM2, Qwen 2, 2.5 and 3.

    Matrices become `type_name`; vectors (norms, biases) stay float32, as llama.cpp wants them. One
    tensor is in memory at a time. Any thread; a file that is not finished is taken away.

    Args:
        folder: with `config.json`, the weights in safetensors, and `tokenizer.json`.
        output: the file to make.
        type_name: `f32` or `f16`.
        overwrite: replace a file that is there.
        progress: told after each tensor.

    Raises:
        ModelNotFound: a file of the checkpoint is missing.
        ModelCorrupt: a file contradicts itself or another, or a weight is no number.
        WorkshopError: it cannot be converted so that llama.cpp computes the same: the code says
            what, as `architecture-unknown`, `pre-tokenizer-unknown`, `weights-too-large`.
    """
    began_s = time.monotonic()
    shape = read_shape(folder)
    tensors = open_tensors(folder)
    expected = check_tensors(tensors, shape)
    vocabulary = read_vocabulary(folder, shape.vocab_size)
    sources = {tensor.path for tensor in tensors.values()}
    with new_file(output, *sources, folder / "tokenizer.json", overwrite=overwrite) as part:
        _write(part, folder, shape, vocabulary, _Weights(tensors, expected, type_name), progress)
        inspect(part, "gguf")
        types = gguf_file.shares(gguf_file.read(part).tensors)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=sum(path.stat().st_size for path in sources),
        took_s=time.monotonic() - began_s,
        types=types,
        notes=vocabulary.notes,
    )


class _Weights:
    """The tensors of the result, in its order."""

    def __init__(
        self, tensors: Mapping[str, LazyTensor], expected: list[Expected], type_name: TypeName
    ) -> None:
        self._tensors = tensors
        self.expected = expected
        self.type_name: TypeName = type_name

    def dtype(self, each: Expected) -> type[np.float32] | type[np.float16]:
        """Which type a tensor gets."""
        return _MATRIX_TYPES[self.type_name] if len(each.shape) > 1 else np.float32

    def read(self, each: Expected) -> NDArray[Any]:
        """Read one tensor as llama.cpp wants it."""
        tensor = self._tensors[each.name]
        data: NDArray[Any] = tensor.read(self.dtype(each))
        if not np.isfinite(data).all():
            if np.isfinite(tensor.read(np.float32)).all():
                raise WorkshopError(
                    "weights-too-large",
                    f"{each.name} has numbers above 65504, which float16 cannot hold",
                    "convert with --type f32",
                )
            raise ModelCorrupt("weights-not-finite", f"{each.name} has infinities or NaN", "")
        return paired(data, each.rotated_heads) if each.rotated_heads else data


def _write(
    part: Path,
    folder: Path,
    shape: LlamaShape,
    vocabulary: Vocabulary,
    weights: _Weights,
    progress: Progress | None,
) -> None:
    architecture = _ARCHITECTURES[shape.architecture]
    names = gguf.get_tensor_name_map(architecture, shape.layers)
    with ExitStack() as undo:
        writer = gguf.GGUFWriter(part, gguf.MODEL_ARCH_NAMES[architecture])
        undo.callback(writer.close)
        _describe(writer, folder, weights.type_name)
        _add_shape(writer, shape)
        _add_vocabulary(writer, vocabulary)
        factors = None
        if shape.scaling is not None:
            factors = rope_factors(rope_frequencies(shape), shape.scaling)
            writer.add_tensor_info(ROPE_FACTORS, factors.shape, factors.dtype, factors.nbytes)
        total_bytes = 0
        for each in weights.expected:
            name = names.get_name(each.name, try_suffixes=(".weight", ".bias"))
            assert name is not None  # `check_tensors` has let pass known ones only
            dtype = np.dtype(weights.dtype(each))
            size_bytes = int(np.prod(each.shape)) * dtype.itemsize
            writer.add_tensor_info(name, each.shape, dtype, size_bytes)
            total_bytes += size_bytes
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if factors is not None:
            writer.write_tensor_data(factors)
        done_bytes = 0
        for each in weights.expected:
            data = weights.read(each)
            writer.write_tensor_data(np.ascontiguousarray(data))
            done_bytes += data.nbytes
            if progress is not None:
                progress("converting", done_bytes / total_bytes)


def _describe(writer: Any, folder: Path, type_name: TypeName) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(folder.resolve().name)
    licence = _licence(folder)
    if licence:
        writer.add_license(licence)
    writer.add_file_type(_FILE_TYPES[type_name])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _licence(folder: Path) -> str:
    """What the model card states; empty if it states none, or none in one word."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    with card.open("rb") as file:
        text = file.read(_MAX_CARD_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    front = text.removeprefix("---\n").partition("\n---")[0] if text.startswith("---\n") else ""
    found = _LICENCE.search(front)
    return found[1] if found else ""


def _add_shape(writer: Any, shape: LlamaShape) -> None:
    writer.add_vocab_size(shape.vocab_size)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.rms_eps)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre.name)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    special = vocabulary.special
    for add, index in (
        (writer.add_bos_token_id, special.bos),
        (writer.add_eos_token_id, special.eos),
        (writer.add_eot_token_id, special.eot),
        (writer.add_eom_token_id, special.eom),
        (writer.add_unk_token_id, special.unk),
        (writer.add_pad_token_id, special.pad),
    ):
        if index is not None:
            add(index)
    writer.add_add_bos_token(special.add_bos)
    writer.add_add_eos_token(special.add_eos)
    if vocabulary.chat_template:
        writer.add_chat_template(vocabulary.chat_template)
