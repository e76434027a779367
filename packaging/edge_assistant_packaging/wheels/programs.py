"""Runs pip and the builder as children, and tells of their failures in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edge_assistant_packaging.errors import ShippingError

TIMEOUT_S: Final = 7200
"""For a build on a small machine; a download that takes longer is stuck."""


def python(
    arguments: Sequence[str], *, code: str, hint: str, environ: Mapping[str, str] | None = None
) -> str:
    """Run `python -m ...` and return what it said. pip's own configuration applies.

    Args:
        arguments: after `python -m`.
        code: of the error.
        hint: of the error.
        environ: on top of this process's.

    Raises:
        ShippingError: with `code`, and the last error line as the cause.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            env={**os.environ, "PYTHONNOUSERSITE": "1", **(environ or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ShippingError(code, f"{arguments[0]} took more than two hours", hint) from error
    if done.returncode != 0:
        raise ShippingError(code, f"{arguments[0]}: {_last_error(done.stdout)}", hint)
    return done.stdout


def download(folder: Path, *options: str, code: str, hint: str) -> None:
    """`pip download` into a folder."""
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    python(["pip", "download", *quiet, "--dest", str(folder), *options], code=code, hint=hint)


def _last_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return ((errors or lines or ["it said nothing"])[-1])[:300]
