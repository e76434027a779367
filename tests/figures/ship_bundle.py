"""Figures of the bundle's format: every bit of a small one, every attack, kills, a large one.

    python -m tests.figures.ship_bundle [bits|attacks|kills|large] [--count N] [--megabytes N]

Without a name all are taken. Exit code 1 where something was taken that should have been refused.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from edge_assistant_packaging import signing
from edge_assistant_packaging.bundle.build import build
from edge_assistant_packaging.bundle.verify import unpack, verify, verify_stream
from edge_assistant_packaging.errors import ShippingError

from tests.shipping.hostile_archives import attacks
from tests.shipping.small_bundle import FACTS, PAIR, make, stage

Figures = Callable[[Path, argparse.Namespace], bool]


def bits(folder: Path, asked: argparse.Namespace) -> bool:
    """Each bit of each byte of a bundle of 16 KiB, and each byte gone or doubled."""
    del asked
    good = make(folder).path.read_bytes()
    key = PAIR.public
    refused: Counter[str] = Counter()
    taken = 0
    for at in range(len(good)):
        variants = [good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :] for bit in range(8)]
        variants += [good[:at], good[:at] + good[at + 1 :], good[: at + 1] + good[at:]]
        for changed in variants:
            try:
                verify_stream(io.BytesIO(changed), key)
                taken += changed != good
            except ShippingError as error:
                refused[error.code] += 1
    print(f"bundle of {len(good)} bytes: {sum(refused.values())} changes refused, {taken} taken")
    print(f"  one bit in each of {len(good)} bytes (8 each), cut, left out and doubled at each")
    print(f"  {dict(refused)}")
    return taken == 0


def hostile(folder: Path, asked: argparse.Namespace) -> bool:
    """Every hostile bundle, verified and unpacked."""
    del asked
    outside, room = folder / "outside", folder / "room"
    outside.mkdir()
    room.mkdir()
    file = room / "hostile.bundle"
    refused: Counter[str] = Counter()
    failed = []
    signed = 0
    for attack in attacks(str(outside), is_thorough=True):
        signed += attack.name.startswith("signed")
        file.write_bytes(attack.data)
        try:
            unpack(file, room / "unpacked", PAIR.public)
            failed.append(attack.name)
            shutil.rmtree(room / "unpacked")
        except ShippingError as error:
            refused[error.code] += 1
        if sorted(folder.rglob("*")) != sorted([outside, room, file]):
            failed.append(f"{attack.name}: left something behind")
    print(f"{sum(refused.values())} hostile bundles refused ({signed} with the right signature)")
    print(f"  {dict(refused)}\n  taken, or left something: {failed}")
    return not failed


def kills(folder: Path, asked: argparse.Namespace) -> bool:
    """Unpacking that is killed at any moment: the folder is whole or not there."""
    staging = stage(folder / "staging")
    noise = random.Random(1)
    for at in range(200):
        (staging / f"models/{at:03}").write_bytes(noise.randbytes(100_000))
    built = build(staging, FACTS, folder / "k.bundle", PAIR)
    signing.write_keys(folder / "k.pub", folder / "k.key", None, pair=PAIR)
    verb = ["bundle", "unpack", str(built.path), str(folder / "out"), "-p", str(folder / "k.pub")]
    command = [sys.executable, "-m", "edge_assistant", *verb]
    began_s = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole_s = time.monotonic() - began_s
    expected = _hash_of(folder / "out")
    ends: Counter[str] = Counter()
    for _ in range(asked.count):
        shutil.rmtree(folder / "out", ignore_errors=True)
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(noise.uniform(0.4, 1.1) * whole_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        if not (folder / "out").exists():
            left = any(folder.glob(".out.*.part"))
            ends["nothing, hidden folder left" if left else "nothing"] += 1
        else:
            ends["whole" if _hash_of(folder / "out") == expected else "MIXED"] += 1
    shutil.rmtree(folder / "out", ignore_errors=True)
    subprocess.run(command, check=True, capture_output=True)
    remaining = list(folder.glob(".out.*.part"))
    print(f"{asked.count} kills while unpacking {built.size_bytes / 1e6:.1f} MB: {dict(ends)}")
    print(f"  after one more that was let finish: {len(remaining)} hidden folders left")
    return "MIXED" not in ends and not remaining


def large(folder: Path, asked: argparse.Namespace) -> bool:
    """How long a large bundle takes, and how much memory."""
    staging = stage(folder / "staging")
    with (staging / "models" / "large").open("wb") as file:
        for _ in range(asked.megabytes):
            file.write(os.urandom(1_000_000))
    began_s = time.monotonic()
    built = build(staging, FACTS, folder / "large.bundle", PAIR)
    built_s = time.monotonic()
    verify(built.path, PAIR.public)
    verified_s = time.monotonic()
    unpack(built.path, folder / "out", PAIR.public)
    unpacked_s = time.monotonic()
    again = build(staging, FACTS, folder / "again.bundle", PAIR)
    print(f"bundle of {built.size_bytes / 1e6:.1f} MB, built twice the same: ", end="")
    print(again.sha256 == built.sha256)
    print(f"  build {built_s - began_s:.1f} s, verify {verified_s - built_s:.1f} s, ", end="")
    print(f"unpack {unpacked_s - verified_s:.1f} s")
    import resource

    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"  peak memory of the process {peak_mb:.0f} MB")
    return again.sha256 == built.sha256


def _hash_of(folder: Path) -> str:
    sha256 = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        sha256.update(f"{path.relative_to(folder)} {path.stat().st_mode:o}\0".encode())
        if path.is_file():
            sha256.update(path.read_bytes())
    return sha256.hexdigest()


ALL: dict[str, Figures] = {"large": large, "attacks": hostile, "kills": kills, "bits": bits}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", choices=ALL)
    parser.add_argument("--count", type=int, default=200, help="kills")
    parser.add_argument("--megabytes", type=int, default=1000)
    asked = parser.parse_args()
    is_right = True
    for name in [asked.which] if asked.which else ALL:
        with tempfile.TemporaryDirectory() as folder:
            is_right &= ALL[name](Path(folder), asked)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
