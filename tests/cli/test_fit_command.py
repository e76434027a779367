"""`edge-assistant fit`: what it prints, what it writes, how it fails. The machines are made up."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_assistant.cli import main as cli
from edge_assistant.cli.own_file import with_settings
from edge_assistant.config import load
from edge_assistant.fit import machine as machines
from edge_assistant.fit.choose import PROGRAM_BYTES, gb
from edge_assistant.store.catalog import Catalog
from tests.cli.conftest import Run
from tests.unit.fit.made import DESKTOP, DESKTOP_MEMORY, PI, PI_MEMORY

PI_MACHINE = machines.Machine(
    cpu="A small board",
    system="Linux",
    physical_cores=4,
    usable_cores=4,
    instruction_sets=("asimd", "asimddp"),
    memory=PI_MEMORY,
    limit="",
)


class Place:
    """Where the command runs."""

    def __init__(self) -> None:
        self.machine, self.hardware = PI_MACHINE, PI


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A small board, an empty store, and no configuration, unless the test changes it."""
    found = Place()
    monkeypatch.setattr(machines, "look", lambda _models: found.machine)
    monkeypatch.setattr(machines, "measure", lambda _machine: found.hardware)
    monkeypatch.setenv("EDGE_ASSISTANT_MODELS_DIR", str(tmp_path / "models"))
    own = tmp_path / "edge-assistant" / "config.toml"
    monkeypatch.setattr("edge_assistant.config.config_paths", lambda: (tmp_path / "no.toml", own))
    return found


