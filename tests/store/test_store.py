"""The store as engines and the command line see it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_assistant.errors import (
    DownloadError,
    ModelCorrupt,
    ModelError,
    ModelIncompatible,
    ModelNotFound,
)
from edge_assistant.store import FileSpec, Store
from edge_assistant.store import hashing as hashing_module
from edge_assistant.store.hosts import hub_url
from edge_assistant.store.locks import file_lock
from edge_assistant.store.sources import HubSource
from edge_assistant.store.store import default_root
from tests.fakes.model_files import gguf_llama, onnx_model, piper_config
from tests.store import http_host
from tests.store.build import entry, file_spec, install, store_of, unknown_spec
from tests.store.http_host import Host, git_blob, redirect, sha256

LLAMA = gguf_llama()


def code_of(error: pytest.ExceptionInfo[ModelError]) -> str:
    """The stable name."""
    return error.value.code


@pytest.fixture
def host() -> Iterator[Host]:
    with http_host.running() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One language model whose bytes are known, to be had from a file."""
    source = tmp_path / "origin.gguf"
    source.write_bytes(LLAMA)
    spec = file_spec("llama.gguf", LLAMA, f"file:{source}")
    return store_of(tmp_path / "store", entry("a-llama", "llm", "llamacpp", spec))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is read for its hash."""
    seen: list[Path] = []
    real = hashing_module.digest

    def counted(path: Path) -> hashing_module.Digest:
        seen.append(path)
        return real(path)

    for module in ("checks", "pulling", "unlisted", "adding"):
        monkeypatch.setattr(f"edge_assistant.store.{module}.digest", counted)
    return seen


def test_what_is_not_installed_says_how_to_get_it(store: Store) -> None:
    assert not store.installed("a-llama")
    for call in (store.open, store.path, store.verify, store.remove):
        with pytest.raises(ModelNotFound) as caught:
            call("a-llama")
        assert code_of(caught) == "model-not-installed"
        assert caught.value.hint == "edge-assistant models pull a-llama"
    with pytest.raises(ModelNotFound) as caught:
        store.open("a-lama")
    assert "did you mean a-llama" in caught.value.hint


def test_pull_open_path_remove(store: Store) -> None:
    model = store.pull("a-llama")
    assert store.installed("a-llama")
    assert model.path == store.path("a-llama") == store.root / "a-llama" / "llama.gguf"
    assert model.path.read_bytes() == LLAMA
    assert store.open("a-llama", kind="llm") == model
    assert [status.is_installed for status in store.list()] == [True]
    store.remove("a-llama")
    assert not store.installed("a-llama")
    assert not model.folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are for POSIX")
def test_models_are_for_all_to_read_and_books_for_the_owner(store: Store) -> None:
    model = store.pull("a-llama")
    assert stat.S_IMODE(model.path.stat().st_mode) == 0o644
    assert stat.S_IMODE((store.root / "verdicts.json").stat().st_mode) == 0o600


def test_a_second_opening_reads_no_weights(store: Store, hashed: list[Path]) -> None:
    store.pull("a-llama")
    hashed.clear()
    store.open("a-llama")
    Store(store.root, store.catalog, system=None).open("a-llama")
    assert hashed == [], "verdicts are kept in the store, for other processes too"
    store.verify("a-llama", deep=False)
    assert len(hashed) == 1


def test_a_change_that_keeps_size_and_mtime_is_found(store: Store) -> None:
    path = store.pull("a-llama").path
    before = path.stat()
    spoiled = bytearray(LLAMA)
    spoiled[-1] ^= 1
    with path.open("r+b") as file:
        file.write(spoiled)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelCorrupt) as caught:
        store.open("a-llama")
    assert code_of(caught) == "hash-mismatch"
    assert caught.value.hint == "edge-assistant models pull a-llama"


def test_pull_mends_a_spoiled_file_and_leaves_a_good_one(store: Store, hashed: list[Path]) -> None:
    path = store.pull("a-llama").path
    path.write_bytes(b"GGUF")
    assert store.pull("a-llama").path.read_bytes() == LLAMA
    inode = path.stat().st_ino
    hashed.clear()
    store.pull("a-llama")
    assert (path.stat().st_ino, hashed) == (inode, [])


def test_lost_or_spoiled_verdicts_only_cost_time(store: Store, hashed: list[Path]) -> None:
    store.pull("a-llama")
    for spoiled in (b"", b"{", b"[]", b'{"x": 1}', b"\xff"):
        (store.root / "verdicts.json").write_bytes(spoiled)
        hashed.clear()
        store.open("a-llama")
        assert len(hashed) == 1


def test_a_model_of_the_wrong_kind_or_format(store: Store, tmp_path: Path) -> None:
    store.pull("a-llama")
    with pytest.raises(ModelIncompatible) as wrong_kind:
        store.open("a-llama", kind="stt")
    assert code_of(wrong_kind) == "wrong-kind"
    spec = file_spec("ggml.bin", LLAMA)  # the catalog's own hash, of a file that is no Whisper
    whisper = store_of(tmp_path / "other", entry("w", "stt", "whispercpp", spec))
    install(whisper, "w", gguf_llama)
    with pytest.raises(ModelCorrupt) as caught:
        whisper.open("w")
    assert code_of(caught) == "wrong-format"
    assert "gguf" in caught.value.message
    assert caught.value.hint == "edge-assistant models pull w"


def test_offline_means_offline(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pull("a-llama", offline=True)  # a file of this machine is no network
    spec = unknown_spec("x.gguf", "hf:owner/repo@main/x.gguf")
    away = store_of(store.root, entry("away", "llm", "llamacpp", spec))
    with pytest.raises(DownloadError) as caught:
        away.pull("away", offline=True)
    assert code_of(caught) == "offline"
    for name in ("HF_HUB_OFFLINE", "EDGE_ASSISTANT_OFFLINE"):
        monkeypatch.setenv(name, "1")
        with pytest.raises(DownloadError) as caught:
            away.pull("away")
        assert code_of(caught) == "offline"
        monkeypatch.delenv(name)


def test_opening_touches_no_network(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pull("a-llama")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a look-up")

    monkeypatch.setattr("socket.socket.connect", never)
    monkeypatch.setattr("socket.getaddrinfo", never)
    store.open("a-llama")
    store.list()
    store.verify("a-llama", deep=False)


def hub_voice(host: Host, monkeypatch: pytest.MonkeyPatch) -> tuple[FileSpec, FileSpec]:
    """A voice on a hub: a large file behind a redirect, a small one with a git hash."""
    monkeypatch.setenv("HF_ENDPOINT", host.url + "/")
    voice, config = onnx_model(), piper_config()
    base = "/owner/voices/resolve/main/"
    host.routes[base + "v.onnx"] = redirect("/cdn", {"X-Linked-Etag": f'"{sha256(voice)}"'})
    host.routes["/cdn"] = http_host.file(voice)
    host.routes[base + "v.onnx.json"] = http_host.file(config, {"ETag": f'"{git_blob(config)}"'})
    return (
        unknown_spec("v.onnx", "hf:owner/voices@main/v.onnx"),
        unknown_spec("v.onnx.json", "hf:owner/voices@main/v.onnx.json"),
    )


def test_hub_files_are_pinned_on_the_first_pull(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path, entry("v", "tts", "piper", *hub_voice(host, monkeypatch)))
    assert not store.list()[0].is_pinned
    model = store.pull("v")
    assert model.entry.id == "v"
    assert store.list()[0].is_pinned
    pins = json.loads((tmp_path / "pins.json").read_text())["pins"]["v"]
    assert pins["v.onnx"]["sha256"] == sha256(onnx_model())
    # The host now has something else, and says so in good faith: the pin counts.
    other = onnx_model(width=256)
    base = "/owner/voices/resolve/main/v.onnx"
    host.routes[base] = redirect("/cdn", {"X-Linked-Etag": f'"{sha256(other)}"'})
    host.routes["/cdn"] = http_host.file(other)
    model.paths["v.onnx"].write_bytes(b"spoiled")
    with pytest.raises(ModelError) as caught:
        store.pull("v")
    assert code_of(caught) in ("size-mismatch", "hash-mismatch")
    with pytest.raises(ModelCorrupt):
        store.open("v")


def test_a_sound_download_of_the_wrong_format_is_not_kept(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub states its hash, so the bytes came over well: they are just no voice."""
    specs = hub_voice(host, monkeypatch)
    host.routes["/cdn"] = http_host.file(LLAMA)
    stated = {"X-Linked-Etag": f'"{sha256(LLAMA)}"'}
    host.routes["/owner/voices/resolve/main/v.onnx"] = redirect("/cdn", stated)
    store = store_of(tmp_path, entry("v", "tts", "piper", *specs))
    with pytest.raises(ModelCorrupt) as caught:
        store.pull("v")
    assert code_of(caught) == "wrong-format"
    assert list((tmp_path / "v").iterdir()) == []


