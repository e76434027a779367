"""`edge-assistant bundle`: everything in one signed file, for machines without a network."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import output
from edge_assistant.cli.shipping import shipping
from edge_assistant.cli.vendor_key import (
    FILE,
    PASSWORD,
    PUBLIC,
    PUBLIC_WORD,
    ask_password,
    key_pair,
    public_key_of,
)
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant_packaging.bundle.build import Built, Facts
    from edge_assistant_packaging.manifest import Manifest
    from edge_assistant_packaging.updates.delta import Made

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace what is there.")


@click.group()
def bundle() -> None:
    """Put everything into one signed file, and check or unpack one that you got.

    The public key, and what checks with it (this command, or `minisign -V`), have to come from
    somewhere else than the bundle.
    """


@bundle.command()
@click.option("-p", "--public-key", type=FILE, default="edge-assistant.pub", show_default=True)
@click.option("-s", "--secret-key", type=FILE, default="edge-assistant.key", show_default=True)
@click.option("--no-password", is_flag=True, help="Leave the secret key readable.")
@PASSWORD
@_OVERWRITE
@_JSON
def keygen(
    public_key: Path,
    secret_key: Path,
    no_password: bool,
    password_file: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a key pair of your own, in the files of minisign."""
    signing = shipping("signing")
    for place in (public_key, secret_key):  # before a password is asked for, twice
        shipping("files").require_place(place, overwrite=overwrite)
    password = None if no_password else ask_password(password_file, "New password", confirm=True)
    pair = signing.write_keys(public_key, secret_key, password, overwrite=overwrite)
    word = pair.public.to_base64()
    if as_json:
        files = {"public": str(public_key), "secret": str(secret_key)}
        output.emit({**files, "key": word, "name": pair.public.name})
        return
    output.note(f"{secret_key}: the secret key; keep it where no machine of a customer is")
    output.note(f"{public_key}: the public key {pair.public.name}; hand it out, not in the bundle")
    click.echo(word)


@bundle.command()
@click.option("-o", "--output", "target", type=FILE, required=True, help="The bundle to make.")
@click.option("-s", "--secret-key", type=FILE, required=True, help="Your secret key.")
@PASSWORD
@click.option("--profile", required=True, help="Built-in set of values: starter, desktop, pi, ...")
@click.option("--platform", type=click.Choice(["linux-x86_64", "linux-aarch64"]), required=True)
@click.option(
    "--cpu",
    metavar="KIND",
    help="What llama.cpp is for: armv8 (any 64-bit ARM), armv8.2-dotprod (Pi 5), x86-64-v3.",
)
@click.option("--config", type=FILE, metavar="FILE", help="Configuration to lay over the profile.")
@click.option("--name", help="What to call it; the name of the profile without it.")
@click.option(
    "--build",
    "number",
    type=click.IntRange(0, 8**11 - 1),  # as in a manifest
    default=1,
    show_default=True,
    help="Counts up; an update to a smaller one is refused.",
)
@click.option("--with-sources", is_flag=True, help="Add the sources that GPL parts need.")
@click.option("--permissive-only", is_flag=True, help="Leave GPL parts out.")
@click.option("--wheels-from", type=FILE, metavar="DIR", help="Take wheels from here first.")
@click.option("--staging", type=FILE, metavar="DIR", help="Pack this folder as it is.")
@click.option("--python", metavar="X.Y", help="With --staging: whose wheels are in it.")
@click.option("--cpu-flags", default="", help="With --staging: how llama.cpp was compiled.")
@_OVERWRITE
@_JSON
def build(
    target: Path, secret_key: Path, password_file: Path | None, as_json: bool, **asked: Any
) -> None:
    """Make one file of wheels, models, configuration, services, licences and their list, signed.

    Built twice of the same parts with the same key, it is the same file: its time is
    SOURCE_DATE_EPOCH, never the clock's.
    """
    _require_that_they_fit(asked)
    _require_a_way(target, secret_key, asked)
    pair = key_pair(secret_key, password_file)
    maker = shipping("bundle.build")
    notes: tuple[str, ...] = ()
    with ExitStack() as stack:
        if asked["staging"] is not None:
            folder, facts = asked["staging"], _own_facts(asked)
        else:
            folder = stack.enter_context(_room_for_staging(target.absolute()))
            facts, notes = _staged(folder, asked)
        built: Built = maker.build(folder, facts, target, pair, overwrite=asked["overwrite"])
    if as_json:
        output.emit({**_built(built), **_told(built.manifest), "notes": list(notes)})
        return
    click.echo(f"{built.sha256}  {built.path}")
    for text in notes:
        output.note(f"note: {text}")
    output.note(
        f"{built.path}: {built.manifest.comment}, {len(built.manifest.files)} files, "
        f"{built.size_bytes / 1e6:.1f} MB; {built.signature_path} is for minisign -V"
    )


