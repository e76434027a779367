"""Does the one-folder build start and talk on a machine without Python and without a network?

As root: `python -m tests.figures.ship_onefolder --root MINBASE --build DIR [--wav FILE]`. MINBASE
is what `debootstrap --variant=minbase bookworm MINBASE` made; it is copied, and nothing is
installed in it: no Python, no PortAudio, no ALSA.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.figures.recordings import speech_folder
from tests.figures.ship_deb import converse, output


def main() -> int:
    """Print what was seen; 1 if nothing was heard or said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
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
            pythons = output(root, "ls /usr/bin/python* /usr/local/bin/python* 2>/dev/null").split()
            print("Pythons in the root:", pythons or "none")
            print("PortAudio in the root:", output(root, "ldconfig -p").count("libportaudio"))
            program = "/srv/assistant/edge-assistant"
            print(output(root, f"{program} --version && {program} models list | grep installed"))
            starts = [converse(root, wav, name, program) for name in ("cold", "again")]
            print(output(root, f"cd /tmp; {program} devices 2>&1 | head -5"))
        finally:
            subprocess.run(["umount", "-q", root / "proc"], check=False)
    return 0 if all(starts) and not pythons else 1


if __name__ == "__main__":
    sys.exit(main())
