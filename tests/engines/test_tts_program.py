"""The system's espeak-ng program as a voice: what goes in, what may come out, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.config import load
from edge_assistant.errors import ModelIncompatible, ModelNotFound, SynthesisError
from edge_assistant.pipeline.engines import build_voice, voice_language
from edge_assistant.store.catalog import Catalog
from edge_assistant.store.store import Store
from edge_assistant.tts.espeak_child import speak
from edge_assistant.tts.espeak_program import EspeakProgramVoice, program_version

pytestmark = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="this machine has no program espeak-ng"
)

WITHOUT_GPL = """
import importlib.machinery as machinery
_find = machinery.PathFinder.find_spec
def _without(name, path=None, target=None):
    is_gpl = name.partition(".")[0] in ("piper", "espeakng_loader")
    return None if is_gpl else _find(name, path, target)
machinery.PathFinder.find_spec = _without
"""
"""A `sitecustomize` for an interpreter in which the two packages are not installed."""


def program(folder: Path, body: str) -> str:
    """A program of that name; `$REAL` in it is the true one."""
    real = shutil.which("espeak-ng")
    path = folder / "espeak-ng"
    path.write_text(f'#!/bin/sh\nREAL={real}\nHERE="{folder}"\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def said(voice: EspeakProgramVoice, text: str, token: CancelToken | None = None) -> int:
    return sum(len(each.samples) for each in voice.synthesize(text, token or CancelToken()))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def written(path: Path) -> str:
    """What a child writes, as soon as it has."""
    while not (path.exists() and path.read_text().strip()):
        time.sleep(0.005)
    return path.read_text().strip()


def test_the_text_goes_to_stdin_as_utf_8_and_never_among_the_arguments(tmp_path: Path) -> None:
    body = 'printf "%s\\n" "$@" >> "$HERE/arguments"; tee -a "$HERE/stdin" | "$REAL" "$@"'
    voice = EspeakProgramVoice("en-us", program=program(tmp_path, body))
    text = "Café; $(touch /tmp/never) `id` -v de --help [[h@l'oU]]."
    assert said(voice, text) > 10_000
    arguments = (tmp_path / "arguments").read_text()
    assert "Caf" not in arguments
    assert "touch" not in arguments
    assert (
        (tmp_path / "stdin")
        .read_text("utf-8")
        .endswith(
            text.replace("[[", "  ").replace("]]", "  ")  # where its phonemes would stand
        )
    )


def test_the_voice_speed_and_pitch_are_what_was_asked(tmp_path: Path) -> None:
    slow = said(EspeakProgramVoice("en-us", words_per_minute=100), "Hello there, my friend.")
    fast = said(EspeakProgramVoice("en-us", words_per_minute=300), "Hello there, my friend.")
    assert slow > 1.5 * fast
    body = 'printf "%s " "$@" > "$HERE/arguments"; exec "$REAL" "$@"'
    EspeakProgramVoice("de", pitch=100, program=program(tmp_path, body))
    assert "-p 99 -v de" in (tmp_path / "arguments").read_text()


def test_a_text_longer_than_any_pipe_arrives_whole(tmp_path: Path) -> None:
    text = "one two three four five " * 6_000  # 144 kB without a full stop
    path = program(tmp_path, 'cat > "$HERE/stdin"; echo a | "$REAL" --stdin --stdout')
    spoken = speak((path,), text, max_s=60, token=CancelToken())
    assert len(spoken.samples) > 5_000
    assert (tmp_path / "stdin").read_text() == text


def test_sound_is_bounded_by_the_length_of_the_text() -> None:
    with pytest.raises(SynthesisError, match="more than 5 s"):
        speak(("espeak-ng", "--stdin", "--stdout"), "one " * 100, max_s=5, token=CancelToken())


def test_whoever_cancels_kills_the_child(tmp_path: Path) -> None:
    body = (
        'if [ -e "$HERE/armed" ]; then echo $$ > "$HERE/pid"; exec sleep 600; fi; exec "$REAL" "$@"'
    )
    voice = EspeakProgramVoice("en-us", program=program(tmp_path, body))
    (tmp_path / "armed").touch()
    token = CancelToken()
    ended: list[str] = []

    def talk() -> None:
        try:
            said(voice, "Hello there.", token)
        except TurnCancelled:
            ended.append("cancelled")

    thread = threading.Thread(target=talk)
    thread.start()
    pid = int(written(tmp_path / "pid"))
    token.cancel("test")
    thread.join(60)
    assert ended == ["cancelled"]
    assert is_gone(pid)  # and reaped
    (tmp_path / "armed").unlink()
    assert said(voice, "Hello there.") > 10_000


def test_a_stream_that_nobody_finishes_leaves_no_child() -> None:
    voice = EspeakProgramVoice()
    stream = voice.synthesize("Hello there. And a second one. And a third.", CancelToken())
    next(stream)
    del stream
    me = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    children = me.read_text().split() if me.exists() else []
    assert not [pid for pid in children if "espeak" in Path(f"/proc/{pid}/comm").read_text()]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("exec cat /dev/zero", "espeak-program-no-sound"),
        ("head -c 20 /dev/zero", "espeak-program-no-sound"),
        ("echo hello; exit 0", "espeak-program-no-sound"),
        ("echo 'no data files' >&2; exit 3", "espeak-program-refused"),
        ("kill -9 $$", "espeak-program-refused"),
        ("exec >&-; exec sleep 600", "espeak-program-stuck"),
        ("exec sleep 600", "espeak-program-stuck"),
        ('"$REAL" "$@"; cat /dev/zero', "espeak-program-endless"),
        ("yes complaint | head -c 3000000 >&2; exit 1", "espeak-program-refused"),
        ("cat > /dev/null", "voice-silent"),
    ],
)
def test_a_program_that_misbehaves_fails_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, code: str
) -> None:
    monkeypatch.setattr("edge_assistant.tts.espeak_child._LONGEST_SILENCE_S", 0.3)
    guarded = f'if [ -e "$HERE/armed" ]; then\n{body}\nelse exec "$REAL" "$@"; fi'
    voice = EspeakProgramVoice("en-us", program=program(tmp_path, guarded))
    (tmp_path / "armed").touch()
    if body == "exec cat /dev/zero":
        code = "espeak-program-endless"
    with pytest.raises(SynthesisError) as raised:
        said(voice, "Hello there.")
    assert raised.value.code == code
    assert raised.value.hint
    assert len(raised.value.message) < 2500
    with pytest.raises((ModelNotFound, ModelIncompatible)):  # and no voice is built on it
        EspeakProgramVoice("en-us", program=program(tmp_path, guarded))
    (tmp_path / "armed").unlink()
    assert said(voice, "Hello there.") > 10_000


def test_ctrl_c_in_the_terminal_is_not_for_the_child(tmp_path: Path) -> None:
    body = 'ps -o pgid= -p $$ > "$HERE/group"; exec "$REAL" "$@"'
    speak((program(tmp_path, body), "--stdin", "--stdout"), "a", max_s=60, token=CancelToken())
    assert int((tmp_path / "group").read_text()) != os.getpgrp()


@pytest.mark.parametrize(
    "ask", [lambda path: EspeakProgramVoice("en-us", program=path), program_version]
)
def test_the_child_is_told_of_no_sound_server_and_nothing_else_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], object]
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "tcp:192.0.2.1")
    monkeypatch.setenv("A_SECRET", "x")
    path = program(tmp_path, 'env > "$HERE/env"; exec "$REAL" "$@"')
    ask(path)
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "PULSE_SERVER=unix:/nonexistent" in (tmp_path / "env").read_text()
    assert "A_SECRET" not in names


def test_no_program_and_no_such_voice_are_told_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as raised:
        EspeakProgramVoice(program=str(tmp_path / "espeak-ng"))
    assert (raised.value.code, raised.value.hint) == (
        "espeak-program-missing",
        "sudo apt install espeak-ng",
    )
    with pytest.raises(ModelNotFound, match="does not exist"):
        EspeakProgramVoice("zz")
    assert program_version() != ""
    assert program_version(str(tmp_path / "espeak-ng")) == ""


def test_the_store_knows_its_voices_by_name(tmp_path: Path) -> None:
    store = Store(tmp_path, Catalog.load())
    entry = store.open("espeak-program:en-gb+f3", "tts").entry
    assert (entry.engine, entry.languages, entry.files) == ("espeak-program", ("en-gb",), ())
    config = load(None, None).with_overrides({"tts.voice": "espeak-program:de"})
    assert voice_language(config, store) == "de"
    voice = build_voice(config, store)
    assert voice.sample_rate == 22_050
    voice.close()


@pytest.mark.parametrize(
    "name", ["", "-x", "../x", "en/us", "en us", "en\n", "EN", "en+", "a" * 90]
)
def test_what_cannot_name_a_voice_never_reaches_the_program(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelNotFound) as raised:
        Store(tmp_path, Catalog.load()).open(f"espeak-program:{name}", "tts")
    assert raised.value.code == "voice-not-found"


def run_without_gpl(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder = tmp_path / "first"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(WITHOUT_GPL)
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "edge_assistant", *arguments],
        env=os.environ | {"PYTHONPATH": path, "EDGE_ASSISTANT_OFFLINE": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_the_gpl_packages_it_speaks_and_says_by_whom(tmp_path: Path) -> None:
    sound = tmp_path / "x.wav"
    done = run_without_gpl(
        tmp_path, "say", "Hello.", "--voice", "espeak-program:en-us", "-o", str(sound)
    )
    assert (done.returncode, sound.exists()) == (0, True), done.stderr
    assert "separate program" in run_without_gpl(tmp_path, "--version").stdout
    done = run_without_gpl(tmp_path, "say", "Hello.", "-o", str(sound))
    assert "--voice espeak-program:en-us" in done.stderr
    config = tmp_path / "config.toml"
    config.write_text('[tts]\nvoice = "espeak-program:en-us"\n')
    done = run_without_gpl(tmp_path, "doctor", "--json", "--config", str(config))
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["piper-tts"]["state"] == found["espeakng-loader"]["state"] == "note"
    assert "separate program" in found["program"]["detail"]


def test_the_signal_that_ends_us_is_one_that_no_program_ignores(tmp_path: Path) -> None:
    body = 'trap "" TERM INT HUP; echo $$ > "$HERE/pid"; while :; do sleep 1; done'
    token = CancelToken()
    path = program(tmp_path, body)

    def cancel() -> None:
        written(tmp_path / "pid")
        token.cancel("test")

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(TurnCancelled):
        speak((path,), "a", max_s=60, token=token)
    assert is_gone(int(written(tmp_path / "pid")))
