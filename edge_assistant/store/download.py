"""One file over HTTP: resumed where it broke off, capped, hashed from the disk when complete."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge_assistant.errors import DownloadError, ModelCorrupt
from edge_assistant.store.hashing import Digest, digest
from edge_assistant.store.hosts import NetworkPolicy, check_url, next_url
from edge_assistant.store.progress import Progress

if TYPE_CHECKING:
    import requests

BY_HAND = "fetch it by other means, then: edge-assistant models add FILE --id ID"
"""The way out where the network is not one."""

_CHUNK_BYTES = 1 << 16
_MAX_TRIES = 200
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_PAGE = re.compile(rb"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)
_OBJECT = re.compile(r"^(<[^>]*>|\w+\([^)]*\)): ")
_LATER = "see that the network is there and try again; what came so far is kept"
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Interrupted(Exception):
    """This try ended early; another may go on from where it stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is fetched."""

    url: str
    max_bytes: int
    """Not one byte more is written."""
    size_bytes: int | None = None
    sha256: str | None = None
    """From the catalog or a pin; without it, a hash that the host states is required."""
    is_signed: bool = False
    """No hash is known, and none is needed: the caller holds what came to a signature."""
    trust_host_hash: bool = False
    """The host is a hub whose first answers state hashes in X-Linked-Etag or ETag."""


@dataclass(slots=True)
class _Stated:
    """What the first host said of the file."""

    sha256: str = ""
    git_blob: str = ""

    def take(self, response: requests.Response) -> None:
        """Keep a hash that the headers of the host itself state; redirects elsewhere do not count.

        Large files carry a SHA-256 in X-Linked-Etag, on the redirect that leads to the content
        network; small ones the name of their git blob.
        """
        for header in ("X-Linked-Etag", "ETag"):
            value = response.headers.get(header, "").removeprefix("W/").strip('"').lower()
            if re.fullmatch(r"[0-9a-f]{64}", value) and not self.git_blob:
                # Only X-Linked-Etag: a bare ETag of 64 digits may be another kind of hash.
                self.sha256 = self.sha256 or (value if header == "X-Linked-Etag" else "")
            elif re.fullmatch(r"[0-9a-f]{40}", value) and not self.sha256:
                self.git_blob = self.git_blob or value


class Download:
    """Fetches one file to one path. Not shared between threads."""

    def __init__(
        self,
        wanted: Wanted,
        part: Path,
        policy: NetworkPolicy,
        progress: Progress,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wanted = wanted
        self._part = part
        self._policy = policy
        self._progress = progress
        self._sleep = sleep
        self._stated = _Stated()

    def run(self) -> Digest:
        """Fetch, then hash the whole file as it is on disk.

        Bytes of an earlier run that are still at `part` are kept and only the rest is asked for; if
        the hash then does not fit, it starts once more from nothing.

        Raises:
            DownloadError: the network or the host; what came so far stays for the next run.
            ModelCorrupt: `hash-mismatch`: everything came, and it was wrong; `part` is deleted.
        """
        had_bytes = self._part_bytes()
        try:
            return self._complete()
        except ModelCorrupt:
            if had_bytes == 0:
                raise
            return self._complete()

    def _complete(self) -> Digest:
        import requests

        class OneStep(requests.Session):
            """Leaves redirects to us: even with allow_redirects=False, requests would read the
            whole body of one, and parse an address that we have not checked."""

            def get_redirect_target(self, resp: requests.Response) -> None:
                return None

        with OneStep() as session:
            session.headers.update({"Accept-Encoding": "identity", "User-Agent": "edge-assistant"})
            self._try_until_done(session)
        found = digest(self._part)
        fault = self._hash_fault(found)
        if fault:
            self._part.unlink()
            raise ModelCorrupt(
                "hash-mismatch",
                f"{self._wanted.url}: {fault}",
                "try again; if it happens again, the file at its source has changed",
            )
        return found

    def _try_until_done(self, session: requests.Session) -> None:
        import requests

        failures = 0
        for _ in range(_MAX_TRIES):
            before_bytes = self._part_bytes()
            try:
                self._try(session)
                return
            except (requests.RequestException, _Interrupted, TimeoutError) as error:
                failures = 1 if self._part_bytes() > before_bytes else failures + 1
                if failures >= self._policy.attempts:
                    reason = f"{self._wanted.url}: {_reason(error)}"
                    raise DownloadError("network", reason, _LATER) from error
            self._sleep(self._policy.retry_wait_s * 2 ** (failures - 1))
        raise DownloadError("network", f"{self._wanted.url}: broke off too often", _LATER)

    def _try(self, session: requests.Session) -> None:
        start = self._part_bytes()
        if self._wanted.size_bytes is not None and start > self._wanted.size_bytes:
            self._part.unlink()
            start = 0
        with self._ask(session, start) as response:
            if response.status_code == 416:
                self._judge_refused_range(response, start)
                return
            offset, total_bytes = self._placement(response, start)
            self._refuse_page(response)
            self._require_hash()
            self._write(response, offset, total_bytes)

    def _ask(self, session: requests.Session, start: int) -> requests.Response:
        """Follow redirects by hand, so that each is checked before it is asked."""
        url = self._wanted.url
        first_host = urlsplit(url).netloc
        check_url(url, self._policy)
        headers = {"Range": f"bytes={start}-"} if start else {}
        timeout = (self._policy.connect_timeout_s, self._policy.read_timeout_s)
        for _ in range(self._policy.max_redirects + 1):
            response = session.get(
                url, headers=headers, stream=True, allow_redirects=False, timeout=timeout
            )
            if self._wanted.trust_host_hash and urlsplit(url).netloc == first_host:
                self._stated.take(response)
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            url = next_url(url, response.headers.get("Location", ""), self._policy)
        raise DownloadError("too-many-redirects", f"{self._wanted.url} never ends", BY_HAND)

    def _placement(self, response: requests.Response, start: int) -> tuple[int, int | None]:
        """Return where this body goes in the file, and the size of the whole file if stated."""
        status = response.status_code
        if status in _PASSING:
            raise _Interrupted(f"the host answered {status}")
        if status not in (200, 206):
            raise _status_error(self._wanted.url, status)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError("host-misbehaves", f"{self._wanted.url} came compressed", BY_HAND)
        length = response.headers.get("Content-Length", "")
        body_bytes = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        offset = 0
        if status == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if start == 0 or found is None or int(found[1]) != start:
                raise DownloadError(
                    "host-misbehaves", f"{self._wanted.url}: another range", "try again later"
                )
            offset = start
        total_bytes = None if body_bytes is None else offset + body_bytes
        expected_bytes = self._wanted.size_bytes
        if total_bytes is not None and total_bytes > self._wanted.max_bytes:
            raise self._too_large()
        if None not in (total_bytes, expected_bytes) and total_bytes != expected_bytes:
            self._part.unlink(missing_ok=True)
            raise ModelCorrupt(
                "size-mismatch",
                f"{self._wanted.url} has {total_bytes} bytes, not {expected_bytes}",
                "the file at its source has changed",
            )
        return offset, total_bytes

    def _refuse_page(self, response: requests.Response) -> None:
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise _page_error(self._wanted.url)

    def _write(self, response: requests.Response, offset: int, total_bytes: int | None) -> None:
        done_bytes = offset
        pace = _Pace(self._policy)
        read = getattr(response.raw, "read1", response.raw.read)
        with self._part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            try:
                while chunk := _next_chunk(read):
                    if done_bytes == 0 and _PAGE.match(chunk):
                        raise _page_error(self._wanted.url)
                    done_bytes += len(chunk)
                    if done_bytes > self._wanted.max_bytes:
                        raise self._too_large()
                    file.write(chunk)
                    self._progress.advanced(done_bytes)
                    pace.add(len(chunk))
            except DownloadError:
                file.truncate(0)
                raise
        if total_bytes is None:
            total_bytes = self._wanted.size_bytes
        if total_bytes is not None and done_bytes < total_bytes:
            raise _Interrupted(f"broke off after {done_bytes} of {total_bytes} bytes")

    def _judge_refused_range(self, response: requests.Response, start: int) -> None:
        """We have it all already, or what we have is of another file."""
        found = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        if start == self._wanted.size_bytes or (found is not None and int(found[1]) == start):
            return
        self._part.unlink(missing_ok=True)
        raise _Interrupted("the host has no such range")

    def _hash_fault(self, found: Digest) -> str:
        for name, have, want in (
            ("SHA-256", found.sha256, self._wanted.sha256 or self._stated.sha256),
            ("git blob hash", found.git_blob, self._stated.git_blob),
        ):
            if want and have != want:
                return f"{name} is {have[:16]}..., not {want[:16]}..."
        return ""

    def _require_hash(self) -> None:
        """Refuse what nobody vouches for, before a byte of it is written.

        Raises:
            DownloadError: `no-hash`.
        """
        if self._wanted.is_signed:
            return
        if not (self._wanted.sha256 or self._stated.sha256 or self._stated.git_blob):
            raise DownloadError(
                "no-hash",
                f"{self._wanted.url}: neither the catalog nor the host states a hash",
                BY_HAND,
            )

    def _part_bytes(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _too_large(self) -> DownloadError:
        return DownloadError(
            "too-large",
            f"{self._wanted.url} has more than {self._wanted.max_bytes} bytes",
            "the file at its source has changed",
        )


class _Pace:
    """Raises once the host has been slower than the policy allows for a whole window."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._window_s = policy.read_timeout_s
        self._need_bytes = int(policy.min_bytes_per_s * policy.read_timeout_s)
        self._started_s = time.monotonic()
        self._got_bytes = 0

    def add(self, count: int) -> None:
        """Count bytes."""
        self._got_bytes += count
        if self._got_bytes >= self._need_bytes:
            self._started_s, self._got_bytes = time.monotonic(), 0
        elif time.monotonic() - self._started_s > self._window_s:
            raise _Interrupted(f"{self._got_bytes} bytes in {self._window_s:.0f} s")


def _next_chunk(read: Callable[..., bytes | None]) -> bytes:
    # requests does not wrap the errors of the raw stream.
    from urllib3.exceptions import HTTPError

    try:
        return read(_CHUNK_BYTES, decode_content=False) or b""
    except (HTTPError, OSError) as error:
        raise _Interrupted(str(error)) from error


def _reason(error: Exception) -> str:
    """What lies at the bottom of an error of requests, without the objects that carried it up."""
    inner = error.args[0] if error.args else error
    return _OBJECT.sub("", str(getattr(inner, "reason", inner)))[:300]


def _status_error(url: str, status: int) -> DownloadError:
    if status in (401, 403):
        return DownloadError(
            "forbidden",
            f"{url}: the host wants an account or an accepted licence ({status})",
            BY_HAND,
        )
    if status in (404, 410):
        return DownloadError("not-found", f"{url}: there is no such file ({status})", BY_HAND)
    return DownloadError("host-misbehaves", f"{url}: the host answered {status}", "try again later")


def _page_error(url: str) -> DownloadError:
    return DownloadError(
        "not-a-model",
        f"{url} is a web page, not a model",
        "a login page of this network? open any page in a browser, then try again",
    )
