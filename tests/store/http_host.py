"""A little host on loopback that behaves as badly as a test wants."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Request(http.server.BaseHTTPRequestHandler):
    """One request; tests write to it with the helpers below."""

    protocol_version = "HTTP/1.1"
    server: Host

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Range", "")))
        route = self.server.routes.get(self.path)
        if route is None:
            self.answer(404, b"<html>not here</html>", {"Content-Type": "text/html"})
            return
        route(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be quiet."""

    def answer(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        length: int | None = -1,
    ) -> None:
        """Send a whole answer; `length` None leaves Content-Length out, another one lies."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def start(self) -> int:
        """First byte that was asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def cut(self) -> None:
        """Close the line in the middle of things."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()


Route = Callable[[Request], None]


class Host(http.server.ThreadingHTTPServer):
    """Serves routes, and remembers what was asked with which range."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.routes: dict[str, Route] = {}
        self.seen: list[tuple[str, str]] = []
        self.pause = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def running() -> Iterator[Host]:
    """Start a host; it is gone afterwards, thread and all."""
    host = Host()
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        host.pause.set()
        host.shutdown()
        thread.join()
        host.server_close()


def file(body: bytes, headers: dict[str, str] | None = None) -> Route:
    """Serve bytes, honouring ranges."""

    def route(request: Request) -> None:
        start = request.start()
        if start >= len(body) and start:
            request.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        elif start:
            span = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            request.answer(206, body[start:], {**(headers or {}), **span})
        else:
            request.answer(200, body, headers)

    return route


def redirect(location: str, headers: dict[str, str] | None = None, status: int = 302) -> Route:
    """Send elsewhere."""
    return lambda request: request.answer(status, b"", {"Location": location, **(headers or {})})


def sha256(body: bytes) -> str:
    """As the hub states it for large files."""
    return hashlib.sha256(body).hexdigest()


def git_blob(body: bytes) -> str:
    """As the hub states it for small files."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
