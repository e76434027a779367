"""Layers of the configuration, and what it says about a mistake."""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge_assistant import config as configuration
from edge_assistant.config import Config, dump, load, load_profile, profiles, template
from edge_assistant.errors import ConfigError
from edge_assistant.layers import MAX_FILE_BYTES
from edge_assistant.store.catalog import Catalog


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a configuration, and no system's file."""
    folder = tmp_path / "home"
    paths = (tmp_path / "etc" / "config.toml", folder / "edge-assistant" / "config.toml")
    for path in paths:
        path.parent.mkdir(parents=True)
    monkeypatch.setattr(configuration, "config_paths", lambda: paths)
    return paths[1]


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def refused(path: Path | None = None, **given: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path, environ={}, **given)  # type: ignore[arg-type]
    return caught.value


def test_without_anything_the_defaults_hold() -> None:
    assert load(environ={}) == Config()


def test_the_file_of_a_bundle_is_below_all_others(tmp_path: Path, home: Path) -> None:
    bundled = write(tmp_path / "bundled.toml", "[turns]\npause_ms = 101\nfade_ms = 9\n")
    write(home, "[turns]\npause_ms = 102\n")
    turns = load(environ={"EDGE_ASSISTANT_BUNDLE_CONFIG": str(bundled)}).turns
    assert (turns.pause_ms, turns.fade_ms) == (102, 9)
    bundled.unlink()
    assert load(environ={"EDGE_ASSISTANT_BUNDLE_CONFIG": str(bundled)}).turns.pause_ms == 102


def test_each_layer_wins_over_the_one_below(tmp_path: Path, home: Path) -> None:
    system, _ = configuration.config_paths()
    given = tmp_path / "given.toml"
    values = []
    for layer in range(5):
        if layer == 0:
            write(system, "[turns]\npause_ms = 101\n")
        elif layer == 1:
            write(home, "[turns]\npause_ms = 102\n")
        elif layer == 2:
            write(given, "[turns]\npause_ms = 103\n")
        environ = {"EDGE_ASSISTANT_TURNS__PAUSE_MS": "104"} if layer >= 3 else {}
        overrides = {"turns.pause_ms": 105} if layer >= 4 else {}
        path = given if given.exists() else None
        values.append(load(path, overrides=overrides, environ=environ).turns.pause_ms)
    assert values == [101, 102, 103, 104, 105]


def test_layers_leave_each_others_keys_alone(tmp_path: Path, home: Path) -> None:
    write(home, "[turns]\npause_ms = 150\n[llm]\nseed = 3\n")
    path = write(tmp_path / "given.toml", "[turns]\nfade_ms = 6\n")
    config = load(path, environ={})
    assert (config.turns.pause_ms, config.turns.fade_ms, config.llm.seed) == (150, 6, 3)


def test_a_file_wins_over_the_profile_that_it_names(home: Path) -> None:
    write(home, 'profile = "kiosk"\n[turns]\nbarge_in_ms = 777\n')
    config = load(environ={})
    assert config.profile == "kiosk"
    assert config.turns.barge_in_ms == 777
    assert config.llm == load_profile("kiosk").llm


def test_the_flag_names_the_profile_before_the_environment_before_the_file(home: Path) -> None:
    write(home, 'profile = "pi"\n')
    environ = {"EDGE_ASSISTANT_PROFILE": "kiosk"}
    assert load(environ={}).profile == "pi"
    assert load(environ=environ).profile == "kiosk"
    assert load(profile="desktop", environ=environ).profile == "desktop"


