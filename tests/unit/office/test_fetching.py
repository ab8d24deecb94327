"""Fetching from a server that means no good."""

import socket
import time

import pytest
from status_authority import Web

from segeld.office.fetching import Unfetched, fetch


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def test_a_page_and_a_question(web):
    web.pages["/a?x=1"] = b"answer"
    assert fetch(web.url("/a?x=1"), 6) == b"answer"
    assert fetch(web.url("/a?x=1"), 6, body=b"question", kind="text/plain") == b"answer"
    assert [body for _, body in web.asked] == [b"", b"question"]


def test_too_much_is_not_taken(web):
    web.pages["/a"] = bytes(1_000_001)
    with pytest.raises(Unfetched, match="more than 1000000 octets"):
        fetch(web.url("/a"), 1_000_000)


def move(to):
    def page(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return page


def test_redirects_stay_with_http(web, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    web.pages.update(
        {"/a": move("/b"), "/b": b"here", "/loop": move("/loop"), "/file": move(secret.as_uri())}
    )
    assert fetch(web.url("/a"), 10) == b"here"
    with pytest.raises(Unfetched, match="redirects"):
        fetch(web.url("/loop"), 10)
    with pytest.raises(Unfetched, match="neither http nor https"):
        fetch(web.url("/file"), 10)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "ldap://ca.test/cn=x", "http://", "x"]
)
def test_other_schemes_are_refused(url):
    with pytest.raises(Unfetched, match="neither http nor https"):
        fetch(url, 10)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1", "http://a b/"]
)
def test_odd_addresses_are_refused(url):
    with pytest.raises(Unfetched):
        fetch(url, 10, timeout=5)


def test_no_server_and_no_page(web):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(Unfetched):
            fetch(f"http://127.0.0.1:{nobody.getsockname()[1]}/", 10)
    with pytest.raises(Unfetched, match="404"):
        fetch(web.url("/none"), 10)


def silent(web):
    return lambda handler: web.over.wait()


def dripping(web):
    """One octet now and then, in the head as in the body: no pause is long enough for the socket's own timeout."""

    def page(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not web.over.wait(0.02):
            handler.wfile.write(b"x")

    return page


def trickling(web):
    def page(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not web.over.wait(0.02):
            handler.wfile.write(b"x")

    return page


@pytest.mark.parametrize("how", [silent, dripping, trickling])
def test_a_server_that_takes_its_time_is_left(web, how):
    web.pages["/a"] = how(web)
    begun = time.monotonic()
    with pytest.raises(Unfetched, match="no answer in time"):
        fetch(web.url("/a"), 1_000_000, timeout=0.3)
    assert time.monotonic() - begun < 5
