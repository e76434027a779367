"""Options for the vendor's keys, and what they name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.shipping import shipping
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant_packaging.signing import KeyPair, PublicKey

FILE = click.Path(path_type=Path)
PASSWORD = click.option(
    "--password-file", type=FILE, metavar="FILE", help="Its first line; without it you are asked."
)
PUBLIC = click.option(
    "-p", "--public-key", type=FILE, metavar="FILE", help="The vendor's public key."
)
PUBLIC_WORD = click.option(
    "-P", "public_word", metavar="KEY", help="The same as one word, as minisign prints it."
)


def ask_password(file: Path | None, prompt: str, *, confirm: bool = False) -> str:
    """The first line of `file`, or what the user types.

    Raises:
        EdgeAssistantError: `key-password-needed`; the file cannot be read.
    """
    if file is not None:
        data: bytes = shipping("files").read_small(file, 4096)
        return data.decode(errors="surrogateescape").partition("\n")[0].removesuffix("\r")
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed, as by `<&-`
        raise EdgeAssistantError(
            "key-password-needed",
            "there is no terminal to ask for the password of the secret key",
            "give --password-file FILE",
        )
    text: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return text


def key_pair(secret_key: Path, password_file: Path | None) -> KeyPair:
    """Of a secret key file, opened with its password where it has one."""
    signing = shipping("signing")
    password = None
    if signing.is_encrypted(secret_key):
        password = ask_password(password_file, f"Password of {secret_key}")
    pair: KeyPair = signing.read_secret(secret_key, password)
    return pair


def public_key_of(file: Path | None, word: str | None) -> PublicKey:
    """The key that was named one way or the other."""
    if (file is None) == (word is None):
        raise click.UsageError("Say whose bundle it has to be: -p FILE or -P KEY.")
    signing = shipping("signing")
    key: PublicKey = signing.parse_public(word) if file is None else signing.read_public(file)
    return key