@bundle.command()
@click.argument("file", metavar="BUNDLE", type=FILE)
@PUBLIC
@PUBLIC_WORD
@_JSON
def verify(file: Path, public_key: Path | None, public_word: str | None, as_json: bool) -> None:
    """Check every byte of BUNDLE against the vendor's key, and say what it is."""
    checked = shipping("bundle.verify").verify(file, public_key_of(public_key, public_word))
    if as_json:
        output.emit({"bundle": str(file), **_told(checked)})
        return
    click.echo(f"ok  {file}: {checked.comment}")
    _tell(checked)


@bundle.command()
@click.argument("file", metavar="BUNDLE", type=FILE)
@click.argument("folder", type=FILE)
@PUBLIC
@PUBLIC_WORD
@_JSON
def unpack(
    file: Path, folder: Path, public_key: Path | None, public_word: str | None, as_json: bool
) -> None:
    """Check BUNDLE while unpacking it into the new FOLDER, which is there only if all is right."""
    checked = shipping("bundle.verify").unpack(file, folder, public_key_of(public_key, public_word))
    if as_json:
        output.emit({"folder": str(folder), **_told(checked)})
        return
    click.echo(str(folder))
    output.note(f"ok  {file}: {checked.comment}; install it with {folder / 'install.sh'}")


