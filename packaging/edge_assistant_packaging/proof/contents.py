"""What may be inside some bytes: unpacked, decoded, and read as samples in every way we know."""

from __future__ import annotations

import base64
import binascii
import bz2
import io
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

MAX_DEPTH: Final = 3
"""A FLAC in a ZIP in base64 is three."""
MAX_UNPACKED_BYTES: Final = 64 << 20
"""Of one step; what is larger is cut there, and told as such."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-](?:[A-Za-z0-9+/_-]|\\?[\r\n]|\\n){23,}")
_HEXADECIMAL: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,}")
"""Two words are worth decoding; and a log has sound in pieces, one a line."""
_NUMBER: Final = rb"[-+]?\d{1,20}(?:\.\d{0,30})?(?:[eE][-+]?\d{1,3})?"
_NUMBERS: Final = re.compile(rb"(?:%b[\s,;]{1,20}){15,}(?:%b)?" % (_NUMBER, _NUMBER))
"""Every part has a bound, or a megabyte of digits would take for ever."""
_SOUND_MAGIC: Final = re.compile(
    rb"fLaC|OggS\0[\2\3\6\7]|RIFF|FORM|caff|\.snd|RF64|ID3|\xff[\xe2-\xfb]"
)
_KBITS: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW_KBITS: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Of a layer III frame, by its index; the second for MPEG 2 and 2.5."""
_MAX_STARTS: Final = 8
"""Sound files within other bytes that are tried."""


class Piece(NamedTuple):
    """Bytes, and the way that led to them."""

    way: tuple[str, ...]
    data: bytes

    @property
    def is_cut(self) -> bool:
        """Whether there was, or may have been, more of it."""
        return bool(self.way) and len(self.data) >= MAX_UNPACKED_BYTES


class Samples(NamedTuple):
    """Numbers that may be sound."""

    reading: str
    values: npt.NDArray[Any]
    rate: int | None
    """As a header says; None where there is none."""


def unpacked(data: bytes) -> Iterator[Piece]:
    """The bytes themselves, and all that they unpack to, to a depth of `MAX_DEPTH`."""
    waiting = [Piece((), data)]
    while waiting:
        piece = waiting.pop()
        yield piece
        if len(piece.way) < MAX_DEPTH:
            waiting += [
                Piece((*piece.way, name), inside[:MAX_UNPACKED_BYTES])
                for name, open_it in _PACKINGS.items()
                for inside in _all(open_it, piece.data)
                if inside
            ]


