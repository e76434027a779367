"""The shape of a Llama-family checkpoint, from its `config.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.json_files import read_object

Architecture = Literal["llama", "qwen2", "qwen3"]
ARCHITECTURES: Final[dict[str, Architecture]] = {
    "LlamaForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
_MAX_BYTES: Final = 1 << 20
_MAX_COUNT: Final = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama3Scaling:
    """How Llama 3.1 and later stretch the slow rotations (`rope_type` llama3)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int
    """Tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape:
    """What the tensors have to look like, and what the arithmetic needs besides them."""

    architecture: Architecture
    vocab_size: int
    """Rows of the embedding, which may be more than the tokenizer has tokens."""
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    """Tokens that it was trained for."""
    rms_eps: float
    rope_theta: float
    scaling: Llama3Scaling | None
    is_tied: bool
    """The embedding is also the output matrix."""
    qkv_bias: bool
    out_bias: bool
    mlp_bias: bool

    @property
    def has_head_norms(self) -> bool:
        """Queries and keys are normalised per head."""
        return self.architecture == "qwen3"


def read_architecture(folder: Path) -> str:
    """Return the first name in `architectures` of a checkpoint's `config.json`.

    Raises:
        ModelNotFound: `file-missing`.
        ModelCorrupt: `json-invalid`.
        WorkshopError: `config-unusable`: it names none.
    """
    names = read_object(folder / "config.json", _MAX_BYTES).get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise _unusable("it names no architecture")
    return names[0]


def read_shape(folder: Path) -> LlamaShape:
    """Read `config.json`, and refuse what the arithmetic of llama.cpp would not do the same way.

    Raises:
        ModelNotFound: `file-missing`.
        ModelCorrupt: `json-invalid`.
        WorkshopError: `architecture-unknown`, `config-unusable`, `rope-scaling-unknown`.
    """
    name = read_architecture(folder)
    if name not in ARCHITECTURES:
        raise WorkshopError(
            "architecture-unknown",
            f"{folder} holds a {name[:60]}",
            f"known are {', '.join(ARCHITECTURES)}",
        )
    config = _Config(read_object(folder / "config.json", _MAX_BYTES))
    architecture = ARCHITECTURES[name]
    _refuse_other_arithmetic(config)
    heads = config.count("num_attention_heads", most=1024)
    kv_heads = config.count("num_key_value_heads", heads, most=1024)
    hidden = config.count("hidden_size")
    head_dim = config.count("head_dim", 128 if architecture == "qwen3" else hidden // heads)
    if heads % kv_heads or head_dim % 2:
        raise _unusable(f"{heads} heads, {kv_heads} for keys, {head_dim} wide")
    has_bias = config.flag("attention_bias", default=False)
    scaling = config.scaling()
    if scaling and architecture != "llama":
        raise _unusable(f"llama3 rope scaling in a {architecture} model")
    return LlamaShape(
        architecture=architecture,
        vocab_size=config.count("vocab_size"),
        layers=config.count("num_hidden_layers", most=512),
        hidden=hidden,
        intermediate=config.count("intermediate_size"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        context=config.count("max_position_embeddings"),
        rms_eps=config.number("rms_norm_eps", 1e-6),
        rope_theta=config.rope_theta(),
        scaling=scaling,
        is_tied=config.flag("tie_word_embeddings", default=False),
        qkv_bias=has_bias or architecture == "qwen2",
        out_bias=has_bias and architecture != "qwen2",
        mlp_bias=config.flag("mlp_bias", default=False),
    )


def _refuse_other_arithmetic(config: _Config) -> None:
    if config.values.get("hidden_act", "silu") != "silu":
        raise _unusable(f"hidden_act is {str(config.values['hidden_act'])[:40]!r}, not 'silu'")
    if config.flag("use_sliding_window", default=False):
        raise _unusable("it has sliding-window attention")
    if config.number("partial_rotary_factor", 1.0) != 1.0:
        raise _unusable("it rotates only part of each head")
    if config.values.get("quantization_config") is not None:
        raise _unusable("it is quantised already; take the checkpoint that it was made from")


class _Config:
    """The values of one `config.json`, each checked when it is asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        # transformers 5 calls it rope_parameters and keeps the base in it.
        rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
        if not isinstance(rope, dict):
            raise _unusable("rope_scaling is no table")
        self._rope = _Table(rope)
        self._table = _Table(values)
        self.count = self._table.count
        self.number = self._table.number

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise _unusable(f"{key} is {str(value)[:40]!r}")
        return value

    def rope_theta(self) -> float:
        table = self._rope if "rope_theta" in self._rope.values else self._table
        return table.number("rope_theta", 10_000.0)

    def scaling(self) -> Llama3Scaling | None:
        kind = self._rope.values.get("rope_type", self._rope.values.get("type", "default"))
        if kind == "default":
            return None
        if kind != "llama3":
            raise WorkshopError(
                "rope-scaling-unknown",
                f"config.json: rope scaling of type {str(kind)[:40]!r}",
                "known are 'default' and 'llama3'",
            )
        found = Llama3Scaling(
            factor=self._rope.number("factor"),
            low_freq_factor=self._rope.number("low_freq_factor"),
            high_freq_factor=self._rope.number("high_freq_factor"),
            original_context=self._rope.count("original_max_position_embeddings"),
        )
        if found.high_freq_factor <= found.low_freq_factor:
            raise _unusable("high_freq_factor is not above low_freq_factor")
        return found


@dataclass(frozen=True, slots=True)
class _Table:
    values: dict[str, Any]

    def count(self, key: str, default: int | None = None, most: int = _MAX_COUNT) -> int:
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= most:
            raise _unusable(f"{key} is {str(value)[:40]}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value: Any = self.values.get(key)
        value = default if value is None else value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= 1e12:
            raise _unusable(f"{key} is {str(value)[:40]}")
        return float(value)


def _unusable(fault: str) -> WorkshopError:
    return WorkshopError("config-unusable", f"config.json: {fault}", "choose another checkpoint")
