"""Tensors of a PyTorch checkpoint, without PyTorch, and without running what is in the file.

A checkpoint (`torch.save`) is a zip of raw numbers and one pickle. A pickle is a program that may
call any function it can name. Here the names stay names: nothing is imported, nothing is called,
and whatever is no dictionary, list, number, text or tensor becomes an empty thing. The interpreter
is the one in Python's own `pickle` that is written in Python, cut down to the opcodes that
`torch.save` writes (protocol 2), because the one in C can be made to take all memory.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from edge_assistant.borders import failing_as
from edge_assistant.errors import ModelCorrupt, ModelNotFound

_MOST_PICKLE_BYTES: Final = 64_000_000
_MOST_ENTRIES: Final = 100_000
_FLOATS: Final = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2"}
_BFLOAT16: Final = "BFloat16Storage"
_REFUSED: Final = frozenset(("INST", "OBJ", "EXT1", "EXT2", "EXT4"))


@dataclass(frozen=True, slots=True)
class _Global:
    """The name of a class or function of the program that wrote the file."""

    module: str
    name: str


class _Nothing:
    """An object of a class that is not ours to make; it takes what is put in and keeps nothing."""

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str
    key: str
    numbers: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Checkpoint:
    """The float tensors of a model's state, each read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        entries = archive.infolist()
        _need(len(entries) <= _MOST_ENTRIES, f"{len(entries)} entries")
        for entry in entries:
            _need(entry.compress_type == zipfile.ZIP_STORED, f"{entry.filename} is compressed")
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        _need(len(pickles) == 1, f"{len(pickles)} pickles")
        _need(pickles[0].file_size <= _MOST_PICKLE_BYTES, "a pickle that is too large")
        self._root = pickles[0].filename.removesuffix("data.pkl")
        order = f"{self._root}byteorder"
        if order in archive.namelist():
            _need(archive.read(order) == b"little", "numbers of another byte order")
        content = _Reader(io.BytesIO(archive.read(pickles[0]))).load()
        state = content.get("state_dict", content) if isinstance(content, dict) else None
        if not isinstance(state, dict):
            raise ValueError("no state_dict")
        self._tensors: dict[str, _Tensor] = {
            name: value
            for name, value in state.items()
            if isinstance(name, str)
            and isinstance(value, _Tensor)
            and value.storage.kind in (*_FLOATS, _BFLOAT16)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Of all float tensors, in the file's order."""
        return tuple(self._tensors)

    def array(self, name: str) -> NDArray[np.float32]:
        """One tensor.

        Raises:
            ModelCorrupt: it does not fit the numbers that it is made of.
        """
        with failing_as(_corrupt):
            return self._array(self._tensors[name])

    def _array(self, tensor: _Tensor) -> NDArray[np.float32]:
        storage = tensor.storage
        flat = _numbers(self._archive.read(f"{self._root}data/{storage.key}"), storage.kind)
        _need(len(flat) >= storage.numbers, f"storage {storage.key} is too short")
        shape, strides, offset = tensor.shape, tensor.strides, tensor.offset
        _need(len(shape) == len(strides) <= 16, "a tensor of no shape")
        _need(min((offset, *shape, *strides)) >= 0, "a tensor with a negative number in it")
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        _need(prod(shape) <= len(flat), "a tensor larger than its numbers")
        _need(0 in shape or last < len(flat), "a tensor that goes past its numbers")
        steps = [step * flat.itemsize for step in strides]
        return np.array(as_strided(flat[offset:], shape, steps), dtype=np.float32)


@contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open a `.ckpt` or `.pt` file for reading.

    Raises:
        ModelNotFound: `file-unreadable`.
        ModelCorrupt: `checkpoint-unreadable`, it is none, or not whole.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ModelNotFound(
            "file-unreadable", f"cannot read {path}: {error.strerror}", "name another file"
        ) from error
    with file:
        with failing_as(_corrupt):
            archive = zipfile.ZipFile(file)
            checkpoint = Checkpoint(archive)
        yield checkpoint


def _numbers(raw: bytes, kind: str) -> NDArray[Any]:
    if kind != _BFLOAT16:
        return np.frombuffer(raw, dtype=_FLOATS[kind])
    wide = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << np.uint32(16)
    return wide.view(np.float32)


class _Reader(pickle._Unpickler):
    """Builds dictionaries, lists and tensors; all else is `_Nothing`."""

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> Any:
        return _Global(module, name)

    def persistent_load(self, pid: Any) -> Any:
        kind, storage, key, _place, numbers = pid
        _need(kind == "storage" and isinstance(storage, _Global), "an unknown kind of data")
        _need(isinstance(key, str) and isinstance(numbers, int), "data without a place")
        return _Storage(storage.name, key, numbers)

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _built(self.stack[-1], arguments)

    def load_build(self) -> None:
        self.stack.pop()  # a state that no object of ours has

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        _put(self.stack[-1], items)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: action
        for opcode in pickletools.opcodes
        if opcode.proto <= 2 and opcode.name not in _REFUSED
        for code, action in [(ord(opcode.code), pickle._Unpickler.dispatch[ord(opcode.code)])]
    }
    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]], dispatch[pickle.SETITEMS[0]] = load_setitem, load_setitems


def _put(target: Any, items: list[Any]) -> None:
    """Keys are texts and numbers only: to hash tuples of tuples may take for ever."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(target, dict) and isinstance(key, str | int):
            target[key] = value


def _built(what: Any, arguments: Any) -> Any:
    """What a call in the file stands for; nothing is called."""
    _need(isinstance(what, _Global) and isinstance(arguments, tuple), "a call of no name")
    if what == _Global("collections", "OrderedDict"):
        return {}
    if what.module == "torch._utils" and arguments:
        if what.name == "_rebuild_parameter":
            return arguments[0]
        if what.name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            storage, offset, shape, strides = arguments[:4]
            whole = (offset, *shape, *strides)
            _need(isinstance(storage, _Storage), "a tensor without data")
            _need(all(isinstance(number, int) for number in whole), "a tensor of no shape")
            return _Tensor(storage, offset, tuple(shape), tuple(strides))
    return _Nothing()


def _need(holds: bool, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def _corrupt(error: Exception) -> ModelCorrupt:
    what = str(error) or type(error).__name__
    return ModelCorrupt(
        "checkpoint-unreadable",
        f"it is no checkpoint of PyTorch, or not whole: {what[:200]}",
        "get the file anew; files of before PyTorch 1.6 are not read",
    )
