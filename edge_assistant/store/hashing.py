"""Hashes of files, and what tells us that a file is still the one we hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.errors import ModelCorrupt, ModelNotFound

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Changes whenever the bytes may have changed.

    The time of the last change of the inode is in it because, unlike mtime, it cannot be set back.
    """

    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Take it from a stat."""
        return cls(
            inode=status.st_ino,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Hashes of one file, with the identity that it had while it was read."""

    sha256: str
    git_blob: str
    """SHA-1 as git names a blob: what the hub gives for small files."""
    identity: Identity


def identify(path: Path) -> Identity:
    """Stat a file.

    Raises:
        ModelNotFound: `file-missing`, or `not-a-file` for folders, pipes and devices.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise ModelNotFound(
            "file-missing", f"cannot find {path}: {reason}", "check the path with: ls"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelNotFound(
            "not-a-file", f"{path} is not a regular file", "name the model's file itself"
        )
    return Identity.of(status)


def digest(path: Path) -> Digest:
    """Hash a file from its first to its last byte.

    Raises:
        ModelNotFound: no such regular file, or it cannot be read.
        ModelCorrupt: `file-changed`: someone wrote to it meanwhile.
    """
    identify(path)
    try:
        with path.open("rb", buffering=0) as file:
            before = Identity.of(os.fstat(file.fileno()))
            sha256 = hashlib.sha256()
            git_blob = hashlib.sha1(b"blob %d\0" % before.size_bytes, usedforsecurity=False)
            while block := file.read(_BLOCK_BYTES):
                sha256.update(block)
                git_blob.update(block)
            after = Identity.of(os.fstat(file.fileno()))
    except OSError as error:
        raise ModelNotFound(
            "file-unreadable", f"cannot read {path}: {error.strerror}", f"try: ls -l {path}"
        ) from error
    if before != after or identify(path) != after:
        raise ModelCorrupt(
            "file-changed", f"{path} changed while it was being checked", "try again"
        )
    return Digest(sha256=sha256.hexdigest(), git_blob=git_blob.hexdigest(), identity=after)
