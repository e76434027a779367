"""Ed25519 signatures in the files of minisign (https://jedisct1.github.io/minisign/).

What is signed here is verified by the `minisign` program, and the other way round.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import opened, read_small
from edge_assistant_packaging.keys import (
    ED25519,
    UNTRUSTED,
    KeyPair,
    PublicKey,
    decode,
    encode,
    generate,
    is_encrypted,
    lines_of,
    parse_public,
    read_public,
    read_secret,
    write_keys,
)

__all__ = (
    "KeyPair",
    "PublicKey",
    "Signature",
    "digest_of",
    "generate",
    "is_encrypted",
    "parse_public",
    "parse_signature",
    "read_public",
    "read_secret",
    "sign",
    "sign_digest",
    "verify",
    "write_keys",
)

_LEGACY: Final = ED25519
_PREHASHED: Final = b"ED"
_TRUSTED: Final = "trusted comment: "
_SIGNED_BY: Final = "signature from edge-assistant"
_SIGNATURE_FILE_BYTES: Final = 1 << 14
_LEGACY_BYTES: Final = 1 << 30
"""Of a file with a signature that is not prehashed: it has to be in memory. As minisign has it."""
_COMMENT: Final = re.compile(r"[\t -~\u00a0-\ud7ff\ue000-\U0010ffff]{0,2000}")
"""One line; nothing in it that a terminal obeys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a `.minisig` file holds."""

    is_prehashed: bool
    key_id: bytes
    signature: bytes
    trusted_comment: str
    global_signature: bytes
    """Of the signature and the trusted comment."""

    def to_text(self) -> str:
        """As minisign keeps it in a file; the untrusted comment is always the same."""
        kind = _PREHASHED if self.is_prehashed else _LEGACY
        return (
            f"{UNTRUSTED}{_SIGNED_BY}\n{encode(kind + self.key_id + self.signature)}\n"
            f"{_TRUSTED}{self.trusted_comment}\n{encode(self.global_signature)}\n"
        )


def sign(data: bytes | Path, pair: KeyPair, trusted_comment: str) -> str:
    """Sign bytes, or a file that is read in pieces; prehashed, as minisign does.

    The same input gives the same text on every machine: nothing in it is random or of the clock.

    Args:
        data: what is signed.
        pair: who signs.
        trusted_comment: one line that is signed too.

    Returns:
        What belongs into the `.minisig` file.
    """
    return sign_digest(digest_of(data), pair, trusted_comment)


def sign_digest(digest: bytes, pair: KeyPair, trusted_comment: str) -> str:
    """Like `sign`, of something whose BLAKE2b-512 is known already."""
    if not _COMMENT.fullmatch(trusted_comment):
        raise ValueError(f"not one printable line: {trusted_comment!r}")
    private = Ed25519PrivateKey.from_private_bytes(pair.seed)
    signature = private.sign(digest)
    return Signature(
        is_prehashed=True,
        key_id=pair.key_id,
        signature=signature,
        trusted_comment=trusted_comment,
        global_signature=private.sign(signature + trusted_comment.encode()),
    ).to_text()


def verify(
    data: bytes | Path, signature: bytes | str | Path, key: PublicKey, *, is_canonical: bool = False
) -> str:
    """Check that `key` signed `data`, prehashed or in the old form.

    Args:
        data: what was signed; a file is read in pieces where it was prehashed.
        signature: content of a `.minisig` file, or the file.
        key: who must have signed.
        is_canonical: take only the very bytes that `sign` would write, and so no byte, also of
            what is not signed, can be another.

    Returns:
        The trusted comment, which is signed too.

    Raises:
        ShippingError: `signature-invalid`, `signature-other-key`, `signature-wrong`; a file cannot
            be read.
    """
    if isinstance(signature, Path):
        signature = read_small(signature, _SIGNATURE_FILE_BYTES)
    if isinstance(signature, str):
        signature = signature.encode()
    parsed = parse_signature(signature)
    if is_canonical and (not parsed.is_prehashed or parsed.to_text().encode() != signature):
        raise _bad_signature("it is not in the form in which a bundle has it")
    if parsed.key_id != key.key_id:
        signer = PublicKey(key_id=parsed.key_id, point=b"").name
        raise ShippingError(
            "signature-other-key",
            f"it is signed with the key {signer}, not with {key.name}",
            "use the public key of the vendor; if this is the one, do not trust what you got",
        )
    signed = digest_of(data) if parsed.is_prehashed else _whole(data)
    public = Ed25519PublicKey.from_public_bytes(key.point)
    try:
        public.verify(parsed.signature, signed)
        public.verify(parsed.global_signature, parsed.signature + parsed.trusted_comment.encode())
    except InvalidSignature as error:
        raise ShippingError(
            "signature-wrong",
            f"it is not what the owner of the key {key.name} signed",
            "fetch it again; do not install it",
        ) from error
    return parsed.trusted_comment


def parse_signature(data: bytes) -> Signature:
    """Read the content of a `.minisig` file, which proves nothing yet.

    Raises:
        ShippingError: `signature-invalid`.
    """
    lines = lines_of(data)
    if len(lines) != 4 or len(data) > _SIGNATURE_FILE_BYTES:
        raise _bad_signature("it does not have four lines")
    raw, global_raw = decode(lines[1]), decode(lines[3])
    if not lines[0].startswith(UNTRUSTED) or not lines[2].startswith(_TRUSTED):
        raise _bad_signature("it has no comments")
    if raw is None or len(raw) != 74 or raw[:2] not in (_PREHASHED, _LEGACY):
        raise _bad_signature("its second line is none")
    if global_raw is None or len(global_raw) != 64:
        raise _bad_signature("its last line is none")
    comment = lines[2].removeprefix(_TRUSTED)
    if not _COMMENT.fullmatch(comment):
        raise _bad_signature("its trusted comment has characters that do not belong there")
    return Signature(
        is_prehashed=raw[:2] == _PREHASHED,
        key_id=raw[2:10],
        signature=raw[10:],
        trusted_comment=comment,
        global_signature=global_raw,
    )


def digest_of(data: bytes | Path) -> bytes:
    """BLAKE2b-512, which is what a prehashed signature signs."""
    if isinstance(data, bytes):
        return hashlib.blake2b(data).digest()
    with opened(data) as file:
        return hashlib.file_digest(file, hashlib.blake2b).digest()


def _whole(data: bytes | Path) -> bytes:
    return data if isinstance(data, bytes) else read_small(data, _LEGACY_BYTES)


def _bad_signature(why: str) -> ShippingError:
    return ShippingError(
        "signature-invalid",
        f"the signature is not sound: {why}",
        "fetch it again; do not install what it signs",
    )
