"""Voices that are neither files of ours nor a package: a program of the system speaks."""

from __future__ import annotations

import re
import shutil
from typing import Final

from edge_assistant.errors import ModelNotFound
from edge_assistant.store.entry import ModelEntry

PROGRAM: Final = "espeak-ng"
PREFIX: Final = "espeak-program:"
INSTALL: Final = "sudo apt install espeak-ng"
_VOICE: Final = re.compile(r"([a-z]{2,3}(-[a-z0-9]{1,8}){0,4})(\+[a-z0-9]{1,20})?")
"""A language tag and a variant. It becomes an argument and a file name below espeak-ng's data, so
no slash, no dot, and no dash in front."""


def program_voice(model_id: str) -> ModelEntry | None:
    """The entry of `espeak-program:en-us`; None for an id without that prefix.

    Raises:
        ModelNotFound: `voice-not-found`: nothing that can name a voice stands after the prefix.
    """
    if not model_id.startswith(PREFIX):
        return None
    voice = model_id.removeprefix(PREFIX)
    found = _VOICE.fullmatch(voice)
    if found is None:
        raise ModelNotFound(
            "voice-not-found",
            f"{voice[:40]!r} cannot name a voice of {PROGRAM}",
            f"write it as {PREFIX}en-us or {PREFIX}en-us+f3; {PROGRAM} --voices lists them",
        )
    return ModelEntry(
        id=model_id,
        kind="tts",
        engine="espeak-program",
        title=f"eSpeak NG as a program of its own, {voice}",
        languages=(found[1],),
        licence="GPL-3.0-or-later",
        ram_bytes=20_000_000,
        files=(),
        notes="The system's own program speaks, as a child; nothing of it comes with us.",
    )


def program_path() -> str | None:
    """Where the system has the program; None where it has none."""
    return shutil.which(PROGRAM)


def program_missing() -> ModelNotFound:
    """What to say where it has none."""
    return ModelNotFound(
        "espeak-program-missing", f"there is no program {PROGRAM} on this machine", INSTALL
    )
