"""`config`: show, path, init."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from tests.cli.conftest import Run


def test_init_writes_a_file_that_changes_nothing_and_does_not_overwrite_it(
    run: Run, tmp_path: Path
) -> None:
    target = tmp_path / ".config" / "edge-assistant" / "config.toml"
    before = run("config", "show").out
    assert run("config", "path").out == f"{target}\n"
    assert run("config", "init").code == 0
    assert run("config", "show").out == before
    target.write_text("[turns]\npause_ms = 140\n")
    refused = run("config", "init")
    assert refused.code == 78
    assert "--force" in refused.err
    assert "pause_ms = 140" in run("config", "show").out
    assert run("config", "init", "--force", "--profile", "pi").code == 0
    assert tomllib.loads(run("config", "show").out)["profile"] == "pi"
    assert [path.name for path in target.parent.iterdir()] == ["config.toml"]


def test_flags_win_over_variables_win_over_files(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text('[turns]\nlisten = "wake"\npause_ms = 101\nfade_ms = 7\n')
    shown = run(
        *("config", "show", "--json", "--config", str(file), "--listen", "push"),
        *("--set", "turns.fade_ms=9", "--llm", "my.gguf", "--input-device", "3"),
        EDGE_ASSISTANT_TURNS__LISTEN="open",
        EDGE_ASSISTANT_TURNS__PAUSE_MS="102",
    )
    config = json.loads(shown.out)
    turns = config["turns"]
    assert (turns["listen"], turns["pause_ms"], turns["fade_ms"]) == ("push", 102, 9)
    assert config["llm"]["model"] == "my.gguf"
    assert config["audio"]["input_device"] == "3"


def test_a_mistake_is_shown_with_its_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text("[turns]\nlissten = 'push'\n")
    ended = run("config", "show", "--config", str(file))
    assert ended.code == 78
    assert ended.out == ""
    assert ended.err == (
        f"error [config-unknown-key]: {file}:2: unknown key `lissten` in [turns]\n"
        "hint: did you mean `listen`?\n"
    )
