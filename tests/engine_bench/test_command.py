"""`edge-assistant bench engines`, as a person types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge_assistant.engine_bench.readings import METRICS
from tests.cli.conftest import Run


def figures(report: dict[str, Any]) -> dict[tuple[str, str, str], set[str]]:
    """Names of the figures by stage, model and build."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for row in report["rows"]:
        key = (row["stage"], row["model"], row["build"])
        found.setdefault(key, set()).add(row["metric"])
    return found


@pytest.fixture
def speech(run: Run, tmp_path: Path) -> Path:
    """A folder with one recording."""
    folder = tmp_path / "speech"
    folder.mkdir()
    text = "What is the capital of France?"
    assert run("say", text, "-o", str(folder / "a.wav")).code == 0
    row = {"file": "a.wav", "kind": "command", "text": text}
    (folder / "manifest.jsonl").write_text(json.dumps(row))
    return folder


@pytest.mark.model
@pytest.mark.usefixtures("starter_pack")
def test_everything_once_and_two_recognisers(run: Run, speech: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    twice = ["--stt", "moonshine-tiny-en"] * 2
    ended = run(
        "bench", "engines", "--repeats", "1", "--speech", str(speech), *twice, "-o", str(file)
    )
    assert ended.code == 0, ended.err
    assert "moonshine-tiny-en (2)" in ended.out
    report = json.loads(file.read_text())
    assert report["is_complete"]
    assert [each["engine"] for each in report["models"]] == [
        *("moonshine", "moonshine", "llamacpp", "espeak", "webrtc", "silero", "smart_turn")
    ]
    found = figures(report)
    words = set(METRICS["stt"]) - {"wer"} | {"wer[command]"}
    assert found["stt", "moonshine-tiny-en", ""] == words
    assert found["stt", "moonshine-tiny-en (2)", ""] == words
    assert found["llm", "smollm2-135m-instruct", ""] == set(METRICS["llm"])
    assert found["turn", "smart-turn-v3.2", ""] == set(METRICS["turn"])
    aborted = {name for key, names in found.items() if key[0] == "abort" for name in names}
    assert aborted == set(METRICS["abort"])
    of = {(row["metric"], row["model"]): row for row in report["rows"]}
    assert of["wer[command]", "moonshine-tiny-en (2)"]["against"]["value"] == 0.0
    assert of["rtf", "moonshine-tiny-en (2)"]["against"]["model"] == "moonshine-tiny-en"


def counted(report: dict[str, Any], build: str) -> set[int]:
    """The rounds of a build that count: on a busy machine not all do."""
    rounds = [each for each in report["rounds"] if each["build"] == build]
    calm = {each["index"] for each in rounds if not each["disturbed"]}
    return calm or {each["index"] for each in rounds}


@pytest.mark.model
@pytest.mark.usefixtures("starter_pack")
def test_another_build_is_measured_in_turn(run: Run, tmp_path: Path) -> None:
    ended = run(
        *("bench", "engines", "--only", "tts,vad", "--repeats", "2", "--json"),
        *("--build", f"twin={sys.executable}", "--build", f"none={tmp_path}/python"),
    )
    assert ended.code == 1, "a build failed"
    report = json.loads(ended.out)
    assert [each["name"] for each in report["builds"]] == ["this", "twin"]
    order = [(each["index"], each["build"]) for each in report["rounds"]]
    assert {index for index, _ in order[:3]} == {0}
    assert sorted(order) == sorted(
        [(0, "none"), (0, "this"), (0, "twin"), (1, "this"), (1, "twin")]
    )
    found = figures(report)
    assert {stage for stage, _, _ in found} == {"tts", "vad"}
    assert found["vad", "silero", "this"] == set(METRICS["vad"])
    assert found["tts", "espeak-en", "twin"] == set(METRICS["tts"])
    assert found["tts", "espeak-en", "twin"] == found["tts", "espeak-en", "this"]
    (ratio,) = (
        row["against"]
        for row in report["rows"]
        if (row["metric"], row["model"], row["build"]) == ("rtf", "espeak-en", "twin")
    )
    shared = counted(report, "this") & counted(report, "twin")
    if shared:
        assert (ratio["build"], ratio["n"]) == ("this", len(shared))
    else:
        assert ratio is None
    (failure,) = (each for round_ in report["rounds"] for each in round_["failures"])
    assert failure["code"] == "engine-bench-build"


def test_wrong_words(run: Run, tmp_path: Path) -> None:
    bench = ("bench", "engines", "--repeats", "1")
    unknown = run(*bench, "--only", "tts", "--voice", "espeak-xx")
    assert (unknown.code, unknown.out) == (1, "")
    assert "error [model-unknown]" in unknown.err
    assert "hint: " in unknown.err
    for wrong in (
        ("--only", "ears"),
        ("--build", "python"),
        ("--build", f"this={sys.executable}"),
        ("--speech", str(tmp_path / "absent")),
    ):
        assert run(*bench, *wrong).code == 2, wrong
    assert run(*bench, "--only", "tts", "--speech", str(tmp_path)).code == 78
    nowhere = str(tmp_path / "no" / "a.json")
    assert run(*bench, "--only", "tts", "-o", nowhere).code == 74


def test_ctrl_c_gives_what_was_measured(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    arguments = ("bench", "engines", "--only", "tts", "--repeats", "1000")
    with subprocess.Popen(
        [sys.executable, "-m", "edge_assistant", *arguments, "-o", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        cwd=tmp_path,
        text=True,
    ) as child:
        deadline_s = time.monotonic() + 30.0
        while not file.exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "broken off" in out
    assert json.loads(file.read_text())["is_complete"] is False
