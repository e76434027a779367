"""`edge-assistant room`: what it prints, what it writes, how it fails. The rooms are made."""

from __future__ import annotations

import dataclasses
import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_assistant.audio.room.choice import choose
from edge_assistant.cli import main as cli
from edge_assistant.cli.own_file import with_settings
from edge_assistant.cli.room import settings_for
from edge_assistant.config import Config, load_profile, template
from edge_assistant.errors import DeviceLost
from tests.cli.conftest import Run
from tests.unit.audio.test_room import Frozen, RoomCard
from tests.unit.audio.test_room_choice import QUIET

STRICT = load_profile("kiosk")
TABLES: dict[str, Any] = {
    "audio": {"echo_canceller": "auto"},
    "turns": {
        "barge_in": True,
        "barge_in_ms": STRICT.turns.barge_in_ms,
        "probe_ms": STRICT.turns.probe_ms,
    },
    "vad": {"onset_aggressiveness": STRICT.vad.onset_aggressiveness},
}
GUARDED = {
    f"{section}.{key}": value for section, values in TABLES.items() for key, value in values.items()
}


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's configuration would be."""
    own = tmp_path / "edge-assistant" / "config.toml"
    monkeypatch.setattr("edge_assistant.config.config_paths", lambda: (tmp_path / "no.toml", own))
    return own


@pytest.fixture(autouse=True)
def made_room(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> RoomCard:
    """The machine's sound card: a loud echo, unless the test changes it."""
    card = RoomCard(echo_db=-3.0, delay_ms=12.0)
    monkeypatch.setattr(
        "edge_assistant.audio.cards.portaudio.PortAudioCard", lambda _settings: card
    )
    monkeypatch.setattr("edge_assistant.audio.room.recording.MonotonicClock", Frozen)
    return card


def test_the_table_and_the_lines_to_set(
    capfd: pytest.CaptureFixture[str], own_file: Path, made_room: RoomCard
) -> None:
    assert cli.run_command(["room"]) == 0
    said = capfd.readouterr()
    assert "noise floor" in said.out
    assert "-3.0 dB, " in said.out
    assert "12.0 ms more than the sound card tells of" in said.out
    assert "guarded: it yields to longer speech only" in said.out
    assert "because the echo is loud" in said.out
    assert tomllib.loads(said.out[said.out.index("[audio]") :]) == TABLES
    assert "--write" in said.err
    assert not own_file.exists()
    assert made_room.is_stopped


def test_json_for_machines(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["room", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["mode"] == "guarded"
    assert told["settings"] == GUARDED
    assert told["reasons"]
    assert told["card"] == "a made room"
    assert told["measurement"]["echo_db"] == pytest.approx(-3.0, abs=0.3)
    assert told["measurement"]["rt60_s"] is None


def test_headphones(capfd: pytest.CaptureFixture[str], made_room: RoomCard) -> None:
    made_room.echo_db = None
    assert cli.run_command(["room"]) == 0
    said = capfd.readouterr().out
    assert "full duplex" in said
    assert "none (one above -" in said
    assert "delay" not in said


def test_a_muted_microphone_is_an_error(
    capfd: pytest.CaptureFixture[str], made_room: RoomCard, own_file: Path
) -> None:
    made_room.echo_db = made_room.noise_dbfs = None
    assert cli.run_command(["room", "--write"]) == 1
    said = capfd.readouterr()
    assert said.err.count("error [microphone-silent]: ") == 1
    assert "\nhint: Unmute it" in said.err
    assert said.out == ""
    assert not own_file.exists()


def test_a_lost_card_is_69(capfd: pytest.CaptureFixture[str], made_room: RoomCard) -> None:
    made_room.error = DeviceLost("microphone-lost", "it is gone", "plug it in")
    assert cli.run_command(["room"]) == 69
    assert "error [microphone-lost]: it is gone\nhint: plug it in" in capfd.readouterr().err
    assert made_room.starts == 3


def test_no_such_device_is_69(run: Run) -> None:
    ended = run("room", "--input-device", "no such microphone anywhere")
    assert ended.code == 69
    assert "\nhint: " in ended.err
    assert ended.out == ""


def test_a_broken_recording_is_made_again(
    capfd: pytest.CaptureFixture[str], made_room: RoomCard
) -> None:
    made_room.breaks = (4, 0)
    assert cli.run_command(["room"]) == 0
    said = capfd.readouterr()
    assert made_room.starts == 2
    assert "Once more." in said.err
    assert "lost sound" not in said.out


def test_a_machine_that_is_always_busy_is_told(
    capfd: pytest.CaptureFixture[str], made_room: RoomCard
) -> None:
    made_room.breaks = (4,)
    made_room.echo_db = -20.0
    assert cli.run_command(["room"]) == 0
    said = capfd.readouterr().out
    assert made_room.starts == 3
    assert "4 times" in said
    assert "guarded" in said


def test_write_makes_a_file(capfd: pytest.CaptureFixture[str], own_file: Path) -> None:
    assert cli.run_command(["room", "--write"]) == 0
    assert f"wrote {own_file}\n" in capfd.readouterr().err
    assert tomllib.loads(own_file.read_text()) == TABLES


def test_write_keeps_the_rest(capfd: pytest.CaptureFixture[str], own_file: Path) -> None:
    own_file.parent.mkdir()
    real = own_file.with_name("real.toml")
    real.write_text(
        '# mine\nprofile = "pi"  # small\n\n[turns]\nbarge_in_ms = 500 # short\nduck_db = -12.0\n'
    )
    real.chmod(0o600)
    own_file.symlink_to(real)
    assert cli.run_command(["room", "--write"]) == 0
    text = real.read_text()
    assert own_file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert list(own_file.parent.glob(".*")) == []
    for kept in ("# mine\n", 'profile = "pi"  # small\n', "duck_db = -12.0\n", "# short\n"):
        assert kept in text
    turns = {"duck_db": -12.0, **TABLES["turns"]}
    assert tomllib.loads(text) == {"profile": "pi", **TABLES, "turns": turns}
    assert cli.run_command(["room", "--write"]) == 0
    assert real.read_text() == text  # the same room again changes nothing
    assert cli.run_command(["config", "show", "--json"]) == 0
    shown = capfd.readouterr().out
    shown_turns = json.loads(shown[shown.rindex('{"profile') :])["turns"]
    assert shown_turns["probe_ms"] == STRICT.turns.probe_ms


def test_a_file_that_cannot_be_read_is_78_before_a_sound(
    made_room: RoomCard, own_file: Path
) -> None:
    own_file.parent.mkdir()
    own_file.write_text("[turns\n")
    assert cli.run_command(["room", "--write"]) == 78
    assert made_room.starts == 0
    assert own_file.read_text() == "[turns\n"


def test_what_a_later_layer_sets_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["room", "--write", "--set", "turns.barge_in_ms=600"]) == 0
    assert "turns.barge_in_ms is 600 all the same" in capfd.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "turns.duck_db = -12.0\n",
        "turns = { duck_db = -12.0, barge_in = false }\n",
        "[turns]\r\nduck_db = -12.0\r\n\r\n[vad]\r\n",
        "vad.engine = 'webrtc'\nvad.onset_aggressiveness = 1\n[turns]\n# nothing yet",
        "[audio]\n[vad]\n[turns]\nprobe_ms = 1_00  # a comment\n\n[llm]\nmodel = 'x'\n",
        template(Config()),
    ],
)
def test_any_way_to_write_it_down(text: str) -> None:
    before = tomllib.loads(text)
    changed = tomllib.loads(with_settings(text, GUARDED))
    for section, values in TABLES.items():
        assert changed[section] == before.get(section, {}) | values
    assert {k: v for k, v in changed.items() if k not in TABLES} == {
        k: v for k, v in before.items() if k not in TABLES
    }


