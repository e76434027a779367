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
import tempfile
from pathlib import Path

from tests.figures.recordings import speech_folder
from tests.figures.ship_deb import APT, SOUND, converse, inside, output, serve


def main() -> int:
    """Print what was seen; 1 if nothing was heard or said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--depends", type=Path, help="Debian's packages of ALSA and PulseAudio")
    parser.add_argument("--wav", type=Path, help="what the user says")
    given = parser.parse_args()
    speech = speech_folder()
    if given.wav is None and speech is None:
        parser.error("no recordings here: name a WAV file with --wav")
    wav = given.wav or (speech or Path()) / "commands" / "az_whatstheweatherlike.wav"
    with tempfile.TemporaryDirectory(prefix="ship-onefolder-") as folder:
        root = Path(folder) / "root"
        subprocess.run(["cp", "-a", given.root, root], check=True)
        subprocess.run(["cp", "-a", given.build, root / "srv" / "assistant"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
        try:
            return examine(root, wav, given.depends)
        finally:
            subprocess.run(["umount", "-q", root / "proc"], check=False)


def examine(root: Path, wav: Path, depends: Path | None) -> int:
    """All steps, in the root."""
    program = "/srv/assistant/edge-assistant"
    print("Pythons in the root:", pythons(root) or "none")
    print("PortAudio in the root:", output(root, "ldconfig -p").count("libportaudio"))
    print(output(root, f"{program} --version && {program} models list | grep installed"))
    is_heard = all(converse(root, wav, name, program) for name in ("cold", "again"))
    print(output(root, f"cd /tmp; {program} devices 2>&1 | head -5"))
    if depends is not None:
        serve(root, [depends])
        inside(root, f"{APT} update")
        inside(root, f"{APT} install {SOUND}")
        print("with a sound card; Pythons in the root:", pythons(root) or "none")
        is_heard = converse(root, wav, "through the card", program) and is_heard
    return 0 if is_heard and not pythons(root) else 1


def pythons(root: Path) -> list[str]:
    """Programs of that name."""
    return output(root, "ls /usr/bin/python* /usr/local/bin/python* 2>/dev/null").split()


if __name__ == "__main__":
    sys.exit(main())