def told(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """The document of `fit --quick`."""
    assert cli.run_command(["fit", "--quick", "--json", *arguments]) == code
    document = json.loads(capfd.readouterr().out)
    assert isinstance(document, dict)
    return document


def test_what_a_person_sees(
    capfd: pytest.CaptureFixture[str], place: Place, tmp_path: Path
) -> None:
    place.machine = replace(
        PI_MACHINE, memory=replace(PI_MEMORY, free_bytes=1_000_000_000), limit="cgroup"
    )
    assert cli.run_command(["fit", "--quick", "--profile", "pi"]) == 0
    said = capfd.readouterr()
    assert "A small board" in said.out
    assert "asimddp" in said.out
    assert "1.00 GB free of 4.00 GB (limit of its cgroup)" in said.out
    assert "llamacpp estimated" in said.out
    refused = said.out[said.out.index("cannot be used here") :]
    needed = gb(Catalog.load().get("llama-3.2-1b-instruct").ram_bytes + PROGRAM_BYTES)
    assert f"llama-3.2-1b-instruct: needs {needed} of memory, 1.00 GB are free" in refused
    assert "recommended for pi, en: " in said.out
    wanted = tomllib.loads(said.out[said.out.index('profile = "pi"') :])
    assert set(wanted) == {"profile", "llm", "stt", "tts"}
    assert "--write" in said.err
    assert "edge-assistant models pull " in said.err
    assert not (tmp_path / "edge-assistant").exists()


def test_json_for_machines(capfd: pytest.CaptureFixture[str], place: Place) -> None:
    small = told(capfd, "--profile", "pi")
    assert small["machine"]["usable_cores"] == 4
    assert {each["kind"] for each in small["models"]} == {"stt", "llm", "tts"}
    assert all(not each["measured_with"] for each in small["models"])
    times = [each["first_audio_s"] for each in small["sets"] if each["refusal"] is None]
    assert times == sorted(times)
    assert small["recommended"]["llm"] == small["settings"]["llm.model"]
    place.hardware = DESKTOP
    place.machine = replace(PI_MACHINE, memory=DESKTOP_MEMORY)
    large = told(capfd, "--profile", "desktop")
    parameters = {each["id"]: each["size"]["parameters"] for each in large["models"]
                  if each["kind"] == "llm"}  # fmt: skip
    chosen = [parameters[each["recommended"]["llm"]] for each in (small, large)]
    assert chosen[0] <= chosen[1]
    assert large["recommended"]["first_audio_s"] < small["recommended"]["first_audio_s"] + 1


def test_another_language(capfd: pytest.CaptureFixture[str], place: Place) -> None:
    found = told(capfd, "--language", "de-AT", "--profile", "desktop")
    assert found["language"] == "de"
    by_id = {each["id"]: each for each in found["models"]}
    for each in found["sets"]:
        for part in ("stt", "llm", "tts"):
            languages = {code.partition("-")[0] for code in by_id[each[part]]["languages"]}
            assert languages & {"de", "mul"}, each
    assert found["sets"]


def test_nothing_fits(capfd: pytest.CaptureFixture[str], place: Place, tmp_path: Path) -> None:
    place.machine = replace(PI_MACHINE, memory=replace(PI_MEMORY, free_bytes=50_000_000))
    found = told(capfd, code=1)
    assert found["recommended"] is None
    assert found["settings"] == {}
    assert {each["refusal"]["code"] for each in found["models"]} == {"ram"}
    assert cli.run_command(["fit", "--quick", "--write"]) == 1
    assert "no set for starter, en: nothing fits" in capfd.readouterr().out
    assert not (tmp_path / "edge-assistant").exists()


def test_only_what_is_installed(capfd: pytest.CaptureFixture[str], place: Place) -> None:
    found = told(capfd, "--installed", code=1)
    assert [each["id"] for each in found["models"]] == ["espeak-en"], "the store is empty"


def test_write_keeps_the_rest(
    capfd: pytest.CaptureFixture[str], place: Place, tmp_path: Path
) -> None:
    own = tmp_path / "edge-assistant" / "config.toml"
    own.parent.mkdir()
    own.write_text(
        '# mine\nprofile = "starter" # once\n\n[llm]\nn_ctx = 512 # short\n\n'
        "[turns]\nduck_db = -12.0\n"
    )
    assert cli.run_command(["fit", "--quick", "--profile", "pi", "--write"]) == 0
    text = own.read_text()
    for kept in ("# mine\n", "# once\n", "n_ctx = 512 # short\n", "[turns]\nduck_db = -12.0\n"):
        assert kept in text
    config = load(own)
    assert config.profile == "pi"
    assert (config.llm.n_ctx, config.turns.duck_db) == (512, -12.0)
    assert config.tts.voice in text
    assert f"wrote {own}\n" in capfd.readouterr().err
    assert cli.run_command(["fit", "--quick", "--profile", "pi", "--write"]) == 0
    assert own.read_text() == text  # the same machine again changes nothing


def test_write_to_another_file(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "kiosk.toml"
    arguments = ["fit", "--quick", "--profile", "kiosk", "--set", "stt.language=en"]
    assert cli.run_command([*arguments, "--write", str(target)]) == 0
    assert load(target).profile == "kiosk"
    assert not (tmp_path / "edge-assistant").exists()


def test_a_file_that_cannot_be_read_is_78_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, place: Place, tmp_path: Path
) -> None:
    def measure(_machine: machines.Machine) -> None:
        raise AssertionError

    monkeypatch.setattr(machines, "measure", measure)
    broken = tmp_path / "broken.toml"
    broken.write_text("[llm\n")
    assert cli.run_command(["fit", "--quick", "--write", str(broken)]) == 78
    assert broken.read_text() == "[llm\n"
    assert cli.run_command(["fit", "--quick", "--write", str(tmp_path)]) == 78


def test_threads_of_a_profile_are_cut_to_the_cores(
    capfd: pytest.CaptureFixture[str], place: Place
) -> None:
    place.machine = replace(PI_MACHINE, usable_cores=2)
    settings = told(capfd, "--profile", "pi")["settings"]
    assert settings["llm.num_threads"] == settings["llm.num_threads_batch"] == 2
    assert "stt.num_threads" not in settings, "two are no more than there are"


@pytest.mark.parametrize("text", ["", "[llm]\nmodel = 'x'\n", "# only a word", "llm.n_ctx = 512\n"])
def test_a_key_of_the_top_comes_before_all_tables(text: str) -> None:
    settings: dict[str, bool | int | str] = {"profile": "pi", "llm.model": "a", "stt.model": "b"}
    changed = tomllib.loads(with_settings(text, settings))
    before = tomllib.loads(text)
    assert changed["profile"] == "pi"
    assert changed["llm"] == before.get("llm", {}) | {"model": "a"}


@pytest.mark.model
@pytest.mark.usefixtures("starter_pack")
def test_the_starter_pack_is_measured(run: Run) -> None:
    ended = run("fit", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    measured = {engine: speed["measured_with"] for engine, speed in found["engines"].items()}
    assert measured["espeak"] == "espeak-en"
    assert measured["moonshine"] == "moonshine-tiny-en"
    assert measured["llamacpp"]
    assert all(speed["flops"] > 0 for speed in found["engines"].values())
    best = found["recommended"]
    assert (best["stt"], best["tts"]) == ("moonshine-tiny-en", "espeak-en")
    assert best["first_audio_s"] > 0
    assert best["speech_factor"] > 0


@pytest.mark.model
@pytest.mark.usefixtures("starter_pack")
def test_an_engine_that_fails_is_estimated(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_assistant.errors import GenerationError

    def build(*_arguments: object) -> None:
        raise GenerationError("llm-broken", "It broke.", "mend it")

    monkeypatch.setattr("edge_assistant.engine_bench.subjects.build_llm", build)
    assert cli.run_command(["fit", "--installed", "--json"]) == 0
    said = capfd.readouterr()
    found = json.loads(said.out)
    assert found["engines"]["llamacpp"]["measured_with"] == ""
    assert found["engines"]["moonshine"]["measured_with"] == "moonshine-tiny-en"
    assert "error [llm-broken]: It broke." in said.err
