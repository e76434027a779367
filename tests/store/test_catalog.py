"""The catalog is read strictly, and what ships is sound."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_assistant.errors import ModelError, ModelNotFound
from edge_assistant.llm.prompt import TEMPLATES
from edge_assistant.store.catalog import Catalog
from edge_assistant.store.entry import ModelEntry
from edge_assistant.store.names import id_fault, member_fault, name_fault, text_fault
from edge_assistant.store.sources import HubSource, PypiSource, parse_source

SAME_FOLDER = HealthCheck.function_scoped_fixture  # each example overwrites one file
GOOD = """
schema = 1

[[model]]
id = "a-model"
kind = "stt"
engine = "whispercpp"
title = "A model"
languages = ["en"]
licence = "MIT"
ram_bytes = 1000

[[model.files]]
name = "a.bin"
sources = ["hf:owner/repo@main/a.bin"]
max_bytes = 1000
"""


def load(folder: Path, text: str | bytes) -> Catalog:
    """Read a catalog of one file."""
    raw = text.encode() if isinstance(text, str) else text
    (folder / "test.toml").write_bytes(raw)
    return Catalog.load(folder)


def fault(folder: Path, text: str | bytes) -> str:
    """The message of a catalog that has to be refused."""
    with pytest.raises(ModelError) as caught:
        load(folder, text)
    assert caught.value.code == "catalog-invalid"
    assert caught.value.message.startswith("test.toml:")
    assert caught.value.hint
    return caught.value.message


def test_what_ships_is_complete() -> None:
    catalog = Catalog.load()
    assert catalog.packs() == ("standard", "starter")
    starter = catalog.pack("starter")
    assert {entry.kind for entry in starter} == {"vad", "turn_detector", "stt", "llm", "tts"}
    for entry in starter:
        for spec in entry.files:
            assert spec.sha256 is not None
            assert all(isinstance(parse_source(text), PypiSource) for text in spec.sources)
    standard = catalog.pack("standard")
    whisper = [entry.id for entry in standard if entry.engine == "whispercpp"]
    assert whisper == [
        f"whisper-{size}-{quant}"
        for size in ("tiny.en", "base.en", "base", "small")
        for quant in ("q5_1", "q8_0")
    ]
    llms = [entry for entry in standard if entry.kind == "llm"]
    assert len({entry.licence for entry in llms}) == len({e.template for e in llms}) == 4
    voices = [entry for entry in standard if entry.engine == "piper"]
    assert len(voices) == 6
    assert len({entry.languages[0][:2] for entry in voices}) == 5
    for entry in catalog:
        if entry in starter:
            continue
        for spec in entry.files:
            assert spec.sha256 is None, "not fetched by us, so not hashed by us"
            assert spec.max_bytes > 0
            assert all(isinstance(parse_source(text), HubSource) for text in spec.sources)


def test_what_ships_is_what_hobbyists_expect() -> None:
    catalog = Catalog.load()
    voices = [entry for entry in catalog if entry.engine == "piper"]
    assert len(voices) >= 25
    assert len({entry.languages[0].split("-")[0] for entry in voices}) >= 12
    llms = [entry for entry in catalog if entry.engine == "llamacpp"]
    assert len([entry for entry in llms if parameters(entry) <= 3e9]) >= 12
    assert {entry.template for entry in llms} <= TEMPLATES.keys()
    whisper = {entry.id for entry in catalog if entry.engine == "whispercpp"}
    for sizes, quants in (
        (("tiny", "tiny.en", "base", "base.en", "small", "small.en"), ("q5_1", "q8_0", "f16")),
        (("medium", "medium.en", "large-v3-turbo"), ("q5_0", "q8_0", "f16")),
        (("large-v3",), ("q5_0", "f16")),
    ):
        assert {f"whisper-{size}-{quant}" for size in sizes for quant in quants} <= whisper


def test_every_entry_tells_licence_and_memory() -> None:
    for entry in Catalog.load():
        assert entry.licence
        assert "unknown" not in entry.licence or "see MODEL_CARD" in entry.licence
        assert entry.ram_bytes >= 10_000_000, entry.id
        for spec in entry.files:
            # A cap is generous, and memory holds at least the weights.
            assert entry.ram_bytes > (spec.size_bytes or spec.max_bytes / 2.5), entry.id


def test_a_voice_comes_from_the_folder_that_its_name_says() -> None:
    for entry in Catalog.load():
        if entry.engine != "piper":
            continue
        voice, config = entry.files
        assert config.name == f"{voice.name}.json"
        code, name, quality = voice.name.removesuffix(".onnx").split("-")
        folder = f"{code[:2]}/{code}/{name}/{quality}"
        assert entry.languages == (code.replace("_", "-"),)
        assert entry.id == f"piper-{entry.languages[0].lower()}-{name}-{quality}"
        for spec in entry.files:
            (source,) = spec.sources
            assert source == f"hf:rhasspy/piper-voices@main/{folder}/{spec.name}"


def parameters(entry: ModelEntry) -> float:
    """How many, as its title says; models of 3.1 billion are called 3B."""
    found = re.search(r"\b(\d+(?:\.\d+)?)(M|B)\b", entry.title)
    assert found, entry.title
    return float(found[1]) * {"M": 1e6, "B": 1e9}[found[2]]


def test_an_unknown_id_comes_with_its_neighbours() -> None:
    with pytest.raises(ModelNotFound) as caught:
        Catalog.load().get("moonshine-tiny")
    assert caught.value.code == "model-unknown"
    assert "did you mean moonshine-tiny-en" in caught.value.hint


def test_the_good_one_is_good(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).get("a-model").files[0].max_bytes == 1000


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("schema = 1", "schema = 2", "schema 2"),
        ("schema = 1", "schema = true", "schema True"),
        ("schema = 1", "", "schema None"),
        ("schema = 1", "schema = 1\nextra = 2", "unknown key 'extra'"),
        ("ram_bytes = 1000", "ram_bytes = -1", "ram_bytes"),
        ("ram_bytes = 1000", "ram_bytes = 1e9", "ram_bytes"),
        ("ram_bytes = 1000", "ram = 1", "unknown field"),
        ("max_bytes = 1000", "max_bytes = -5", "max_bytes"),
        ("max_bytes = 1000", "", "max_bytes"),
        ("max_bytes = 1000", "size_bytes = 5", "go together"),
        ("max_bytes = 1000", 'size_bytes = 5\nsha256 = "ABC"', "64 lower-case"),
        ("max_bytes = 1000", "max_bytes = 1000\nmd5 = 1", "unknown field"),
        ('name = "a.bin"', 'name = "../a.bin"', "only letters"),
        ('name = "a.bin"', 'name = "a..bin"', "no '..'"),
        ('name = "a.bin"', 'name = "/etc/passwd"', "only letters"),
        ('name = "a.bin"', 'name = "C:a.bin"', "only letters"),
        ('name = "a.bin"', 'name = "a\\u0000.bin"', "only letters"),
        ('name = "a.bin"', 'name = "a\\u202egpj.bin"', "only letters"),
        ('name = "a.bin"', 'name = "a\\n.bin"', "only letters"),
        ('name = "a.bin"', 'name = "CON"', "reserved"),
        ('name = "a.bin"', 'name = "lpt1.bin"', "reserved"),
        ('name = "a.bin"', 'name = "a.part"', "belong to the store"),
        ('name = "a.bin"', 'name = ""', "only letters"),
        ('id = "a-model"', 'id = "../a"', "only lower-case"),
        ('id = "a-model"', 'id = "aux"', "reserved"),
        ('id = "a-model"', 'id = "A"', "only lower-case"),
        ('id = "a-model"', "id = 5", "id"),
        ('title = "A model"', 'title = "A \\u202e model"', "U+202E"),
        ('title = "A model"', 'title = "A \\u001b[31m model"', "U+001B"),
        ('title = "A model"', 'title = ""', "must not be empty"),
        ('kind = "stt"', 'kind = "tts"', "does not do"),
        ('kind = "stt"', 'kind = "soup"', "kind"),
        ('engine = "whispercpp"', 'engine = "espeak"', "does not do"),
        ('languages = ["en"]', "languages = []", "languages"),
        ('languages = ["en"]', 'languages = ["English!"]', "languages"),
        ('licence = "MIT"', 'licence = "MIT"\ntemplate = "chatml"', "chat template"),
        ('licence = "MIT"', 'licence = "MIT"\npacks = ["../x"]', "packs"),
        ('"hf:owner/repo@main/a.bin"', '"hf:owner/repo@main/../a.bin"', "must be relative"),
        ('"hf:owner/repo@main/a.bin"', '"hf:owner/repo/a.bin"', "expected hf:"),
        ('"hf:owner/repo@main/a.bin"', '"pypi:x!y"', "expected pypi:"),
        ('"hf:owner/repo@main/a.bin"', '"pypi:x==1!/etc/passwd"', "must be relative"),
        ('"hf:owner/repo@main/a.bin"', '"ftp://x/y"', "unknown form"),
        ('"hf:owner/repo@main/a.bin"', '"file:relative"', "unknown form"),
        ('"hf:owner/repo@main/a.bin"', "", "sources"),
        ("[[model.files]]", "[model.files]", "files"),
        ("schema = 1", "schema = ", "not TOML"),
    ],
)
def test_a_bad_catalog_is_refused_whole(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in GOOD
    assert reason in fault(tmp_path, GOOD.replace(old, new, 1))


def test_the_line_of_the_model_is_told(tmp_path: Path) -> None:
    second = GOOD.split("schema = 1")[1].replace('"a-model"', '"b-model"')
    message = fault(tmp_path, GOOD + second.replace("ram_bytes = 1000", "ram_bytes = 0"))
    line = int(message.split(":")[1])
    assert (GOOD + second).splitlines()[line - 1] == "[[model]]"
    assert line > 10
    assert "'b-model'" in message


def test_double_ids_and_file_names_that_clash(tmp_path: Path) -> None:
    assert "there twice" in fault(tmp_path, GOOD + GOOD.split("schema = 1")[1])
    clash = GOOD + '\n[[model.files]]\nname = "A.BIN"\nsources = ["file:/x"]\nmax_bytes = 1\n'
    assert "differ by case" in fault(tmp_path, clash)
    load(tmp_path, GOOD)
    (tmp_path / "other.toml").write_text(GOOD)
    with pytest.raises(ModelError, match="there twice"):
        Catalog.load(tmp_path)


def test_floods_are_refused(tmp_path: Path) -> None:
    assert "longer than" in fault(tmp_path, GOOD + "# " + "x" * 1_000_001)
    assert "at most" in fault(tmp_path, "schema = 1\n" + "[[model]]\n" * 1001)
    assert "longer than" in fault(tmp_path, GOOD.replace("A model", "x" * 5000))
    assert "not TOML" in fault(tmp_path, "schema = " + "[" * 50_000)
    assert "not TOML" in fault(tmp_path, b"\xff\xfe")


def test_an_empty_folder_is_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        Catalog.load(tmp_path)
    assert caught.value.code == "catalog-missing"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoiled_catalog_is_refused_or_still_sound(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(GOOD, "utf-8")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    entries: tuple[ModelEntry, ...] = ()
    try:
        catalog = load(tmp_path, bytes(text))
    except ModelError as error:
        code = error.code
    else:
        code, entries = "", tuple(catalog)
    assert code in ("", "catalog-invalid")
    for entry in entries:
        assert not id_fault(entry.id)
        assert not text_fault(entry.title)
        assert all(not name_fault(spec.name) for spec in entry.files)
        assert all(spec.max_bytes > 0 or spec.size_bytes for spec in entry.files)


@settings(max_examples=300)
@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9._/\\:-]{1,20}", fullmatch=True))
def test_a_name_without_fault_stays_in_its_folder(name: str) -> None:
    folder = Path("/store/model")
    for gate in (name_fault, id_fault):
        if not gate(name):
            assert (folder / name).parent == folder
            assert name.isascii()
            assert name.isprintable()
    if not member_fault(name):
        assert ".." not in name.split("/")
        assert not name.startswith("/")


@settings(max_examples=300)
@given(st.text(max_size=60) | st.sampled_from(["pypi:", "hf:", "https:", "file:"]))
def test_sources_are_parsed_or_refused(text: str) -> None:
    try:
        parse_source(text)
    except ValueError:
        return
    assert text.startswith(("pypi:", "hf:", "https://", "http://", "file:/"))


def test_the_shipped_files_are_toml_and_nothing_else_is_there() -> None:
    folder = Path(__file__).resolve().parents[2] / "models"
    assert {path.suffix for path in folder.iterdir()} == {".toml", ".md"}
    for path in folder.glob("*.toml"):
        assert tomllib.loads(path.read_text("utf-8"))["schema"] == 1
