"""The wheel, built and installed outside the checkout: what a user's site-packages gets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from edge_assistant.store.store import default_root

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the build tools of this environment, so without the network."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installed alone into a folder of its own; its dependencies are those of this environment."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target"]
    subprocess.run([*command, str(target), str(wheel)], check=True, capture_output=True)
    return target


def run(installed: Path, *arguments: str, cwd: Path) -> str:
    """The installed command, far from the checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_ASSISTANT_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "edge-assistant"), *arguments],
        env=clean
        | {
            "PYTHONPATH": str(installed),
            "HOME": str(cwd),
            "EDGE_ASSISTANT_MODELS_DIR": str(default_root()),
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_it_brings_names_of_ours_only(installed: Path) -> None:
    """Nothing as common as `models` or `quantize` may land among a user's packages."""
    names = {path.name for path in installed.iterdir()} - {"bin"}
    (info,) = (name for name in names if name.endswith(".dist-info"))
    ours = {"edge_assistant", "edge_assistant_quantize", "edge_assistant_packaging"}
    assert names == {*ours, info}
    assert [path.name for path in (installed / "bin").iterdir()] == ["edge-assistant"]


def test_it_holds_the_data_and_no_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entries = {entry.filename: entry.file_size for entry in archive.infolist()}
    assert "edge_assistant/py.typed" in entries
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in entries)
    for catalog in (ROOT / "models").glob("*.toml"):
        assert f"edge_assistant/catalog_data/{catalog.name}" in entries
    for profile in (ROOT / "edge_assistant" / "profiles").glob("*.toml"):
        assert f"edge_assistant/profiles/{profile.name}" in entries
    ours = [name for name in entries if name.startswith("edge_assistant/")]
    spoken = {name for name in ours if name.startswith("edge_assistant/notices/")}
    kinds = {Path(name).suffix for name in ours if name not in spoken}
    assert kinds <= {".py", ".toml", ".typed", ".md", ".html", ".css", ".js"}, (
        "no weights, no sound"
    )
    assert {Path(name).suffix for name in spoken} == {".py", ".json", ".ogg"}
    assert max(entries.values()) < 300_000


def test_it_runs_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    program = "import edge_assistant; print(edge_assistant.__file__)"
    place = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert Path(place.strip()).is_relative_to(installed)
    assert run(installed, "--version", cwd=tmp_path) == f"edge-assistant, version {version}\n"
    assert "transcribe" in run(installed, "--help", cwd=tmp_path)


def test_its_catalog_and_profiles_load(installed: Path, tmp_path: Path) -> None:
    ids = {
        each["id"] for each in json.loads(run(installed, "models", "list", "--json", cwd=tmp_path))
    }
    declared = re.findall(
        r'^id = "(.+)"$', "".join(p.read_text() for p in (ROOT / "models").glob("*.toml")), re.M
    )
    assert set(declared) <= ids
    shown = tomllib.loads(run(installed, "config", "show", "--profile", "pi", cwd=tmp_path))
    assert shown["llm"]["model"] in ids


def test_its_files_to_edit_explain_themselves(installed: Path, tmp_path: Path) -> None:
    """The comments come from the source, which a wheel has."""
    assert "# Silence that counts as a pause" in run(
        installed, "config", "init", "--print", cwd=tmp_path
    )


@pytest.mark.model
@pytest.mark.usefixtures("starter_pack")
def test_it_speaks_and_listens(installed: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "said.wav"
    run(installed, "say", "What is the capital of France?", "--output", str(spoken), cwd=tmp_path)
    assert "capital of France" in run(installed, "transcribe", str(spoken), cwd=tmp_path)