def test_what_would_come_out_wrong_is_not_written(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], own_file: Path
) -> None:
    """No file is known with which the editor of TOML goes wrong, so here it is made to."""
    own_file.parent.mkdir()
    own_file.write_text("[turns]\n")
    monkeypatch.setattr("tomlkit.dumps", lambda _document: "[turns]\nbarge_in = true\n")
    assert cli.run_command(["room", "--write"]) == 78
    said = capfd.readouterr().err
    assert "error [config-not-editable]: " in said
    assert f"turns.barge_in_ms = {STRICT.turns.barge_in_ms}" in said
    assert own_file.read_text() == "[turns]\n"


@pytest.mark.parametrize("profile", ["starter", "desktop", "pi", "kiosk"])
@pytest.mark.parametrize("echo_db", [-60.0, -20.0, 0.0, 6.0])
def test_the_settings_are_ones_that_there_are(profile: str, echo_db: float) -> None:
    choice = choose(dataclasses.replace(QUIET, echo_db=echo_db))
    usual = load_profile(profile)
    config = usual.with_overrides(settings_for(choice, profile))
    assert config.turns.barge_in == (choice.mode != "half")
    assert config.audio.echo_canceller == choice.canceller
    if choice.mode == "full":
        assert config.turns == usual.turns
        assert config.vad == usual.vad
    else:
        assert config.turns.barge_in_ms >= usual.turns.barge_in_ms
        assert config.turns.barge_in_ms >= STRICT.turns.barge_in_ms
        assert config.turns.probe_ms > load_profile("starter").turns.probe_ms
        assert config.vad.onset_aggressiveness == 3
