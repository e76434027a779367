"""Which addresses we fetch from, and where a redirect may lead."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from edge_assistant.errors import DownloadError
from edge_assistant.store.sources import HubSource

_DEFAULT_ENDPOINT = "https://huggingface.co"
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """Limits of the network side; the defaults are what the product uses."""

    allow_loopback_http: bool = False
    """Plain http, and only to this machine: for tests."""
    named_origin: str = ""
    """`scheme://host[:port]` that the user typed for something that is signed: it may be asked
    plainly and be this machine; what it redirects to elsewhere may not."""
    connect_timeout_s: float = 15.0
    read_timeout_s: float = 30.0
    """Longest silence of the host."""
    min_bytes_per_s: int = 1024
    """Slower than this over `read_timeout_s` counts as silence."""
    max_redirects: int = 5
    attempts: int = 5
    """Tries in a row that brought nothing new; a try that did starts the count again."""
    retry_wait_s: float = 1.0
    """Before the second try; doubles from one to the next."""


def hub_url(source: HubSource) -> str:
    """Build the address of a file on the hub; HF_ENDPOINT names a mirror."""
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or _DEFAULT_ENDPOINT
    return f"{endpoint}/{source.repo}/resolve/{source.revision}/{quote(source.path)}"


def is_offline() -> bool:
    """Say whether the environment forbids the network (HF_HUB_OFFLINE, EDGE_ASSISTANT_OFFLINE)."""
    names = ("HF_HUB_OFFLINE", "EDGE_ASSISTANT_OFFLINE")
    return any(os.environ.get(name, "").strip().lower() in _TRUE for name in names)


def next_url(url: str, location: str, policy: NetworkPolicy) -> str:
    """Resolve a redirect and check where it leads.

    Raises:
        DownloadError: `address-refused`.
    """
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise _refused(location, "cannot be read") from error
    check_url(target, policy)
    return target


def check_url(url: str, policy: NetworkPolicy) -> None:
    """Refuse an address that must not be asked.

    Only https, no credentials inside, and no host that is or resolves to a link-local (cloud
    metadata), loopback, unspecified or multicast address. Private ranges
    are fine: mirrors live there.

    Raises:
        DownloadError: `address-refused`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused(url, "cannot be read") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _refused(url, "only https is fetched")
    if parts.username is not None or parts.password is not None:
        raise _refused(url, "carries credentials")
    if policy.named_origin and f"{parts.scheme}://{parts.netloc}" == policy.named_origin:
        return
    addresses = _addresses(host, port or 443)
    loopback = bool(addresses) and all(address.is_loopback for address in addresses)
    if loopback and policy.allow_loopback_http:
        return
    if parts.scheme != "https":
        raise _refused(url, "plain http cannot be trusted")
    for address in addresses:
        bare = getattr(address, "ipv4_mapped", None) or address
        if bare.is_link_local or bare.is_loopback or bare.is_unspecified or bare.is_multicast:
            raise _refused(url, f"leads to {bare}")


def _addresses(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Resolve a host; empty where we cannot (behind a proxy, which then resolves it itself)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found]


def _refused(url: str, reason: str) -> DownloadError:
    return DownloadError("address-refused", f"{url[:200]} {reason}", "check HF_ENDPOINT")
