"""Says that a program of the system speaks, where that is so: it is another work, under the GPL."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_assistant.config import Config

GPL_PACKAGES: Final = {"piper": "piper-tts", "espeakng_loader": "espeakng-loader"}
"""Module and distribution of what `--permissive-only` leaves out."""


def speaks_by_program(config: Config) -> bool:
    """Whether the configured voice is one of the system's program."""
    from edge_assistant.store.programs import PREFIX

    return config.tts.voice.startswith(PREFIX)


def is_permissive() -> bool:
    """Whether no package under the GPL is installed here."""
    return all(find_spec(module) is None for module in GPL_PACKAGES)


def told_of_program() -> str:
    """One line: which program it is, and whose."""
    from edge_assistant.store.programs import INSTALL, PROGRAM, program_path
    from edge_assistant.tts.espeak_program import program_version

    path = program_path()
    if path is None:
        return f"speech: by the separate program {PROGRAM}, which is not here: {INSTALL}"
    version = program_version(path)
    return f"speech: by the separate program {path} {version}".rstrip() + " (GPL-3.0-or-later)"
