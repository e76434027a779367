"""Whisper checkpoints of Hugging Face (safetensors) to whisper.cpp's ggml in F16, without torch.

No F32: whisper.cpp ends the process at a convolution in F32, and our own header checks refuse such
files. Biases, norms and positional embeddings are F32 in the F16 file, as in upstream's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.store.headers import inspect
from edge_assistant_quantize import ggml_files, safetensors_files
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.ggml_files import F16, HyperParameters, Tensor, WhisperFile
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.mel import HOP_FRAMES, N_FFT, mel_filters
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.quantise_whisper import packing, target_type
from edge_assistant_quantize.safetensors_files import FLOATS, StoredTensor, read_json
from edge_assistant_quantize.whisper_names import theirs, whisper_shapes
from edge_assistant_quantize.whisper_tokens import read_tokens

OUTPUT_PROJECTION: Final = "proj_out.weight"
"""Tied to the token embedding: whisper.cpp uses that for both."""

_MAX_CONFIG_BYTES: Final = 1 << 20
_F16_FILE: Final = 1
_BUILT_IN: Final = {"n_fft": N_FFT, "hop_length": HOP_FRAMES, "sampling_rate": 16000}
"""What whisper.cpp does not read from the file."""


def convert_whisper(
    folder: Path, output: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Made:
    """Write the checkpoint in `folder` as a ggml file with F16 weights.

    One tensor at a time is in memory, as float32.

    Args:
        folder: config.json; model.safetensors, or its parts and their index; vocab.json or
            tokenizer.json; preprocessor_config.json if there is one. Weights in F32, F16 or BF16.
        output: the file to make.
        overwrite: replace `output` if it is there.
        progress: hears of every tensor.

    Raises:
        ModelCorrupt, ModelNotFound: a file of the folder is missing or cannot be read.
        WorkshopError: `not-whisper`, `config-unusable`, `tensor-missing`, `tensor-unknown`,
            `tensor-shape`, `tensor-dtype`, `output-untied`, `vocabulary-unusable`,
            `weights-not-finite`, and those of `new_file`.
    """
    started_s = perf_counter()
    config = read_config(folder)
    hyper = _hyper_parameters(config)
    stored = read_tensors(folder)
    _refuse_wrong_tensors(stored, hyper)
    model = WhisperFile(
        hyper_parameters=hyper,
        filters=mel_filters(hyper.n_mels),
        tokens=read_tokens(folder, hyper.n_vocab),
        tensors=tuple(
            _tensor(name, shape, stored[theirs(name)])
            for name, shape in whisper_shapes(hyper).items()
        ),
    )
    sources = sorted({tensor.path for tensor in stored.values()})
    with new_file(output, *sources, overwrite=overwrite) as part:
        ggml_files.write(part, model, progress)
        inspect(part, "ggml")
        made = ggml_files.read(part)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=sum(source.stat().st_size for source in sources),
        took_s=perf_counter() - started_s,
        types=ggml_files.types(made),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json, and see in preprocessor_config.json that whisper.cpp hears alike.

    Raises:
        ModelCorrupt, ModelNotFound: config.json is missing or no JSON.
        WorkshopError: `not-whisper`, `config-unusable`.
    """
    config = read_json(folder / "config.json", _MAX_CONFIG_BYTES)
    if config.get("model_type") != "whisper":
        raise WorkshopError(
            "not-whisper",
            f"{folder} is a {str(config.get('model_type'))[:40]!r}, not a Whisper",
            "see model_type in config.json",
        )
    hearing = folder / "preprocessor_config.json"
    if hearing.is_file():
        said = read_json(hearing, _MAX_CONFIG_BYTES)
        wanted = _BUILT_IN | {"feature_size": config.get("num_mel_bins")}
        for key, value in wanted.items():
            if said.get(key, value) != value:
                raise _unusable(f"{key} is {said[key]!r} where whisper.cpp has {value!r}")
    return config


