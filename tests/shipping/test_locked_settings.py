"""What is locked stays as it is, whoever asks; and who asks is told who locked it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from edge_assistant import config as configuration
from edge_assistant.config import Config, dump, known_keys, load, load_profile, locked_path
from edge_assistant.errors import ConfigError
from tests.fakes.engines import FakeLlm
from tests.pipeline.conftest import calm_machine
from tests.pipeline.test_assistant import Stage, stage

__all__ = ["calm_machine", "stage"]

LOCKED = """\
locked = ["turns.listen", "tts"]
profile = "kiosk"

[llm]
system_prompt = "You sell tickets."
"""


@pytest.fixture(autouse=True)
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with locked settings; the files of this machine do not count."""
    paths = (tmp_path / "etc" / "config.toml", tmp_path / "home" / "config.toml")
    for path in paths:
        path.parent.mkdir()
    monkeypatch.setattr(configuration, "config_paths", lambda: paths)
    locked_path().write_text(LOCKED, "utf-8")
    return paths[0].parent


def refused(expected: str, path: Path | None = None, **given: object) -> str:
    """The message of the refusal, which names the file and line of the lock."""
    given.setdefault("environ", {})
    with pytest.raises(ConfigError) as caught:
        load(path, **given)  # type: ignore[arg-type]
    assert caught.value.code == "config-locked", caught.value
    assert expected in caught.value.message
    assert f"is locked by {locked_path()}:" in caught.value.message
    assert caught.value.hint
    return caught.value.message


def test_what_the_file_sets_holds_and_is_locked() -> None:
    config = load(environ={})
    assert config.llm.system_prompt == "You sell tickets."
    assert config.profile == "kiosk"
    assert config.tts == load_profile("kiosk").tts
    assert config.locked["llm.system_prompt"] == f"{locked_path()}:5"
    assert config.locked["turns.listen"] == f"{locked_path()}:1"
    assert set(config.locked) == {"profile", "llm.system_prompt", "turns.listen"} | {
        key for key in known_keys() if key.startswith("tts.")
    }


def test_no_layer_above_can_change_it(tmp_path: Path) -> None:
    own, given = tmp_path / "home" / "config.toml", tmp_path / "given.toml"
    own.write_text('\n[llm]\nsystem_prompt = "Obey."\n', "utf-8")
    assert refused("`llm.system_prompt`").startswith(f"{own}:3: ")
    own.unlink()
    given.write_text("[tts]\nrate = 2.0\n", "utf-8")
    assert refused("`tts.rate`", given).startswith(f"{given}:2: ")
    message = refused("`turns.listen`", environ={"EDGE_ASSISTANT_TURNS__LISTEN": "push"})
    assert message.startswith("environment: ")
    message = refused("`turns.listen`", overrides={"turns.listen": "wake"})
    assert message.startswith("command line: ")


def test_a_file_that_the_environment_names_as_the_bundles_cannot_either(tmp_path: Path) -> None:
    bundled = tmp_path / "bundled.toml"
    environ = {"EDGE_ASSISTANT_BUNDLE_CONFIG": str(bundled)}
    bundled.write_text("[tts]\nrate = 2.0\n", "utf-8")
    bundled.chmod(0o666)
    assert refused("`tts.rate`", environ=environ).startswith(f"{bundled}:2: ")
    bundled.write_text('locked = ["turns.pause_ms"]\n[turns]\npause_ms = 101\n', "utf-8")
    config = load(environ=environ)
    assert config.turns.pause_ms == 101
    assert config.locked["turns.pause_ms"] == f"{bundled}:1"


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="not root")
def test_what_only_root_can_have_written_may(tmp_path: Path) -> None:
    bundled = tmp_path / "bundled.toml"
    bundled.write_text("[tts]\nrate = 2.0\n", "utf-8")
    bundled.chmod(0o644)
    assert load(environ={"EDGE_ASSISTANT_BUNDLE_CONFIG": str(bundled)}).tts.rate == 2.0


def test_another_profile_cannot_either() -> None:
    assert refused("`profile`", profile="starter").startswith("--profile: ")
    refused("`profile`", environ={"EDGE_ASSISTANT_PROFILE": "starter"})


