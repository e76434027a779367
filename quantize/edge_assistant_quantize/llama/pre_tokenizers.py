"""Which pre-tokeniser of llama.cpp cuts text as a checkpoint's `tokenizer.json` says.

llama.cpp has them compiled in and knows them by name (`tokenizer.ggml.pre`). A wrong name still
loads, and quietly gives other tokens, so what is not known exactly is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from edge_assistant_quantize.errors import WorkshopError

_SHOWN: Final = 300

_WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT2_WORDS: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What `ByteLevel` itself cuts by, where it is not told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    """One way to cut a text into the pieces that tokens may not cross."""

    name: str
    """llama.cpp's name of it."""
    patterns: tuple[str, ...]
    """One after the other, each on the pieces of the one before; what a match leaves out is a
    piece too. In the notation of `tokenizer.json`."""
    ignore_merges: bool
    """A piece that is a token as it stands is that token, whatever the merges give."""


KNOWN: Final = (
    PreTokenizer(name="gpt-2", patterns=(_GPT2_WORDS,), ignore_merges=False),
    PreTokenizer(name="smollm", patterns=(r"\p{N}", _GPT2_WORDS), ignore_merges=False),
    PreTokenizer(name="llama-bpe", patterns=(_WORDS % "{1,3}",), ignore_merges=True),
    PreTokenizer(name="qwen2", patterns=(_WORDS % "",), ignore_merges=False),
)


def pre_tokenizer_of(tokenizer: dict[str, Any], ignore_merges: bool) -> PreTokenizer:
    """Find llama.cpp's counterpart of the `pre_tokenizer` in a `tokenizer.json`.

    Raises:
        WorkshopError: `pre-tokenizer-unknown`, with what was found.
    """
    stated = tokenizer.get("pre_tokenizer")
    patterns = _patterns(stated)
    for known in KNOWN:
        if patterns == known.patterns and ignore_merges == known.ignore_merges:
            return known
    found = f"{str(stated)[:_SHOWN]}" + (" with ignore_merges" if ignore_merges else "")
    raise WorkshopError(
        "pre-tokenizer-unknown",
        f"tokenizer.json cuts text by {found}",
        f"known are those of {', '.join(known.name for known in KNOWN)}; take a GGUF of the model",
    )


def _patterns(stated: Any) -> tuple[str, ...] | None:
    """The patterns that a pre-tokeniser amounts to; None if it does anything else."""
    steps = [stated]
    if isinstance(stated, dict) and stated.get("type") == "Sequence":
        listed = stated.get("pretokenizers")
        steps = listed if isinstance(listed, list) else []
    patterns: list[str] = []
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        match step:
            case {"type": "ByteLevel", "add_prefix_space": False} if is_last:
                return (*patterns, _GPT2_WORDS) if step.get("use_regex", True) else tuple(patterns)
            case {"type": "Digits", "individual_digits": True}:
                patterns.append(r"\p{N}")
            case {
                "type": "Split",
                "pattern": {"Regex": str(pattern)},
                "behavior": "Isolated",
                "invert": False,
            }:
                patterns.append(pattern)
            case _:
                return None
    return None  # without ByteLevel it is no byte-level vocabulary
