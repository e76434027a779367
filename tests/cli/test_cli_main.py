"""The frame of the command line: help, errors in one line, exit codes, pipes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_assistant.cli import main as cli
from edge_assistant.cli import verbs
from edge_assistant.errors import (
    AudioFormatError,
    ConfigError,
    DeviceLost,
    DeviceNotFound,
    DownloadError,
    EdgeAssistantError,
    GenerationError,
    ModelNotFound,
)
from tests.cli.conftest import Run

VERBS = (
    *("run", "room", "converse", "ask", "say", "transcribe"),
    *("devices", "models", "config", "doctor"),
)


def test_help_names_every_verb_and_exit_code(run: Run) -> None:
    ended = run("--help")
    assert ended.code == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", ended.out, re.MULTILINE)
    assert "143" in ended.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(capfd: pytest.CaptureFixture[str], verb: str) -> None:
    assert cli.run_command([verb, "--help"]) == 0
    assert f"edge-assistant {verb}" in capfd.readouterr().out


def test_the_short_help_of_a_verb_is_about_that_verb() -> None:
    """The frame has one line for each, so that it need not import them."""
    for verb in VERBS:
        command = verbs.cli.get_command(None, verb)  # type: ignore[arg-type]
        assert command is not None
        assert command.name == verb
        assert command.help


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("edge-assistant, version ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runn"], "Did you mean 'run'?"),
        (["ask"], "Missing argument"),
        (["ask", " "], "nothing to ask"),
        (["say", ""], "nothing to say"),
        (["converse"], "USER.wav and REPLY.wav, or --pipe"),
        (["converse", "--pipe", "a.wav"], "--pipe takes no files"),
        (["converse", "a.wav", "b.wav", "--room", "r.wav"], "--room needs --echo-db"),
        (["converse", "a.wav", "b.wav", "--tail-s", "nan"], "not a number"),
        (["converse", "a.wav", "b.wav", "--tail-s", "-1"], "not in the range"),
        (["converse", "a.wav", "b.wav", "--echo-db", "inf"], "not in the range"),
        (["converse", __file__, __file__], "would replace"),
        (["say", "hi", "--json"], "--json needs -o"),
        (["run", "--listen", "always"], "--listen"),
        (["transcribe", "a.wav", "--json", "--srt"], "Either --json or --srt"),
        (["transcribe", "a.wav", "b.wav", "--srt"], "one file"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage_is_2(
    capfd: pytest.CaptureFixture[str], arguments: Sequence[str], said: str
) -> None:
    assert cli.run_command(arguments) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ConfigError, 78),
        (DeviceNotFound, 69),
        (DeviceLost, 69),
        (AudioFormatError, 74),
        (DownloadError, 74),
        (ModelNotFound, 1),
        (GenerationError, 1),
    ],
)
def test_an_error_is_a_line_with_its_hint_and_a_code(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[EdgeAssistantError],
    code: int,
) -> None:
    def fail() -> None:
        raise kind("some-code", "what\nhappened", "what to type")

    monkeypatch.setattr("edge_assistant.config.config_paths", fail)
    assert cli.run_command(["config", "path"]) == code
    assert capfd.readouterr().err == "error [some-code]: what happened\nhint: what to type\n"


def test_an_unexpected_error_is_a_line_too_unless_asked(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("edge_assistant.config.config_paths", fail)
    assert cli.run_command(["config", "path"]) == 1
    assert "error [internal]: ZeroDivisionError: by nought\nhint: " in capfd.readouterr().err
    with pytest.raises(ZeroDivisionError):
        cli.run_command(["--debug", "config", "path"])


def test_a_missing_file_is_74(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        Path("/no/such/file").read_bytes()

    monkeypatch.setattr("edge_assistant.config.config_paths", fail)
    assert cli.run_command(["config", "path"]) == 74
    said = capfd.readouterr().err
    assert "error [io]: /no/such/file: No such file" in said
    assert "\nhint: " in said


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "that you may write to")],
)
def test_a_disk_that_takes_nothing_is_told_with_a_way_out(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    monkeypatch.setattr("edge_assistant.config.config_paths", fail)
    assert cli.run_command(["config", "path"]) == 74
    assert re.fullmatch(
        rf"error \[io\]: /some/file: .*\nhint: .*{hint}.*\n", capfd.readouterr().err
    )


@pytest.mark.parametrize("verb", [["models", "verify"], ["models", "add"], ["transcribe"]])
def test_a_file_that_is_not_there_is_74_in_every_verb(run: Run, verb: list[str]) -> None:
    ended = run(*verb, "./nothing.gguf")
    assert (ended.code, ended.out) == (74, "")
    assert re.fullmatch(r"error \[[a-z-]+\]: .*nothing.gguf.*\nhint: .+\n", ended.err)


@pytest.mark.parametrize("place", ["", "no/folder/x.wav"])
@pytest.mark.parametrize("verb", [["say", "hello", "-o"], ["converse", "u.wav"]])
def test_a_place_that_cannot_be_written_is_told_at_once(
    run: Run, tmp_path: Path, verb: list[str], place: str
) -> None:
    """Not after the conversation that was to go there."""
    ended = run(*verb, str(tmp_path / place))
    assert ended.code == 74
    assert "error [sound-file-unwritable]: " in ended.err
    assert "hint: choose another place" in ended.err


def test_events_that_cannot_be_written_are_74(run: Run, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "u.wav"), "wb") as user:
        user.setparams((1, 2, 16_000, 0, "NONE", ""))
        user.writeframes(bytes(320))
    ended = run("converse", "u.wav", "r.wav", "--events", "no/folder/events.jsonl")
    assert ended.code == 74
    assert "error [events-unwritable]: no/folder/events.jsonl" in ended.err


def test_a_closed_stdout_is_no_accident(environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m edge_assistant config path >&-"],
        stderr=subprocess.PIPE,
        env=environ,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "arguments", [["config", "init", "--print"], ["--help"], ["models", "list"]]
)
def test_a_reader_that_has_gone_is_no_accident(
    environ: dict[str, str], arguments: list[str]
) -> None:
    """As in `edge-assistant models list | head -1`, with nobody left at the other end."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "edge_assistant", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environ,
        check=False,
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_colour_is_for_terminals_only(run: Run) -> None:
    ended = run("config", "show", "--profile", "nosuch", FORCE_COLOR="1")
    assert ended.code == 78
    assert "\x1b" not in ended.err
