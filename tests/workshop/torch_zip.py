"""Checkpoints as `torch.save` writes them, without PyTorch: a zip of raw numbers and a pickle."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_checkpoint(path: Path, tensors: Mapping[str, NDArray[Any]], **more: Any) -> Path:
    """Write a checkpoint of Lightning: `state_dict` and whatever else it is told to hold."""
    writer = Pickled()
    program = writer.program({"epoch": 3, "state_dict": dict(tensors), **more})
    return write_archive(path, program, writer.storages)


def write_archive(path: Path, program: bytes, storages: list[bytes]) -> Path:
    """Write the zip around a pickle and its raw numbers."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", "little")
        for key, raw in enumerate(storages):
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")
    return path


class Call:
    """What the pickle asks its reader to call; `state` is set on what comes out."""

    def __init__(self, name: str, *arguments: Any, state: Any = None) -> None:
        self.module, _, self.name = name.rpartition(".")
        self.arguments = arguments
        self.state = state


class Pickled:
    """Writes opcodes of protocol 2 as Python's pickler does."""

    def __init__(self) -> None:
        self.storages: list[bytes] = []

    def program(self, value: Any) -> bytes:
        return b"\x80\x02" + self.value(value) + b"."

    def value(self, value: Any) -> bytes:
        match value:
            case None:
                return b"N"
            case bool():
                return b"\x88" if value else b"\x89"
            case int():
                return b"J" + struct.pack("<i", value)
            case float():
                return b"G" + struct.pack(">d", value)
            case str():
                return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
            case tuple():
                return b"(" + b"".join(map(self.value, value)) + b"t"
            case list():
                return b"](" + b"".join(map(self.value, value)) + b"e"
            case dict():
                pairs = b"".join(self.value(k) + self.value(v) for k, v in value.items())
                return b"}(" + pairs + b"u"
            case np.ndarray():
                return self._tensor(value)
            case Call():
                made = _global(value.module, value.name) + self.value(value.arguments) + b"R"
                return made if value.state is None else made + self.value(value.state) + b"b"
        raise TypeError(type(value))

    def _tensor(self, array: NDArray[Any]) -> bytes:
        """As `_rebuild_tensor_v2` of a storage that the file holds under a number."""
        kinds = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}
        key = len(self.storages)
        is_turned = not array.flags.c_contiguous
        self.storages.append((array.T if is_turned else array).tobytes())
        steps = tuple(step // array.itemsize for step in array.strides)
        storage = self.value("storage") + _global("torch", kinds[str(array.dtype)])
        storage += self.value(str(key)) + self.value("cpu") + self.value(array.size)
        arguments = b"((" + storage + b"tQ" + self.value(0) + self.value(array.shape)
        arguments += self.value(steps) + self.value(False)
        arguments += self.value(Call("collections.OrderedDict")) + b"t"
        return _global("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()
