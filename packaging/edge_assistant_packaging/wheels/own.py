"""Our own wheel and source archive, built from a checkout without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import edge_assistant
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels.programs import python


def checkout() -> Path:
    """The folder that this package is run from.

    Raises:
        ShippingError: `own-source-missing`: it is an installed package.
    """
    folder = Path(edge_assistant.__file__).resolve().parent.parent
    if not (folder / "pyproject.toml").is_file() or not (folder / "packaging").is_dir():
        raise ShippingError(
            "own-source-missing",
            "the assistant is not run from a checkout, so its own wheel cannot be built",
            "put its wheel into a folder and give --wheels-from",
        )
    return folder


def build(kind: Literal["wheel", "sdist"], folder: Path, made_at_s: int) -> Path:
    """Build with the hatchling that is installed here; the same checkout gives the same bytes.

    Raises:
        ShippingError: `own-source-missing`, `own-wheel-failed`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    python(
        ["build", f"--{kind}", "--no-isolation", "--outdir", str(folder), str(checkout())],
        code="own-wheel-failed",
        hint='pip install "edge-assistant[packaging]"',
        environ={"SOURCE_DATE_EPOCH": str(made_at_s)},
    )
    suffix = ".whl" if kind == "wheel" else ".tar.gz"
    (made,) = [
        each for each in folder.iterdir() if each not in before and each.name.endswith(suffix)
    ]
    return made
