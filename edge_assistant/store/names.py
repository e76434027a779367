"""Which names may become paths: the one gate for ids, file names and members of archives."""

from __future__ import annotations

import re
import unicodedata

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_OUR_SUFFIXES = (".part", ".lock")


def name_fault(name: str) -> str:
    """Say why `name` cannot be a file name in the store; empty if it can.

    The alphabet is ASCII letters, digits and `._+-`, so separators, NUL, control and
    right-to-left characters are out by construction, and no two names look alike. Windows device
    names are refused everywhere: a store may be copied to another machine.
    """
    if not _FILE_NAME.fullmatch(name):
        return "only letters, digits and ._+- (at most 128, not starting with a dot) are allowed"
    if ".." in name or name.endswith("."):
        return "no '..' and no dot at the end"
    if _RESERVED.fullmatch(name):
        return "reserved device name"
    if name.endswith(_OUR_SUFFIXES):
        return "the suffixes .part and .lock belong to the store"
    return ""


def id_fault(model_id: str) -> str:
    """Say why `model_id` cannot name a model; empty if it can. Ids are folders of the store too."""
    if not _MODEL_ID.fullmatch(model_id):
        return "only lower-case letters, digits and ._- (at most 64) are allowed"
    return name_fault(model_id)


def member_fault(path: str) -> str:
    """Say why `path` cannot be a relative path inside a wheel or a repository; empty if it can."""
    if not path or len(path) > 512 or not path.isascii() or not path.isprintable():
        return "must be printable ASCII of at most 512 characters"
    if "\\" in path or ":" in path or any(c in path for c in "?#%"):
        return "no backslash, colon, '?', '#' or '%'"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "must be relative, without '.' or '..'"
    return ""


def text_fault(text: str) -> str:
    """Say why `text` cannot be shown on a terminal; empty if it can."""
    if len(text) > 2000:
        return "longer than 2000 characters"
    bad = next((c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co")), "")
    return f"control or invisible character U+{ord(bad):04X}" if bad else ""


def language_fault(tag: str) -> str:
    """Say why `tag` is no language tag (`en`, `pt-BR`); empty if it is one."""
    return "" if _LANGUAGE.fullmatch(tag) else f"{tag[:20]!r} is no language tag"


def language_tag(text: str) -> str:
    """Spell a language as the catalog does, `en_US` as `en-US`; empty if it is none."""
    first, *rest = text.strip().replace("_", "-").split("-")
    tag = "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])
    return "" if language_fault(tag) else tag
