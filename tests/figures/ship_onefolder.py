"""Does the one-folder build start and talk on a machine without Python and without a network?

As root: `python -m tests.figures.ship_onefolder --root MINBASE --build DIR [--depends DEBS]`.
MINBASE is what `debootstrap --variant=minbase bookworm MINBASE` made; it is copied, and nothing is
installed in it: no Python, no PortAudio, no ALSA. With a folder of Debian's packages ALSA and
PulseAudio are installed from there afterwards, and it talks through their sound card, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.figures.clean_root import (
    APT,
    SOUND,
    add_arguments,
    converse,
    copy_of,
    inside,
    output,
    serve,
    wav_of,
)


def main() -> int:
    """Print what was seen; 1 if nothing was heard or said."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--depends", type=Path, help="Debian's packages of ALSA and PulseAudio")
    given = parser.parse_args()
    wav = wav_of(parser, given)
    with copy_of(given.root) as root:
        subprocess.run(["cp", "-a", given.build, root / "srv" / "assistant"], check=True)
        return examine(root, wav, given.depends)


def examine(root: Path, wav: Path, depends: Path | None) -> int:
    """All steps, in the root."""
    program = "/srv/assistant/edge-assistant"
    print("Pythons in the root:", pythons(root) or "none")
    print("PortAudio in the root:", output(root, "ldconfig -p").count("libportaudio"))
    print(output(root, f"{program} --version && {program} models list | grep installed"))
    is_heard = all(_talk(root, wav, program) for _ in ("cold", "again"))
    print(output(root, f"cd /tmp; {program} devices 2>&1 | head -5"))
    if depends is not None:
        serve(root, [depends])
        inside(root, f"{APT} install {SOUND}")
        print("with a sound card; Pythons in the root:", pythons(root) or "none")
        is_heard = _talk(root, wav, program, card=True) and is_heard
    return 0 if is_heard and not pythons(root) else 1


def _talk(root: Path, wav: Path, program: str, *, card: bool = False) -> bool:
    talk = converse(root, wav, program, card=card)
    print("through the card:" if card else "over files:", talk)
    return talk.is_right


def pythons(root: Path) -> list[str]:
    """Programs of that name."""
    return output(root, "ls /usr/bin/python* /usr/local/bin/python* 2>/dev/null").split()


if __name__ == "__main__":
    sys.exit(main())
