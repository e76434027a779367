"""Key pairs for signatures, in the files of minisign.

A key pair is the vendor's own; nothing in this project holds one or trusts one it was not given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import new_file, read_small

ED25519: Final = b"Ed"
UNTRUSTED: Final = "untrusted comment: "
_SCRYPT: Final = b"Sc"
_PLAIN: Final = b"\0\0"
_BLAKE2B: Final = b"B2"
_SECRET: Final = struct.Struct("<2s2s2s32sQQ104s")
_FILE_BYTES: Final = 4096
_SCRYPT_BYTES: Final = 1 << 30
"""minisign's cost of a password: 1 GiB of memory, libsodium's "sensitive"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """Who may sign. It has to come from somewhere else than what it is to verify."""

    key_id: bytes
    """Eight random bytes by which a signature names its key."""
    point: bytes

    @property
    def name(self) -> str:
        """The identity as minisign prints it."""
        return self.key_id[::-1].hex().upper()

    def to_base64(self) -> str:
        """One word, as `minisign -P` takes it."""
        return encode(ED25519 + self.key_id + self.point)

    def to_text(self) -> str:
        """As minisign keeps it in a file."""
        return f"{UNTRUSTED}minisign public key {self.name}\n{self.to_base64()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A secret key, and with it its public one."""

    key_id: bytes
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The half that everyone may have."""
        point = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return PublicKey(key_id=self.key_id, point=point)


def generate() -> KeyPair:
    """Make a new key pair from the system's randomness."""
    return KeyPair(key_id=secrets.token_bytes(8), seed=secrets.token_bytes(32))


def write_keys(
    public: Path,
    secret: Path,
    password: str | None,
    *,
    pair: KeyPair | None = None,
    overwrite: bool = False,
    scrypt_bytes: int = _SCRYPT_BYTES,
) -> KeyPair:
    """Write both files of a key pair, the secret one readable for this user only.

    Args:
        public: the file to hand out.
        secret: the file to keep.
        password: encrypts the secret file (1 GiB of memory for seconds); None leaves it readable
            for whoever can read the file.
        pair: None makes a new one.
        overwrite: replace files that are there. A lost secret key cannot be made again.
        scrypt_bytes: memory that one guess at the password costs, a power of two.

    Raises:
        ShippingError: `output-exists`, `output-unwritable`, `key-password-empty`,
            `key-memory-short`.
    """
    pair = generate() if pair is None else pair
    text = _secret_text(pair, password, scrypt_bytes)
    if _own_place(public) == _own_place(secret):
        raise ShippingError("output-exists", "both keys would be one file", "name two files")
    with (  # the last one gets its name first: the public key can be made again from the secret one
        new_file(public, overwrite=overwrite) as public_part,
        new_file(secret, is_private=True, overwrite=overwrite) as secret_part,
    ):
        secret_part.write_text(text, "ascii")
        public_part.write_text(pair.public.to_text(), "ascii")
    return pair


def _own_place(path: Path) -> Path:
    """The one absolute path of a name, which is not followed itself: it is replaced, if a link."""
    return path.parent.resolve() / path.name


def read_public(path: Path) -> PublicKey:
    """Read a public key file.

    Raises:
        ShippingError: `key-invalid`; the file cannot be read.
    """
    lines = lines_of(read_small(path, _FILE_BYTES))
    if len(lines) != 2 or not lines[0].startswith(UNTRUSTED):
        raise _bad_key(str(path), "it does not look like a public key of minisign")
    return parse_public(lines[1], str(path))


def parse_public(text: str, origin: str = "the public key") -> PublicKey:
    """Read a public key of one word, as `minisign -P` takes it.

    Raises:
        ShippingError: `key-invalid`.
    """
    raw = decode(text)
    if raw is None or len(raw) != 42 or not raw.startswith(ED25519):
        raise _bad_key(origin, "it does not look like a public key of minisign")
    return PublicKey(key_id=raw[2:10], point=raw[10:])


def is_encrypted(path: Path) -> bool:
    """Whether a secret key file needs a password.

    Raises:
        ShippingError: `key-invalid`; the file cannot be read.
    """
    return _secret_fields(path)[1] == _SCRYPT