def readings(data: bytes) -> Iterator[Samples]:
    """The bytes as samples: containers that libsndfile decodes, and raw PCM of every usual kind."""
    yield from _decoded(data)
    yield from _written_out(data)
    for name, kind in (("int16", "<i2"), ("float32", "<f4"), ("uint8", "u1"), ("int16 BE", ">i2")):
        size = np.dtype(kind).itemsize
        for shift in range(size):
            usable = (len(data) - shift) // size * size
            if usable <= 0:
                continue
            values = np.frombuffer(data, dtype=kind, offset=shift, count=usable // size)
            yield Samples(f"raw {name}", values, None)
            if size > 1 and shift % 2 == 0 and kind[0] == "<":
                yield Samples(f"raw {name}, first of two channels", values[0::2], None)
                yield Samples(f"raw {name}, second of two channels", values[1::2], None)


def _decoded(data: bytes) -> Iterator[Samples]:
    import soundfile

    likely = (match.start() for match in _SOUND_MAGIC.finditer(data))
    starts = islice((at for at in likely if _is_no_false_mpeg(data, at)), _MAX_STARTS)
    first = [0] if _is_no_false_mpeg(data, 0) else []
    for start in dict.fromkeys([*first, *starts]):
        try:
            with soundfile.SoundFile(io.BytesIO(data[start:])) as file:
                frames = MAX_UNPACKED_BYTES // (4 * file.channels)
                values = file.read(frames, dtype="float32", always_2d=True)
                name, rate = f"{file.format} {file.subtype}", int(file.samplerate)
        except (soundfile.SoundFileError, OSError, ValueError, TypeError):
            continue
        for channel in range(values.shape[1]):
            yield Samples(name, values[:, channel], rate)


def _is_no_false_mpeg(data: bytes, at: int) -> bool:
    """False for the two bytes of an MPEG frame without a second frame where the first one ends.

    PCM is full of such pairs, and libmpg123 complains on stderr about each.
    """
    if data[at : at + 1] != b"\xff":
        return True
    length = _mpeg_frame(data[at : at + 4])
    return length > 0 and _mpeg_frame(data[at + length : at + length + 4]) > 0


def _mpeg_frame(head: bytes) -> int:
    """Length in bytes of the layer III frame that begins with `head`; 0 if it is none.

    The fields are those of ISO/IEC 11172-3, 2.4.2.3, with the lower rates of 13818-3.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate_index, bitrate_index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate_index == 3 or bitrate_index in (0, 15):
        return 0
    is_first = version == 3
    rate = (44_100, 48_000, 32_000)[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    kbits = (_KBITS if is_first else _LOW_KBITS)[bitrate_index]
    return (144 if is_first else 72) * kbits * 1000 // rate + (head[2] >> 1 & 1)


def _written_out(data: bytes) -> Iterator[Samples]:
    """Numbers as text: a JSON array, a CSV."""
    text = b" ".join(match[0] for match in _NUMBERS.finditer(data)).strip(b" \t\r\n,;")
    if text:
        fields = re.split(rb"[\s,;]+", text)
        yield Samples("numbers as text", np.array([float(each) for each in fields]), None)


def _by_length(texts: Iterable[bytes]) -> Iterable[list[bytes]]:
    """Those of one length together: they may be the pieces of one sound."""
    found: dict[int, list[bytes]] = {}
    for text in texts:
        found.setdefault(len(text), []).append(text)
    return found.values()


def _all(open_it: Callable[[bytes], Iterator[bytes]], data: bytes) -> list[bytes]:
    """What one packing gives; nothing where the bytes are none of its kind, or broken."""
    found: list[bytes] = []
    try:
        for inside in open_it(data):
            found.append(inside)
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, binascii.Error):
        pass
    except (sqlite3.Error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        pass
    return found


class _Unpacker(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _streams(
    data: bytes, is_one: Callable[[bytes], bool], make: Callable[[], _Unpacker]
) -> Iterator[bytes]:
    """All streams one behind the other: a file that is appended to has many. Also one cut off."""
    found: list[bytes] = []
    left = MAX_UNPACKED_BYTES
    with suppress(zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        while left > 0 and is_one(data):
            unpack = make()
            found.append(unpack.decompress(data, left))
            left -= len(found[-1])
            data = unpack.unused_data
    yield b"".join(found)


def _deflated(data: bytes) -> Iterator[bytes]:
    def is_one(data: bytes) -> bool:
        return data[:2] == b"\x1f\x8b" or (data[:1] == b"\x78" and len(data) > 2)

    yield from _streams(data, is_one, lambda: zlib.decompressobj(zlib.MAX_WBITS | 32))


def _bzipped(data: bytes) -> Iterator[bytes]:
    yield from _streams(data, lambda data: data[:3] == b"BZh", bz2.BZ2Decompressor)


def _xz(data: bytes) -> Iterator[bytes]:
    def is_one(data: bytes) -> bool:
        return data[:6] == b"\xfd7zXZ\0" or data[:3] == b"\x5d\0\0"

    yield from _streams(data, is_one, lzma.LZMADecompressor)


def _zipped(data: bytes) -> Iterator[bytes]:
    if b"PK\x03\x04" in data[:4]:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    yield file.read(MAX_UNPACKED_BYTES)


def _tarred(data: bytes) -> Iterator[bytes]:
    if data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.isfile() else None
                if file is not None:
                    yield file.read(MAX_UNPACKED_BYTES)


def _from_base64(data: bytes) -> Iterator[bytes]:
    runs = (re.sub(rb"\\n|[\\\r\n]", b"", match[0]) for match in _BASE64.finditer(data))
    for texts in _by_length(run.translate(bytes.maketrans(b"-_", b"+/")) for run in runs):
        for shift in range(4):  # a run may begin with letters that are not of it
            size = len(texts[0]) - shift
            end = shift + size - (size % 4 == 1)
            filled = b"=" * (-size % 4 % 3)
            yield b"".join(base64.b64decode(text[shift:end] + filled) for text in texts)


def _from_hexadecimal(data: bytes) -> Iterator[bytes]:
    for texts in _by_length(match[0] for match in _HEXADECIMAL.finditer(data)):
        yield bytes.fromhex(b"".join(texts).decode())


def _from_address(data: bytes) -> Iterator[bytes]:
    """Words as they stand in an address."""
    if b"%20" in data:
        yield unquote_to_bytes(data)


def _of_database(data: bytes) -> Iterator[bytes]:
    """Every value of every row: a long one lies in pages that do not touch."""
    if data[:15] != b"SQLite format 3":
        return
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            quoted = name.replace('"', '""')
            for row in connection.execute(f'SELECT * FROM "{quoted}"'):
                for value in row:
                    if isinstance(value, str | bytes) and len(value) > 0:
                        yield value.encode() if isinstance(value, str) else value
    finally:
        connection.close()


_PACKINGS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "deflate": _deflated,
    "bzip2": _bzipped,
    "xz": _xz,
    "zip": _zipped,
    "tar": _tarred,
    "base64": _from_base64,
    "hexadecimal": _from_hexadecimal,
    "address": _from_address,
    "SQLite": _of_database,
}
