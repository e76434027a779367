"""What a model has made of its system prompt, kept on disk from one start to the next.

Worth it: SmolLM2-135M (Q4_1) on two cores of an EPYC, one thread as by default, medians of 6 and 7.

| system prompt | evaluated anew | read, checked and restored | file |
|---|---|---|---|
| the default, 25 tokens | 154 ms | 1.2 ms | 0.6 MB |
| a long one, 904 tokens | 6,490 ms | 30 ms | 21 MB |

Private: a file holds the state behind the system prompt and nothing that anybody said. (It is as
private as the configuration: the prompt could be guessed back from it.) The folder is 0700, the
files 0600.

Checked: native code trusts what it is given, so a file is used only if it is a regular one of this
user's that nobody else can write to, was made for this very model file, build of llama.cpp, kind of
context and prompt, and has the SHA-256 that its head says. Anything else is removed, and the prompt
is evaluated as ever. Nothing here raises: to start without is only slower.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_assistant.atomic import write_atomically
from edge_assistant.llm.memory import TokenMemory
from edge_assistant.places import cache_folder

_LOGGER: Final = logging.getLogger(__name__)

MAX_FILES: Final = 8
"""Models and prompts that are remembered; the one not used for longest goes first."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of all files together; a state of 900 tokens of SmolLM2-135M takes 21 MB."""

_MAGIC: Final = b"edge-assistant kept state 1\n"
_HEAD: Final = struct.Struct(f"<{len(_MAGIC)}s32s32s")
"""Magic with version, key, SHA-256 of key and state."""

_SUFFIX: Final = ".state"


def default_folder() -> Path:
    """`states` in the folder of `places.cache_folder`."""
    return cache_folder() / "states"


