"""Updates from web servers that break off, lie, redirect and never end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from edge_assistant_packaging.bundle.build import Built
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.updates.catalog import CATALOG, CATALOG_SIGNATURE
from edge_assistant_packaging.updates.delta import make_delta
from edge_assistant_packaging.updates.memory import Memory
from edge_assistant_packaging.updates.publish import publish
from edge_assistant_packaging.updates.source import WebSource, open_source
from edge_assistant_packaging.updates.updater import Fetched, Updater

from edge_assistant.store.hosts import NetworkPolicy
from tests.shipping.small_bundle import PAIR
from tests.shipping.test_updates import DAY_S, KEY, LINE, NOW_S
from tests.shipping.two_bundles import make_two
from tests.store.http_host import Host, Request, file, redirect, running

QUICK: Final = NetworkPolicy(connect_timeout_s=2, read_timeout_s=0.5, attempts=2, retry_wait_s=0.01)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built, Built]:
    folder = tmp_path_factory.mktemp("shop")
    old, new = make_two(folder)
    make_delta(old.path, new.path, folder / "7-8.delta", KEY)
    publish(folder, PAIR, channel="stable", floors={}, now_s=NOW_S, valid_s=DAY_S)
    return folder, old, new


@pytest.fixture
def host(shop: tuple[Path, Built, Built]) -> Iterator[Host]:
    with running() as made:
        for path in shop[0].iterdir():
            if path.is_file():
                made.routes[f"/u/{path.name}"] = file(path.read_bytes())
        yield made


def fetch(host: Host, tmp_path: Path, have: Path | None = None) -> Fetched:
    source = WebSource(f"{host.url}/u/", QUICK)
    updater = Updater(
        source, KEY, Memory(tmp_path / "state.json"), channel="stable", now_s=lambda: NOW_S
    )
    return updater.fetch(updater.check(LINE, None), tmp_path / "got.bundle", have=have)


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(ShippingError) as raised:
        ask()
    assert raised.value.hint
    assert "models add" not in raised.value.hint
    return raised.value.code


def kept_bytes(folder: Path) -> int:
    """Of all that a failed fetch left behind."""
    assert not (folder / "got.bundle").exists()
    return sum(path.stat().st_size for path in folder.glob(".*.part"))


def test_it_comes_from_a_plain_server_and_so_does_a_delta(
    host: Host, shop: tuple[Path, Built, Built], tmp_path: Path
) -> None:
    assert fetch(host, tmp_path).path.read_bytes() == shop[2].path.read_bytes()
    (tmp_path / "got.bundle").unlink()
    fetched = fetch(host, tmp_path, have=shop[1].path)
    assert fetched.is_by_delta
    assert fetched.path.read_bytes() == shop[2].path.read_bytes()


def test_what_broke_off_is_gone_on_with(
    host: Host, shop: tuple[Path, Built, Built], tmp_path: Path
) -> None:
    body = shop[2].path.read_bytes()

    def broken(request: Request) -> None:
        start = request.start()
        headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        piece = body[start : start + 5000]
        request.answer(206 if start else 200, piece, headers, length=len(body) - start)
        request.cut()

    def dead(request: Request) -> None:
        request.answer(503)

    host.routes["/u/new.bundle"] = lambda r: broken(r) if r.start() == 0 else dead(r)
    assert refused(lambda: fetch(host, tmp_path)) == "update-network"
    assert 0 < kept_bytes(tmp_path) < len(body)
    host.routes["/u/new.bundle"] = broken
    assert fetch(host, tmp_path).path.read_bytes() == body
    assert not list(tmp_path.glob(".*.part"))
    assert ("/u/new.bundle", "bytes=5000-") in host.seen


def lies(body: bytes) -> dict[str, Callable[[Request], None]]:
    def endless(request: Request) -> None:
        request.answer(200, length=None)
        try:
            while True:
                request.wfile.write(bytes(65_536))
        except OSError:
            pass

    return {
        "one byte changed": file(body[:-700] + b"x" + body[-699:]),
        "another bundle": file(b"edge-assistant-bundle/" + bytes(len(body) - 22)),
        "shorter": file(body[:-512]),
        "longer": file(body + bytes(512)),
        "says too little": lambda r: r.answer(200, body, length=len(body) - 100),
        "says too much": lambda r: r.answer(200, body, length=10**15),
        "no length and longer": lambda r: r.answer(200, body + bytes(4096), length=None),
        "endless": endless,
        "empty": file(b""),
        "a page": lambda r: r.answer(200, b"<html>log in", {"Content-Type": "text/html"}),
        "a page that hides": file(b"<!doctype html>" + bytes(len(body) - 15)),
        "compressed": lambda r: r.answer(200, body, {"Content-Encoding": "gzip"}),
        "gone": lambda r: r.answer(404),
        "redirects to itself": redirect("/u/new.bundle"),
        "redirects to this machine": redirect("http://127.0.0.1:1/x"),
        "redirects to a file": redirect("file:///etc/passwd"),
        "redirects to the metadata of a cloud": redirect("https://169.254.169.254/latest"),
        "redirects away from https": redirect("http://example.invalid/new.bundle"),
        "redirects to credentials": redirect("https://a:b@example.invalid/x"),
        "wrong range": lambda r: r.answer(206, body, {"Content-Range": "bytes 7-9/10"}),
        "redirects to nowhere": lambda r: r.answer(302, bytes(100_000), {"Location": "http://["}),
    }


NAMES: Final = tuple(lies(bytes(1000)))


@pytest.mark.parametrize("name", NAMES)
def test_a_server_that_lies_about_a_bundle_gives_nothing(
    host: Host, shop: tuple[Path, Built, Built], tmp_path: Path, name: str
) -> None:
    body = shop[2].path.read_bytes()
    host.routes["/u/new.bundle"] = lies(body)[name]
    code = refused(lambda: fetch(host, tmp_path))
    assert code.startswith("update-")
    is_elsewhere = name.startswith("redirects") and name != "redirects to itself"
    assert (code == "update-address-refused") == is_elsewhere
    assert kept_bytes(tmp_path) <= len(body)
    # The same part, and a server that is right again: the lie has no consequence.
    host.routes["/u/new.bundle"] = file(body)
    assert fetch(host, tmp_path).path.read_bytes() == body


@pytest.mark.parametrize("name", [each for each in NAMES if each != "says too little"])
@pytest.mark.parametrize("which", [CATALOG, CATALOG_SIGNATURE])
def test_a_server_that_lies_about_the_catalog_gives_nothing(
    host: Host, shop: tuple[Path, Built, Built], tmp_path: Path, name: str, which: str
) -> None:
    host.routes[f"/u/{which}"] = lies((shop[0] / which).read_bytes().ljust(1000))[name]
    assert refused(lambda: fetch(host, tmp_path)) != ""
    assert kept_bytes(tmp_path) == 0
    assert not (tmp_path / "state.json").exists()


def test_a_redirect_within_the_server_is_followed(
    host: Host, shop: tuple[Path, Built, Built], tmp_path: Path
) -> None:
    host.routes["/other"] = host.routes["/u/new.bundle"]
    host.routes["/u/new.bundle"] = redirect("/other")
    assert fetch(host, tmp_path).path.read_bytes() == shop[2].path.read_bytes()


@pytest.mark.parametrize(
    "place",
    [
        "ftp://host/x",
        "https://",
        "https://a:b@host/x",
        "https://host/x?y",
        "file:///etc",
        "/none",
        "~none/x",
    ],
)
def test_a_place_that_is_none_is_refused(place: str) -> None:
    assert refused(lambda: open_source(place)) == "update-source-unfit"


def test_a_redirect_to_what_is_no_name_is_refused(host: Host, tmp_path: Path) -> None:
    """One that the library below finds out only when it is asked."""
    host.routes[f"/u/{CATALOG}"] = redirect("https://a..b/")
    assert refused(lambda: fetch(host, tmp_path)) == "update-address-refused"


@pytest.mark.parametrize(
    "words", [("--days", "nan"), ("--floor", f"kiosk:linux-x86_64:kiosk:{'9' * 5000}")]
)
def test_a_number_that_is_none_is_wrong_usage(tmp_path: Path, words: tuple[str, str]) -> None:
    done = run(tmp_path, "bundle", "keygen", "--no-password", "-s", "k.key")
    done = run(tmp_path, "update", "catalog", ".", "-s", "k.key", *words)
    assert (done.returncode, "Usage:" in done.stderr) == (2, True), done.stderr


def run(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edge_assistant", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)} | variables,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_commands_from_keys_to_a_bundle(
    host: Host, shop: tuple[Path, Built, Built], tmp_path: Path
) -> None:
    word, old = KEY.to_base64(), str(shop[1].path)
    by_hand = ("update", "check", "--source", str(shop[0]), "-P", word, "--expired", "warn")
    done = run(tmp_path, *by_hand, "--installed", old)
    assert (done.returncode, "build 8 (0.1.0) of kiosk" in done.stdout) == (0, True), done.stderr
    asked = ("--source", f"{host.url}/u", "-P", word, "--expired", "warn", "--installed", old)
    done = run(tmp_path, "update", "check", *asked, EDGE_ASSISTANT_OFFLINE="1")
    assert "error [offline]" in done.stderr
    done = run(tmp_path, "update", "fetch", *asked, "-o", "got.bundle", "--have", old)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got.bundle").read_bytes() == shop[2].path.read_bytes()
    done = run(tmp_path, "update", "check", *asked[:-1], "got.bundle", "--json")
    assert '"newer_build": null' in done.stdout
    done = run(tmp_path, "bundle", "apply", old, str(shop[0] / "7-8.delta"), "-o", "x", "-P", word)
    assert done.stdout.split()[0] == shop[2].sha256
    done = run(tmp_path, "bundle", "delta", old, str(shop[2].path), "-o", "d", "-P", word)
    assert (tmp_path / "d").read_bytes() == (shop[0] / "7-8.delta").read_bytes()
    done = run(tmp_path, "update", "check", *asked[:-2])
    assert done.returncode == 2  # nothing is installed here


def test_the_vendor_lists_a_folder(shop: tuple[Path, Built, Built], tmp_path: Path) -> None:
    run(tmp_path, "bundle", "keygen", "--no-password", "-p", "k.pub", "-s", "k.key")
    folder = tmp_path / "web"
    folder.mkdir()
    listed = ("update", "catalog", "web", "-s", "k.key", "--days", "2")
    done = run(tmp_path, *listed, "--floor", "kiosk:linux-x86_64:kiosk:3", "--json")
    assert '"serial": 1' in done.stdout, done.stderr
    assert '"serial": 2' in run(tmp_path, *listed, "--json").stdout
    done = run(tmp_path, *listed, "--floor", "kiosk:linux-x86_64:kiosk:2")
    assert "error [catalog-floor-lowered]" in done.stderr
    (folder / "new.bundle").write_bytes(shop[2].path.read_bytes())  # by another vendor
    assert "error [signature-other-key]" in run(tmp_path, *listed).stderr
