"""`install.sh`, which is at the top of every bundle: installs it without network and root."""

from __future__ import annotations

from importlib import resources
from typing import Final

NAME: Final = "install.sh"


def script() -> bytes:
    """The program, as it goes into a bundle (mode 0755)."""
    return (resources.files(__name__) / NAME).read_bytes()
