"""The pages of the project say only what is so: commands, flags, keys, files, make targets.

Also every command that a hint or help text of ours tells somebody to type.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edge_assistant.cli.verbs import cli
from edge_assistant.config import known_keys

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "*/README.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith(".")
)
TARGETS = set(re.findall(r"^([a-z][a-z ]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SHELL = {"sh", "bash", "console", "shell"}


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block."""
    yield from re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[str]:
    """Command lines of ours in blocks for the shell, and between backticks in the prose."""
    for language, block in fences(text):
        if language in SHELL:
            for line in block.replace("\\\n", " ").splitlines():
                yield line.removeprefix("$ ").partition("  #")[0].strip()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


def faults(text: str) -> list[str]:
    """What a page tells people to type and would not work."""
    found = []
    for line in commands(text):
        words = [word for word in line.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        if words[:1] == ["make"]:
            targets = {word for word in words[1:] if word.isalpha()}
            found += [f"no make target `{each}`" for each in targets if not is_target(each)]
        elif words[:1] == ["edge-assistant"]:
            found += command_faults(line)
    for language, block in fences(text):
        if language == "toml" and "schema =" not in block and "[[model" not in block:
            found += [f"no key `{key}`" for key in keys_of(block) if key not in known_keys()]
    return found


def is_target(name: str) -> bool:
    return any(name in line.split() for line in TARGETS)


def command_faults(line: str) -> Iterator[str]:
    try:
        words = shlex.split(line.split("|")[0].split(">")[0].split("<")[0])[1:]
    except ValueError as error:
        yield f"`{line}`: {error}"
        return
    command: click.Command = cli
    context = click.Context(cli)
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            alternatives = word.split("|")
            if word in ("...", "…", "VERB", "COMMAND"):
                return
            inner = [command.get_command(context, name) for name in alternatives]
            if None in inner:
                yield f"`{line}`: no command `{word}`"
                return
            assert inner[0] is not None
            command = inner[0]
        elif word.startswith("-") and word not in ("-", "--help", "-h"):
            flags = {flag for param in command.params for flag in param.opts}
            if word.partition("=")[0] not in flags:
                yield f"`{line}`: {command.name} has no {word}"


def keys_of(block: str) -> Iterator[str]:
    for name, value in tomllib.loads(block).items():
        if isinstance(value, dict):
            yield from (f"{name}.{key}" for key in value)
        else:
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_tells_to_type_works(page: Path) -> None:
    assert faults(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_command_in_a_hint_exists() -> None:
    """Of all places, a way out has to be one."""
    found = {}
    for path in sorted((ROOT / "edge_assistant").rglob("*.py")):
        text = path.read_text("utf-8")
        for line in re.findall(
            r"edge-assistant ((?:models|config|devices|doctor|run|ask)[^`\"\n.,)]*)", text
        ):
            cleaned = re.sub(r"\{[^}]*\}", "x", line).replace("'", "").strip()
            wrong = list(command_faults(f"edge-assistant {cleaned}"))
            if wrong:
                found[path.name] = wrong
    assert found == {}


def test_a_wrong_page_is_found_out() -> None:
    page = """
Type `edge-assistant modles list` or `edge-assistant run --lisen push`, then `make tset`.
It is `edge-assistant models pull starter` and `make run ARGS=x`.
```sh
$ edge-assistant converse a.wav b.wav --eventz x.jsonl
edge-assistant say "It's fine" --output x.wav
```
```toml
[turns]
pause = 3
fade_ms = 8
```
"""
    assert len(faults(page)) == 5
