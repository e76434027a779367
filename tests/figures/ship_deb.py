"""Does the package install where there is no network, talk, and leave nothing behind?

As root: `python -m tests.figures.ship_deb --root MINBASE --packages DIR [--depends DIR] [--wav F]`.
MINBASE is what `debootstrap --variant=minbase bookworm MINBASE` made; it is copied, not changed.
DIR holds our packages, and the other one the packages of Debian that they depend on and that are
not in MINBASE; both are served by `apt` from a folder. Everything in the root runs in a network
namespace without so much as a loopback. The conversation is held by an account that is but a
number and a home, which goes before the packages do.

With `--older DIR` that revision of the packages is installed first, its configuration is changed,
and the new one has to keep it and leave none of the old one's files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.figures.clean_root import (
    APT,
    HOME,
    SOUND,
    add_arguments,
    converse,
    copy_of,
    differences,
    empty_home,
    grown_bytes,
    inside,
    interfaces,
    listing,
    output,
    serve,
    wav_of,
)

OURS = ("edge-assistant", "edge-assistant-models-starter")


def main() -> int:
    """Print what was seen; 1 if something is left or was not said."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--depends", type=Path, required=True)
    parser.add_argument("--older", type=Path, help="packages of an older revision")
    parser.add_argument("--card", action="store_true", help="talk through PulseAudio, too")
    given = parser.parse_args()
    wav = wav_of(parser, given)
    with copy_of(given.root) as root:
        if given.older:
            return upgrade(root, given.older, [given.packages, given.depends], wav)
        return examine(root, [given.packages, given.depends], wav, given.card)


def examine(root: Path, folders: list[Path], wav: Path, has_card: bool) -> int:
    """All steps, in the root."""
    serve(root, folders)
    if has_card:
        inside(root, f"{APT} install {SOUND}")
    for package in sorted((root / "packages").glob("edge-assistant*.deb")):
        print(f"{package.name}: {package.stat().st_size / 1e6:.1f} MB")
    before = listing(root)
    took_s = inside(root, f"{APT} install {' '.join(OURS)}")
    with_it = listing(root)
    grown = grown_bytes(before, with_it)
    print(f"installed, with its dependencies: {took_s:.1f} s, {grown / 1e6:.0f} MB of files")
    print("network inside:", interfaces(root))
    is_heard = all(_talk(root, wav, name) for name in ["cold", "again"] + ["card"] * has_card)
    empty_home(root)
    print("written while it talked:", differences(with_it, listing(root)) or "nothing")
    took_s = inside(root, f"{APT} remove {' '.join(OURS)}")
    removed = listing(root)
    print(f"removed: {took_s:.1f} s; left of it:")
    for name in sorted(name for name in removed if "edge-assistant" in name):
        print("   ", name)
    inside(root, f"{APT} purge {' '.join(OURS)}")
    ours = [name for name in listing(root) if "edge-assistant" in name]
    print("purged; left of it:", ours or "nothing")
    inside(root, f"{APT} autoremove --purge")
    end = listing(root)
    changed = differences(before, end)
    print("its dependencies purged; not as before:", changed or "nothing")
    print(f"  files compared: {len(end)}")
    return 0 if is_heard and not ours and not changed else 1


def upgrade(root: Path, older: Path, folders: list[Path], wav: Path) -> int:
    """Install the older revision, then the newer one over it; purge."""
    serve(root, [older, *folders])
    before = listing(root)
    found = [version_of(older), version_of(folders[0])]
    inside(root, f"{APT} install " + " ".join(f"{name}={found[0]}" for name in OURS))
    print("installed:", versions(root))
    is_heard = _talk(root, wav, "older")
    settings = root / "etc/edge-assistant/config.toml"
    settings.write_text(settings.read_text() + "\n[llm]\nmax_tokens = 12\n")
    kept = settings.read_bytes()
    took_s = inside(root, f"{APT} install {' '.join(OURS)}")
    print(f"upgraded in {took_s:.1f} s: {versions(root)}")
    has_kept = settings.read_bytes() == kept
    print("configuration kept:", has_kept)
    empty_home(root)
    left = strays(root)
    print("files of no package:", left or "nothing")
    is_heard = _talk(root, wav, "newer") and is_heard
    limit = output(root, "edge-assistant config show | grep max_tokens").strip()
    print("the changed setting:", limit)
    empty_home(root)
    inside(root, f"{APT} purge {' '.join(OURS)}")
    inside(root, f"{APT} autoremove --purge")
    changed = differences(before, listing(root))
    print("purged; not as before:", changed or "nothing")
    is_clean = not (left or changed)
    is_newer = versions(root) == "" and found[0] != found[1]
    return 0 if is_heard and has_kept and is_clean and is_newer and "12" in limit else 1


def strays(root: Path) -> list[str]:
    """What dpkg does not know in our folders: all but bytecode of a file that is there."""
    known = set(output(root, f"dpkg -L {' '.join(OURS)}").split("\n"))
    return [
        name
        for name in listing(root)
        if "edge-assistant" in name
        and not name.startswith("home/")
        and f"/{name}" not in known
        and not name.endswith("/__pycache__")
        and not (name.endswith(".pyc") and f"/{source_of(name)}" in known)
    ]


def source_of(bytecode: str) -> str:
    """`a/__pycache__/b.cpython-311.pyc` is made of `a/b.py`."""
    path = Path(bytecode)
    return str(path.parent.parent / f"{path.name.partition('.')[0]}.py")


def version_of(folder: Path) -> str:
    """Of the program's package in it."""
    (package,) = folder.glob(f"{OURS[0]}_*.deb")
    return subprocess.run(
        ["dpkg-deb", "--field", package, "Version"], check=True, capture_output=True, text=True
    ).stdout.strip()


def versions(root: Path) -> str:
    """Of ours, as dpkg knows them."""
    return output(
        root, f"dpkg-query -W -f '${{Package}} ${{Version}} ' {' '.join(OURS)} 2>/dev/null"
    ).strip()


def _talk(root: Path, wav: Path, name: str) -> bool:
    """By files or through the card."""
    talk = converse(root, wav, card=name == "card")
    print(f"{name}: {talk}")
    home = root / HOME
    files = sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())
    print("  in its home:", files)
    return talk.is_right


if __name__ == "__main__":
    sys.exit(main())