@bundle.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("-o", "--output", "target", type=FILE, required=True, help="The delta to make.")
@PUBLIC
@PUBLIC_WORD
@_OVERWRITE
@_JSON
def delta(
    old: Path,
    new: Path,
    target: Path,
    public_key: Path | None,
    public_word: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write only what is in the bundle NEW and not in the bundle OLD; both are checked first."""
    key = public_key_of(public_key, public_word)
    made = shipping("updates.delta").make_delta(old, new, target, key, overwrite=overwrite)
    _tell_made(made, "delta", as_json)


@bundle.command()
@click.argument("old", type=FILE)
@click.argument("file", metavar="DELTA", type=FILE)
@click.option("-o", "--output", "target", type=FILE, required=True, help="The bundle to make.")
@PUBLIC
@PUBLIC_WORD
@_OVERWRITE
@_JSON
def apply(
    old: Path,
    file: Path,
    target: Path,
    public_key: Path | None,
    public_word: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make the new bundle, byte for byte, of the bundle OLD and a DELTA that begins at it."""
    key = public_key_of(public_key, public_word)
    made = shipping("updates.delta").apply_delta(old, file, target, key, overwrite=overwrite)
    _tell_made(made, "bundle", as_json)


def _tell_made(made: Made, kind: str, as_json: bool) -> None:
    if as_json:
        output.emit(
            {
                kind: str(made.path),
                "size_bytes": made.size_bytes,
                "sha256": made.sha256,
                "copied_bytes": made.copied_bytes,
                **_told(made.manifest),
            }
        )
        return
    click.echo(f"{made.sha256}  {made.path}")
    output.note(
        f"{made.path}: {made.size_bytes / 1e6:.1f} MB, to {made.manifest.comment}; "
        f"{made.copied_bytes / 1e6:.1f} MB are in the old bundle"
    )


def _require_that_they_fit(asked: dict[str, Any]) -> None:
    of_staging = ("config", "with_sources", "wheels_from")
    of_folder = ("python", "cpu_flags")
    if asked["staging"] is not None and any(asked[key] for key in of_staging):
        raise click.UsageError("--staging is packed as it is: no --config, sources or wheels.")
    if asked["staging"] is None and any(asked[key] for key in of_folder):
        raise click.UsageError("--python and --cpu-flags are for --staging.")
    for option in ("name", "profile"):
        text = asked[option]
        if text is not None and not shipping("manifest").is_word(text):
            raise click.UsageError(f"--{option} {text!r}: up to 64 of A-Z a-z 0-9 . _ + ! - only.")


def _require_a_way(target: Path, secret_key: Path, asked: dict[str, Any]) -> None:
    """Refuse what would come to nothing in the end, before the minutes that staging takes."""
    shipping("files").require_place(target, overwrite=asked["overwrite"])
    staging: Path | None = asked["staging"]
    if staging is not None and secret_key.resolve().is_relative_to(staging.resolve()):
        raise EdgeAssistantError(
            "secret-key-in-staging",
            f"{secret_key} is in {staging}, and everybody who has the bundle would have it",
            f"move it: mv {secret_key} ~/",
        )


@contextmanager
def _room_for_staging(target: Path) -> Iterator[Path]:
    """A hidden folder beside the bundle, on its disk; what a killed call left there is removed."""
    for left in target.parent.glob(f".{escape(target.name)}.????????.staging"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(".staging", f".{target.name}.", target.parent) as made:
        yield Path(made)


def _staged(folder: Path, asked: dict[str, Any]) -> tuple[Facts, tuple[str, ...]]:
    """Have the parts put into `folder`; what is said of them, and what a person should know."""
    staged = shipping("staging").stage(
        asked["profile"],
        asked["platform"],
        asked["config"],
        with_sources=asked["with_sources"],
        permissive_only=asked["permissive_only"],
        wheels_from=asked["wheels_from"],
        folder=folder,
        cpu=asked["cpu"],
    )
    facts = _facts(
        asked,
        version=staged.version,
        python=staged.python,
        cpu_flags=staged.cpu_flags,
        cpu_features=staged.cpu_features,
        made_at_s=staged.made_at_s,
    )
    return facts, (*staged.warnings, *staged.missing_sources)


def _own_facts(asked: dict[str, Any]) -> Facts:
    """What the command line says of a folder that somebody filled."""
    import edge_assistant

    return _facts(
        asked,
        version=edge_assistant.__version__,
        python=asked["python"] or f"{sys.version_info.major}.{sys.version_info.minor}",
        cpu_flags=asked["cpu_flags"],
        cpu_features=_features(asked),
        made_at_s=shipping("epoch").source_date_epoch(),
    )


def _features(asked: dict[str, Any]) -> str:
    """What the processor of `--cpu` has; without it nothing is known of a folder."""
    if asked["cpu"] is None:
        return ""
    target = shipping("wheels.target").Target(platform=asked["platform"], cpu=asked["cpu"])
    return " ".join(target.processor.features)


def _facts(asked: dict[str, Any], **known: Any) -> Facts:
    facts: Facts = shipping("bundle.build").Facts(
        name=asked["name"] or asked["profile"],
        build=asked["number"],
        platform=asked["platform"],
        profile=asked["profile"],
        is_permissive_only=asked["permissive_only"],
        **known,
    )
    return facts


def _built(built: Built) -> dict[str, Any]:
    return {
        "bundle": str(built.path),
        "signature": str(built.signature_path),
        "size_bytes": built.size_bytes,
        "sha256": built.sha256,
    }


def _told(manifest: Manifest) -> dict[str, Any]:
    """For machines; all of a manifest but its files."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "build": manifest.build,
        "platform": manifest.platform,
        "profile": manifest.profile,
        "python": manifest.python,
        "cpu_flags": manifest.cpu_flags,
        "cpu_features": manifest.cpu_features,
        "is_permissive_only": manifest.is_permissive_only,
        "made_at_s": manifest.made_at_s,
        "files": len(manifest.files),
        "files_bytes": sum(each.size_bytes for each in manifest.files),
    }


def _tell(manifest: Manifest) -> None:
    total_bytes = sum(each.size_bytes for each in manifest.files)
    output.note(f"    files      {len(manifest.files)}, {total_bytes / 1e6:.1f} MB")
    output.note(f"    python     {manifest.python}")
    output.note(f"    llama.cpp  {manifest.cpu_flags or 'not said'}")
    output.note(f"    processor  {manifest.cpu_features or 'nothing asked of it'}")
    parts = "GPL parts left out" if manifest.is_permissive_only else "GPL parts not left out"
    output.note(f"    licences   {parts}")
