"""The network does what it likes; the store keeps only what is right."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_assistant.errors import DownloadError, ModelError
from edge_assistant.store.download import Download, Wanted
from edge_assistant.store.hosts import NetworkPolicy, check_url
from edge_assistant.store.progress import NoProgress
from tests.fakes.model_files import HTML
from tests.store import http_host
from tests.store.build import QUICK
from tests.store.http_host import Host, Request, git_blob, redirect, sha256

BODY = random.Random(5).randbytes(300_000)


@pytest.fixture
def host() -> Iterator[Host]:
    with http_host.running() as found:
        yield found


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "model.part"


def fetch(
    url: str,
    part: Path,
    *,
    policy: NetworkPolicy = QUICK,
    size_bytes: int | None = None,
    wanted_hash: str | None = None,
    max_bytes: int = 1_000_000,
    trust: bool = False,
) -> str:
    """Run one download; returns the hash of what is on disk."""
    wanted = Wanted(
        url=url,
        max_bytes=max_bytes,
        size_bytes=size_bytes,
        sha256=wanted_hash,
        trust_host_hash=trust,
    )
    return Download(wanted, part, policy, NoProgress(), sleep=lambda _: None).run().sha256


def refused(code: str, url: str, part: Path, **options: object) -> ModelError:
    """The error of a download that has to fail, checked for its code."""
    with pytest.raises(ModelError) as caught:
        fetch(url, part, **options)  # type: ignore[arg-type]
    assert caught.value.code == code, caught.value
    return caught.value


def test_a_file_with_a_known_hash(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY)
    found = fetch(host.url + "/m", part, wanted_hash=sha256(BODY), size_bytes=len(BODY))
    assert found == sha256(BODY)
    assert part.read_bytes() == BODY


def test_redirects_are_followed_and_relative_ones_resolved(host: Host, part: Path) -> None:
    host.routes["/a"] = redirect("/b", status=307)
    host.routes["/b"] = redirect(host.url + "/c")
    host.routes["/c"] = http_host.file(BODY)
    fetch(host.url + "/a", part, wanted_hash=sha256(BODY))
    assert [path for path, _ in host.seen] == ["/a", "/b", "/c"]


@pytest.mark.parametrize(
    "location",
    [
        "http://host.invalid/model",
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/latest",
        "https://[::ffff:169.254.169.254]/x",
        "https://0.0.0.0/x",
        "https://user:secret@host.invalid/x",
        "file:///etc/passwd",
        "ftp://host.invalid/x",
        "https://",
        "//[bad",
    ],
)
def test_redirects_that_are_refused(location: str, host: Host, part: Path) -> None:
    host.routes["/a"] = redirect(location)
    refused("address-refused", host.url + "/a", part, wanted_hash=sha256(BODY))
    assert not part.exists()


def test_without_the_tests_flag_plain_http_and_loopback_are_refused(host: Host) -> None:
    for url in (host.url, "https://127.0.0.1/x", "https://localhost/x", "http://host.invalid/x"):
        with pytest.raises(DownloadError) as caught:
            check_url(url, NetworkPolicy())
        assert caught.value.code == "address-refused"
    # Private ranges are where mirrors live.
    check_url("https://192.168.1.5/x", NetworkPolicy())


def test_a_ring_of_redirects_ends(host: Host, part: Path) -> None:
    host.routes["/a"] = redirect("/a")
    refused("too-many-redirects", host.url + "/a", part, wanted_hash=sha256(BODY))
    assert len(host.seen) == QUICK.max_redirects + 1


def test_it_goes_on_where_an_earlier_run_stopped(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY)
    part.write_bytes(BODY[:100_000])
    fetch(host.url + "/m", part, wanted_hash=sha256(BODY), size_bytes=len(BODY))
    assert host.seen == [("/m", "bytes=100000-")]
    assert part.read_bytes() == BODY


def test_a_wrong_beginning_is_found_by_the_full_hash_and_fetched_anew(
    host: Host, part: Path
) -> None:
    host.routes["/m"] = http_host.file(BODY)
    part.write_bytes(b"x" * 100_000)
    fetch(host.url + "/m", part, wanted_hash=sha256(BODY))
    assert [span for _, span in host.seen] == ["bytes=100000-", ""]
    assert part.read_bytes() == BODY


def test_a_host_without_ranges_starts_over(host: Host, part: Path) -> None:
    host.routes["/m"] = lambda request: request.answer(200, BODY)
    part.write_bytes(BODY[:100_000])
    fetch(host.url + "/m", part, wanted_hash=sha256(BODY))
    assert part.read_bytes() == BODY


def test_a_complete_part_is_hashed_and_taken(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY)
    part.write_bytes(BODY)
    assert fetch(host.url + "/m", part, wanted_hash=sha256(BODY)) == sha256(BODY)


def test_a_reset_in_the_middle_is_resumed(host: Host, part: Path) -> None:
    def route(request: Request) -> None:
        if not request.start():
            request.send_response(200)
            request.send_header("Content-Length", str(len(BODY)))
            request.end_headers()
            request.wfile.write(BODY[:150_000])
            request.cut()
        else:
            http_host.file(BODY)(request)

    host.routes["/m"] = route
    fetch(host.url + "/m", part, wanted_hash=sha256(BODY), size_bytes=len(BODY))
    assert part.read_bytes() == BODY
    assert len(host.seen) == 2
    assert host.seen[1][1].startswith("bytes=")


def test_a_host_that_always_breaks_off_gives_up_and_keeps_what_came(host: Host, part: Path) -> None:
    host.routes["/m"] = lambda request: (
        request.answer(200, BODY[:1000], length=len(BODY))
        if not request.start()
        else request.answer(503)
    )
    refused("network", host.url + "/m", part, wanted_hash=sha256(BODY), size_bytes=len(BODY))
    assert part.read_bytes() == BODY[:1000]


def test_a_wrong_hash_is_deleted(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY)
    refused("hash-mismatch", host.url + "/m", part, wanted_hash=sha256(b"other"))
    assert not part.exists()


def test_a_wrong_size_is_refused_before_it_is_fetched(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY)
    refused(
        "size-mismatch", host.url + "/m", part, wanted_hash=sha256(BODY), size_bytes=len(BODY) + 1
    )


def test_a_body_that_ends_early_without_a_length_fails_the_hash(host: Host, part: Path) -> None:
    host.routes["/m"] = lambda request: request.answer(200, BODY[:-5], length=None)
    refused("hash-mismatch", host.url + "/m", part, wanted_hash=sha256(BODY))


def test_no_content_length_is_fine_if_the_hash_is(host: Host, part: Path) -> None:
    host.routes["/m"] = lambda request: request.answer(200, BODY, length=None)
    assert fetch(host.url + "/m", part, wanted_hash=sha256(BODY)) == sha256(BODY)


def test_404_with_a_page_is_not_a_model(host: Host, part: Path) -> None:
    error = refused("not-found", host.url + "/nowhere", part, wanted_hash=sha256(BODY))
    assert isinstance(error, DownloadError)
    assert len(host.seen) == 1, "asking again would not help"


@pytest.mark.parametrize("declared", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_login_page_is_not_a_model(declared: str, host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(HTML, {"Content-Type": declared})
    refused("not-a-model", host.url + "/m", part, wanted_hash=sha256(HTML))
    assert not part.exists() or part.stat().st_size == 0


@pytest.mark.parametrize(
    ("status", "code"), [(401, "forbidden"), (403, "forbidden"), (418, "host-misbehaves")]
)
def test_other_refusals(status: int, code: str, host: Host, part: Path) -> None:
    host.routes["/m"] = lambda request: request.answer(status)
    assert refused(code, host.url + "/m", part, wanted_hash=sha256(BODY)).hint


def test_an_endless_body_stops_at_the_cap(host: Host, part: Path) -> None:
    def route(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(BODY)
        except OSError:
            request.close_connection = True

    host.routes["/m"] = route
    refused("too-large", host.url + "/m", part, wanted_hash=sha256(BODY), max_bytes=500_000)
    assert part.stat().st_size == 0


def test_a_length_over_the_cap_is_not_even_begun(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY)
    refused("too-large", host.url + "/m", part, wanted_hash=sha256(BODY), max_bytes=1000)
    assert not part.exists()


def test_a_trickle_counts_as_silence(host: Host, part: Path) -> None:
    def route(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BODY)))
        request.end_headers()
        try:
            for byte in BODY:
                request.wfile.write(bytes([byte]))
                request.server.pause.wait(0.02)
        except OSError:
            request.close_connection = True

    host.routes["/m"] = route
    policy = replace(QUICK, read_timeout_s=0.3, attempts=1)
    # The first try brought something, so it is the tries that follow in the same way that count.
    error = refused("network", host.url + "/m", part, wanted_hash=sha256(BODY), policy=policy)
    assert "bytes in" in error.message


def test_nobody_at_the_other_end_is_told_in_words(host: Host, part: Path) -> None:
    """Not with the objects of the library in whose hands it broke."""
    with socket.socket() as taken:  # bound, and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/m"
        error = refused("network", url, part, wanted_hash=sha256(BODY), policy=QUICK)
    assert error.message.startswith(f"{url}: Failed to establish a new connection")
    assert "Pool" not in error.message
    assert error.hint


def test_compressed_bodies_are_refused(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY, {"Content-Encoding": "gzip"})
    refused("host-misbehaves", host.url + "/m", part, wanted_hash=sha256(BODY))


def test_another_range_than_asked_for_is_refused(host: Host, part: Path) -> None:
    span = {"Content-Range": f"bytes 5-{len(BODY) - 1}/{len(BODY)}"}
    host.routes["/m"] = lambda request: request.answer(206, BODY[5:], span)
    part.write_bytes(BODY[:100])
    refused("host-misbehaves", host.url + "/m", part, wanted_hash=sha256(BODY))


def hub(host: Host, linked: str, *, small: bool = False, body: bytes = BODY) -> str:
    """A hub that states a hash, and a content network that states another kind of one."""
    if small:
        host.routes["/r"] = http_host.file(body, {"ETag": f'W/"{linked}"'})
        return host.url + "/r"
    # The content network is another host to the client: 127.0.0.1 and localhost differ.
    elsewhere = host.url.replace("127.0.0.1", "localhost")
    host.routes["/r"] = redirect(
        elsewhere + "/cdn", {"X-Linked-Etag": f'"{linked}"', "ETag": '"x"'}
    )
    host.routes["/cdn"] = http_host.file(body, {"ETag": f'"{"0" * 64}"', "X-Linked-Etag": "0" * 64})
    return host.url + "/r"


def test_large_files_are_checked_by_the_linked_etag(host: Host, part: Path) -> None:
    assert fetch(hub(host, sha256(BODY)), part, trust=True) == sha256(BODY)
    part.unlink()
    refused("hash-mismatch", hub(host, sha256(b"other")), part, trust=True)


def test_small_files_are_checked_by_their_git_hash(host: Host, part: Path) -> None:
    assert fetch(hub(host, git_blob(BODY), small=True), part, trust=True) == sha256(BODY)
    part.unlink()
    refused("hash-mismatch", hub(host, git_blob(b"other"), small=True), part, trust=True)


def test_a_file_that_nobody_vouches_for_is_not_fetched(host: Host, part: Path) -> None:
    host.routes["/m"] = http_host.file(BODY, {"ETag": f'"{sha256(BODY)}"'})
    for trust in (False, True):  # a bare ETag of 64 digits may be any kind of hash
        refused("no-hash", host.url + "/m", part, trust=trust)
    assert not part.exists()


def test_only_the_hub_itself_may_vouch(host: Host, part: Path) -> None:
    """Whoever a redirect leads to would vouch for whatever it sends."""
    elsewhere = host.url.replace("127.0.0.1", "localhost")
    host.routes["/r"] = redirect(elsewhere + "/cdn")
    host.routes["/cdn"] = http_host.file(BODY, {"X-Linked-Etag": f'"{sha256(BODY)}"'})
    refused("no-hash", host.url + "/r", part, trust=True)


def test_the_catalogs_hash_counts_more_than_the_hosts(host: Host, part: Path) -> None:
    url = hub(host, sha256(BODY))
    refused("hash-mismatch", url, part, trust=True, wanted_hash=sha256(b"from the catalog"))
