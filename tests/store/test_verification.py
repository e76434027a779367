"""What `verify` tells of a model, and who says it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from edge_assistant.errors import ModelCorrupt, ModelError
from edge_assistant.llm.prompt import TEMPLATES
from edge_assistant.llm.settings import Settings
from edge_assistant.store import Store
from edge_assistant.store.headers import gguf, inspect
from edge_assistant.store.headers.info import DEFAULT_CONTEXT
from edge_assistant.store.verification import smoke
from tests.fakes import model_files as make
from tests.fakes.model_files import GOOD
from tests.store.build import entry, file_spec, install, store_of

RAN = "loaded and run in a child process"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Nothing in its catalog."""
    return store_of(tmp_path / "store")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def llama(**keys: object) -> bytes:
    """A llama with further keys; two underscores stand for a dot."""
    more = {key.replace("__", "."): value for key, value in keys.items()}
    return make.gguf(make.llama_keys() | more, make.llama_tensors(8))


# What the headers say


def test_gguf_tells_types_licence_languages_and_caches(tmp_path: Path) -> None:
    keys: dict[str, object] = {
        "general__license": "apache-2.0",
        "general__languages": ["en", "pt-br", "en", "no!"],
    }
    info = inspect(written(tmp_path / "a.gguf", llama(**keys)))
    tensors = make.llama_tensors(8)
    q8 = [dims for _, dims, kind in tensors if kind == 8]
    q8_bytes = sum(a * b // 32 * 34 for a, b in q8)
    assert info.types == {"Q8_0": (len(q8), q8_bytes), "F32": (3, 3 * 32 * 4)}
    assert (info.tensors, info.tensor_bytes) == (len(tensors), q8_bytes + 384)
    assert (info.licence, info.languages) == ("apache-2.0", ("en", "pt-BR"))
    # One layer, two heads of 16, keys and values in F16, and only 128 tokens of context.
    assert (info.context_length, info.cache_bytes) == (128, 128 * 2 * 2 * (16 + 16))
    assert info.ram_bytes == info.tensor_bytes + info.cache_bytes


@pytest.mark.parametrize(
    ("keys", "token_bytes"),
    [
        ({}, 128),
        ({"llama__attention__head_count_kv": 1}, 64),
        ({"llama__attention__head_count_kv": [0, 2, 0, 1]}, 3 * 64),
        ({"llama__attention__key_length": 32}, 2 * 2 * (32 + 16)),
        ({"llama__attention__head_count_kv": [-1, 2]}, 0),
        ({"llama__attention__head_count_kv": "two"}, 128),
        ({"llama__attention__head_count": 0}, 0),
    ],
)
def test_caches_are_reckoned_by_heads(
    keys: dict[str, object], token_bytes: int, tmp_path: Path
) -> None:
    """A hybrid model has heads in some layers only; an odd count is no reason to refuse a file."""
    path = written(tmp_path / "a.gguf", llama(**keys))
    assert inspect(path).cache_bytes == 128 * token_bytes


def test_the_context_of_the_estimate_is_that_of_our_settings() -> None:
    assert Settings().n_ctx == DEFAULT_CONTEXT


def test_words_that_cannot_be_shown_are_left_out_and_odd_types_too(tmp_path: Path) -> None:
    odd: list[dict[str, object]] = [
        {"general__license": "\x1b[31mred", "general__languages": ["\x1b[31m", "../.."]},
        {"general__license": "x" * 5000, "general__languages": ["e" * 100]},
        {"general__license": 5, "general__languages": "en"},
        {"general__languages": [1, 2]},
        {"general__languages": ["en"] * 600},
    ]
    for keys in odd:
        info = inspect(written(tmp_path / "a.gguf", llama(**keys)))
        assert (info.licence, info.languages) == ("", ())


def test_a_licence_of_its_own_is_told_with_its_name(tmp_path: Path) -> None:
    keys: dict[str, object] = {"general__license": "other", "general__license__name": "lfm1.0"}
    assert inspect(written(tmp_path / "a.gguf", llama(**keys))).licence == "other (lfm1.0)"


@pytest.mark.parametrize(
    ("architecture", "chat", "template"),
    [
        ("llama", "{{ '<|im_start|>' }}", "chatml"),
        ("lfm2", "{{ '<|im_start|>' }}", "lfm2"),
        ("qwen3", "{% if enable_thinking %}<|im_start|>", "qwen3"),
        ("qwen3", "<|im_start|>", "chatml"),
        ("granite", "<|start_of_role|>", "granite"),
        ("llama", "[INST]", ""),
    ],
)
def test_templates_are_known_by_their_marks(
    architecture: str, chat: str, template: str, tmp_path: Path
) -> None:
    keys = {
        key.replace("llama.", f"{architecture}.", 1): value
        for key, value in make.llama_keys(template=chat).items()
    } | {"general.architecture": architecture}
    info = inspect(written(tmp_path / "a.gguf", make.gguf(keys, make.llama_tensors())))
    assert (info.template, info.has_template) == (template, True)
    assert {name for _, name in gguf._MARKS} | {"lfm2", "qwen3"} <= TEMPLATES.keys()


def test_whisper_tells_types_language_and_caches(tmp_path: Path) -> None:
    info = inspect(written(tmp_path / "a.bin", make.ggml_whisper()))
    assert set(info.types) == {"Q8_0", "F16", "F32"}
    assert info.tensors == len(make.whisper_tensors(32, 1, 8, 51864))
    assert info.languages == ("en",)
    assert info.cache_bytes == 4 * 32 * (512 + 1536 + 1536)


def test_onnx_and_ort_tell_types(tmp_path: Path) -> None:
    for name, data in (("a.onnx", make.onnx_model()), ("a.ort", make.ort_model())):
        assert inspect(written(tmp_path / name, data)).types == {"float32": (1, 512 * 4)}
    said = make.field(14, make.field(1, "license") + make.field(2, "MIT"))
    said += make.field(14, make.field(1, "language") + make.field(2, "de_DE, en"))
    info = inspect(written(tmp_path / "a.onnx", make.onnx_model() + said))
    assert (info.licence, info.languages) == ("MIT", ("de-DE", "en"))


def test_onnx_counts_data_in_typed_fields(tmp_path: Path) -> None:
    typed = make.field(1, 2) + make.field(2, 7) + make.field(7, b"\x01\x02")
    model = make.onnx_model(node_extra=make.field(5, make.field(1, "v") + make.field(5, typed)))
    info = inspect(written(tmp_path / "a.onnx", model))
    assert info.types == {"float32": (1, 2048), "int64": (1, 2)}


def test_a_voice_tells_its_language(tmp_path: Path) -> None:
    path = tmp_path / "voice.onnx.json"
    assert inspect(written(path, make.piper_config())).languages == ("en-US",)
    config = make.piper_config(language={"code": "de_DE"}, licence="CC0-1.0")
    info = inspect(written(path, config))
    assert (info.languages, info.licence) == (("de-DE",), "CC0-1.0")
    for language in ({"code": 5}, "de_DE", None, {"code": "\x1b"}):
        assert inspect(written(path, make.piper_config(language=language))).languages == ("en-US",)


def test_numbers_and_words_of_a_voice_that_were_too_much(tmp_path: Path) -> None:
    path = tmp_path / "voice.onnx.json"
    spoiled: list[dict[str, object]] = [
        {"inference": {"noise_scale": 10**400}},
        {"espeak": {"voice": "\x1b[31m"}},
        {"inference": {"\x1b[31m": 99}},
        {"audio": {"sample_rate": "\x1b[31m"}},
    ]
    for changes in spoiled:
        with pytest.raises(ModelCorrupt) as caught:
            inspect(written(path, make.piper_config(**changes)))
        assert caught.value.message.isprintable()


# Files, and models of a store


@pytest.mark.parametrize("name", GOOD)
def test_plain_files_of_every_format_are_run_once(name: str, store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / name, GOOD[name]())
    reports = store.verify(str(path))
    assert [(each.path, each.was_run, each.run_note) for each in reports] == [(path, True, "")]
    assert smoke(reports) == RAN
    known = store.facts(str(path), reports)
    assert (known.source, known.licence, known.languages) == ("file", "", ())
    assert known.ram_bytes == known.ram_by_header_bytes == reports[0].header.ram_bytes > 0
    assert known.template == ("chatml" if name == "model.gguf" else "")
    reports = store.verify(str(path), deep=False)
    assert not reports[0].was_run
    assert smoke(reports) == "not run"


def test_a_voice_is_verified_with_its_json(store: Store, tmp_path: Path) -> None:
    voice = written(tmp_path / "v.onnx", make.onnx_model())
    config = written(tmp_path / "v.onnx.json", make.piper_config())
    reports = store.verify(str(voice))
    assert [each.path for each in reports] == [config, voice]
    assert smoke(reports) == RAN
    assert store.facts(str(voice), reports).languages_in_file == ("en-US",)
    (report,) = store.verify(str(config))
    assert smoke([report]) == "nothing to run"
    config.write_bytes(make.HTML)
    with pytest.raises(ModelError):
        store.verify(str(voice))


def reshaping(numbers: int, *axes: str) -> bytes:
    """Build an ONNX model that wants so many numbers, in axes that are free."""
    shape = make.field(1, 1) + make.field(2, 7) + make.field(8, "s")
    shape += make.field(9, struct.pack("<q", numbers))
    node = make.field(1, "x") + make.field(1, "s") + make.field(2, "y") + make.field(4, "Reshape")

    def value(name: str, *dims: bytes) -> bytes:
        inner = b"".join(make.field(1, dim) for dim in dims)
        kind = make.field(1, make.field(1, 1) + make.field(2, inner))
        return make.field(1, name) + make.field(2, kind)

    graph = make.field(1, node) + make.field(2, "g") + make.field(5, shape)
    graph += make.field(11, value("x", *(make.field(2, axis) for axis in axes)))
    graph += make.field(12, value("y", make.field(1, numbers)))
    opset = make.field(8, make.field(1, "") + make.field(2, 15))
    return make.field(1, 8) + make.field(7, graph) + opset


def test_a_model_that_does_not_take_what_we_make_up_is_only_loaded(
    store: Store, tmp_path: Path
) -> None:
    reports = store.verify(str(written(tmp_path / "a.onnx", reshaping(7, "n"))))
    assert reports[0].was_run
    assert reports[0].run_note.startswith("only loaded: not run on ones: ")
    assert smoke(reports) == reports[0].run_note
    assert reports[0].run_note.isprintable()


@pytest.mark.parametrize("samples", [512, 16_000])
def test_a_model_of_sound_is_run_on_more_than_a_sample(
    samples: int, store: Store, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.onnx", reshaping(samples, "batch", "samples"))
    assert smoke(store.verify(str(path))) == RAN


def test_a_model_of_the_catalog_says_more_than_its_file(tmp_path: Path) -> None:
    data = make.gguf_llama(template="<|start_header_id|>")
    store = store_of(tmp_path, entry("a", "llm", "llamacpp", file_spec("model.gguf", data)))
    install(store, "a", lambda: data)
    reports = store.verify("a")
    known = store.facts("a", reports)
    assert (known.source, known.licence, known.licence_in_file) == ("catalog", "MIT", "")
    assert (known.languages, known.languages_in_file) == (("en",), ())
    assert (known.template, known.template_in_file) == ("chatml", "llama3")
    assert known.has_template
    assert (known.ram_bytes, known.ram_by_header_bytes) == (1, reports[0].header.ram_bytes)
    assert smoke(reports) == RAN
