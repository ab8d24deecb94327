"""One document over HTTP, for what authorities publish: bounded in size and in time, whatever the server does. Blocks."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

TIMEOUT: Final = 10.0
"""Seconds for all of it, redirects too."""
MAX_HOPS: Final = 3
_SCHEMES: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200


class Unfetched(Exception):
    """It cannot be had. The text says why."""


def fetch(
    url: str, limit: int, *, body: bytes | None = None, kind: str = "", timeout: float = TIMEOUT
) -> bytes:
    """What is at an address; call it in a thread. HTTP and HTTPS only, after redirects too.

    :param limit: octets that are taken.
    :param body: posted, if given.
    :param kind: its media type.
    :raises Unfetched: if there is no answer, another than 200, too much of it, or not in time.
    """
    until = time.monotonic() + timeout
    for _ in range(MAX_HOPS + 1):
        try:
            moved, data = _once(_place(url), limit, body, kind, until)
        except (OSError, ValueError, http.client.HTTPException) as error:
            late = time.monotonic() >= until
            why = "no answer in time" if late else str(error) or type(error).__name__
            raise Unfetched(f"{url}: {why}") from error
        if moved is None:
            return data
        url = urljoin(url, moved)
    raise Unfetched(f"{url}: more than {MAX_HOPS} redirects")


def _place(url: str) -> SplitResult:
    place = urlsplit(url)
    if place.scheme not in _SCHEMES or not place.hostname:
        raise ValueError("neither http nor https")
    return place


def _once(
    place: SplitResult, limit: int, body: bytes | None, kind: str, until: float
) -> tuple[str | None, bytes]:
    """Where it is instead, or the document."""
    assert place.hostname is not None
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection = _SCHEMES[place.scheme](place.hostname, place.port, timeout=left)
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    headers = {"Content-Type": kind} if kind else {}
    try:
        connection.connect()
        with _ends(connection.sock, until):
            connection.request("GET" if body is None else "POST", path, body, headers)
            with connection.getresponse() as answer:
                if answer.status in _MOVED and (moved := answer.getheader("Location")):
                    return moved, b""
                if answer.status != _OK:
                    raise OSError(f"HTTP status {answer.status}")
                data = answer.read(limit + 1)
        if time.monotonic() >= until:  # what came is cut short
            raise TimeoutError
    finally:
        connection.close()
    if len(data) > limit:
        raise OSError(f"more than {limit} octets")
    return None, data


@contextmanager
def _ends(sock: socket.socket, until: float) -> Iterator[None]:
    """A socket's own timeout counts from octet to octet: a server that sends one now and then would hold us for ever."""

    def end() -> None:
        with suppress(OSError):  # it has ended by itself
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, until - time.monotonic()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
