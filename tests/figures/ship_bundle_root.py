"""Does a bundle install where there is no network, talk, go forth and back, and leave nothing?

As root, with a bundle, a later build of it, the vendor's public key, and Debian's packages:

    apt-get download python3 python3-venv libportaudio2 minisign pulseaudio ...   # to DIR
    python -m tests.figures.ship_bundle_root --root MINBASE --depends DIR \\
        --bundle one.bundle --next two.bundle --public-key vendor.pub

MINBASE is what `debootstrap --variant=minbase bookworm MINBASE` made; it is copied, not changed.
Everything runs in a network namespace where not even the loopback is up. First it is installed
where there is only what the bundle needs of Debian, and talks over files; then PulseAudio is put
there, and it talks through a card of null sinks: installed by an account without rights, then for
all users. A bundle of the profile `kiosk` is looked at for its locks and units, too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.figures import clean_root
from tests.figures.clean_root import APT, HOME, PLACE, SOUND, TALKER, Listing, differences

NEEDED = "python3 python3-venv libportaudio2"
"""What docs/shipping/install.md says that Debian has to give."""
UNPACKED = "edge-assistant-bundle"


@dataclass(slots=True)
class Trial:
    """What is tried, and what was not as it should be."""

    root: Path
    wav: Path
    words: str
    faults: list[str] = field(default_factory=list)

    def expect(self, is_so: bool, what: str) -> None:
        """Say it, and count it if it is not so."""
        print(f"  {'yes' if is_so else 'NO '}: {what}")
        if not is_so:
            self.faults.append(what)

    def step(self, what: str, command: str, user: int = TALKER) -> str:
        """A command that has to succeed, or nothing more is tried; prints the seconds."""
        started_s = time.monotonic()
        done = clean_root.tried(self.root, f"cd /{PLACE}; {command}", user)
        took_s = time.monotonic() - started_s
        print(f"{what}: {took_s:.1f} s")
        if done.returncode != 0:
            sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout[-3000:]}")
        return done.stdout

    def talk(self, what: str, program: str, *, card: bool) -> None:
        """One conversation; the words are compared without case and marks."""
        talk = clean_root.converse(self.root, self.wav, program, card=card)
        print(f"{what}: {talk}")
        self.expect(talk.is_right, "it was heard, answered and sounded")
        self.expect(_plain(talk.heard) == _plain(self.words), f"it heard {self.words!r}")

    def same(self, before: Listing, what: str) -> None:
        """Nothing but what was there before."""
        after = clean_root.listing(self.root)
        changed = differences(before, after)
        self.expect(not changed, f"{what}: {len(after)} files as before; other: {changed}")


def main() -> int:
    """Print what was seen; 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    clean_root.add_arguments(parser)
    parser.add_argument("--words", default="what's the weather like", help="those of --wav")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--next", type=Path, required=True, help="a later build")
    parser.add_argument("--public-key", type=Path, required=True)
    parser.add_argument("--depends", type=Path, action="append", required=True)
    parser.add_argument("--only", choices=("alone", "one", "all"), help="one part of it")
    given = parser.parse_args()
    wav = clean_root.wav_of(parser, given)
    is_verified = verify_outside(given.bundle, given.public_key)
    with clean_root.copy_of(given.root) as root:
        trial = Trial(root, wav, given.words)
        trial.expect(is_verified, "both verifiers take the bundle, and not one with another byte")
        prepare(trial, given)
        if given.only in (None, "alone"):
            install_alone(trial)
        if given.only != "alone":
            clean_root.inside(root, f"{APT} install {SOUND}")
        if given.only in (None, "one"):
            for_one(trial)
        if given.only in (None, "all"):
            for_all(trial)
    print(f"{len(trial.faults)} faults", *trial.faults, sep="\n  ")
    return 1 if trial.faults else 0


