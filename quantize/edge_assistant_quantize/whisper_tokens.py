"""The vocabulary of a Hugging Face Whisper folder, as the bytes that whisper.cpp wants.

The tokens of GPT-2's byte-level BPE are written in letters that each stand for a byte. Only the
ordinary tokens go into the file; whisper.cpp names the special ones after them itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from edge_assistant.errors import ModelNotFound
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.safetensors_files import read_json

_MAX_VOCABULARY_BYTES: Final = 1 << 22
"""Of a file of 1 MB."""
_MAX_TOKENIZER_BYTES: Final = 1 << 23
"""Of a file of 2.5 to 4 MB."""
_LOOKED_UP: Final = (b" ", b" -", b" '")
"""whisper.cpp looks these up by name, and throws where one is missing."""


def num_ordinary(n_vocab: int) -> int:
    """Tokens in front of <|endoftext|>, the first special one (`whisper_vocab` in whisper.cpp)."""
    return 50256 if n_vocab == 51864 else 50257


def read_tokens(folder: Path, n_vocab: int) -> tuple[bytes, ...]:
    """Read vocab.json, or tokenizer.json where that is missing.

    Raises:
        ModelCorrupt, ModelNotFound: neither is there, or it is no JSON.
        WorkshopError: `vocabulary-unusable`.
    """
    if (folder / "vocab.json").is_file():
        ids: Any = read_json(folder / "vocab.json", _MAX_VOCABULARY_BYTES)
    elif (folder / "tokenizer.json").is_file():
        model = read_json(folder / "tokenizer.json", _MAX_TOKENIZER_BYTES).get("model")
        ids = model.get("vocab") if isinstance(model, dict) else None
    else:
        raise ModelNotFound(
            "file-missing",
            f"{folder} has neither vocab.json nor tokenizer.json",
            "put one of them into the folder",
        )
    if not isinstance(ids, dict):
        raise _unusable("no vocabulary in tokenizer.json")
    count = num_ordinary(n_vocab)
    tokens: list[bytes | None] = [None] * count
    for text, token_id in ids.items():
        if type(token_id) is not int or token_id < 0:
            raise _unusable(f"{text[:40]!r} has the number {str(token_id)[:40]!r}")
        if token_id < count:
            if tokens[token_id] is not None:
                raise _unusable(f"two tokens have the number {token_id}")
            tokens[token_id] = _bytes_of(text)
    known = tuple(token for token in tokens if token is not None)
    if len(known) < count:
        raise _unusable(f"{count - len(known)} of the {count} ordinary tokens are missing")
    for token in _LOOKED_UP:
        if token not in known:
            raise _unusable(f"whisper.cpp needs the token {token.decode()!r}")
    return known


def _bytes_of(text: str) -> bytes:
    letters = byte_of_letter()
    try:
        return bytes(letters[letter] for letter in text)
    except KeyError as error:
        raise _unusable(f"{text[:40]!r} is not written in GPT-2's letters for bytes") from error


@cache
def byte_of_letter() -> dict[str, int]:
    """GPT-2's letters: printable bytes stand for themselves, the others for 256 and on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


def _unusable(fault: str) -> WorkshopError:
    return WorkshopError(
        "vocabulary-unusable",
        f"this is not Whisper's vocabulary: {fault}",
        "put vocab.json or tokenizer.json of the model into the folder",
    )