def read_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Tensors by Hugging Face's names, without the `model.` that only the whole model has.

    Raises:
        ModelCorrupt, ModelNotFound: see `safetensors_files.read_folder`.
    """
    stored = safetensors_files.read_folder(folder)
    return {name.removeprefix("model."): tensor for name, tensor in stored.items()}


def _tensor(name: str, shape: tuple[int, ...], stored: StoredTensor) -> Tensor:
    plain = Tensor(name=name, shape=shape, type_id=F16, load=partial(_values, stored, shape))
    type_id = target_type(plain, F16)
    return replace(plain, type_id=type_id, load=partial(packing, name, plain.load, type_id))


def _values(stored: StoredTensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    # The biases of the convolutions are (n,) there and (n, 1) here.
    return stored.values().reshape(shape)


def _hyper_parameters(config: dict[str, Any]) -> HyperParameters:
    width = _number(config, "d_model", 4096)
    heads = {
        side: _number(config, f"{side}_attention_heads", 64) for side in ("encoder", "decoder")
    }
    layers = {side: _number(config, f"{side}_layers", 64) for side in ("encoder", "decoder")}
    hyper = HyperParameters(
        n_vocab=_number(config, "vocab_size", 51866),
        n_audio_ctx=_number(config, "max_source_positions", 3000),
        n_audio_state=width,
        n_audio_head=heads["encoder"],
        n_audio_layer=layers["encoder"],
        n_text_ctx=_number(config, "max_target_positions", 4096),
        n_text_state=width,
        n_text_head=heads["decoder"],
        n_text_layer=layers["decoder"],
        n_mels=_number(config, "num_mel_bins", 128),
        ftype=_F16_FILE,
    )
    if hyper.n_vocab < 51864:
        raise _unusable(f"{hyper.n_vocab} tokens: whisper.cpp knows 51864, 51865 and 51866")
    if hyper.n_mels not in (80, 128):
        raise _unusable(f"{hyper.n_mels} mel bands: whisper.cpp knows 80 and 128")
    if any(width % count for count in heads.values()):
        raise _unusable(f"a width of {width} does not go into {heads} heads")
    for side in ("encoder", "decoder"):
        if _number(config, f"{side}_ffn_dim", 1 << 14) != 4 * width:
            raise _unusable(f"{side}_ffn_dim is not four times d_model, as whisper.cpp takes it")
    if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding", False):
        raise _unusable("another activation than gelu, or scaled embeddings")
    return hyper


def _number(config: dict[str, Any], key: str, most: int) -> int:
    value = config.get(key)
    if type(value) is not int or not 1 <= value <= most:
        raise _unusable(f"{key} is {str(value)[:40]!r}, not a number from 1 to {most}")
    return value


def _unusable(fault: str) -> WorkshopError:
    return WorkshopError(
        "config-unusable", f"whisper.cpp cannot run this model: {fault}", "see config.json"
    )


def _refuse_wrong_tensors(stored: dict[str, StoredTensor], hyper: HyperParameters) -> None:
    shapes = {theirs(name): shape for name, shape in whisper_shapes(hyper).items()}
    missing = [name for name in shapes if name not in stored]
    if missing:
        raise WorkshopError(
            "tensor-missing",
            f"{len(missing)} tensors are missing, {missing[0]!r} is one",
            "see that config.json belongs to these weights",
        )
    unknown = sorted(stored.keys() - shapes.keys() - {OUTPUT_PROJECTION})
    if unknown:
        raise WorkshopError(
            "tensor-unknown",
            f"{len(unknown)} tensors have no place in whisper.cpp, {unknown[0][:64]!r} is one",
            "an adapter has to be merged first, and layers beyond config.json cannot be left out",
        )
    for name, tensor in stored.items():
        if tensor.dtype not in FLOATS:
            raise WorkshopError(
                "tensor-dtype",
                f"tensor {name!r} is {tensor.dtype}, not {', '.join(FLOATS)}",
                "save the model in one of these",
            )
        shape = shapes.get(name, shapes["decoder.embed_tokens.weight"])
        # (n, 1) of ours is (n,) of theirs.
        if tensor.shape != shape and (*tensor.shape, 1) != shape:
            raise WorkshopError(
                "tensor-shape",
                f"tensor {name!r} is {tensor.shape}, and by config.json {shape}",
                "see that config.json belongs to these weights",
            )
    _refuse_another_output(stored)


def _refuse_another_output(stored: dict[str, StoredTensor]) -> None:
    output = stored.get(OUTPUT_PROJECTION)
    embedding = stored["decoder.embed_tokens.weight"]
    if output is not None and not np.array_equal(output.values(), embedding.values()):
        raise WorkshopError(
            "output-untied",
            "the output projection is not the token embedding, and whisper.cpp has room for one",
            "this model cannot be converted",
        )
