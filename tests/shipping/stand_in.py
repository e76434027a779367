"""Stands in for the assistant: the command line of `converse`, its events, and a breach on demand.

    python stand_in.py BREACH converse USER.wav REPLY.wav --events EVENTS --config FILE

Real sockets, real files; only the conversation is made up.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import mmap
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import wave
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_assistant.audio.format import Samples

TRANSCRIPT = "what is a pineapple and an umbrella"
INET = "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)"


def heard(user: Path, rate: int = 16_000) -> Samples:
    from edge_assistant.audio.files import read_sound

    return read_sound(user, rate)


def encode(path: str | Path, samples: Samples, rate: int, kind: str) -> None:
    import soundfile  # here: most breaches of the network are quicker without it

    soundfile.write(path, samples, rate, format=kind)


def pcm(user: Path, rate: int = 16_000) -> bytes:
    return (heard(user, rate) * 32_767).astype("<i2").tobytes()


def connect_inet() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.connect_ex(("127.0.0.1", 9))


def in_a_thread() -> None:
    thread = threading.Thread(target=connect_inet)
    thread.start()
    thread.join()


def in_a_grandchild() -> None:
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {INET!r}], check=True)"
    subprocess.run([sys.executable, "-c", inner], check=True)


def lookup(name: str) -> None:
    with suppress(OSError):
        socket.getaddrinfo(name, 80)


def to_a_daemon() -> None:
    """A local program that has a network could be asked instead."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/broker")
        server.listen(1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{folder}/broker")


def afterwards() -> None:
    """Once the turn is over, by a child that was left behind."""
    subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep(1); {INET}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def send_unconnected(call: str) -> None:
    """To a local program, without connect."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        kind = (socket.AF_UNIX, socket.SOCK_DGRAM)
        server, client = (stack.enter_context(socket.socket(*kind)) for _ in range(2))
        server.bind(f"{folder}/broker")
        if call == "sendto":
            client.sendto(b"fetch it", f"{folder}/broker")
        else:
            client.sendmsg([b"fetch it"], [], 0, f"{folder}/broker")


def answer_a_caller() -> None:
    """A local program asks, and is told."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/here")
        server.listen(1)
        server.setblocking(False)
        with suppress(BlockingIOError):
            server.accept()
        caller = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        subprocess.run([sys.executable, "-c", caller, f"{folder}/here"], check=True)
        server.accept()[0].close()


def is_cut_off() -> bool:
    return len(Path("/proc/self/net/dev").read_text().splitlines()) == 3


def write_wav(user: Path) -> None:
    encode(Path.home() / "last.wav", heard(user), 16_000, "WAV")


def write_renamed(user: Path) -> None:
    write_wav(user)
    (Path.home() / "last.wav").rename("model.gguf")


def write_zip(user: Path) -> None:
    with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", pcm(user))


def write_database(user: Path) -> None:
    with sqlite3.connect("memory.db") as database:
        database.execute("CREATE TABLE t (a TEXT, b BLOB)")
        database.execute("INSERT INTO t VALUES ('turn', ?)", (pcm(user),))


def write_and_remove(user: Path) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(pcm(user))
        file.flush()


def map_and_remove(user: Path) -> None:
    data = pcm(user)
    with tempfile.NamedTemporaryFile() as file:
        os.ftruncate(file.fileno(), len(data))
        with mmap.mmap(file.fileno(), len(data)) as memory:
            memory[:] = data


def map_and_replace(user: Path) -> None:
    """Another file of that name is there in the end."""
    path = Path.home() / "x"
    data = pcm(user)
    path.write_bytes(bytes(len(data)))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), len(data)) as memory:
        memory[:] = data
    path.unlink()
    put(str(path), b"nothing")


def write_large_and_empty(user: Path) -> None:
    """More than a trace keeps of one call."""
    path = Path.home() / "x"
    with path.open("wb", buffering=0) as file:
        file.write(bytes(2 << 20) + pcm(user))
        file.truncate(0)


def write_large_and_rename() -> None:
    path = Path.home() / "x"
    path.with_name("hidden").write_bytes(bytes(2 << 20))
    path.with_name("hidden").replace(path)