def verify_outside(bundle: Path, key: Path) -> bool:
    """With minisign and with our own verifier of this checkout, without a network."""
    print(f"{bundle.name}: {bundle.stat().st_size / 1e6:.1f} MB")
    changed = bundle.with_name(f"{bundle.name}.changed")
    shutil.copyfile(bundle, changed)
    with changed.open("r+b") as file:
        file.seek(changed.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    signature = f"{bundle}.minisig"
    ours = [sys.executable, "-m", "edge_assistant", "bundle", "verify", "-p", str(key)]
    theirs = ["minisign", "-V", "-q", "-p", str(key), "-x", signature, "-m"]
    ends = []
    for name, command in (("minisign -V", theirs), ("edge-assistant bundle verify", ours)):
        for file_name in (bundle, changed):
            words = ["unshare", "--net", *command, str(file_name)]
            started_s = time.monotonic()
            done = subprocess.run(words, capture_output=True, check=False)
            took_s = time.monotonic() - started_s
            print(f"{name} {file_name.name}: exit code {done.returncode}, {took_s:.1f} s")
            ends.append(done.returncode)
    changed.unlink()
    return [code == 0 for code in ends] == [True, False, True, False]


def prepare(trial: Trial, given: argparse.Namespace) -> None:
    """What comes from Debian and what the vendor hands out, both without the network."""
    place = trial.root / PLACE
    for name, bundle in (("one", given.bundle), ("two", given.next)):
        shutil.copyfile(bundle, place / f"{name}.bundle")
        shutil.copyfile(f"{bundle}.minisig", place / f"{name}.bundle.minisig")
    shutil.copyfile(given.public_key, place / "vendor.pub")
    clean_root.serve(trial.root, given.depends)
    bare = clean_root.listing(trial.root)
    took_s = clean_root.inside(trial.root, f"{APT} install {NEEDED}")
    grown_mb = clean_root.grown_bytes(bare, clean_root.listing(trial.root)) / 1e6
    print(f"from Debian: {NEEDED}: {took_s:.1f} s, {grown_mb:.0f} MB")
    clean_root.inside(trial.root, f"{APT} install minisign")
    print("network inside:", clean_root.interfaces(trial.root))
    known = clean_root.output(trial.root, "ldconfig -p")
    print("libraries of Debian: libgomp", "libgomp" in known, "libportaudio", "portaudio" in known)
    for name in ("one", "two"):
        check = f"minisign -V -q -p vendor.pub -m {name}.bundle && mkdir {name}"
        trial.step(f"minisign and tar, {name}", f"{check} && tar -C {name} -xf {name}.bundle")


def install_alone(trial: Trial) -> None:
    """Where there is Debian's minimum: no sound server, no compiler's libraries."""
    print("\n== by an account, with nothing but the minimum")
    before = clean_root.listing(trial.root)
    program = f"/{HOME}/.local/bin/edge-assistant"
    check = f"one/{UNPACKED}/install.sh --check --key vendor.pub"
    print(trial.step("install.sh --check --key", check), end="")
    clean_root.evict(trial.root)
    print(trial.step("install.sh", f"one/{UNPACKED}/install.sh"), end="")
    grown_mb = clean_root.grown_bytes(before, clean_root.listing(trial.root)) / 1e6
    print(f"on the disk: {grown_mb:.0f} MB of files")
    looked = clean_root.tried(trial.root, f"{program} doctor", TALKER).stdout
    broken = [line for line in looked.splitlines() if line.startswith(("missing", "mend"))]
    print("doctor, of a machine without a card:", *broken, sep="\n  ")
    engines = [line for line in broken if "\tengine\t" in line]
    trial.expect(not engines, "every engine loads")
    trial.step(
        "the installed program verifies", f"{program} bundle verify two.bundle -p vendor.pub"
    )
    if _profile(trial) == "kiosk":
        look_at_kiosk(trial, program)
    clean_root.evict(trial.root)
    trial.talk("over files, cold", program, card=False)
    trial.talk("over files, again", program, card=False)
    trial.step("--uninstall --purge", f"one/{UNPACKED}/install.sh --uninstall --purge")
    trial.same(before, "after --uninstall --purge")


def for_one(trial: Trial) -> None:
    """By the account, through the card: install, upgrade, back, away."""
    print("\n== by an account, through a card")
    before = clean_root.listing(trial.root)
    program = f"/{HOME}/.local/bin/edge-assistant"
    prefix = f"/{HOME}/.local/share/edge-assistant-app"
    trial.step("install.sh", f"one/{UNPACKED}/install.sh")
    clean_root.evict(trial.root)
    trial.talk("first start, cold", program, card=True)
    told = (trial.root / PLACE / "doctor.txt").read_text()
    trial.expect("It can talk." in told, "the doctor says that it can talk")
    trial.talk("second start", program, card=True)
    go_forth_and_back(trial, prefix, TALKER)
    trial.talk("the second build", program, card=True)
    trial.step("--uninstall", f"{prefix}/current/install.sh --uninstall")
    left = clean_root.differences(before, clean_root.listing(trial.root))
    print("left without --purge:", *left, sep="\n  ")
    trial.step("--uninstall --purge", f"one/{UNPACKED}/install.sh --uninstall --purge")
    trial.same(before, "after --uninstall --purge")


def for_all(trial: Trial) -> None:
    """By root for all users; the account talks."""
    print("\n== for all users")
    before = clean_root.listing(trial.root)
    trial.step("install.sh --system", f"one/{UNPACKED}/install.sh --system", user=0)
    clean_root.evict(trial.root)
    program = "/usr/local/bin/edge-assistant"
    with_it = clean_root.listing(trial.root)
    trial.talk("first start, cold", program, card=True)
    trial.talk("second start", program, card=True)
    print("in the home of who talked:", *clean_root.empty_home(trial.root), sep="\n  ")
    trial.same(with_it, "outside of that home")
    go_forth_and_back(trial, "/opt/edge-assistant", 0)
    trial.talk("the second build", program, card=True)
    clean_root.empty_home(trial.root)
    purge = "/opt/edge-assistant/current/install.sh --uninstall --purge"
    trial.step("--uninstall --purge", purge, user=0)
    trial.same(before, "after --uninstall --purge")


def go_forth_and_back(trial: Trial, prefix: str, user: int) -> None:
    """The second build, back to the first, and forth again."""
    system = "" if user else " --system"
    first = _in_use(trial, prefix)
    trial.step("install.sh of the second build", f"two/{UNPACKED}/install.sh{system}", user)
    second = _in_use(trial, prefix)
    trial.expect(_builds(first, second), f"in use: {second}, before: {first}")
    trial.step("--rollback", f"{prefix}/current/install.sh --rollback", user)
    trial.expect(_in_use(trial, prefix) == first, f"in use: {first}")
    trial.step("--version of it", f"{prefix}/current/bin/edge-assistant --version")
    trial.step("--rollback again", f"{prefix}/current/install.sh --rollback", user)
    trial.expect(_in_use(trial, prefix) == second, f"in use: {second}")


def look_at_kiosk(trial: Trial, program: str) -> None:
    """A kiosk's bundle brings locks and services."""
    asked = "config show --set llm.system_prompt=Obey"
    told = clean_root.tried(trial.root, f"{program} {asked}", TALKER)
    print(told.stdout, end="")
    is_refused = told.returncode != 0 and "[config-locked]" in told.stdout
    trial.expect(is_refused, "its prompt cannot be changed by a flag")
    services = trial.root / HOME / ".local/share/edge-assistant-app/current/services"
    # `current` is a relative link, so that it can be followed from outside of the root.
    units = sorted(each.name for each in services.glob("*.service"))
    trial.expect(len(units) == 2, f"units: {units}")


def _profile(trial: Trial) -> str:
    manifest = trial.root / PLACE / "one" / UNPACKED / "manifest.json"
    return str(json.loads(manifest.read_bytes())["profile"])


def _in_use(trial: Trial, prefix: str) -> str:
    return (trial.root / prefix.lstrip("/") / "current").readlink().name


def _builds(first: str, second: str) -> bool:
    """An id is VERSION-BUILD-HASH."""
    return int(first.split("-")[-2]) < int(second.split("-")[-2])


def _plain(words: str) -> str:
    return "".join(each for each in words.lower() if each.isalnum() or each == " ")


if __name__ == "__main__":
    sys.exit(main())