def test_a_profile_cannot_change_what_is_locked_beside_it() -> None:
    """`tts` is locked at what the profile says that the machine's own files name."""
    (locked_path()).write_text('locked = ["tts.voice"]\n', "utf-8")
    assert load(environ={}).tts.voice == "espeak-en"
    assert refused("`tts.voice`", profile="kiosk").startswith("--profile: ")
    load(profile="kiosk", overrides={"tts.voice": "espeak-en"}, environ={})


def test_the_same_value_is_no_change_and_other_keys_are_free() -> None:
    overrides = {"llm.system_prompt": "You sell tickets.", "llm.seed": 3}
    assert load(overrides=overrides, environ={}).llm.seed == 3


def test_the_systems_own_file_is_below_the_locks(etc: Path) -> None:
    """Whoever may write there may write the locks too."""
    (etc / "config.toml").write_text("[tts]\nrate = 0.8\n[llm]\nseed = 5\n", "utf-8")
    config = load(environ={})
    assert (config.tts.rate, config.llm.seed) == (0.8, 5)
    assert refused("`tts.rate`", overrides={"tts.rate": 1.0})


def test_all_can_be_locked_at_once() -> None:
    locked_path().write_text('locked = ["*"]\n', "utf-8")
    config = load(environ={})
    assert set(config.locked) == set(known_keys()) - {"locked"}
    refused("`audio.block_ms`", overrides={"audio.block_ms": 20})


def test_a_lock_cannot_be_taken_back(tmp_path: Path) -> None:
    given = tmp_path / "given.toml"
    given.write_text("locked = []\n[turns]\nlisten = 'push'\n", "utf-8")
    refused("`turns.listen`", given)
    overrides = {"locked": {"turns.listen": "me"}}
    assert load(overrides=overrides, environ={}).locked["turns.listen"] == f"{locked_path()}:1"


def test_any_file_may_lock_for_those_after_it(tmp_path: Path) -> None:
    locked_path().unlink()
    own = tmp_path / "home" / "config.toml"
    own.write_text('locked = ["llm.seed"]\n[llm]\nseed = 4\n', "utf-8")
    with pytest.raises(ConfigError, match=r"`llm.seed` is locked by .*home/config.toml:1"):
        load(overrides={"llm.seed": 5}, environ={})


@pytest.mark.parametrize(
    "text", ["locked = 3\n", "locked = [3]\n", 'locked = ["llm.modle"]\n', "locked = {a=1}\n", "["]
)
def test_a_file_of_locks_that_is_wrong_stops_the_start(text: str) -> None:
    locked_path().write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(environ={})
    assert str(locked_path()) in caught.value.message


def test_a_file_of_locks_that_cannot_be_read_stops_the_start() -> None:
    locked_path().unlink()
    locked_path().mkdir()  # root may read any file, but not this
    with pytest.raises(ConfigError) as caught:
        load(environ={})
    assert caught.value.code == "config-unreadable"
    locked_path().rmdir()
    locked_path().symlink_to(locked_path())  # a loop
    with pytest.raises(ConfigError):
        load(environ={})


def test_what_is_shown_can_be_read_back(tmp_path: Path) -> None:
    shown = tmp_path / "shown.toml"
    shown.write_text(dump(load(environ={})), "utf-8")
    assert load(shown, environ={}) == load(environ={})


def test_a_program_cannot_change_it_nor_can_a_reload(stage: Callable[..., Stage]) -> None:
    locks = {"llm.model": "/etc/edge-assistant/locked.toml:2", "llm.system_prompt": "the same"}
    s = stage(llm=FakeLlm("One."), config=structs.replace(Config(), locked=locks))
    for change in ({"llm.model": "other"}, {"llm.system_prompt": "Obey."}):
        free = Config().with_overrides({"turns.partials": False, **change})
        with pytest.raises(ConfigError) as caught:
            s.assistant.reconfigure(free)
        assert caught.value.code == "config-locked"
    with pytest.raises(ConfigError, match=r"locked by /etc/edge-assistant/locked\.toml:2"):
        s.assistant.use(llm="other")
    assert not s.llm.is_closed
