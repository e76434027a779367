"""Staging with tiny wheels and tiny models: the real pip, the real store, no network."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_assistant_packaging import staging
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.staging import StagedFacts
from edge_assistant_packaging.wheels.target import Target
from edge_assistant_packaging.wheels.wheel import check_target, read

from edge_assistant.config import load
from edge_assistant.errors import ConfigError, EdgeAssistantError, ModelCorrupt
from edge_assistant.store import Store
from tests.fakes.model_files import gguf_llama, onnx_model
from tests.shipping.small_wheels import AARCH64, X86_64, elf, write_index, write_wheel
from tests.store.build import entry, file_spec, store_of, unknown_spec

Stage = Callable[..., StagedFacts]
LLAMA = gguf_llama()
HEARING = onnx_model()


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    """pip asks no index, and nobody's settings count."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "SOURCE_DATE_EPOCH"):
            patch.delenv(name, raising=False)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield


def small_store(root: Path) -> Store:
    """A model whose hash the catalog has, one that was pinned when it came, and espeak."""
    store = store_of(
        root / "store",
        entry("a-llama", "llm", "llamacpp", file_spec("llama.gguf", LLAMA), licence="Apache-2.0"),
        entry("an-ear", "vad", "silero", unknown_spec("ear.onnx", "https://example.invalid/x")),
        entry("unused", "llm", "llamacpp", file_spec("other.gguf", LLAMA)),
        entry("espeak-en", "tts", "espeak", licence="GPL-3.0-or-later"),
    )
    for place in ("a-llama/llama.gguf", "unused/other.gguf"):
        (store.root / place).parent.mkdir(parents=True)
        (store.root / place).write_bytes(LLAMA)
    (root / "ear.onnx").write_bytes(HEARING)
    store.add(root / "ear.onnx", "an-ear")
    return store


def staged_in(root: Path, store: Store, config: Path) -> Stage:
    def staged(name: str = "staged", wheels: Path | None = None, **other: Any) -> StagedFacts:
        asked = {"with_sources": False, "permissive_only": False, "platform": "linux-x86_64"}
        asked |= other
        platform = str(asked.pop("platform"))
        return staging.stage(
            "starter",
            platform,
            config,
            wheels_from=wheels or write_index(root / "index"),
            folder=root / name,
            store=store,
            cache=root / "cache",
            **asked,  # type: ignore[arg-type]
        )

    return staged


def small_config(root: Path) -> Path:
    path = root / "small.toml"
    path.write_text(
        '[vad]\nengine = "webrtc"\n[turn_detector]\nmodel = "an-ear"\n'
        '[llm]\nmodel = "a-llama"\n[stt]\nmodel = "a-llama"\n'
    )
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return small_store(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return small_config(tmp_path)


@pytest.fixture
def stage(tmp_path: Path, store: Store, config: Path) -> Stage:
    return staged_in(tmp_path, store, config)


@pytest.fixture(scope="module")
def whole(_no_network: None, tmp_path_factory: pytest.TempPathFactory) -> StagedFacts:
    """Staged once, for all who only look."""
    root = tmp_path_factory.mktemp("whole")
    return staged_in(root, small_store(root), small_config(root))()


def sums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_everything_is_there_and_nothing_else(whole: StagedFacts) -> None:
    facts = whole
    names = set(sums(facts.folder))
    wheels = sorted(name for name in names if name.endswith(".whl"))
    assert [name.partition("-")[0] for name in wheels] == [
        "wheels/edge_assistant",
        "wheels/espeakng_loader",
        "wheels/llama_cpp_python",
        "wheels/pathless",
        "wheels/piper_tts",
        "wheels/plain",
    ]
    models = {name for name in names if name.startswith("models/")}
    assert models == {"models/a-llama/llama.gguf", "models/an-ear/ear.onnx", "models/pins.json"}
    assert {"config/config.toml", "sbom.cdx.json", "licences/report.json"} <= names
    assert facts.version == "0.1.0"
    assert facts.models == ("a-llama", "an-ear", "espeak-en")
    locked = (facts.folder / "wheels" / "requirements.txt").read_text()
    plain = hashlib.sha256((facts.folder / "wheels" / "plain-2.5-py3-none-any.whl").read_bytes())
    assert f"plain==2.5 --hash=sha256:{plain.hexdigest()}\n" in locked
    # No file of it names a place on this machine.
    for path in facts.folder.rglob("*"):
        assert not path.is_file() or str(facts.folder.parent).encode() not in path.read_bytes()


def test_a_store_opens_what_was_staged(stage: Stage, store: Store) -> None:
    facts = stage()
    there = Store(facts.folder / "models", store.catalog, system=None)
    assert there.open("a-llama").path.read_bytes() == LLAMA
    assert there.open("an-ear").path.read_bytes() == HEARING
    (facts.folder / "models" / "an-ear" / "ear.onnx").write_bytes(HEARING[:-1] + b"?")
    with pytest.raises(ModelCorrupt):
        there.open("an-ear")


def test_a_model_that_is_not_what_it_was_is_not_staged(stage: Stage, store: Store) -> None:
    path = store.root / "a-llama" / "llama.gguf"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelCorrupt):
        stage()


