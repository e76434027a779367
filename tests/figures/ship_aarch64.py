"""Does the aarch64 bundle install and talk in an arm64 Debian, with qemu as the processor?

As root on x86-64, kernel 6.7 or newer or with aarch64 registered in binfmt_misc:

    apt install qemu-user-static debootstrap
    debootstrap --arch=arm64 --variant=minbase \
        --include=python3,python3-venv,libportaudio2,libgomp1 bookworm ROOT
    python -m tests.figures.ship_aarch64 --root ROOT --bundle F --key F.pub [--board pi4|pi5]

ROOT is copied, not changed. Inside there is no network, the processor is qemu's model of the
board's core, and /proc/cpuinfo is what such a board shows. The user is but a number and a home.
Speech goes through `converse --pipe`, whose clock is the sound's own: it is fed one block of 20 ms
every `--block-s` seconds, so that a processor that is many times slower still keeps up.

**Seconds here are qemu's, of no board.** What counts is what runs, and what it says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from edge_assistant_packaging.bundle.verify import unpack

from tests.figures.recordings import speech_folder
from tests.pipe.client import BLOCK, RATE, Sound, pcm

BOARDS: Final = {
    "pi4": ("cortex-a72", "fp asimd evtstrm crc32 cpuid"),
    "pi5": (
        "cortex-a76",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
        "dcpop asimddp",
    ),
}
"""qemu's name of the core, and the board's line `Features` in /proc/cpuinfo."""
TALKER: Final = 12_345
QEMU: Final = "/usr/bin/qemu-aarch64-static"
MAGIC: Final = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
MASK: Final = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
ENTER: Final = f"""
read go
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null &&
    printf '%s' ':arm64:M::{MAGIC}:{MASK}:{QEMU}:PF' >/proc/sys/fs/binfmt_misc/register || :
root=$1 command=$2
mount --rbind /proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --bind "$root/cpuinfo" "$root/proc/cpuinfo"
exec chroot --userspec={TALKER}:{TALKER} --groups= "$root" sh -c "$command" </dev/null
"""
"""In namespaces of users, mounts and networks: qemu is registered there and nowhere else."""
DOT: Final = """
import ctypes, glob, zipfile
(wheel,) = glob.glob("bundle/wheels/llama_cpp_python-*.whl")
zipfile.ZipFile(wheel).extractall("wheel")
for each in ("libgomp.so.1", "libggml-base.so.0", "libggml-cpu.so.0"):
    library = ctypes.CDLL("wheel/llama_cpp/lib/" + each, ctypes.RTLD_GLOBAL)
result, size = ctypes.c_float(), ctypes.c_size_t(0)
four_bits = (bytes([0, 0x3C]) + bytes([0x99] * 16)) * 2
eight_bits = (bytes([0, 0x3C]) + bytes([1] * 32)) * 2
library.ggml_vec_dot_q4_0_q8_0(64, ctypes.byref(result), size, four_bits, size, eight_bits, size, 1)
print("64 times 1 * 1 in 4 and 8 bits:", result.value)
"""
"""llama.cpp's innermost loop by itself: two blocks with a scale of 1 (0x3C00) and ones in them."""
ILLEGAL: Final = 128 + signal.SIGILL


class Board:
    """A root of Debian in which everything is run by qemu.

    Args:
        root: its folder; `home/talker` is made in it.
        name: of `BOARDS`.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.home = root / "home" / "talker"
        self.home.mkdir(parents=True, exist_ok=True)
        (root / "tmp").chmod(0o1777)
        self.core = BOARDS[name][0]
        core = f"processor\t: {{}}\nFeatures\t: {BOARDS[name][1]}\nCPU architecture: 8\n\n"
        (root / "cpuinfo").write_text("".join(core.format(each) for each in range(4)))

    def start(self, command: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
        """Run a shell command there; with `stdin`, a pipe is its input, and another its output."""
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        environ |= {"HOME": "/home/talker", "QEMU_CPU": self.core}
        environ["OMP_WAIT_POLICY"] = "passive"  # who waits by spinning has qemu compute it
        script = ENTER if stdin is None else ENTER.replace("</dev/null", "")
        apart = ["unshare", "--user", "--mount", "--net", "sh", "-ec", script, "sh"]
        process = subprocess.Popen(
            [*apart, str(self.root), f"cd; {command}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if stdin is None else subprocess.DEVNULL,
            env=environ,
        )
        ours = Path("/proc/self/ns/user").readlink()
        while Path(f"/proc/{process.pid}/ns/user").readlink() == ours:
            time.sleep(0.01)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{name}").write_text("0 0 4294967295\n")
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        return process

    def run(self, command: str, lines: int = 30) -> tuple[int, str]:
        """Run it to its end, and print the last lines of what it said."""
        print(f"$ {command}", flush=True)
        began_s = time.monotonic()
        process = self.start(command)
        told = process.communicate()[0].decode(errors="replace").rstrip()
        for line in told.splitlines()[-lines:]:
            print("   ", line[:200])
        print(f"    exit {process.returncode}, {time.monotonic() - began_s:.0f} s of qemu's")
        return process.returncode, told

    def put(self, bundle: Path, key: Path) -> None:
        """Check a bundle and unpack it into the home; the user's, as if done there."""
        folder = self.home / "bundle"
        shutil.rmtree(folder, ignore_errors=True)
        manifest = unpack(bundle, folder, key)
        subprocess.run(["chown", "-R", f"{TALKER}:{TALKER}", self.home], check=True)
        size_mb = bundle.stat().st_size / 1e6
        print(f"{bundle.name}: {size_mb:.1f} MB, {manifest.cpu_flags}")
        print(f"    needs of a processor: {manifest.cpu_features or 'nothing'}")


