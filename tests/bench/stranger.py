"""A stranger at the pipe: answers with a tone, N ms after the user fell silent. It can misbehave.

Standard library only, and nothing of the assistant: it shows what the examiner measures, since all
its delays are known, counted in blocks of its input.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from array import array
from pathlib import Path

RATE = 16_000
BLOCK = 320
BLOCK_MS = 20
LOUD = 600
"""Of 32768: the user is heard above -35 dBFS."""
TONE = 8000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events")
    parser.add_argument("--delay-ms", type=int, default=400, help="of the answer, after silence")
    parser.add_argument("--tone-ms", type=int, default=1000, help="length of the answer; -1: never")
    parser.add_argument("--stop-ms", type=int, default=100, help="of speech that silence it")
    parser.add_argument("--deaf", action="store_true", help="ignores interruptions")
    parser.add_argument("--at-once", action="store_true", help="speaks from block 0 on")
    parser.add_argument("--mute", action="store_true", help="never speaks")
    parser.add_argument("--slow-at", type=int, default=-1, help="block that takes --slow-ms")
    parser.add_argument("--slow-ms", type=int, default=0)
    parser.add_argument("--hang-at", type=int, default=-1, help="block that is never answered")
    parser.add_argument("--die-at", type=int, default=-1, help="block at which it ends")
    parser.add_argument("--short-at", type=int, default=-1, help="block that comes back halved")
    parser.add_argument("--long-at", type=int, default=-1, help="block that comes back doubled")
    parser.add_argument("--chatty", action="store_true", help="answers without being asked")
    parser.add_argument("--stay", action="store_true", help="does not end with its input")
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--child", action="store_true", help="starts a process that stays")
    parser.add_argument("--pids", help="append the process ids to this file")
    return parser.parse_args()


class Voice:
    """Whether the tone sounds, block by block."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.has_heard = False
        self.silent_ms = 0
        self.loud_ms = 0
        self.left_ms = options.tone_ms if options.at_once else 0
        self.phase = 0

    def answer(self, block: array[int]) -> array[int]:
        options = self.options
        if max(map(abs, block)) > LOUD:
            self.has_heard, self.silent_ms = True, 0
            self.loud_ms += BLOCK_MS
            if self.left_ms and self.loud_ms >= options.stop_ms and not options.deaf:
                self.left_ms = 0
        else:
            self.loud_ms = 0
            self.silent_ms += BLOCK_MS
        # Decided at the end of a silent block, so the first answer can follow 20 ms of silence.
        if self.has_heard and self.silent_ms >= options.delay_ms and not self.left_ms:
            self.has_heard, self.left_ms = False, options.tone_ms
        if options.mute or self.left_ms == 0:
            return array("h", bytes(2 * BLOCK))
        self.left_ms -= BLOCK_MS
        return self.tone()

    def tone(self) -> array[int]:
        first, self.phase = self.phase, self.phase + BLOCK
        steps = range(first, first + BLOCK)
        return array("h", [round(TONE * math.cos(math.pi * step / 16)) for step in steps])


def main() -> int:
    options = arguments()
    voice = Voice(options)
    pids = [os.getpid()]
    if options.child:
        pids.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
    if options.pids:
        with Path(options.pids).open("a", encoding="utf-8") as file:
            file.writelines(f"{pid}\n" for pid in pids)
    if options.events:
        lines = '{"t": 0.0, "event": "listening"}\nnot an event\n'
        Path(options.events).write_text(lines + json.dumps({"t": 0.1}) + "\n", encoding="utf-8")
    number = 0
    while options.chatty or len(data := sys.stdin.buffer.read(2 * BLOCK)) == 2 * BLOCK:
        if options.chatty:
            data = bytes(2 * BLOCK)
        if number == options.die_at:
            print("the stranger has had enough", file=sys.stderr)
            return 3
        if number == options.hang_at:
            time.sleep(600)
        if number == options.slow_at:
            time.sleep(options.slow_ms / 1000)
        answer = voice.answer(array("h", data)).tobytes()
        if number == options.short_at:
            answer = answer[:BLOCK]
        if number == options.long_at:
            answer += answer
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
        number += 1
    if options.stay:
        time.sleep(600)
    return int(options.exit_code)


if __name__ == "__main__":
    sys.exit(main())
