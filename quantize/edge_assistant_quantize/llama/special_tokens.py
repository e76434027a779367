"""Which tokens begin a text, end a text and end a turn, from three files that may disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.json_files import read_object

_TURN_ENDS: Final = ("<|im_end|>", "<|eot_id|>")
_MESSAGE_ENDS: Final = ("<|eom_id|>",)
_KNOWN_ENDS: Final = ("<|endoftext|>", "<|end_of_text|>", *_TURN_ENDS, *_MESSAGE_ENDS)
"""llama.cpp takes these for an end wherever they are in a vocabulary."""
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """Ids; None where the checkpoint names no such token."""

    bos: int | None
    eos: int | None
    eot: int | None
    eom: int | None
    unk: int | None
    pad: int | None
    add_bos: bool
    add_eos: bool
    ends: tuple[int, ...]
    """All that end a reply, as the checkpoint says."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """Tokens by their text, and texts by their id."""

    ids: dict[str, int]
    texts: dict[int, str]


def read_special_tokens(
    folder: Path, tokenizer: dict[str, Any], config: dict[str, Any], spelling: Spelling
) -> SpecialTokens:
    """Put together what `tokenizer.json`, `tokenizer_config.json` and the model's configs say.

    The tokenizer's own word counts first, because it is what made the texts of the training.

    Raises:
        ModelCorrupt: `json-invalid`.
        WorkshopError: `tokenizer-unusable`: it surrounds texts with other tokens than these.
    """
    ids = {
        kind: _named(config.get(f"{kind}_token"), spelling) for kind in ("bos", "eos", "unk", "pad")
    }
    configs = [
        read_object(folder / name, _MAX_BYTES)
        for name in ("generation_config.json", "config.json")
        if (folder / name).exists()
    ]
    listed = [index for each in configs for index in _ids(each.get("eos_token_id"), spelling)]
    if ids["eos"] is None and listed:
        ids["eos"] = listed[0]
    if ids["bos"] is None:
        stated = (index for each in configs for index in _ids(each.get("bos_token_id"), spelling))
        ids["bos"] = next(stated, None)
    ends = tuple(dict.fromkeys([*([] if ids["eos"] is None else [ids["eos"]]), *listed]))
    eot = _first(ends, _TURN_ENDS, spelling)
    eom = _first(ends, _MESSAGE_ENDS, spelling)
    # It also ends a reply at eos, eot and eom, so any other end takes a place that is free.
    others = (end for end in ends[1:] if spelling.texts[end] not in _KNOWN_ENDS)
    eot = next(others, None) if eot is None else eot
    eom = next(others, None) if eom is None else eom
    add_bos, add_eos = _surroundings(tokenizer, ids, spelling)
    return SpecialTokens(
        bos=ids["bos"],
        eos=ids["eos"],
        unk=ids["unk"],
        pad=ids["pad"],
        eot=eot,
        eom=eom,
        add_bos=_flag(config, "add_bos_token", add_bos) and ids["bos"] is not None,
        add_eos=_flag(config, "add_eos_token", add_eos) and ids["eos"] is not None,
        ends=ends,
    )


def _named(stated: Any, spelling: Spelling) -> int | None:
    text = stated.get("content") if isinstance(stated, dict) else stated
    return spelling.ids.get(text) if isinstance(text, str) else None


def _ids(stated: Any, spelling: Spelling) -> Iterator[int]:
    for index in stated if isinstance(stated, list) else [stated]:
        if type(index) is int and index in spelling.texts:
            yield index


def _first(ends: tuple[int, ...], names: tuple[str, ...], spelling: Spelling) -> int | None:
    return next((end for end in ends if spelling.texts[end] in names), None)


def _flag(config: dict[str, Any], key: str, default: bool) -> bool:
    value = config.get(key)
    return value if isinstance(value, bool) else default


def _surroundings(
    tokenizer: dict[str, Any], ids: dict[str, int | None], spelling: Spelling
) -> tuple[bool, bool]:
    """Whether the tokenizer itself puts BOS before a text and EOS behind it."""
    processor = tokenizer.get("post_processor")
    steps = processor.get("processors") if isinstance(processor, dict) else None
    add_bos = add_eos = False
    for step in steps if isinstance(steps, list) else [processor]:
        match step:
            case None | {"type": "ByteLevel"}:
                continue
            case {"type": "TemplateProcessing", "single": list(parts)}:
                names = [_special_name(part) for part in parts]
            case _:
                raise _unusable(step)
        if names.count(None) != 1:
            raise _unusable(step)
        text_at = names.index(None)
        before, after = names[:text_at], names[text_at + 1 :]
        if [spelling.ids.get(name or "") for name in before] not in ([], [ids["bos"]]):
            raise _unusable(step)
        if [spelling.ids.get(name or "") for name in after] not in ([], [ids["eos"]]):
            raise _unusable(step)
        add_bos, add_eos = bool(before), bool(after)
    return add_bos, add_eos


def _special_name(part: Any) -> str | None:
    """The token that a part of a template stands for; None for the text itself."""
    match part:
        case {"SpecialToken": {"id": str(name)}}:
            return name
        case {"Sequence": {"id": "A"}}:
            return None
    raise _unusable(part)


def _unusable(step: Any) -> WorkshopError:
    return WorkshopError(
        "tokenizer-unusable",
        f"tokenizer.json: it completes texts by {str(step)[:200]}",
        "take a GGUF of the model",
    )