class StateFolder:
    """A few states on disk, each under a key of 32 bytes. Any thread, any number of processes."""

    def __init__(
        self, path: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
    ) -> None:
        self.path = path
        self._max_files, self._max_bytes = max_files, max_bytes

    def load(self, key: bytes) -> bytearray | None:
        """The state under `key`; None where there is none that can be trusted."""
        path = self._file(key)
        try:
            if not self._is_private():
                return None
            state = _read(path, key, self._max_bytes)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.drop(key, str(error))
            return None
        with suppress(OSError):
            os.utime(path)  # it was of use: others go first
        return state

    def save(self, key: bytes, state: bytes | bytearray | memoryview) -> None:
        """Keep `state`, a buffer of bytes, under `key`; not where it is too large for the folder,
        or the folder is not ours."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            size_bytes = _HEAD.size + len(state)
            if size_bytes > self._max_bytes or not self._is_private():
                return
            self._make_room(size_bytes)
            head = _HEAD.pack(_MAGIC, key, _digest(key, state))
            write_atomically(self._file(key), head, state, is_private=True)
        except OSError as error:
            _LOGGER.debug("no state was kept in %s: %s", self.path, error)

    def has(self, key: bytes) -> bool:
        """Whether there is a file under `key`, sound or not."""
        return self._file(key).exists()

    def drop(self, key: bytes, reason: str) -> None:
        """Remove the file under `key`, whatever it is."""
        path = self._file(key)
        _LOGGER.debug("the kept state %s is not used: %s", path.name, reason)
        with suppress(OSError):
            path.unlink()

    def _file(self, key: bytes) -> Path:
        return self.path / f"{key.hex()[:32]}{_SUFFIX}"

    def _is_private(self) -> bool:
        status = self.path.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and _is_own(status)
        is_private = is_ours and (os.name != "posix" or not status.st_mode & 0o077)
        if not is_private:
            _LOGGER.debug("%s is not used: others may look into it", self.path)
        return is_private

    def _make_room(self, size_bytes: int) -> None:
        """Remove the oldest files, half-written ones of dead processes among them."""
        found = [(path.lstat(), path) for path in self.path.iterdir()]
        found.sort(key=lambda each: each[0].st_mtime_ns)
        total_bytes = size_bytes + sum(status.st_size for status, _ in found)
        while found and (len(found) >= self._max_files or total_bytes > self._max_bytes):
            status, path = found.pop(0)
            total_bytes -= status.st_size
            path.unlink()


class KeptPrompt:
    """Brings the memory of one model back to its system prompt, and keeps it for the next start.

    On the `llm` thread. Only ever give it a prompt that holds nobody's words but the
    configuration's.

    Args:
        folder: where the states are.
        model: the file that the store has checked; the state belongs to these very bytes.
        facts: all else that a state depends on: build, context, template (`Native.state_facts`).
    """

    def __init__(self, folder: StateFolder, model: Path, facts: Sequence[str]) -> None:
        self._folder = folder
        self._facts = [*_identity(model), *facts]
        self._wanted: list[int] = []

    def recall(self, memory: TokenMemory, prompt: Sequence[int]) -> bool:
        """Put the kept state of `prompt` into a memory that holds nothing yet; True if it did.

        From now on `prompt` is what `keep_on_the_way` looks out for.
        """
        self._wanted = list(prompt)
        if memory.tokens or not prompt:
            return False
        key = self._key(prompt)
        state = self._folder.load(key)
        if state is None:
            return False
        if memory.adopt(prompt, state):
            return True
        self._folder.drop(key, "llama.cpp refuses it")
        return False

    def keep_on_the_way(
        self, memory: TokenMemory, target: Sequence[int], check: Callable[[], None]
    ) -> None:
        """Evaluate `target` up to the end of the prompt, if it begins with it, and write that down.

        So the state is kept also where somebody speaks before a long prompt is evaluated. A memory
        that has ever held more is not written down: words that were rolled back are not in the
        state, but how many there were can show in the last bits of its numbers, which depend on
        the size of a batch.

        Args:
            memory: holds a beginning of `target`.
            target: what is to be evaluated.
            check: as for `TokenMemory.extend`.

        Raises:
            GenerationError: as `TokenMemory.extend`, and whatever `check` raises.
        """
        wanted = self._wanted
        begins = list(target[: len(wanted)]) == wanted
        if not wanted or not begins or memory.reached > len(wanted):
            return
        memory.extend(wanted, check)
        self._wanted = []
        key = self._key(wanted)
        if not self._folder.has(key):
            self._folder.save(key, memory.state())

    def _key(self, prompt: Sequence[int]) -> bytes:
        return hashlib.sha256(json.dumps([self._facts, list(prompt)]).encode()).digest()


def _identity(model: Path) -> list[str]:
    """Changes whenever the bytes of the file may have changed; ctime cannot be set back."""
    status = model.stat()
    numbers = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return [str(model), *(str(number) for number in numbers)]


def _read(path: Path, key: bytes, max_bytes: int) -> bytearray:
    """The state in a file.

    Raises:
        OSError: it cannot be read, or it is a link.
        ValueError: it is not what `save` wrote under this key.
    """
    # Not followed, and not waited for: somebody may have put a link or a pipe there.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if not _is_own(status) or (os.name == "posix" and status.st_mode & 0o022):
            raise ValueError("others may have written to it")
        if not _HEAD.size <= status.st_size <= max_bytes:
            raise ValueError(f"it has {status.st_size} bytes")
        head = file.read(_HEAD.size)
        state = bytearray(status.st_size - _HEAD.size)
        if len(head) != _HEAD.size or file.readinto(state) != len(state):
            raise ValueError("it ended early")
    magic, written_key, digest = _HEAD.unpack(head)
    if magic != _MAGIC or written_key != key:
        raise ValueError("it was made by another version, or for something else")
    if digest != _digest(key, state):
        raise ValueError("its bytes have changed")
    return state


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _digest(key: bytes, state: bytes | bytearray | memoryview) -> bytes:
    sha256 = hashlib.sha256(key)
    sha256.update(state)
    return sha256.digest()