def test_the_environment_speaks_every_type() -> None:
    config = load(
        environ={
            "EDGE_ASSISTANT_TURNS__BARGE_IN": "false",
            "EDGE_ASSISTANT_TURNS__DUCK_DB": "-12",
            "EDGE_ASSISTANT_TURNS__STOP_PHRASES": '["halt", "stop it"]',
            "EDGE_ASSISTANT_LLM__MODEL": "5",
            "EDGE_ASSISTANT_AUDIO__LATENCY": "25",
            "EDGE_ASSISTANT_MODELS_DIR": "/somewhere",
            "EDGE_ASSISTANT_SPEECH": "/elsewhere",
        }
    )
    assert config.turns.barge_in is False
    assert config.turns.duck_db == -12.0
    assert config.turns.stop_phrases == ("halt", "stop it")
    assert config.llm.model == "5"
    assert config.audio.latency == 25


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("EDGE_ASSISTANT_TURNS__PAUSE_MS", "soon", "expected `int`"),
        ("EDGE_ASSISTANT_TURNS__PAUSE_MS", "1", "`int` >= 20"),
        ("EDGE_ASSISTANT_TURNS__PAUS_MS", "100", "unknown key `paus_ms` in [turns]"),
        ("EDGE_ASSISTANT_TURN__PAUSE_MS", "100", "unknown key `turn` at the top level"),
        ("EDGE_ASSISTANT_TURNS__LISTEN", "maybe", "invalid enum value"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={variable: value})
    assert caught.value.message.startswith(f"{variable}: ")
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("[turns]\n\nmin_wait = 3\n", 3, "unknown key `min_wait`", "`min_wait_ms`"),
        ("# no\n[turn]\nx = 1\n", 2, "unknown key `turn` at the top", "`turns`"),
        ('[audio]\nlisten = "push"\n', 2, "unknown key `listen` in [audio]", "`turns.listen`"),
        ('[turns]\nfade_ms = 5\nlisten = "ever"\n', 3, "turns.listen: invalid enum", "init"),
        ("[turns]\nfade_ms = 5.5\n", 2, "turns.fade_ms: expected `int`, got `float`", "init"),
        ("[turns]\nfade_ms = 5\npause_ms = 0\n", 3, "turns.pause_ms: expected `int` >= 20", "init"),
        ("turns = 5\n", 1, "turns: expected `object`", "init"),
        ("turns.fade_ms = 0\n", 1, "turns.fade_ms", "init"),
        ("[turns]\nstop_phrases = [\n  'a',\n  5,\n]\n", 2, "turns.stop_phrases", "init"),
        ("[turns]\nmin_wait_ms = 5000\n", 1, "is below `min_wait_ms`", "init"),
        ('profile = "pie"\n', 1, "no profile is called `pie`", "`pi`"),
        ("[turns\n", 1, "not TOML", "init"),
        ("a = 1\nb = \n", 2, "not TOML", "init"),
        ("[turns]\nfade_ms = 5\nfade_ms = 6\n", 3, "not TOML", "init"),
        ("x = " + "9" * 5000 + "\n", 2, "not TOML", "init"),
        ("x = " + "[" * 5000 + "\n", 1, "nested too deeply", "init"),
    ],
)
def test_a_mistake_is_shown_by_file_and_line(
    tmp_path: Path, text: str, line: int, message: str, hint: str
) -> None:
    path = write(tmp_path / "given.toml", text)
    error = refused(path)
    assert error.message.startswith(f"{path}:{line}: ")
    assert message in error.message
    assert hint in error.hint


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    latin = tmp_path / "latin.toml"
    latin.write_bytes("[llm]\nmodel = 'é'\n".encode("latin-1"))
    huge = write(tmp_path / "huge.toml", "# " + "x" * MAX_FILE_BYTES)
    assert refused(absent).code == "config-unreadable"
    assert refused(tmp_path).code == "config-unreadable"
    assert refused(latin).code == "config-not-toml"
    assert refused(huge).code == "config-not-toml"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As Notepad writes it."""
    marked = tmp_path / "marked.toml"
    marked.write_bytes("[turns]\npause_ms = 101\n".encode("utf-8-sig"))
    assert configuration.load(marked, environ={}).turns.pause_ms == 101


def test_fuzzed_files_never_do_worse_than_an_error(tmp_path: Path) -> None:
    """200 broken files: each is a configuration, or an error that says where."""
    chance = random.Random(11)
    sound = switched_on(template(load_profile("kiosk")))
    accepted = 0
    refusals: list[tuple[Path, ConfigError]] = []
    for number in range(200):
        path = tmp_path / f"{number}.toml"
        path.write_bytes(fuzzed(sound, chance))
        try:
            assert isinstance(load(path, environ={}), Config)
            accepted += 1
        except ConfigError as error:
            refusals.append((path, error))
    for path, refusal in refusals:
        assert refusal.code.startswith("config-")
        assert refusal.hint
        assert re.search(rf"{re.escape(str(path))}(:\d+: | is not UTF-8)", refusal.message)
    assert accepted > 50, "the fuzzing must leave some files sound"
    assert len(refusals) > 50, "and spoil others"


def fuzzed(sound: str, chance: random.Random) -> bytes:
    lines = sound.split("\n")
    at = chance.randrange(len(lines))
    values = ["nan", "-inf", "1e400", "[]", "{}", "''", "1979-05-27", "9" * 400, '"\\ud800"', "5.5"]
    match chance.randrange(7):
        case 0:  # another value
            lines[at] = lines[at].partition("=")[0] + "= " + chance.choice(values)
        case 1:  # another key
            key, equals, value = lines[at].partition(" =")
            lines[at] = key[: chance.randrange(len(key) + 1)] + "_x" + equals + value
        case 2:  # twice
            lines.insert(chance.randrange(len(lines)), lines[at])
        case 3:  # cut short
            return "\n".join(lines).encode()[: chance.randrange(len(sound))]
        case 4:  # bytes
            noise = bytearray("\n".join(lines), "utf-8")
            for _ in range(chance.randrange(1, 20)):
                noise[chance.randrange(len(noise))] = chance.randrange(256)
            return bytes(noise)
        case 5:  # another table
            lines.insert(at, chance.choice(["[[turns]]", "[turns.x]", "[a.b.c]", "[llm]", "['']"]))
        case 6:  # gone
            del lines[at]
    return "\n".join(lines).encode()


def switched_on(text: str) -> str:
    """The file of `config init` with every key set."""
    return re.sub(r"^#(\w+ = .+)$", r"\1", text, flags=re.MULTILINE)


@pytest.mark.parametrize("profile", ["starter", "desktop", "pi", "kiosk"])
def test_a_profile_is_sound_and_names_models_of_the_catalog(profile: str) -> None:
    assert profile in profiles()
    config = load(profile=profile, environ={})
    catalog = Catalog.load()
    assert catalog.get(config.llm.model).kind == "llm"
    assert catalog.get(config.stt.model).kind == "stt"
    assert catalog.get(config.tts.voice).kind == "tts"
    assert catalog.get(config.turn_detector.model).kind == "turn_detector"


def test_the_default_profile_needs_the_starter_pack_only() -> None:
    config = Config()
    starter = {entry.id for entry in Catalog.load().pack("starter")}
    assert {config.llm.model, config.stt.model, config.tts.voice} <= starter
    assert load_profile() == config


def test_what_is_dumped_reads_back(tmp_path: Path) -> None:
    config = Config().with_overrides(
        {"llm.system_prompt": 'Say "hi"\\ and\ttab\x7f\n§', "tts.speaker": 3, "audio.latency": 20}
    )
    path = write(tmp_path / "given.toml", dump(config))
    assert load(path, environ={}) == config


def test_the_file_to_edit_changes_nothing_until_a_key_is_switched_on(tmp_path: Path) -> None:
    text = template(load_profile("pi"))
    assert tomllib.loads(text)["profile"] == "pi"
    for each in (text, switched_on(text)):
        path = write(tmp_path / "given.toml", each)
        assert load(path, environ={}) == load_profile("pi")


def test_the_file_to_edit_explains_every_key() -> None:
    lines = template(Config()).split("\n")
    for at, line in enumerate(lines):
        if re.match(r"#?\w+ =", line):
            assert re.match(r"# \S", lines[at - 1]), f"{line} has no explanation"


def test_overrides_are_checked_and_none_means_not_given() -> None:
    config = Config().with_overrides({"turns.listen": None, "llm.seed": 9})
    assert config == msgspec.structs.replace(Config(), llm=config.llm)
    assert config.llm.seed == 9
    with pytest.raises(ConfigError, match=r"command line: turns\.listen"):
        Config().with_overrides({"turns.listen": "never"})
    with pytest.raises(ConfigError, match="unknown key `seeed`"):
        Config().with_overrides({"llm.seeed": 9})


def test_assignments_of_the_command_line() -> None:
    assert configuration.parse_assignment("turns.barge_in=0") == ("turns.barge_in", False)
    assert configuration.parse_assignment("turns.pause_ms = 120") == ("turns.pause_ms", 120)
    assert configuration.parse_assignment("llm.model=a=b.gguf") == ("llm.model", "a=b.gguf")
    for wrong in ("turns.pause_ms", "turns.pause=3", "pause_ms=3", "turns.pause_ms=x", "=3"):
        with pytest.raises(ConfigError):
            configuration.parse_assignment(wrong)
    with pytest.raises(ConfigError, match=r"--set turns\.listen: "):
        configuration.parse_assignment("turns.listen=pull")
