"""What the parts themselves do not say, or say in words of their own.

Looked up by hand; an entry names the version range that it was read in only where that matters.
"""

from __future__ import annotations

import re
from typing import Final

WITHOUT_FIELD: Final = {
    "espeakng-loader": (
        "GPL-3.0-or-later",
        "its metadata names no licence; it holds espeak-ng's library and data, which are under it",
    ),
    "soundfile": (
        "BSD-3-Clause",
        "its metadata says `BSD 3-Clause License`",
    ),
    "protobuf": ("BSD-3-Clause", "its metadata says `3-Clause BSD License`"),
    "jinja2": ("BSD-3-Clause", "LICENSE.txt; its metadata says only `BSD License`"),
}
"""SPDX expression and reason, where the metadata has none or an ambiguous one."""
INSIDE: Final = {
    "piper-tts": "espeak-ng and its data (GPL-3.0-or-later)",
    "espeakng-loader": "espeak-ng and its data (GPL-3.0-or-later)",
    "soundfile": "libsndfile (LGPL-2.1-or-later) with codec libraries",
    "soxr": "libsoxr (LGPL-2.1-or-later)",
    "llama-cpp-python": "llama.cpp and ggml (MIT); where we built it, libgomp "
    "(GPL-3.0-or-later WITH GCC-exception-3.1)",
    "pywhispercpp": "whisper.cpp and ggml (MIT)",
    "pywebrtc-audio": "WebRTC's audio processing (BSD-3-Clause)",
    "webrtcvad-wheels": "WebRTC's voice activity detector (BSD-3-Clause)",
    "numpy": "OpenBLAS (BSD-3-Clause), libgfortran (GPL-3.0-or-later WITH GCC-exception-3.1)",
    "onnxruntime": "many libraries, listed in its ThirdPartyNotices.txt",
    "cryptography": "OpenSSL (Apache-2.0)",
}
_SPELLINGS: Final = {
    "mit": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "public domain": "Public domain",
}
VERBATIM: Final = {
    "Apache-2.0": b"TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
    "GPL-3.0-or-later": b"How to Apply These Terms to Your New Programs",
}
"""Licences whose text names no holder, with words that only the whole text has, not a notice of it:
a part that came without one may point to another's."""
_GPL: Final = re.compile(r"(?<![A-Z])A?GPL|GNU (Affero )?General Public", re.IGNORECASE)
_TERM: Final = re.compile(r"\b(?:AND|OR)\b|;")
"""Between the licences of an expression. In capitals only: `v3 or later` is one licence."""
_EXCEPTION: Final = re.compile(r"GCC-exception", re.IGNORECASE)
_NON_COMMERCIAL: Final = re.compile(
    r"\bNC\b|non-?commercial|no commercial|research licen", re.IGNORECASE
)
_OWN_TERMS: Final = re.compile(r"Llama .*License|Gemma|LFM Open|unknown", re.IGNORECASE)


def spdx(words: str) -> str:
    """The SPDX expression for the words of a metadata field; the words themselves if none fits."""
    text = " ".join(words.split())
    return _SPELLINGS.get(text.lower(), text)


def is_spdx(licence: str) -> bool:
    """Whether it is an expression of known SPDX ids."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        return False
    return True


def is_gpl(licence: str) -> bool:
    """Whether a part of it is under the GPL or AGPL without the exception for GCC's libraries.

    One such part is enough, also where `OR` offers a way around it: who takes that says so with a
    licence of his own choice.
    """
    return any(_GPL.search(term) and not _EXCEPTION.search(term) for term in _TERM.split(licence))


def warnings(licence: str, notes: str = "") -> tuple[str, ...]:
    """What somebody who ships a part under this licence has to know, in sentences."""
    found = []
    if is_gpl(licence):
        found.append(
            "GPL: the installed whole is under it; ship the sources too (--with-sources), or "
            "leave it out (--permissive-only)"
        )
    if _NON_COMMERCIAL.search(licence) or _NON_COMMERCIAL.search(notes):
        found.append("no commercial use")
    if _OWN_TERMS.search(licence):
        found.append("terms of its own: read them before you ship it")
    return tuple(found)
