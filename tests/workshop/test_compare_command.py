"""`edge-assistant compare` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, environ, run
from tests.workshop.compare_models import TEXT, quantize_on_path, tiny, zeroed

__all__ = ["environ", "run"]


@pytest.fixture
def compare(run: Run, tmp_path: Path) -> Run:
    """The command, in a home with a store of its own."""

    def command(*arguments: str, **variables: str) -> object:
        paths = {
            "PYTHONPATH": quantize_on_path(),
            "EDGE_ASSISTANT_MODELS_DIR": str(tmp_path / "store"),
        }
        return run("compare", *arguments, **paths, **variables)

    return command  # type: ignore[return-value]


def test_it_leaves_a_page_and_json(compare: Run, tmp_path: Path) -> None:
    own = tiny(tmp_path)
    zeroed(own, tmp_path / "broken.gguf", "output.weight")
    (tmp_path / "text.txt").write_text(TEXT)
    ended = compare(
        "tiny.gguf",
        "broken.gguf",
        "--rounds",
        "1",
        "--text",
        "text.txt",
        "--page",
        "a.html",
        "--json",
    )
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert report["schema"] == "edge-assistant-compare/1"
    assert report["recommendation"]["pick"] == "tiny"
    assert [each["label"] for each in report["models"]] == ["tiny", "broken"]
    page = (tmp_path / "a.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "Keep tiny" in page
    assert not list(tmp_path.glob(".a.html*"))


def test_a_page_that_is_there_is_kept(compare: Run, tmp_path: Path) -> None:
    (tmp_path / "comparison.html").write_text("mine")
    ended = compare("espeak:en-gb", "espeak:en-us")
    assert ended.code == 1
    assert "[output-exists]" in ended.err
    assert (tmp_path / "comparison.html").read_text() == "mine"


def test_voices_come_as_a_table(compare: Run, tmp_path: Path) -> None:
    ended = compare("espeak:en-gb", "espeak:en-us", "--rounds", "1")
    assert ended.code == 0, ended.err
    assert "log-mel distance from the reference" in ended.out
    assert "The rule:" in ended.out
    assert (tmp_path / "comparison.html").is_file()


def test_kinds_that_do_not_go_together_are_refused(compare: Run, tmp_path: Path) -> None:
    tiny(tmp_path)
    ended = compare("tiny.gguf", "espeak:en-gb")
    assert ended.code == 1
    assert "[compare-kinds-differ]" in ended.err
    assert "hint:" in ended.err
    assert not (tmp_path / "comparison.html").exists()
