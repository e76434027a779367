"""Tiny wheels for tests, so that pip needs no network."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

X86_64: Final = 62
AARCH64: Final = 183
MIT_TEXT: Final = "MIT License\n\nCopyright (c) somebody\n"


def elf(machine: int, *words: bytes) -> bytes:
    """As much of a library as anybody here looks at."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine)
    return head + bytes(44) + b"\0" + b"\0".join(words) + b"\0"


def write_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    needs: Sequence[str] = (),
    fields: Sequence[str] = ("License-Expression: MIT",),
    members: dict[str, bytes] | None = None,
    text: str | None = MIT_TEXT,
) -> Path:
    """Write a wheel that pip can resolve with."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-{tag}.whl"
    metadata = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        *fields,
        *(f"Requires-Dist: {each}" for each in needs),
    ]
    about = {
        "METADATA": "\n".join(metadata) + "\n\nLong text.\n",
        "WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n",
        "RECORD": "",
        **({} if text is None else {"licenses/LICENSE": text}),
    }
    inside = {f"{stem}.dist-info/{name}": words.encode() for name, words in about.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**(members or {}), **inside}.items():
            archive.writestr(zipfile.ZipInfo(member), data)  # its time is that of no clock
    return path


def write_index(folder: Path, machine: str = "x86_64") -> Path:
    """All that a small assistant needs, GPL parts and llama.cpp with it."""
    number = {"x86_64": X86_64, "aarch64": AARCH64}[machine]
    parts = ("llama-cpp-python>=0.3,<0.4", "piper-tts>=1", "espeakng-loader", "plain>=2")
    write_wheel(folder, "edge-assistant", "0.1.0", needs=(*parts, 'unwanted>=1; extra == "dev"'))
    library = {"llama_cpp/lib/libllama.so": elf(number, b"GLIBC_2.34", b"GLIBC_2.2.5")}
    write_wheel(
        folder,
        "llama-cpp-python",
        "0.3.36",
        tag=f"py3-none-linux_{machine}",
        needs=("plain",),
        members=library,
    )
    gpl = "GNU GENERAL PUBLIC LICENSE\nHow to Apply These Terms to Your New Programs\n"
    write_wheel(
        folder, "piper-tts", needs=("pathless",), fields=["License: GPL-3.0-or-later"], text=gpl
    )
    espeak = {"espeakng_loader/libespeak-ng.so": elf(number, b"1.52.0")}
    tag = f"py3-none-manylinux_2_17_{machine}"
    write_wheel(folder, "espeakng-loader", tag=tag, fields=(), members=espeak, text=None)
    write_wheel(
        folder, "plain", "2.5", fields=["Classifier: License :: OSI Approved :: MIT License"]
    )
    write_wheel(folder, "pathless", fields=["License: " + "a very long text " * 20])
    return folder
