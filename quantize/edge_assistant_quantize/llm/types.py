"""The types that a language model can be quantised to, as llama.cpp calls them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from edge_assistant_quantize.errors import WorkshopError


@dataclass(frozen=True, slots=True)
class LlmType:
    """One way to fill a file: a main type, and for the `K` and `IQ` ones a rule where to differ."""

    name: str
    ftype: int
    """llama.h's `llama_ftype`, which is also the file's `general.file_type`."""
    main: str
    """The tensor type that the rule starts from (`llama_ftype_get_default_type`)."""
    needs_imatrix: bool = False
    """llama.cpp refuses to make it without an importance matrix."""


TYPES: Final = {
    each.name: each
    for each in (
        LlmType("F32", 0, "F32"),
        LlmType("F16", 1, "F16"),
        LlmType("BF16", 32, "BF16"),
        LlmType("Q8_0", 7, "Q8_0"),
        LlmType("Q6_K", 18, "Q6_K"),
        LlmType("Q5_1", 9, "Q5_1"),
        LlmType("Q5_K_M", 17, "Q5_K"),
        LlmType("Q5_K_S", 16, "Q5_K"),
        LlmType("Q5_0", 8, "Q5_0"),
        LlmType("Q4_1", 3, "Q4_1"),
        LlmType("Q4_K_M", 15, "Q4_K"),
        LlmType("Q4_K_S", 14, "Q4_K"),
        LlmType("Q4_0", 2, "Q4_0"),
        LlmType("IQ4_NL", 25, "IQ4_NL"),
        LlmType("IQ4_XS", 30, "IQ4_XS"),
        LlmType("Q3_K_L", 13, "Q3_K"),
        LlmType("Q3_K_M", 12, "Q3_K"),
        LlmType("Q3_K_S", 11, "Q3_K"),
        LlmType("IQ3_XXS", 23, "IQ3_XXS", needs_imatrix=True),
        LlmType("Q2_K", 10, "Q2_K"),
        LlmType("Q2_K_S", 21, "Q2_K", needs_imatrix=True),
        LlmType("IQ2_M", 29, "IQ2_S", needs_imatrix=True),
        LlmType("IQ2_XS", 20, "IQ2_XS", needs_imatrix=True),
        LlmType("IQ2_XXS", 19, "IQ2_XXS", needs_imatrix=True),
    )
}
"""Widest first. Left out: what is for mixtures of experts only, and below 2 bits."""


def find_type(name: str) -> LlmType:
    """The type of that name, in capitals or not.

    Raises:
        WorkshopError: `type-unknown`.
    """
    found = TYPES.get(name.upper())
    if found is None:
        near = difflib.get_close_matches(name.upper(), TYPES, n=3, cutoff=0.5)
        raise WorkshopError(
            "type-unknown",
            f"{name} is no type that a GGUF file can be quantised to",
            f"one of: {', '.join(near or TYPES)}",
        )
    return found
