"""What a header parser returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from edge_assistant.store.names import language_tag, text_fault

Form = Literal["ggml", "gguf", "onnx", "ort", "piper-json", "opaque"]
"""`opaque` is a file that only its hash can vouch for."""

DEFAULT_CONTEXT = 2048
"""Tokens for which the caches of a language model are reckoned: the default of our settings."""
_MAX_SHOWN = 200
_MAX_LANGUAGES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderInfo:
    """What a header says of its file."""

    form: Form
    summary: str
    """One line for people."""
    types: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Element type, as the format calls it, to (tensors, bytes in the file); most bytes first."""
    licence: str = ""
    """In the file's own words, fit for a terminal; empty if it does not say."""
    languages: tuple[str, ...] = ()
    """Language tags; empty if it does not say."""
    template: str = ""
    """gguf: which of our pinned chat templates fits, judged from its marks; empty if none does."""
    has_template: bool = False
    """gguf: there is a chat template in it."""
    context_length: int = 0
    """gguf: tokens that it was trained with."""
    cache_bytes: int = 0
    """Keys and values that the engine keeps beside the weights: gguf at `DEFAULT_CONTEXT` tokens or
    fewer, ggml at full length; 0 where the header does not say."""

    @property
    def tensors(self) -> int:
        """All tensors."""
        return sum(tensors for tensors, _ in self.types.values())

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors in the file."""
        return sum(size_bytes for _, size_bytes in self.types.values())

    @property
    def ram_bytes(self) -> int:
        """An estimate from below: weights and caches, without what the engine computes in."""
        return self.tensor_bytes + self.cache_bytes


class Tally:
    """Counts tensors and their bytes by element type."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, int]] = {}

    def add(self, type_name: str, size_bytes: int) -> None:
        """Count one tensor."""
        tensors, so_far = self._found.get(type_name, (0, 0))
        self._found[type_name] = tensors + 1, so_far + size_bytes

    def types(self) -> dict[str, tuple[int, int]]:
        """Most bytes first."""
        return dict(sorted(self._found.items(), key=lambda item: -item[1][1]))


def shown(text: object) -> str:
    """Return a text of the file if it can be shown on a terminal, else an empty one."""
    if not isinstance(text, str) or len(text) > _MAX_SHOWN or text_fault(text):
        return ""
    return text.strip()


def tags(words: Iterable[object]) -> tuple[str, ...]:
    """Return those of a file's words that name a language, each once, in their order."""
    found = (language_tag(word) for word in words if isinstance(word, str))
    return tuple(dict.fromkeys(filter(None, found)))[:_MAX_LANGUAGES]