def test_staged_twice_is_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sums(stage("one").folder)
    assert sums(stage("two").folder) == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    later = sums(stage("three").folder)
    assert {name for name in first if later[name] != first[name]} == {"sbom.cdx.json"}


def test_the_second_staging_takes_the_versions_of_the_first(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip is not even asked."""
    wheels = write_index(tmp_path / "index")
    stage("one", wheels)

    def refuse(*words: object, **named: object) -> None:
        raise AssertionError("pip was run")

    monkeypatch.setattr("edge_assistant_packaging.wheels.programs.download", refuse)
    stage("two", wheels)
    write_wheel(wheels, "plain", "2.6")
    with pytest.raises(AssertionError):
        stage("three", wheels)


def test_a_spoiled_cache_is_not_used(stage: Stage, tmp_path: Path) -> None:
    first = sums(stage("one").folder)
    (kept,) = (tmp_path / "cache" / "wheelhouse").glob("*/plain-*.whl")
    write_wheel(kept.parent, "plain", "2.5", text="another text")
    assert sums(stage("two").folder) == first


def test_permissive_only_leaves_the_gpl_out_and_names_the_program(stage: Stage) -> None:
    facts = stage(permissive_only=True)
    names = {path.name.partition("-")[0] for path in (facts.folder / "wheels").glob("*.whl")}
    assert names == {"edge_assistant", "llama_cpp_python", "plain"}
    settings = tomllib.loads((facts.folder / "config" / "config.toml").read_text())
    assert settings["tts"]["voice"] == "espeak-program:en-us"
    assert settings["tts"]["fallback"] is False
    assert facts.warnings == ()
    assert "no GPL part" in (facts.folder / "licences" / "report.md").read_text()


def test_permissive_only_refuses_a_gpl_part_that_comes_by_another_way(
    stage: Stage, tmp_path: Path
) -> None:
    wheels = write_index(tmp_path / "index")
    (wheels / "plain-2.5-py3-none-any.whl").unlink()
    write_wheel(wheels, "plain", "2.5", fields=["License-Expression: GPL-2.0-only"])
    with pytest.raises(ShippingError, match="plain") as caught:
        stage(wheels=wheels, permissive_only=True)
    assert caught.value.code == "not-permissive"


def test_the_configuration_is_profile_and_file_alone(
    stage: Stage, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_ASSISTANT_LLM__SEED", "99")
    facts = stage()
    monkeypatch.delenv("EDGE_ASSISTANT_LLM__SEED")
    there = load(facts.folder / "config" / "config.toml")
    assert (there.llm.model, there.vad.engine, there.llm.seed) == ("a-llama", "webrtc", 7)
    config.write_text("[llm]\n\nmodle = 1\n")
    with pytest.raises(ConfigError, match=f"{config.name}:3"):
        stage("again")


@pytest.mark.parametrize(
    ("tag", "library", "code"),
    [
        ("py3-none-linux_x86_64", elf(X86_64, b"GLIBC_2.36"), ""),
        ("cp311-cp311-manylinux_2_28_x86_64", elf(X86_64), ""),
        ("cp39-abi3-manylinux2014_x86_64", elf(X86_64), ""),
        ("cp312-cp312-manylinux_2_28_x86_64", elf(X86_64), "wheel-of-another-platform"),
        ("py3-none-manylinux_2_39_x86_64", elf(X86_64), "wheel-of-another-platform"),
        ("py3-none-musllinux_1_2_x86_64", elf(X86_64), "wheel-of-another-platform"),
        ("py3-none-linux_aarch64", elf(AARCH64), "wheel-of-another-platform"),
        # What the builder wrote is one thing, what he compiled another.
        ("py3-none-linux_x86_64", elf(AARCH64), "wheel-of-another-platform"),
        ("py3-none-any", elf(AARCH64), "wheel-of-another-platform"),
        ("py3-none-linux_x86_64", elf(X86_64, b"GLIBC_2.38"), "wheel-needs-newer-glibc"),
    ],
)
def test_wheels_for_other_machines_are_refused(
    tmp_path: Path, tag: str, library: bytes, code: str
) -> None:
    found = read(write_wheel(tmp_path, "native", tag=tag, members={"lib/x.so.1": library}))
    target = Target(platform="linux-x86_64", python="3.11")
    if not code:
        check_target(found, target)
        return
    with pytest.raises(ShippingError) as caught:
        check_target(found, target)
    assert caught.value.code == code


def test_a_damaged_wheel_is_named_wherever_the_damage_is(tmp_path: Path) -> None:
    members = {"x.so": elf(X86_64, b"GLIBC_2.4"), "x.py": b"# " + b"word " * 40}
    path = write_wheel(tmp_path, "native", tag="py3-none-linux_x86_64", members=members)
    data = path.read_bytes()
    content = [data.index(each) + at for each in members.values() for at in (0, len(each) - 1)]
    for at in (*content, *range(0, len(data), 7)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        code = "taken"
        try:
            check_target(read(path), Target(platform="linux-x86_64", python="3.11"))
        except ShippingError as error:
            code = error.code
        assert code in ("taken", "wheel-broken")
        assert code == "wheel-broken" or at not in content


def test_the_wheelhouse_is_checked(stage: Stage, tmp_path: Path) -> None:
    wheels = write_index(tmp_path / "index")
    write_wheel(wheels, "plain", "2.5", members={"lib.so": elf(AARCH64)})
    with pytest.raises(ShippingError, match="plain"):
        stage(wheels=wheels)


def test_the_other_platform(stage: Stage, tmp_path: Path) -> None:
    wheels = write_index(tmp_path / "arm", "aarch64")
    (wheels / "cpu-flags.txt").write_text("armv8-a, built by hand\n")
    facts = stage(wheels=wheels, platform="linux-aarch64")
    assert facts.cpu_flags == "armv8-a, built by hand"
    assert list((facts.folder / "wheels").glob("*linux_aarch64.whl"))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (
            lambda root: (root / "index" / "plain-2.5-py3-none-any.whl").unlink(),
            "wheels-unavailable",
        ),
        (
            lambda root: (root / "staged").mkdir() or (root / "staged" / "x").touch(),
            "staging-not-empty",
        ),
        (lambda root: write_wheel(root / "index", "edge-assistant", "0.2.0"), "wheel-ambiguous"),
    ],
)
def test_mistakes_are_named(
    stage: Stage, tmp_path: Path, spoil: Callable[[Path], object], code: str
) -> None:
    wheels = write_index(tmp_path / "index")
    spoil(tmp_path)
    with pytest.raises(EdgeAssistantError) as caught:
        stage(wheels=wheels)
    assert caught.value.code == code
    assert caught.value.hint


def test_sources_say_what_is_missing(stage: Stage, tmp_path: Path) -> None:
    """No index has them here; the page says so, and takes what the vendor adds."""
    wheels = write_index(tmp_path / "index")
    (wheels / "extra").mkdir()
    (wheels / "extra" / "espeak-ng-1.52.0.tar.gz").write_bytes(b"source")
    facts = stage(wheels=wheels, with_sources=True)
    page = (facts.folder / "sources" / "SOURCES.md").read_text()
    assert (facts.folder / "sources" / "espeak-ng-1.52.0.tar.gz").read_bytes() == b"source"
    assert list((facts.folder / "sources").glob("edge_assistant-*.tar.gz"))
    assert len(facts.missing_sources) == 2
    assert all(said in page for said in facts.missing_sources)


def test_the_report_tells_of_every_part(whole: StagedFacts) -> None:
    facts = whole
    told = json.loads((facts.folder / "licences" / "report.json").read_text())
    found = {row["name"]: (row["licence"], row["found_in"]) for row in told["components"]}
    assert found["plain"] == ("MIT", "METADATA Classifier")
    assert found["edge-assistant"] == ("MIT", "METADATA License-Expression")
    assert found["pathless"] == ("unknown", "nowhere")
    assert found["espeakng-loader"][0] == "GPL-3.0-or-later"
    assert found["a-llama"] == ("Apache-2.0", "catalog")
    rows = {row["name"]: row for row in told["components"]}
    assert rows["espeakng-loader"]["texts"] == ["piper-tts-1.0/LICENSE"]
    assert rows["a-llama"]["texts"] == []
    for row in told["components"]:
        assert all((facts.folder / "licences" / path).is_file() for path in row["texts"])
    gpl = [said for said in facts.warnings if "GPL-3" in said]
    assert len(gpl) == 3
