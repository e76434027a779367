"""What is normal in a language, as data with sources (`norms.toml`)."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from edge_assistant.errors import ConfigError

FILE: Final = Path(__file__).with_name("norms.toml")

_Source = Annotated[str, msgspec.Meta(min_length=10)]

_NOT_WORD: Final = re.compile(r"[^\w\s'-]+")


class Norm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of one language."""

    value: float
    """Seconds where the field's name ends in `_s`, else a count."""
    what: _Source
    """What was measured, or what the number decides."""
    source: _Source
    """Who says so."""


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words of one language."""

    words: tuple[str, ...]
    """Lower case, no punctuation; a word of several parts is matched as a whole."""
    source: _Source


class Norms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that has a source for one language; None, and no words, where nothing has."""

    name: str
    response_gap_s: Norm | None = None
    backchannel_most_s: Norm | None = None
    backchannel_most_words: Norm | None = None
    takeover_least_s: Norm | None = None
    takeover_most_words: Norm | None = None
    backchannels: tuple[Lexicon, ...] = ()

    def words(self) -> frozenset[str]:
        """Every listener's response of the language, whoever lists it."""
        return frozenset(word for lexicon in self.backchannels for word in lexicon.words)

    def is_backchannel(self, text: str) -> bool:
        """Whether `text` is made of nothing but listener's responses: "Yeah.", "okay, right".

        False for no words at all, and for every text where the language has no lexicon.
        """
        lexicon = self.words()
        rest = _NOT_WORD.sub(" ", text.lower().replace("\u2019", "'")).split()
        while rest:
            length = next(
                (n for n in range(len(rest), 0, -1) if " ".join(rest[:n]) in lexicon), None
            )
            if length is None:
                return False
            rest = rest[length:]
            if not rest:
                return True
        return False


def load_norms(file: Path = FILE) -> dict[str, Norms]:
    """Read a file of norms.

    Raises:
        ConfigError: it cannot be read, or an entry has no source.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        return msgspec.convert(tables, dict[str, Norms])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            "norms-unreadable", f"{file}: {error}", "every number and word list needs a source"
        ) from error


@lru_cache(maxsize=1)
def _built_in() -> dict[str, Norms]:
    return load_norms()


def norms_for(language: str) -> Norms | None:
    """Norms of a language (`en`, or `en-GB`, which has the norms of `en`); None without a source.

    `why_none` says what to print instead.
    """
    return _built_in().get(language.partition("-")[0].lower())


def why_none(language: str) -> str:
    """Why a language has no norms; empty where it has."""
    if norms_for(language) is not None:
        return ""
    known = ", ".join(sorted(_built_in()))
    return (
        f"no published norms for {language!r} are in norms.toml, so none are applied; "
        f"there are some for {known}"
    )