def read_secret(path: Path, password: str | None = None) -> KeyPair:
    """Read a secret key file.

    Raises:
        ShippingError: `key-invalid`, `key-password-needed`, `key-password-wrong`,
            `key-memory-short`; the file cannot be read.
    """
    kind, derivation, checksum_kind, salt, operations, memory, box = _secret_fields(path)
    if kind != ED25519 or checksum_kind != _BLAKE2B or derivation not in (_SCRYPT, _PLAIN):
        raise _bad_key(str(path), "it is of a kind that is not known")
    if derivation == _SCRYPT:
        if not password:
            raise ShippingError(
                "key-password-needed",
                f"{path} is encrypted, and no password or an empty one was given",
                "write it into the first line of a file, and give --password-file FILE",
            )
        stream = _stream(password, salt, operations, memory, str(path))
        box = bytes(a ^ b for a, b in zip(box, stream, strict=True))
    key_id, seed, point, checksum = box[:8], box[8:40], box[40:72], box[72:]
    if derivation == _SCRYPT and not hmac.compare_digest(checksum, _checksum(key_id, seed, point)):
        raise ShippingError("key-password-wrong", f"the password does not open {path}", "try again")
    pair = KeyPair(key_id=key_id, seed=seed)
    if pair.public.point != point:
        raise _bad_key(str(path), "its two halves do not belong together")
    return pair


def lines_of(data: bytes) -> list[str]:
    """The lines of a text; none where it is not UTF-8."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return []
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def encode(data: bytes) -> str:
    """Base64 in one line."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes | None:
    """Base64 back to bytes; None where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _secret_text(pair: KeyPair, password: str | None, scrypt_bytes: int) -> str:
    point = pair.public.point
    if password is None:
        box = pair.key_id + pair.seed + point + bytes(32)
        fields = (ED25519, _PLAIN, _BLAKE2B, bytes(32), 0, 0, box)
    else:
        if not password:
            raise ShippingError(
                "key-password-empty", "the password is empty", "give one, or say --no-password"
            )
        salt = secrets.token_bytes(32)
        box = pair.key_id + pair.seed + point + _checksum(pair.key_id, pair.seed, point)
        stream = _stream(password, salt, scrypt_bytes // 32, scrypt_bytes, "the new key")
        box = bytes(a ^ b for a, b in zip(box, stream, strict=True))
        fields = (ED25519, _SCRYPT, _BLAKE2B, salt, scrypt_bytes // 32, scrypt_bytes, box)
    return f"{UNTRUSTED}minisign encrypted secret key\n{encode(_SECRET.pack(*fields))}\n"


def _secret_fields(path: Path) -> tuple[bytes, bytes, bytes, bytes, int, int, bytes]:
    lines = lines_of(read_small(path, _FILE_BYTES))
    raw = decode(lines[1]) if len(lines) == 2 and lines[0].startswith(UNTRUSTED) else None
    if raw is None or len(raw) != _SECRET.size:
        raise _bad_key(str(path), "it does not look like a secret key of minisign")
    kind, derivation, checksum_kind, salt, operations, memory, box = _SECRET.unpack(raw)
    return kind, derivation, checksum_kind, salt, operations, memory, box


def _checksum(key_id: bytes, seed: bytes, point: bytes) -> bytes:
    return hashlib.blake2b(ED25519 + key_id + seed + point, digest_size=32).digest()


def _stream(password: str, salt: bytes, operations: int, memory: int, origin: str) -> bytes:
    """What the secret key is hidden under; its parameters as libsodium picks them.

    `pickparams` in crypto_pwhash/scryptsalsa208sha256 of libsodium: r is 8, N the power of two
    that the smaller of both limits allows.
    """
    operations = max(operations, 32768)
    if operations < memory // 32:
        most, rounds = operations // 32, 1
    else:
        most, rounds = memory // 1024, 0
    exponent = next((i for i in range(1, 63) if 1 << i > most // 2), 63)
    rounds = rounds or min(operations // 4 >> exponent, 0x3FFFFFFF) // 8
    if exponent > 20 or not 1 <= rounds <= 16:
        raise _bad_key(origin, "its password costs more memory or time than it may")
    try:
        return hashlib.scrypt(
            password.encode(errors="surrogateescape"),  # a file's bytes, of whatever encoding
            salt=salt,
            n=1 << exponent,
            r=8,
            p=rounds,
            maxmem=(1 << exponent + 10) + (1 << 20),
            dklen=104,
        )
    except (MemoryError, ValueError) as error:  # OpenSSL's malloc tells of it in a ValueError
        raise ShippingError(
            "key-memory-short",
            f"the password of {origin} takes {1 << exponent >> 10} MiB of memory: {error}",
            "end other programs, or use the key on a larger machine",
        ) from error


def _bad_key(origin: str, why: str) -> ShippingError:
    return ShippingError("key-invalid", f"{origin}: {why}", "check that you named the right file")