def test_an_interrupted_pull_goes_on_next_time(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = hub_voice(host, monkeypatch)
    body = onnx_model()
    host.routes["/cdn"] = lambda r: r.answer(200 if not r.start() else 503, body[:500], length=2000)
    store = store_of(tmp_path, entry("v", "tts", "piper", *specs))
    with pytest.raises(DownloadError):
        store.pull("v")
    assert (tmp_path / "v" / "v.onnx.part").stat().st_size == 500
    assert not store.installed("v")
    host.routes["/cdn"] = http_host.file(body)
    host.seen.clear()
    store.pull("v")
    assert ("/cdn", "bytes=500-") in host.seen


def test_the_next_source_is_tried(store: Store, tmp_path: Path) -> None:
    spec = store.entry("a-llama").files[0]
    missing = FileSpec(
        name=spec.name,
        sources=("file:/nowhere/x", "pypi:nothing==1!x", *spec.sources),
        size_bytes=spec.size_bytes,
        sha256=spec.sha256,
    )
    options = ("--no-index", "--retries", "0")
    other = store_of(
        tmp_path / "b", entry("a-llama", "llm", "llamacpp", missing), pip_options=options
    )
    assert other.pull("a-llama").path.read_bytes() == LLAMA


def test_the_hub_address_honours_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    source = HubSource(repo="a/b", revision="main", path="x/y z.bin")
    assert hub_url(source) == "https://huggingface.co/a/b/resolve/main/x/y%20z.bin"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.invalid/hf/")
    assert hub_url(source) == "https://mirror.invalid/hf/a/b/resolve/main/x/y%20z.bin"


def test_the_system_folder_is_read_first_and_never_written(store: Store, tmp_path: Path) -> None:
    system = tmp_path / "system"
    (system / "a-llama").mkdir(parents=True)
    (system / "a-llama" / "llama.gguf").write_bytes(LLAMA)
    both = Store(store.root, store.catalog, system=system)
    assert both.open("a-llama").folder == system / "a-llama"
    with pytest.raises(ModelError) as caught:
        both.remove("a-llama")
    assert code_of(caught) == "model-read-only"
    assert sorted(path.name for path in system.rglob("*")) == ["a-llama", "llama.gguf"]


def test_pins_that_cannot_be_read_are_an_error_and_never_forgotten(store: Store) -> None:
    store.root.mkdir(parents=True, exist_ok=True)
    for spoiled in (b"{", b'{"schema": 2}', b'{"extra": 1}', b"\xff\xfe"):
        (store.root / "pins.json").write_bytes(spoiled)
        with pytest.raises(ModelError) as caught:
            store.list()
        assert code_of(caught) == "store-damaged"
        assert (store.root / "pins.json").read_bytes() == spoiled


def test_two_pulls_at_once_fetch_once(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = hub_voice(host, monkeypatch)
    stores = [store_of(tmp_path, entry("v", "tts", "piper", *specs)) for _ in range(3)]
    threads = [threading.Thread(target=store.pull, args=("v",)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path for path, _ in host.seen].count("/cdn") == 1
    assert stores[0].open("v").entry.id == "v"


def test_a_lock_that_somebody_holds_is_not_waited_for_forever(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock", 1.0):
        with pytest.raises(ModelError) as caught, file_lock(tmp_path / "lock", 0.0):
            pass
        assert code_of(caught) == "store-busy"
    with file_lock(tmp_path / "lock", 0.0):
        pass


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_still_opens(store: Store) -> None:
    store.pull("a-llama")
    (store.root / "verdicts.json").unlink()
    store.root.chmod(0o500)
    try:
        assert store.open("a-llama").entry.id == "a-llama"
    finally:
        store.root.chmod(0o700)


def test_a_store_that_cannot_be_written_is_read_once(
    store: Store, hashed: list[Path], tmp_path: Path
) -> None:
    """The second start finds what the first one kept elsewhere, and a changed file is seen."""
    path = store.pull("a-llama").path
    (store.root / "verdicts.json").unlink()
    shutil.rmtree(store.root / ".locks")
    (store.root / ".locks").write_text("no folder, also for root")
    hashed.clear()
    for _ in range(2):
        again = Store(store.root, store.catalog, system=None, spare=tmp_path / "spare")
        again.open("a-llama")
    assert hashed == [path]
    assert not (store.root / "verdicts.json").exists()
    path.write_bytes(LLAMA[:-1] + b"x")
    with pytest.raises(ModelCorrupt) as caught:
        again.open("a-llama")
    assert code_of(caught) == "hash-mismatch"


def test_a_verdict_on_another_file_with_the_same_identity_condemns_nothing(
    store: Store, hashed: list[Path]
) -> None:
    path = store.pull("a-llama").path
    kept = store.root / "verdicts.json"
    kept.write_text(kept.read_text().replace(sha256(LLAMA), "0" * 64))
    hashed.clear()
    for _ in range(2):
        store.open("a-llama")
    assert hashed == [path]


def test_a_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("not a folder")
    store = store_of(tmp_path / "root", entry("x", "llm", "llamacpp", file_spec("x.gguf", LLAMA)))
    with pytest.raises(ModelError) as caught:
        store.pull("x")
    assert code_of(caught) == "store-unwritable"
    assert "EDGE_ASSISTANT_MODELS_DIR" in caught.value.hint


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGE_ASSISTANT_MODELS_DIR", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("EDGE_ASSISTANT_MODELS_DIR")
    assert default_root().parts[-2:] == ("edge-assistant", "models")


def test_a_path_is_not_an_id(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("no.gguf", "./no", str(tmp_path / "no")):
        with pytest.raises(ModelNotFound) as caught:
            store.open(missing)
        assert code_of(caught) == "file-missing"
    (tmp_path / "plain").write_bytes(LLAMA)
    monkeypatch.chdir(tmp_path)
    assert store.open("plain").entry.kind == "llm"
    with pytest.raises(ModelNotFound) as caught:
        store.open("a\0b")
    assert code_of(caught) == "model-unknown"
