"""A Llama-architecture GGUF back to a checkpoint as Hugging Face lays one out, to try a real size.

    python -m tests.workshop.back_to_checkpoint MODEL.gguf FOLDER

Its numbers are those of the GGUF, unpacked to float32, so what is converted from it computes what
the GGUF computes. For byte-level vocabularies of the pre-tokenisers gpt-2 and smollm.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import gguf
from edge_assistant_quantize.llama.config import read_shape
from edge_assistant_quantize.llama.tensors import expected_tensors
from edge_assistant_quantize.llama.tokenizer import CONTROL, USER_DEFINED
from numpy.typing import NDArray

from tests.workshop.safetensors_bytes import header_of
from tests.workshop.tiny_llama import Variant, tokenizer_json


def main(source: Path, folder: Path) -> None:
    """Write the checkpoint into a new folder."""
    reader = gguf.GGUFReader(source)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    folder.mkdir(parents=True)
    _dump(folder / "config.json", _config(fields, {each.name for each in reader.tensors}))
    tokens = fields["tokenizer.ggml.tokens"]
    names = {kind: fields.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("bos", "eos")}
    _dump(
        folder / "tokenizer_config.json",
        {f"{kind}_token": tokens[index] for kind, index in names.items() if index is not None}
        | {"chat_template": fields.get("tokenizer.chat_template", ""), "add_bos_token": False},
    )
    _dump(folder / "tokenizer.json", _tokenizer(fields))
    _weights(reader, folder)


def _config(fields: dict[str, Any], tensors: set[str]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": float(fields["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": float(fields["llama.rope.freq_base"]),
        "tie_word_embeddings": "output.weight" not in tensors,
    }


def _tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    tokenizer = tokenizer_json(Variant(pre=fields["tokenizer.ggml.pre"]))
    tokenizer["model"] |= {
        "vocab": {text: index for index, text in enumerate(tokens)},
        "merges": fields["tokenizer.ggml.merges"],
    }
    tokenizer["added_tokens"] = [
        {"id": index, "content": text, "special": kind == CONTROL}
        for index, (text, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]
    return tokenizer


def _weights(reader: Any, folder: Path) -> None:
    shape = read_shape(folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, shape.layers)
    found = {each.name: each for each in reader.tensors}
    expected = expected_tensors(shape)
    header = json.dumps(header_of({each.name: each.shape for each in expected})).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for each in expected:
            tensor = found[names.get_name(each.name, try_suffixes=(".weight",))]
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype("<f4")
            file.write(_unpaired(values, each.rotated_heads).tobytes())


def _unpaired(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    if not heads:
        return rows
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _dump(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