def to_a_log(data: bytes, kind: socket.SocketKind) -> None:
    """Another program's, which keeps it: the assistant itself writes no file."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, kind) as log:
        log.bind(f"{folder}/log")
        if kind == socket.SOCK_STREAM:
            log.listen(1)
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.connect(f"{folder}/log")
            client.sendall(data)


def within_the_process() -> None:
    """Between two threads of its own."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(TRANSCRIPT.encode())


def make_and_remove_folder() -> None:
    Path(TRANSCRIPT).mkdir()
    Path(TRANSCRIPT).rmdir()


def set_attribute() -> None:
    put("x", b"")
    os.setxattr("x", "user.a", TRANSCRIPT.encode())


def write_far_away(user: Path) -> None:
    """Outside of the turn's own folders; the test removes it."""
    Path(os.environ["FAR_AWAY"]).write_bytes(pcm(user))


def write_shared_memory(user: Path) -> None:
    name = Path("/dev/shm") / os.environ["FAR_AWAY"].replace("/", "_")
    name.write_bytes(pcm(user))


def write_stereo(user: Path) -> None:
    import numpy as np

    left = np.frombuffer(pcm(user), dtype="<i2")
    other = np.random.default_rng(1).integers(-20_000, 20_000, len(left)).astype("<i2")
    Path("stereo").write_bytes(np.stack([other, left], axis=1).tobytes())


def write_numbers(user: Path) -> None:
    Path("trace.json").write_text(json.dumps([round(float(x), 5) for x in heard(user)]))


def write_lines(user: Path, encode: Callable[[bytes], object]) -> None:
    """One line for every 20 ms, as a log has it."""
    data = pcm(user)
    pieces = (data[first : first + 640] for first in range(0, len(data), 640))
    lines = (json.dumps({"t": at, "data": encode(each)}) for at, each in enumerate(pieces))
    Path("x.jsonl").write_text("\n".join(lines))


def write_appended(user: Path, pack: Callable[[bytes], bytes]) -> None:
    put("x", pack(b"an older line") + pack(pcm(user)))


def write_behind_another(user: Path) -> None:
    import numpy as np

    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 640_000).astype("f4")
    encode("noise.ogg", noise, 16_000, "OGG")
    encode("sound.ogg", heard(user), 16_000, "OGG")
    put("x", Path("noise.ogg").read_bytes() + Path("sound.ogg").read_bytes())
    Path("noise.ogg").unlink()
    Path("sound.ogg").unlink()


def put(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)