def main() -> int:
    """Print what was seen; 1 if it was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True, help="the vendor's public key")
    parser.add_argument("--board", choices=BOARDS, default="pi4")
    parser.add_argument("--refused", action="store_true", help="the board lacks what it needs")
    parser.add_argument("--wav", type=Path, help="what the user says")
    parser.add_argument("--block-s", type=float, default=0.4, help="for 20 ms of sound")
    parser.add_argument("--folder", type=Path, help="where the copy of ROOT is made")
    asked = parser.parse_args()
    speech = speech_folder()
    if asked.wav is None and speech is None:
        parser.error("no recordings here: name a WAV file with --wav")
    wav = asked.wav or (speech or Path()) / "commands" / "az_whatstheweatherlike.wav"
    with tempfile.TemporaryDirectory(prefix="ship-aarch64-", dir=asked.folder) as folder:
        root = Path(folder) / "root"
        subprocess.run(["cp", "-a", asked.root, root], check=True)
        board = Board(root, asked.board)
        print(f"{asked.board}: qemu's {board.core}")
        board.put(asked.bundle, asked.key)
        if asked.refused:
            return 0 if is_refused(board) else 1
        return 0 if talks(board, wav, asked.block_s) else 1


def is_refused(board: Board) -> bool:
    """Whether install.sh names a reason, and whether it is one."""
    code, told = board.run("uname -m; bundle/install.sh")
    left = sorted(each.name for each in board.home.iterdir())
    print("    in the home:", left)
    is_said = code == 1 and "error [processor-wrong]" in told
    return is_said and left == ["bundle"] and computes(board) == ILLEGAL


def computes(board: Board) -> int:
    """Run llama.cpp's innermost loop alone: the exit code."""
    (board.home / "dot.py").write_text(DOT)
    code, _ = board.run("python3 dot.py; exit $?")
    print("   ", "illegal instruction" if code == ILLEGAL else "no illegal instruction")
    shutil.rmtree(board.home / "wheel", ignore_errors=True)
    return code


def talks(board: Board, wav: Path, block_s: float) -> bool:
    """Whether it installs, answers what is typed, and answers what is spoken."""
    command = ".local/bin/edge-assistant"
    board.run("uname -m; cat /proc/net/dev | wc -l; grep -m1 Features /proc/cpuinfo")
    if computes(board) != 0:
        return False
    code, _ = board.run("bundle/install.sh")
    if code != 0:
        return False
    board.run(f"{command} --version; du -sm .local | cut -f1")
    listed, _ = board.run(f"{command} models list | grep -w installed")
    answered, reply = board.run(
        f"{command} ask --set llm.temperature=0 'What is the capital of France?' 2>/dev/null"
    )
    is_spoken = converse(board, command, wav, block_s)
    board.run(f"{command} doctor", lines=60)
    return (listed, answered) == (0, 0) and bool(reply.strip()) and is_spoken


def converse(board: Board, command: str, wav: Path, block_s: float) -> bool:
    """Speak a WAV file into the pipe, one block every `block_s`, until the reply is played."""
    events = board.home / "events.jsonl"
    words = f"{command} converse --pipe --events events.jsonl --set llm.temperature=0"
    print(f"$ {words}")
    process = board.start(f"exec {words} 2>converse.err", stdin=subprocess.PIPE)
    began_s = time.monotonic()
    samples, rate = soundfile.read(wav, dtype="float32")
    assert rate == RATE, f"{wav} has {rate} Hz; it takes {RATE}"
    sound: Sound = np.concatenate([np.zeros(RATE, np.float32), samples])
    heard: list[Sound] = []
    assert process.stdin is not None
    assert process.stdout is not None
    while len(heard) < 120 * RATE // BLOCK and not has(events, "turn_finished"):
        block = np.zeros(BLOCK, np.float32)
        spoken = sound[len(heard) * BLOCK : (len(heard) + 1) * BLOCK]
        block[: len(spoken)] = spoken
        with suppress(BrokenPipeError):
            process.stdin.write(pcm(block))
            process.stdin.flush()
        answer = process.stdout.read(2 * BLOCK)
        if len(answer) != 2 * BLOCK:
            print("    it ended:", (board.home / "converse.err").read_text()[-500:])
            break
        if not heard:
            print(f"    listening after {time.monotonic() - began_s:.0f} s of qemu's", flush=True)
        heard.append((np.frombuffer(answer, "<i2") / 32768).astype(np.float32))
        time.sleep(block_s)
    with suppress(BrokenPipeError):
        process.stdin.close()
    code = process.wait()
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    said = [each["text"] for each in lines if each["event"] == "reply"]
    texts = [each["text"] for each in lines if each["event"] == "transcript" and each["final"]]
    loud_s = float(sum(np.abs(block).max() > 10 ** (-50 / 20) for block in heard)) * BLOCK / RATE
    print(f"    heard {texts}, said {said}")
    print(f"    {loud_s:.1f} s of sound in {len(heard) * BLOCK / RATE:.1f} s of conversation")
    print(f"    exit {code}, {time.monotonic() - began_s:.0f} s of qemu's")
    print("    events:", " ".join(dict.fromkeys(each["event"] for each in lines)))
    return code == 0 and bool(texts) and bool(said) and loud_s > 0


def has(events: Path, name: str) -> bool:
    """Whether something has happened."""
    return events.exists() and f'"{name}"' in events.read_text()


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("run it as root: it makes namespaces and a root of another machine")
    sys.exit(main())
