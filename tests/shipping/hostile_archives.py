"""Bundles made to do harm: some with a manifest that is correctly signed, some without."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from edge_assistant_packaging.bundle import archive
from edge_assistant_packaging.keys import KeyPair
from edge_assistant_packaging.manifest import (
    MANIFEST,
    SIGNATURE,
    TOP,
    FileEntry,
    Manifest,
)
from edge_assistant_packaging.signing import sign

from tests.shipping.small_bundle import FACTS, PAIR

STRANGER: Final = KeyPair(key_id=b"stranger", seed=bytes(32))
IMPOSTOR: Final = KeyPair(key_id=PAIR.key_id, seed=bytes(32))
"""Says that it is the vendor's."""
MADE_AT_S: Final = FACTS.made_at_s
FILES: Final = {
    "config/config.toml": b"[turns]\n",
    "install.sh": b"#!/bin/sh\nexit 0\n",
    "models/x.onnx": bytes(range(256)) * 3,
    "wheels/a.whl": b"PK" * 300,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile bundle."""

    name: str
    data: bytes
    may_write_bytes: int
    """How much of it a reader may have on the disk for a while: 0 where nothing is vouched for."""


def attacks(outside: str, *, is_thorough: bool = False) -> Iterator[Attack]:
    """All of them.

    Args:
        outside: an absolute path of a folder that nobody may write to.
        is_thorough: also at every place where the signature was refused before anyway.
    """
    members = dict(_members(outside))
    for signer, pair in (
        ("signed", PAIR),
        ("by a stranger", STRANGER),
        ("by an impostor", IMPOSTOR),
    ):
        may_write_bytes = _honest_bytes() if pair is PAIR else 0
        pieces = _pieces(honest(), pair)
        places = list(PLACES) if pair is PAIR or is_thorough else ["before all", "before the files"]
        for place in places:
            for kind, member in members.items():
                data = PLACES[place](pieces, member)
                if data != b"".join(pieces):
                    yield Attack(
                        name=f"{signer}, {place}: {kind}",
                        data=data,
                        may_write_bytes=may_write_bytes,
                    )
        for kind, data in _reshaped(pieces):
            yield Attack(name=f"{signer}, {kind}", data=data, may_write_bytes=may_write_bytes)
        for kind, data, is_bounded in _bad_manifests(pair):
            yield Attack(
                name=f"{signer}, manifest: {kind}",
                data=data,
                may_write_bytes=may_write_bytes * is_bounded,
            )
    yield from _bad_signatures()


def honest() -> Manifest:
    """A manifest as it should be."""
    return manifest_of(FILES)


def manifest_of(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        **dataclasses.asdict(FACTS),
        files=tuple(entry_of(name, data) for name, data in sorted(files.items())),
    )


def entry_of(name: str, data: bytes) -> FileEntry:
    return FileEntry(path=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def raw_member(
    name: bytes,
    data: bytes = b"",
    *,
    kind: bytes = b"0",
    link: bytes = b"",
    mode: bytes = b"0000644\0",
    owner: bytes = b"0000000\0",
    size: bytes | None = None,
    time: bytes | None = None,
    magic: bytes = b"ustar  \0",
    prefix: bytes = b"",
    rest: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """Any member at all, also such as no tar program writes."""
    fields = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            mode,
            owner,
            owner,
            b"%011o\0" % len(data) if size is None else size,
            b"%011o\0" % MADE_AT_S if time is None else time,
            b" " * 8,
            kind,
            link[:100].ljust(100, b"\0"),
            magic,
            rest.ljust(80, b"\0"),
            prefix.ljust(155, b"\0"),
        )
    ).ljust(512, b"\0")
    right = b"%06o\0 " % sum(fields)
    head = fields[:148] + (right if checksum is None else checksum) + fields[156:]
    return head + data + archive.padding(len(data))


def _members(outside: str) -> Iterator[tuple[str, bytes]]:
    """Members that have no business in a bundle."""
    inside = f"{TOP}/x".encode()
    install = f"{TOP}/install.sh".encode()
    for path in (
        *("../escaped", "../../escaped", f"{TOP}/../../escaped", f"{outside}/escaped", "escaped"),
        *(f"{TOP}/a/../../../escaped", f"{TOP}/./x", f"{TOP}//x", "..", ".", "/", "", "~/escaped"),
        *(f"{TOP}", f"{TOP}/", f"{TOP}/..\\escaped", "C:\\escaped", f"{TOP}/x\n", f"{TOP}/-rf"),
        *(f"{TOP}/INSTALL.SH", f"{TOP.upper()}/install.sh", f"{TOP}/install.sh/x", f"{TOP}/Wheels"),
        *(f"{TOP}/\u0131nstall.sh", f"{TOP}/install.sh.", f"{TOP}/con", f"{TOP}/{'n' * 76}"),
    ):
        yield f"path {path!r}"[:60], raw_member(path.encode(), b"escaped\n")
    for target in ("/", "..", outside, f"{outside}/escaped", "../../escaped", "install.sh"):
        for kind, word in ((b"1", "hard"), (b"2", "symbolic")):
            yield (
                f"{word} link to {target}"[:60],
                raw_member(inside, kind=kind, link=target.encode()),
            )
    through = raw_member(inside, kind=b"2", link=outside.encode())
    yield "file through a link", through + raw_member(inside + b"/escaped", b"escaped\n")
    for kind in (b"3", b"4", b"5", b"6", b"7", b"S", b"D", b"M", b"V", b"N", b"\0", b"X", b"9"):
        yield f"kind {kind!r}", raw_member(inside, kind=kind, rest=b"0" * 64)
        yield f"kind {kind!r} as install.sh", raw_member(install, kind=kind)
    yield "long name", raw_member(b"././@LongLink", b"../" * 30 + b"escaped\0", kind=b"L")
    yield "very long name", raw_member(b"././@LongLink", b"a/" * 20_000 + b"\0", kind=b"L")
    yield "long name of a long name", raw_member(b"././@LongLink", b"x\0", kind=b"L") * 3
    yield "long link", raw_member(b"././@LongLink", outside.encode() + b"\0", kind=b"K")
    for records in (
        b"path=../escaped",
        b"path=" + outside.encode() + b"/escaped",
        b"linkpath=" + outside.encode(),
        b"size=99999999999999",
        b"GNU.sparse.major=1\nGNU.sparse.realsize=99999999999",
        b"mtime=1",
        b"path=" + b"a/" * 5000,
    ):
        for kind in (b"x", b"g"):
            pax = raw_member(b"pax", _pax(records), kind=kind, magic=b"ustar\x0000")
            yield f"pax {kind!r} {records[:30]!r}", pax + raw_member(inside, b"escaped\n")
    for size in (
        *(b"77777777777\0", b"\x80" + b"\xff" * 11, b"\xff" * 12),
        b"\x80" + b"\0" * 7 + b"\x01\0\0\0",
        *(b"-0000000001\0", b"99999999999\0", b"           \0", b"\0" * 12, b"1e9        \0"),
    ):
        yield f"size {size!r}", raw_member(inside, b"bomb", size=size)
        yield f"size {size!r} of install.sh", raw_member(install, b"bomb", size=size)
    yield "set-user-id", raw_member(install, FILES["install.sh"], mode=b"0004755\0")
    yield "other mode", raw_member(install, FILES["install.sh"], mode=b"0000777\0")
    yield "other owner", raw_member(install, FILES["install.sh"], owner=b"0001750\0")
    yield "other time", raw_member(install, FILES["install.sh"], time=b"77777777777\0")
    yield "names of owners", raw_member(install, FILES["install.sh"], rest=b"root\0")
    yield "prefix", raw_member(b"install.sh", FILES["install.sh"], prefix=b"../..")
    yield "old magic", raw_member(install, FILES["install.sh"], magic=b"\0" * 8)
    yield "ustar magic", raw_member(install, FILES["install.sh"], magic=b"ustar\x0000")
    yield "wrong checksum", raw_member(install, FILES["install.sh"], checksum=b"000000\0 ")
    yield "checksum of blanks", raw_member(install, FILES["install.sh"], checksum=b" " * 8)
    yield "second manifest", raw_member(f"{TOP}/{MANIFEST}".encode(), honest().to_bytes())
    yield "the same file again", raw_member(install, FILES["install.sh"])
    yield "another install.sh", raw_member(install, b"#!/bin/sh\nrm -r /\n")
    yield "zeros", bytes(512)
    yield "an end", bytes(1024)
    yield "no tar", b"\xff" * 512


def _pax(records: bytes) -> bytes:
    lines = []
    for record in records.split(b"\n"):
        size = len(record) + 2
        size += len(str(size + len(str(size))))
        lines.append(b"%d %s\n" % (size, record))
    return b"".join(lines)


Pieces = list[bytes]
"""Manifest, signature, files, end: each with its header."""

PLACES: Final[dict[str, Callable[[Pieces, bytes], bytes]]] = {
    "before all": lambda p, member: member + b"".join(p),
    "for the manifest": lambda p, member: member + b"".join(p[1:]),
    "before the signature": lambda p, member: p[0] + member + b"".join(p[1:]),
    "before the files": lambda p, member: b"".join(p[:2]) + member + b"".join(p[2:]),
    "for install.sh": lambda p, member: b"".join(p[:3]) + member + b"".join(p[4:]),
    "before the end": lambda p, member: b"".join(p[:-1]) + member + p[-1],
    "after the end": lambda p, member: b"".join(p) + member,
}


def _pieces(manifest: Manifest, pair: KeyPair, files: dict[str, bytes] | None = None) -> Pieces:
    raw = manifest.to_bytes()
    return _packed(
        raw, sign(raw, pair, manifest.comment).encode(), FILES if files is None else files
    )


def _packed(raw: bytes, signature: bytes, files: dict[str, bytes]) -> Pieces:
    contents = {MANIFEST: raw, SIGNATURE: signature, **dict(sorted(files.items()))}
    return [
        *(raw_member(f"{TOP}/{name}".encode(), data) for name, data in contents.items()),
        archive.END,
    ]


def _reshaped(pieces: Pieces) -> Iterator[tuple[str, bytes]]:
    """The right pieces in a wrong form."""
    whole = b"".join(pieces)
    for cut in range(0, len(whole), 97):
        yield f"cut at {cut}", whole[:cut]
    for cut in range(1, 5):
        yield f"cut by {cut}", whole[:-cut]
    for at in range(len(pieces)):
        yield f"without piece {at}", b"".join(pieces[:at] + pieces[at + 1 :])
        yield f"piece {at} twice", b"".join(pieces[: at + 1] + pieces[at:])
        for other in range(at):
            swapped = list(pieces)
            swapped[at], swapped[other] = swapped[other], swapped[at]
            yield f"pieces {other} and {at} swapped", b"".join(swapped)
    for at, piece in enumerate(pieces[:-1]):
        filled = [*pieces[:at], piece[:-1] + b"x", *pieces[at + 1 :]]
        yield f"piece {at} with something in its filling", b"".join(filled)
    for at, name in enumerate((MANIFEST, SIGNATURE)):
        size_bytes = int(pieces[at][124:135], 8)
        data = pieces[at][512 : 512 + size_bytes]
        path = f"{TOP}/{name}".encode()
        for what, member in (
            ("of another time", raw_member(path, data, time=b"%011o\0" % 1)),
            ("of another mode", raw_member(path, data, mode=b"0000755\0")),
            ("of another owner", raw_member(path, data, owner=b"0001750\0")),
            ("with a link", raw_member(path, data, link=b"/")),
        ):
            yield f"{name} {what}", b"".join([*pieces[:at], member, *pieces[at + 1 :]])
    yield "padded as tar does", whole + bytes(-len(whole) % 10240)
    yield "twice", whole * 2
    yield "one byte more", whole + b"\0"
    yield "one byte before", b"\0" + whole
    yield "a gzip of nothing", b"\x1f\x8b\x08\0" + whole
    yield "nothing", b""


_BAD_IN_ENTRY: Final[dict[str, tuple[Any, ...]]] = {
    "size_bytes": (-1, 1e3, True, "8", None, 8**11, 1 << 63, []),
    "sha256": ("", "0" * 63, "G" * 64, None, 1, "0" * 64 + "\n"),
    "is_executable": (1, None, "yes"),
    "path": (1, None, [], {}, True),
    "mode": (0o4755,),
}
_BAD_FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "schema": (0, 2, "1", None, True),
    "files": ({}, None, 1, "x", [1], [[]], [None]),
    "platform": ("", "windows", None, [], {}),
    "version": ("", "../..", "1 2", None, 1, "x" * 65),
    "build": (-1, "1", None, 1.0, True, 10**30),
    "made_at_s": (-1, "1", None, 8**11),
    "python": ("", "../", 3.11, None),
    "cpu_flags": ("x\ny", None),
    "cpu_features": ("avx2; rm", "avx2  fma", " ", "AVX2", "a" * 201, None),
    "is_permissive_only": (0, None),
    "extra": (1,),
}


def _bad_manifests(pair: KeyPair) -> Iterator[tuple[str, bytes, bool]]:
    """Manifests that nobody should sign, packed as they say; and whether files may be written."""
    for path in (
        *("../x", "/x", "a/../../x", "a//x", "a/", "", ".", "..", "./x", "~", "-x", "a b", "a\nb"),
        *("a\\b", "a\0b", "C:x", "\u00e9", "a" * 201, MANIFEST, SIGNATURE, f"{MANIFEST}/x", "a."),
    ):
        files = {**FILES, path: b"escaped\n"}
        yield f"path {path!r}"[:40], b"".join(_pieces(manifest_of(files), pair, files)), False
    for pair_of_paths in (("a", "A"), ("a/x", "A/y"), ("a", "a/x"), ("Install.sh", "b")):
        files = {**FILES, **dict.fromkeys(pair_of_paths, b"")}
        yield f"clash {pair_of_paths}", b"".join(_pieces(manifest_of(files), pair, files)), False
    fields: dict[str, Any] = json.loads(honest().to_bytes())
    first = fields["files"][0]
    for key, values in _BAD_IN_ENTRY.items():
        for value in values:
            entries = [{**first, key: value}, *fields["files"][1:]]
            data = _with_raw({**fields, "files": entries}, pair)
            yield f"entry {key} {value!r}"[:50], data, False
    for key, values in _BAD_FIELDS.items():
        for value in values:
            yield f"field {key} {value!r}"[:50], _with_raw({**fields, key: value}, pair), False
    for entries in ([first] * 10_001, [first, first], fields["files"][::-1]):
        data = _with_raw({**fields, "files": entries}, pair)
        yield f"{len(entries)} files", data, False
    good = honest().to_bytes()
    for raw in (
        *(b"", b"[]", b"{}", b"null", b"1", b'"x"', b"\xff\xfe", b"9" * 5000, b"NaN"),
        *(b"[" * 100_000, good + b"\n", good.replace(b",", b", ")),
        good.replace(b'{"build"', b'{"build":1,"build"'),
    ):
        yield f"bytes {raw[:20]!r}", b"".join(_packed(raw, _signed(raw, pair), FILES)), False
    yield from _size_lies(pair)


def _size_lies(pair: KeyPair) -> Iterator[tuple[str, bytes, bool]]:
    """A manifest and headers that agree with each other, and files that are something else."""
    for size_bytes in (0, 1, 7, 9, 512, 1 << 20, 1 << 32, 8**11 - 1):
        entries = [
            dataclasses.replace(each, size_bytes=size_bytes) if each.path == "install.sh" else each
            for each in honest().files
        ]
        manifest = dataclasses.replace(honest(), files=tuple(entries))
        pieces = _pieces(manifest, pair)
        script = FILES["install.sh"]
        head = archive.header("install.sh", size_bytes, MADE_AT_S)
        pieces[3] = head + script + archive.padding(len(script))
        yield f"size that lies: {size_bytes}", b"".join(pieces), True


def _with_raw(fields: dict[str, Any], pair: KeyPair) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    raw = text.encode() + b"\n"
    return b"".join(_packed(raw, _signed(raw, pair), FILES))


def _signed(raw: bytes, pair: KeyPair) -> bytes:
    return sign(raw, pair, honest().comment).encode()


def _bad_signatures() -> Iterator[Attack]:
    raw = honest().to_bytes()
    good = _signed(raw, PAIR)
    lines = good.split(b"\n")
    for name, signature in {
        "none": b"",
        "of something else": _signed(b"something else", PAIR),
        "with another comment": sign(raw, PAIR, "edge-assistant bundle").encode(),
        "with another untrusted comment": good.replace(b"signature from", b"signature of"),
        "with carriage returns": good.replace(b"\n", b"\r\n"),
        "without its last newline": good.rstrip(b"\n"),
        "with a line more": good + b"\n",
        "with its comment changed": good.replace(b"build 7", b"build 9"),
        "legacy": good.replace(lines[1], b"RW" + lines[1][2:]),
        "with a base64 tail that says nothing": good.replace(b"=\n", b"=\n", 1)[:-2] + b"B\n",
        "too long": good + b"x" * 5000,
        "not text": b"\xff" * 300,
        "lines swapped": b"\n".join([lines[2], lines[3], lines[0], lines[1], b""]),
    }.items():
        data = b"".join(_packed(raw, signature, FILES))
        yield Attack(name=f"signature {name}", data=data, may_write_bytes=0)


def _honest_bytes() -> int:
    pieces = _pieces(honest(), PAIR)
    return sum(len(piece) for piece in pieces)
