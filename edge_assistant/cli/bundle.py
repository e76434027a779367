"""`edge-assistant bundle`: everything in one signed file, for machines without a network."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import output
from edge_assistant.cli.shipping import shipping
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant_packaging.bundle.build import Built, Facts
    from edge_assistant_packaging.manifest import Manifest
    from edge_assistant_packaging.signing import KeyPair, PublicKey

_FILE = click.Path(path_type=Path)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace what is there.")
_PASSWORD = click.option(
    "--password-file", type=_FILE, metavar="FILE", help="Its first line; without it you are asked."
)
_PUBLIC = click.option(
    "-p", "--public-key", type=_FILE, metavar="FILE", help="The vendor's public key."
)
_PUBLIC_WORD = click.option(
    "-P", "public_word", metavar="KEY", help="The same as one word, as minisign prints it."
)


@click.group()
def bundle() -> None:
    """Put everything into one signed file, and check or unpack one that you got.

    The public key, and what checks with it (this command, or `minisign -V`), have to come from
    somewhere else than the bundle.
    """


@bundle.command()
@click.option("-p", "--public-key", type=_FILE, default="edge-assistant.pub", show_default=True)
@click.option("-s", "--secret-key", type=_FILE, default="edge-assistant.key", show_default=True)
@click.option("--no-password", is_flag=True, help="Leave the secret key readable.")
@_PASSWORD
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
    password = None if no_password else _password(password_file, "New password", confirm=True)
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
@click.option("-o", "--output", "target", type=_FILE, required=True, help="The bundle to make.")
@click.option("-s", "--secret-key", type=_FILE, required=True, help="Your secret key.")
@_PASSWORD
@click.option("--profile", required=True, help="Built-in set of values: starter, desktop, pi, ...")
@click.option("--platform", type=click.Choice(["linux-x86_64", "linux-aarch64"]), required=True)
@click.option("--config", type=_FILE, metavar="FILE", help="Configuration to lay over the profile.")
@click.option("--name", help="What to call it; the name of the profile without it.")
@click.option(
    "--build",
    "number",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Counts up; an update to a smaller one is refused.",
)
@click.option("--with-sources", is_flag=True, help="Add the sources that GPL parts need.")
@click.option("--permissive-only", is_flag=True, help="Leave GPL parts out.")
@click.option("--wheels-from", type=_FILE, metavar="DIR", help="Take wheels from here first.")
@click.option("--staging", type=_FILE, metavar="DIR", help="Pack this folder as it is.")
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
    pair = _pair(secret_key, password_file)
    if asked["staging"] is not None:
        built = _packed(asked["staging"], _own_facts(asked), target, pair, asked)
    else:
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=target.absolute().parent) as made:
            facts = _staged(Path(made), asked)
            built = _packed(Path(made), facts, target, pair, asked)
    if as_json:
        output.emit(
            {
                "bundle": str(built.path),
                "signature": str(built.signature_path),
                "size_bytes": built.size_bytes,
                "sha256": built.sha256,
                **_told(built.manifest),
            }
        )
        return
    click.echo(f"{built.sha256}  {built.path}")
    output.note(
        f"{built.path}: {built.manifest.comment}, {len(built.manifest.files)} files, "
        f"{built.size_bytes / 1e6:.1f} MB; {built.signature_path} is for minisign -V"
    )


@bundle.command()
@click.argument("file", metavar="BUNDLE", type=_FILE)
@_PUBLIC
@_PUBLIC_WORD
@_JSON
def verify(file: Path, public_key: Path | None, public_word: str | None, as_json: bool) -> None:
    """Check every byte of BUNDLE against the vendor's key, and say what it is."""
    checked = shipping("bundle.verify").verify(file, _public(public_key, public_word))
    if as_json:
        output.emit({"bundle": str(file), **_told(checked)})
        return
    click.echo(f"ok  {file}: {checked.comment}")
    _tell(checked)


@bundle.command()
@click.argument("file", metavar="BUNDLE", type=_FILE)
@click.argument("folder", type=_FILE)
@_PUBLIC
@_PUBLIC_WORD
@_JSON
def unpack(
    file: Path, folder: Path, public_key: Path | None, public_word: str | None, as_json: bool
) -> None:
    """Check BUNDLE while unpacking it into the new FOLDER, which is there only if all is right."""
    checked = shipping("bundle.verify").unpack(file, folder, _public(public_key, public_word))
    if as_json:
        output.emit({"folder": str(folder), **_told(checked)})
        return
    click.echo(str(folder))
    output.note(f"ok  {file}: {checked.comment}; install it with {folder / 'install.sh'}")


def _password(file: Path | None, prompt: str, *, confirm: bool = False) -> str:
    if file is not None:
        data: bytes = shipping("files").read_small(file, 4096)
        return data.decode(errors="surrogateescape").partition("\n")[0].removesuffix("\r")
    if not sys.stdin.isatty():
        raise EdgeAssistantError(
            "key-password-needed",
            "there is no terminal to ask for the password of the secret key",
            "give --password-file FILE",
        )
    text: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return text


def _pair(secret_key: Path, password_file: Path | None) -> KeyPair:
    signing = shipping("signing")
    password = None
    if signing.is_encrypted(secret_key):
        password = _password(password_file, f"Password of {secret_key}")
    pair: KeyPair = signing.read_secret(secret_key, password)
    return pair


def _public(file: Path | None, word: str | None) -> PublicKey:
    if (file is None) == (word is None):
        raise click.UsageError("Say whose bundle it has to be: -p FILE or -P KEY.")
    signing = shipping("signing")
    key: PublicKey = signing.parse_public(word) if file is None else signing.read_public(file)
    return key


def _staged(folder: Path, asked: dict[str, Any]) -> Facts:
    """Have the parts put into `folder`."""
    staged = shipping("staging").stage(
        asked["profile"],
        asked["platform"],
        asked["config"],
        with_sources=asked["with_sources"],
        permissive_only=asked["permissive_only"],
        wheels_from=asked["wheels_from"],
        folder=folder,
    )
    return _facts(asked, staged.version, staged.python, staged.cpu_flags)


def _own_facts(asked: dict[str, Any]) -> Facts:
    """What the command line says of a folder that somebody filled."""
    import edge_assistant

    python = asked["python"] or f"{sys.version_info.major}.{sys.version_info.minor}"
    return _facts(asked, edge_assistant.__version__, python, asked["cpu_flags"])


def _facts(asked: dict[str, Any], version: str, python: str, cpu_flags: str) -> Facts:
    maker = shipping("bundle.build")
    facts: Facts = maker.Facts(
        name=asked["name"] or asked["profile"],
        version=version,
        build=asked["number"],
        platform=asked["platform"],
        profile=asked["profile"],
        python=python,
        cpu_flags=cpu_flags,
        is_permissive_only=asked["permissive_only"],
        made_at_s=maker.source_date_epoch(),
    )
    return facts


def _packed(
    staging: Path, facts: Facts, target: Path, pair: KeyPair, asked: dict[str, Any]
) -> Built:
    build_bundle = shipping("bundle.build").build
    built: Built = build_bundle(staging, facts, target, pair, overwrite=asked["overwrite"])
    return built


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
    parts = "GPL parts left out" if manifest.is_permissive_only else "GPL parts not left out"
    output.note(f"    licences   {parts}")
