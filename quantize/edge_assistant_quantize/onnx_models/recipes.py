"""Recipes for ONNX models: what becomes smaller, what stays in float32, and why. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from edge_assistant_quantize.errors import WorkshopError

Part = Literal["durations", "decoder", "entrance"]
"""Parts of a Piper voice; `graphs.parts_of` tells them by what depends on what.

`durations` says how long every phoneme lasts, `decoder` is the vocoder (HiFi-GAN), and `entrance`
its first convolution. All else is the text encoder and the flow.
"""
Method = Literal["float16", "stored-float16", "dynamic-int8"]
"""`float16`: weights and what is computed with them. `stored-float16`: weights only, each followed
by a Cast, so that float32 is computed as before. `dynamic-int8`: weights are uint8, and what meets
them is brought to uint8 while the model runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Nodes that stay as they are: a node of this part, kind or name."""

    reason: str
    part: Part | None = None
    ops: tuple[str, ...] = ()
    """Kinds of nodes (`op_type`)."""
    names: tuple[str, ...] = ()
    """Patterns (`fnmatch`) for names of nodes, as PyTorch's exporter gives them to Piper voices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to make a model smaller."""

    name: str
    summary: str
    method: Method
    ops: tuple[str, ...] = ()
    """dynamic-int8: kinds of nodes that are changed."""
    least_numbers: int = 1
    """stored-float16: tensors with fewer numbers stay; they save nothing."""
    kept: tuple[Kept, ...] = ()


_DURATIONS: Final = Kept(
    reason="durations are rounded up to whole columns, so a small error there moves words",
    part="durations",
    names=("/dp/*",),
)
_COUNTS: Final = Kept(
    reason="they count columns, and float16 is exact only up to 2048, 24 s of speech",
    ops=("Ceil", "CumSum", "Range", "ReduceSum", "Less", "Clip"),
)
_TYPED: Final = Kept(
    reason="an attribute of theirs says float32, whatever goes in",
    ops=("Cast", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
)
_LEFT_ALONE: Final = Kept(
    reason="onnxconverter-common leaves them alone: few machines have a float16 version of them",
    ops=("Min", "Max", "TopK", "Resize", "Upsample", "NonMaxSuppression"),
)
_ENTRANCE: Final = Kept(
    reason="a voice that speaks in slices is cut in front of it, and the cut is float32",
    part="entrance",
    names=("/dec/conv_pre/*",),
)
_DECODER: Final = Kept(
    reason="it makes the wave itself, where steps of 8 bits are heard as noise (onnxruntime "
    "issue 12854); ConvTranspose has no integer version at all",
    part="decoder",
    names=("/dec/*",),
)
_UPWARD: Final = Kept(reason="onnxruntime has no integer version of them", ops=("ConvTranspose",))
_RECURRENT: Final = Kept(
    reason="their state carries every error on to the next window",
    ops=("LSTM", "GRU", "RNN"),
)

RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fp16",
            summary="weights and arithmetic in float16, inputs and outputs in float32",
            method="float16",
            kept=(_DURATIONS, _ENTRANCE, _COUNTS, _TYPED, _LEFT_ALONE),
        ),
        Recipe(
            name="fp16-weights",
            summary="weights stored in float16, arithmetic in float32 as before",
            method="stored-float16",
            least_numbers=1024,
        ),
        Recipe(
            name="int8",
            summary="dynamic int8: encoder and flow of a voice, Conv and MatMul of other models",
            method="dynamic-int8",
            ops=("Conv", "MatMul"),
            kept=(_DECODER, _DURATIONS, _RECURRENT),
        ),
        Recipe(
            name="int8-all",
            summary="dynamic int8 wherever onnxruntime has it, the vocoder too",
            method="dynamic-int8",
            ops=("Conv", "MatMul", "Gather", "LSTM", "Attention"),
            kept=(_UPWARD,),
        ),
    )
}


def recipe_of(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        WorkshopError: `recipe-unknown`.
    """
    if name not in RECIPES:
        raise WorkshopError(
            "recipe-unknown",
            f"there is no recipe {name!r} for ONNX models",
            f"take one of {', '.join(RECIPES)}",
        )
    return RECIPES[name]
