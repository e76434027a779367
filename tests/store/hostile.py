"""Thousands of inputs made to break a header parser, and what became of them.

Each is a sound file that was cut, flipped, overwritten with numbers that lie, spliced or grafted
onto another, or one that was made by hand to ask for work without end. Same seed, same inputs.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from edge_assistant.errors import ModelError
from edge_assistant.store.headers import Form, inspect
from tests.fakes import model_files as make
from tests.store import hostile_made

HANG_S = 10.0
VOICE = "voice.onnx.json"
GOOD_ENOUGH_S = 0.050
"""What refusing may take, besides hashing."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A sound file that inputs are made of."""

    name: str
    form: Form
    data: bytes
    """All of it, or of a large one its beginning: `size_bytes` says how long it claims to be."""
    size_bytes: int
    reach: int
    """Bytes from the beginning where most of the header lies."""
    by_hand: tuple[tuple[str, bytes], ...] = ()


@dataclass(kw_only=True)
class Outcome:
    """What became of the inputs of one base, or of all."""

    inputs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By what was done to them."""
    accepted: Counter[str] = field(default_factory=Counter)
    accepted_cuts: list[int] = field(default_factory=list)
    """Sizes of the cut ones that were accepted."""
    crashes: list[str] = field(default_factory=list)
    """Anything but an error of ours."""
    hangs: list[str] = field(default_factory=list)
    unprintable: list[str] = field(default_factory=list)
    """Words of the file that would reach a terminal as they are."""
    refused_s: list[float] = field(default_factory=list)
    """By the clock; on a busy machine that is mostly waiting."""
    refused_cpu_s: list[float] = field(default_factory=list)
    worst: tuple[float, float, str] = (0.0, 0.0, "")
    """Of those refused: seconds of the CPU, seconds by the clock, which."""


class _Hang(BaseException):
    """It took longer than anything of ours may."""


def bases() -> list[Base]:
    """One small sound file of every format."""
    return [
        _base("model.bin", "ggml", make.ggml_whisper(), 500_000),
        _base("model.gguf", "gguf", make.gguf_llama(), 8192, hostile_made.gguf_by_hand()),
        _base("model.onnx", "onnx", make.onnx_model(), 2600, hostile_made.onnx_by_hand()),
        _base("model.ort", "ort", make.ort_model(), 3000, hostile_made.ort_by_hand()),
        _base(VOICE, "piper-json", make.piper_config(), 1000, hostile_made.json_by_hand()),
    ]


def real_base(path: Path) -> Base:
    """Take a real model; of a large GGUF its beginning, the rest is a hole in the file."""
    form = inspect(path).form
    with path.open("rb") as file:
        data = file.read(4_000_000 if form == "gguf" else 64_000_000)
    return Base(
        name=path.name, form=form, data=data, size_bytes=path.stat().st_size, reach=len(data)
    )


def attack(base: Base, folder: Path, count: int, seed: int, *, guard: bool = False) -> Outcome:
    """Put `count` inputs through the parser; `guard` ends those that hang, on the main thread."""
    outcome = Outcome()
    path = folder / base.name
    for what, data, size_bytes in _inputs(base, count, seed):
        path.write_bytes(data)
        if size_bytes > len(data):
            with path.open("rb+") as file:
                file.truncate(size_bytes)
        _try(path, base.form, what, size_bytes, outcome, guard)
    return outcome


def _try(path: Path, form: Form, what: str, size_bytes: int, outcome: Outcome, guard: bool) -> None:
    label = f"{path.name} {outcome.inputs}: {what}"
    outcome.inputs += 1
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        with _no_longer_than(HANG_S if guard else 0.0):
            info = inspect(path, form)
    except ModelError as error:
        cpu_s, took_s = time.process_time() - began_cpu, time.perf_counter() - began
        outcome.worst = max(outcome.worst, (cpu_s, took_s, label))
        outcome.refused_s.append(took_s)
        outcome.refused_cpu_s.append(cpu_s)
        outcome.refused[what] += 1
        said = error.message
    except _Hang:
        outcome.hangs.append(label)
        return
    except Exception as error:
        outcome.crashes.append(f"{label}: {type(error).__name__}: {error}")
        return
    else:
        outcome.accepted[what] += 1
        if what == "cut":
            outcome.accepted_cuts.append(size_bytes)
        said = "".join((info.summary, info.licence, info.template, *info.languages, *info.types))
    if not said.isprintable():
        outcome.unprintable.append(f"{label}: {said!r}")


@contextmanager
def _no_longer_than(limit_s: float) -> Iterator[None]:
    if not limit_s or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _base(
    name: str, form: Form, data: bytes, reach: int, by_hand: tuple[tuple[str, bytes], ...] = ()
) -> Base:
    return Base(
        name=name,
        form=form,
        data=data,
        size_bytes=len(data),
        reach=min(reach, len(data)),
        by_hand=by_hand,
    )


# Ways to spoil a file


def _inputs(base: Base, count: int, seed: int) -> Iterator[tuple[str, bytes, int]]:
    """What was done, the bytes, and the size of the file (zeros follow the bytes)."""
    rng = random.Random(seed)
    for what, data in base.by_hand[:count]:
        yield f"by hand: {what}", data, len(data)
    ways: list[tuple[str, Callable[[Base, random.Random], tuple[bytes, int]]]] = [
        ("cut", _cut),
        ("bits flipped", _flipped),
        ("numbers that lie", _lied),
        ("spliced", _spliced),
        ("grafted", _grafted),
    ]
    if base.form == "piper-json":
        ways.append(("values replaced", _replaced))
    for index in range(count - len(base.by_hand)):
        what, spoil = ways[index % len(ways)]
        data, size_bytes = spoil(base, rng)
        yield what, data, size_bytes


def _place(base: Base, rng: random.Random) -> int:
    """Nine of ten inside the header, and half of these near its beginning."""
    reach = base.reach if rng.random() < 0.9 else len(base.data)
    return rng.randrange(min(reach, 256) if rng.random() < 0.5 else reach)


def _cut(base: Base, rng: random.Random) -> tuple[bytes, int]:
    at = rng.randrange(base.size_bytes) if rng.random() < 0.5 else _place(base, rng)
    return base.data[:at], at


def _flipped(base: Base, rng: random.Random) -> tuple[bytes, int]:
    data = bytearray(base.data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data[_place(base, rng)] ^= 1 << rng.randrange(8)
    return bytes(data), base.size_bytes


def _lied(base: Base, rng: random.Random) -> tuple[bytes, int]:
    data = bytearray(base.data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        width = rng.choice((1, 2, 4, 8))
        size = base.size_bytes
        numbers = [0, 1, -1, 255, size, size - 1, size + 1, 1 << 15, 1 << 16, 1 << 31, 1 << 32]
        numbers += [(1 << 31) - 1, 1 << 33, 1 << 62, 1 << 63, (1 << 63) - 1, rng.getrandbits(64)]
        number = rng.choice(numbers) & (1 << 8 * width) - 1
        at = _place(base, rng)
        if rng.random() < 0.7:
            at -= at % width
        data[at : at + width] = number.to_bytes(width, "little")
    return bytes(data), max(base.size_bytes, len(data))


def _spliced(base: Base, rng: random.Random) -> tuple[bytes, int]:
    """Take a stretch out, put one in twice, or put in noise."""
    start, length = _place(base, rng), rng.choice((1, 4, 8, 32, 300))
    stretch = base.data[start : start + length]
    instead = rng.choice((b"", stretch * 2, stretch * 40, rng.randbytes(length), bytes(length)))
    data = base.data[:start] + instead + base.data[start + length :]
    return data, base.size_bytes - len(base.data) + len(data)


def _grafted(base: Base, rng: random.Random) -> tuple[bytes, int]:
    """Its beginning, and the rest of a file of another format."""
    others = (make.HTML, make.gguf_llama(), make.onnx_model(), make.piper_config(), bytes(5000))
    at = max(1, _place(base, rng))
    data = base.data[:at] + rng.choice(others)[rng.randrange(64) :]
    return data, len(data)


_ODD: tuple[object, ...] = (
    *(None, True, False, 0, -1, 10**400, -(10**4000), 1e308, float("nan"), float("inf")),
    *("", "x" * 5000, "\x1b[31m", "\u202e", "\ud800", "\0", [], {}, [[]], [{}], {"": None}),
    *([0] * 5000, {str(i): [i] for i in range(5000)}, "en_US", "no such language", 22050.0),
)


def _replaced(base: Base, rng: random.Random) -> tuple[bytes, int]:
    """Put odd values, or a deep nest of lists, in the place of sound ones."""
    config = json.loads(base.data) | {"language": {"code": "en_US"}, "licence": "MIT"}
    for _ in range(rng.choice((1, 1, 2))):
        table = config
        while True:
            key = rng.choice(list(table))
            inner = table[key]
            if isinstance(inner, dict) and inner and rng.random() < 0.6:
                table = inner
                continue
            break
        table[key] = rng.choice(_ODD)
        if rng.random() < 0.1:
            table[key] = "DEEP"
    text = json.dumps(config)
    depth = rng.choice((10, 300, 900, 990, 1100, 100_000))
    text = text.replace('"DEEP"', "[" * depth + "]" * depth)
    return text.encode(), len(text.encode())
