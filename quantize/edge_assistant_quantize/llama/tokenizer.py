"""A byte-level BPE vocabulary as GGUF wants it, from the files of a Hugging Face checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_assistant.errors import ModelCorrupt
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.json_files import read_object
from edge_assistant_quantize.llama.pre_tokenizers import PreTokenizer, pre_tokenizer_of
from edge_assistant_quantize.llama.special_tokens import (
    SpecialTokens,
    Spelling,
    read_special_tokens,
)

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Types of tokens, as `gguf.TokenType` numbers them."""
_MAX_TOKENS: Final = 1 << 20
_MAX_TOKEN_CHARACTERS: Final = 4096
_MAX_TEMPLATE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Everything below `tokenizer.` in a GGUF."""

    tokens: tuple[str, ...]
    """By id, in the letters of byte-level BPE; as they read where they were added later."""
    types: tuple[int, ...]
    merges: tuple[str, ...]
    """Two tokens with a blank between them, the most urgent first."""
    pre: PreTokenizer
    special: SpecialTokens
    chat_template: str
    """Jinja; empty if there is none."""
    notes: tuple[str, ...]
    """What llama.cpp will do differently from the checkpoint's own tokenizer."""


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the tokenizer of a checkpoint.

    Args:
        folder: with `tokenizer.json`, and `tokenizer_config.json`, `generation_config.json`,
            `chat_template.jinja` where there are such.
        rows: of the embedding: unused tokens fill up to it.

    Raises:
        ModelNotFound: `file-missing`.
        ModelCorrupt: `json-invalid`, `tokenizer-invalid`: the files contradict themselves.
        WorkshopError: `tokenizer-unusable`, `pre-tokenizer-unknown`: llama.cpp would cut text
            differently.
    """
    tokenizer = read_object(folder / "tokenizer.json")
    config = _optional(folder / "tokenizer_config.json")
    model = _usable_model(tokenizer)
    added = _added_tokens(tokenizer)
    tokens = _tokens_by_id(model, added, rows)
    types = [NORMAL if index in tokens else UNUSED for index in range(rows)]
    for index, token in added.items():
        types[index] = CONTROL if token.special or _looks_special(token.content) else USER_DEFINED
    spelling = Spelling({text: index for index, text in tokens.items()}, tokens)
    notes = [
        *_normaliser_notes(tokenizer.get("normalizer")),
        *_alphabet_notes(spelling),
        *(f"{token.content!r} takes no blanks with it" for token in added.values() if token.strips),
    ]
    return Vocabulary(
        tokens=tuple(tokens.get(index, f"[PAD{index}]") for index in range(rows)),
        types=tuple(types),
        merges=tuple(_merges(model, spelling.ids)),
        pre=pre_tokenizer_of(tokenizer, bool(model.get("ignore_merges"))),
        special=read_special_tokens(folder, tokenizer, config, spelling),
        chat_template=_chat_template(folder, config),
        notes=tuple(notes),
    )


def byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary, in byte order.

    Bytes that print stand for themselves, the others take the letters from U+0100 on, as GPT-2's
    `bytes_to_unicode` has it.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(spare)) for byte in range(256)]


@dataclass(frozen=True, slots=True)
class _Added:
    content: str
    special: bool
    strips: bool


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}


def _usable_model(tokenizer: dict[str, Any]) -> dict[str, Any]:
    model = tokenizer.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise _invalid("no model with a vocabulary")
    kind = model.get("type", "BPE")
    if kind != "BPE" or not isinstance(model["vocab"], dict):
        raise _unusable(f"a {str(kind)[:40]} tokenizer, not byte-level BPE")
    for key in ("byte_fallback", "dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise _unusable(f"{key} is {str(model[key])[:40]}, so it is not byte-level BPE")
    return model


def _added_tokens(tokenizer: dict[str, Any]) -> dict[int, _Added]:
    added: dict[int, _Added] = {}
    listed = tokenizer.get("added_tokens") or []
    for entry in listed if isinstance(listed, list) else [None]:
        match entry:
            case {"id": int(index), "content": str(content), **rest} if (
                content and index not in added
            ):
                strips = any(rest.get(key) for key in ("lstrip", "rstrip", "single_word"))
                added[index] = _Added(content, rest.get("special") is True, strips)
            case _:
                raise _invalid(f"added token {str(entry)[:80]}")
    return added


def _tokens_by_id(model: dict[str, Any], added: dict[int, _Added], rows: int) -> dict[int, str]:
    vocab = model["vocab"]
    if len(vocab) + len(added) > _MAX_TOKENS:
        raise _invalid(f"{len(vocab)} tokens")
    tokens: dict[int, str] = {}
    stated = [*vocab.items(), *((token.content, index) for index, token in added.items())]
    for text, index in stated:
        if type(index) is not int or not 0 <= index < rows:
            raise _invalid(f"token {text[:40]!r} has id {str(index)[:20]}; the model has {rows}")
        if not text or len(text) > _MAX_TOKEN_CHARACTERS or tokens.get(index, text) != text:
            raise _invalid(f"token {index} is empty, too long, or there twice")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _invalid(f"token {index} is half a character") from error
        tokens[index] = text
    if len(set(tokens.values())) != len(tokens):
        raise _invalid("a token has two ids")
    return tokens


def _merges(model: dict[str, Any], ids: dict[str, int]) -> Iterator[str]:
    listed = model.get("merges")
    if not isinstance(listed, list) or len(listed) > 2 * _MAX_TOKENS:
        raise _invalid("no list of merges")
    for merge in listed:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        match parts:
            case [str(left), str(right)] if left in ids and right in ids and left + right in ids:
                # A blank is a letter of its own in byte-level BPE, so none can be in a part.
                yield f"{left} {right}"
            case _:
                raise _invalid(f"merge {str(merge)[:80]!r} is not of tokens, or gives none")


def _looks_special(text: str) -> bool:
    """Some checkpoints do not mark their control tokens; no user's text may contain them."""
    return text.startswith("<|") and text.endswith("|>")


def _normaliser_notes(normaliser: Any) -> list[str]:
    match normaliser:
        case None:
            return []
        case {"type": "NFC"}:
            return ["llama.cpp does not normalise text to NFC, as the checkpoint's tokenizer does"]
    raise _unusable(f"it normalises text by {str(normaliser)[:80]}")


def _alphabet_notes(spelling: Spelling) -> list[str]:
    missing = sum(letter not in spelling.ids for letter in byte_letters())
    return [f"{missing} of 256 bytes have no token and are dropped from texts"] if missing else []


def _chat_template(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    template: Any = config.get("chat_template")
    if file.is_file():
        with file.open("rb") as opened:
            template = opened.read(_MAX_TEMPLATE_BYTES + 1).decode("utf-8", "replace")
    if isinstance(template, list):  # several, by name
        named = [entry for entry in template if isinstance(entry, dict)]
        template = next(
            (each.get("template") for each in named if each.get("name") == "default"), ""
        )
    if template is None:
        return ""
    if (
        not isinstance(template, str)
        or len(template.encode("utf-8", "replace")) > _MAX_TEMPLATE_BYTES
    ):
        raise _invalid("a chat template that is no text, or too long")
    return template


def _invalid(fault: str) -> ModelCorrupt:
    return ModelCorrupt("tokenizer-invalid", f"tokenizer.json: {fault}", "fetch the file anew")


def _unusable(fault: str) -> WorkshopError:
    return WorkshopError(
        "tokenizer-unusable", f"tokenizer.json: {fault}", "take a GGUF of the model"
    )
