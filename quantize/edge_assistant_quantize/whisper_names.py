"""Which tensors a Whisper has: whisper.cpp's names and shapes, and Hugging Face's names."""

from __future__ import annotations

from typing import Final

from edge_assistant_quantize.ggml_files import EMBEDDING, HyperParameters

Shapes = dict[str, tuple[int, ...]]

_OUTSIDE: Final = {
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "encoder.ln_post": "encoder.layer_norm",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    EMBEDDING: "decoder.embed_tokens.weight",
    "decoder.ln": "decoder.layer_norm",
}
_IN_LAYER: Final = {
    "attn": "self_attn",
    "attn_ln": "self_attn_layer_norm",
    "cross_attn": "encoder_attn",
    "cross_attn_ln": "encoder_attn_layer_norm",
    "mlp_ln": "final_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
}
_IN_ATTENTION: Final = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}


def theirs(name: str) -> str:
    """Hugging Face's name of a tensor of whisper.cpp, without the `model.` in front.

    >>> theirs("decoder.blocks.1.cross_attn.key.weight")
    'decoder.layers.1.encoder_attn.k_proj.weight'
    """
    stem, _, last = name.rpartition(".")
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.{last}"
    side, kind, rest = name.split(".", 2)
    if kind != "blocks":
        return name
    layer, _, part = rest.removesuffix(f".{last}").partition(".")
    head, _, projection = part.partition(".")
    if projection in _IN_ATTENTION:
        part = f"{_IN_LAYER[head]}.{_IN_ATTENTION[projection]}"
    else:
        part = _IN_LAYER[part]
    return f"{side}.layers.{layer}.{part}.{last}"


def whisper_shapes(hyper: HyperParameters) -> Shapes:
    """Shapes, as numpy has them, of all tensors by whisper.cpp's names."""
    width, bands = hyper.n_audio_state, hyper.n_mels
    shapes: Shapes = {
        "encoder.positional_embedding": (hyper.n_audio_ctx, width),
        "encoder.conv1.weight": (width, bands, 3),
        "encoder.conv1.bias": (width, 1),
        "encoder.conv2.weight": (width, width, 3),
        "encoder.conv2.bias": (width, 1),
        **_norm("encoder.ln_post", width),
        "decoder.positional_embedding": (hyper.n_text_ctx, width),
        EMBEDDING: (hyper.n_vocab, width),
        **_norm("decoder.ln", width),
    }
    for layer in range(hyper.n_audio_layer):
        shapes |= _block(f"encoder.blocks.{layer}", width, ("attn",))
    for layer in range(hyper.n_text_layer):
        shapes |= _block(f"decoder.blocks.{layer}", width, ("attn", "cross_attn"))
    return shapes


def _block(name: str, width: int, attentions: tuple[str, ...]) -> Shapes:
    shapes = _norm(f"{name}.mlp_ln", width)
    for part, rows, columns in (("mlp.0", 4 * width, width), ("mlp.2", width, 4 * width)):
        shapes[f"{name}.{part}.weight"] = (rows, columns)
        shapes[f"{name}.{part}.bias"] = (rows,)
    for attention in attentions:
        shapes |= _norm(f"{name}.{attention}_ln", width)
        for projection in _IN_ATTENTION:
            shapes[f"{name}.{attention}.{projection}.weight"] = (width, width)
            # The keys have no bias: it would shift all scores of a query alike.
            if projection != "key":
                shapes[f"{name}.{attention}.{projection}.bias"] = (width,)
    return shapes


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