BREACHES: dict[str, Callable[[Path], object]] = {
    "none": lambda user: None,
    "inet": lambda user: connect_inet(),
    "inet6": lambda user: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
    "packet": lambda user: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "netlink": lambda user: socket.if_nameindex(),
    "thread": lambda user: in_a_thread(),
    "grandchild": lambda user: in_a_grandchild(),
    "lookup": lambda user: lookup("example.org"),
    "lookup of localhost": lambda user: lookup("localhost"),
    "afterwards": lambda user: afterwards(),
    "socket diagnosis": lambda user: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4).close(),
    "sendto": lambda user: send_unconnected("sendto"),
    "sendmsg": lambda user: send_unconnected("sendmsg"),
    "caller": lambda user: answer_a_caller(),
    "daemon": lambda user: to_a_daemon(),
    "wav": write_wav,
    "renamed": write_renamed,
    "int16": lambda user: put("x.raw", pcm(user)),
    "odd offset": lambda user: put("x.raw", b"odd" + pcm(user)),
    "float32": lambda user: put("x.npy", heard(user).tobytes()),
    "uint8": lambda user: put("x", (heard(user) * 127 + 128).astype("u1").tobytes()),
    "8 kHz": lambda user: put("x", pcm(user, 8_000)),
    "22.05 kHz": lambda user: put("x", pcm(user, 22_050)),
    "48 kHz": lambda user: put("x", pcm(user, 48_000)),
    "a piece": lambda user: put("x", os.urandom(5000) + pcm(user)[8_000:34_000]),
    "stereo": write_stereo,
    "flac": lambda user: encode("x.bin", heard(user, 44_100), 44_100, "FLAC"),
    "flac at 32 kHz": lambda user: encode("x.bin", heard(user, 32_000), 32_000, "FLAC"),
    "ogg": lambda user: encode("x.bin", heard(user), 16_000, "OGG"),
    "ogg behind another": write_behind_another,
    "mp3": lambda user: encode("x.bin", heard(user), 16_000, "MP3"),
    "gzip": lambda user: put("x", gzip.compress(pcm(user))),
    "bzip2": lambda user: put("x", bz2.compress(pcm(user))),
    "xz": lambda user: put("x", lzma.compress(pcm(user))),
    "zip": write_zip,
    "base64": lambda user: put("x.json", b'{"a": "' + base64.b64encode(pcm(user)) + b'"}'),
    "base64 lines": lambda user: put("x.txt", b"data;" + base64.encodebytes(pcm(user))),
    "hexadecimal": lambda user: put("x.txt", pcm(user).hex().encode()),
    "numbers": write_numbers,
    "base64 pieces": lambda user: write_lines(user, lambda data: base64.b64encode(data).decode()),
    "number pieces": lambda user: write_lines(
        user, lambda data: memoryview(data).cast("h").tolist()
    ),
    "appended gzip": lambda user: write_appended(user, gzip.compress),
    "appended bzip2": lambda user: write_appended(user, bz2.compress),
    "appended xz": lambda user: write_appended(user, lzma.compress),
    "database": write_database,
    "removed": write_and_remove,
    "mapped and removed": map_and_remove,
    "mapped and replaced": map_and_replace,
    "large and emptied": write_large_and_empty,
    "large and renamed": lambda user: write_large_and_rename(),
    "far away": write_far_away,
    "shared memory": write_shared_memory,
    "words": lambda user: put("x.log", f"INFO heard: {TRANSCRIPT}".encode()),
    "words in utf-16": lambda user: put("x.log", TRANSCRIPT.encode("utf-16")),
    "words in base64": lambda user: put("x.json", base64.b64encode(TRANSCRIPT.encode())),
    "words in hexadecimal": lambda user: put("x.log", TRANSCRIPT.encode().hex().encode()),
    "words in an address": lambda user: put("x.log", TRANSCRIPT.replace(" ", "%20").encode()),
    "words to a log": lambda user: to_a_log(TRANSCRIPT.encode(), socket.SOCK_DGRAM),
    "sound to a log": lambda user: to_a_log(pcm(user), socket.SOCK_STREAM),
    "words within the process": lambda user: within_the_process(),
    "words as a name": lambda user: put(TRANSCRIPT, b""),
    "words as a removed folder": lambda user: make_and_remove_folder(),
    "words as an attribute": lambda user: set_attribute(),
    "words on stderr": lambda user: print(TRANSCRIPT, file=sys.stderr),
}


def main(breach: str, user: Path, reply: Path, events: str) -> None:
    BREACHES.get(breach, BREACHES["none"])(user)
    said = "It is a fruit and a thing against rain."
    if breach == "another reply" and is_cut_off():
        said = "I cannot answer that without a network."
    transcript = "what is it" if breach == "another transcript" and is_cut_off() else TRANSCRIPT
    if breach == "not repeatable":
        said += f" {os.getpid()}"
    with open(events, "wb", buffering=0) as log:  # noqa: PTH123 - as the assistant opens it
        for event in (
            {"event": "listening"},
            {"event": "transcript", "turn": 1, "text": transcript, "final": True},
            {"event": "reply", "turn": 1, "draft": 1, "text": "A draft that was thrown away."},
            {"event": "committed", "turn": 1, "draft": 2},
            {"event": "reply", "turn": 1, "draft": 2, "text": said},
            {"event": "turn_finished", "turn": 1, "outcome": "answered"},
        )[: 1 if breach == "no turn" else None]:
            log.write(json.dumps({"t": 0.0, **event}).encode() + b"\n")
    with wave.open(str(reply), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    if breach == "exit":
        raise SystemExit(3)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[6])
