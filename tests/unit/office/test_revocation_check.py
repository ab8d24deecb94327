"""Asking authorities in the background."""

import asyncio
import socket
import threading
from functools import partial
from types import SimpleNamespace

import pytest
from cryptography import x509
from status_authority import DAY, NOW, StatusAuthority, Web, der

from segeld.model.faults import Fault, Reason
from segeld.office import revocation_check
from segeld.office.aside import aside
from segeld.office.fetching import fetch
from segeld.office.revocation_check import RevocationCheck, ask

CA = StatusAuthority()
LOOK = 30.0


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def told_of(web, leaf) -> tuple[str, str]:
    return ask(der(leaf, CA.certificate), NOW)


def seal(web, *, ocsp=True, crl=True):
    return CA.seal(ocsp_url=web.url("/ocsp") if ocsp else "", crl_url=web.url("/crl") if crl else "")


def test_the_responder_is_asked_before_the_list(web):
    leaf = seal(web)
    web.pages.update({"/ocsp": CA.ocsp(leaf), "/crl": CA.crl(leaf)})
    assert told_of(web, leaf) == ("good", "")
    assert [path for path, _ in web.asked] == ["/ocsp"]
    assert web.asked[0][1] == revocation_check.ocsp_request(leaf, CA.certificate)


def test_the_list_decides_where_the_responder_says_nothing(web):
    leaf = seal(web)
    web.pages.update({"/ocsp": CA.ocsp(leaf, since=NOW - 9 * DAY, until=-DAY), "/crl": CA.crl(leaf)})
    assert told_of(web, leaf) == ("revoked", "")


def test_what_cannot_be_found_out_is_unknown_and_says_why(web):
    leaf = seal(web)
    stranger = StatusAuthority()
    web.pages.update({"/ocsp": bytes(revocation_check.MAX_OCSP + 1), "/crl": CA.crl(leaf, key=stranger.key)})
    status, why = told_of(web, leaf)
    assert status == "unknown"
    assert "more than 1048576 octets" in why
    assert "not signed by the issuer" in why


def moved(to: str):
    def page(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return page


def silent(web):
    return lambda handler: web.over.wait()


OF_TIME_PAST = NOW - 9 * DAY
ANYWHERE = [
    (lambda web, leaf: silent(web), "no answer in time"),
    (lambda web, leaf: None, "HTTP status 404"),
    (lambda web, leaf: b"<html>", "cannot be read"),
    (lambda web, leaf: moved("file:///etc/passwd"), "file:///etc/passwd: neither http nor https"),
    (lambda web, leaf: moved(""), "HTTP status 302"),
    (lambda web, leaf: moved("?"), "more than 3 redirects"),
]


def unknown(web, monkeypatch, path: str, page, why: str) -> None:
    monkeypatch.setattr(revocation_check, "fetch", partial(fetch, timeout=0.5))
    leaf = seal(web, ocsp=path == "/ocsp", crl=path == "/crl")
    web.pages[path] = web.pages[path + "?"] = page(web, leaf)
    status, told = told_of(web, leaf)
    assert status == "unknown"
    assert why in told
    assert told.startswith((web.url(path), "file:"))


@pytest.mark.parametrize(
    ("page", "why"),
    [
        *ANYWHERE,
        (lambda web, leaf: CA.ocsp(CA.seal()), "about another certificate"),
        (lambda web, leaf: CA.ocsp(leaf, "UNKNOWN"), "does not know the certificate"),
        (lambda web, leaf: CA.ocsp(leaf, since=OF_TIME_PAST, until=-DAY), "counted until 2026-05-31"),
        (lambda web, leaf: bytes(revocation_check.MAX_OCSP + 1), "more than 1048576 octets"),
    ],
)
def test_whatever_is_wrong_with_a_responder_the_status_is_unknown(web, monkeypatch, page, why):
    unknown(web, monkeypatch, "/ocsp", page, why)


@pytest.mark.parametrize(
    ("page", "why"),
    [
        *ANYWHERE,
        (lambda web, leaf: StatusAuthority("Other").crl(leaf), "of another issuer"),
        (lambda web, leaf: CA.crl(leaf, since=OF_TIME_PAST, until=-DAY), "counted until 2026-05-31"),
        (lambda web, leaf: bytes(revocation_check.MAX_CRL + 1), "more than 16777216 octets"),
    ],
)
def test_whatever_is_wrong_with_a_list_the_status_is_unknown(web, monkeypatch, page, why):
    unknown(web, monkeypatch, "/crl", page, why)


def test_nobody_there(monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        leaf = CA.seal(ocsp_url=f"http://127.0.0.1:{nobody.getsockname()[1]}/")
        assert told_of(None, leaf)[0] == "unknown"


@pytest.mark.parametrize("url", ["ldap://ca.test/cn=x", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://"])
def test_an_address_that_is_not_of_the_web_is_not_gone_to(url):
    status, told = told_of(None, CA.seal(ocsp_url=url, crl_url=url))
    assert (status, told.count("neither http nor https")) == ("unknown", 2)


def several(web, *urls: str):
    """A certificate with these places of lists."""
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls]
    return CA.issue("seal", CA.key.public_key(), x509.CRLDistributionPoints(points))


def test_addresses_in_directories_do_not_stand_before_those_of_the_web(web):
    leaf = several(web, *(f"ldap://{number}.ca.test/" for number in range(4)), web.url("/crl"))
    web.pages["/crl"] = CA.crl(leaf)
    assert told_of(web, leaf) == ("revoked", "")


def test_not_everybody_is_asked_whom_a_certificate_names(web):
    leaf = several(web, *(web.url(f"/{number}") for number in range(9)))
    assert told_of(web, leaf)[0] == "unknown"
    assert [path for path, _ in web.asked] == ["/0", "/1", "/2"]


def test_nobody_is_asked_without_a_place_or_an_issuer(web):
    assert told_of(web, CA.seal()) == ("", "")
    assert ask(der(seal(web)), NOW) == ("", "")
    assert ask((b"no certificate", b""), NOW) == ("", "")
    assert web.asked == []


class Desk:
    def __init__(self) -> None:
        self.told = []
        self.broken = False

    async def heard(self, record, status) -> None:
        if self.broken:
            raise Fault(Reason.STORAGE_UNAVAILABLE, "The database cannot be written.")
        self.told.append((record.name, status))


class Bench:
    """A check of two keys, with a clock and an authority of the test's own."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.now = NOW.timestamp()
        self.status = "good"
        self.asked = 0
        self.records = [SimpleNamespace(name=name, chain=(name.encode(),)) for name in ("a", "b")]
        self.records.append(SimpleNamespace(name="bare", chain=()))
        self.check = RevocationCheck(
            self.desk, lambda: self.records, 1000.0, lambda: self.now, ask=self._ask, look=LOOK
        )
        self.trouble: Exception | None = None
        self.chains = []

    def _ask(self, chain, at):
        assert at.timestamp() == self.now
        self.asked += 1
        self.chains.append(chain[0])
        if self.trouble is not None:
            raise self.trouble
        return self.status, ""

    async def later(self, seconds) -> int:
        before = self.asked
        self.now += seconds
        await self.check.round()
        return self.asked - before


async def test_every_key_is_asked_about_once_in_an_interval():
    bench = Bench()
    assert await bench.later(0) == 2
    assert bench.desk.told == [("a", "good"), ("b", "good")]
    assert await bench.later(899) == 0
    assert await bench.later(202) == 2


async def test_a_new_certificate_is_asked_about_at_the_next_look():
    bench = Bench()
    await bench.later(0)
    bench.records[0].chain = (b"new",)
    assert await bench.later(1) == 1


async def test_what_is_unknown_is_asked_again_sooner():
    bench = Bench()
    bench.status = "unknown"
    await bench.later(0)
    assert await bench.later(200) == 2


async def test_what_could_not_be_kept_is_asked_again():
    bench = Bench()
    bench.desk.broken = True
    await bench.later(0)
    bench.desk.broken = False
    assert await bench.later(LOOK - 1) == 0
    assert await bench.later(1) == 2
    assert len(bench.desk.told) == 2


async def test_whatever_an_answer_does_to_the_one_who_reads_it_the_check_goes_on(events):
    bench = Bench()
    bench.trouble = RecursionError("too deep")
    assert await bench.later(0) == 2
    assert bench.desk.told == [("a", "unknown"), ("b", "unknown")]
    assert "RecursionError: too deep" in [each.get("why") for each in events]
    bench.trouble = None
    assert await bench.later(200) == 2


async def test_new_certificates_come_before_those_that_were_asked_about(events):
    bench = Bench()
    await bench.later(0)
    bench.chains.clear()
    bench.records.insert(1, SimpleNamespace(name="c", chain=(b"new",)))
    await bench.later(1200)
    assert bench.chains[0] == b"new"


def test_an_authority_that_does_not_answer_does_not_keep_the_daemon_from_ending():
    asked, over = threading.Event(), threading.Event()

    def silent(chain, at):
        asked.set()
        over.wait()
        return "good", ""

    async def daemon() -> None:
        bench = Bench()
        bench.check = RevocationCheck(bench.desk, lambda: bench.records, 1000.0, lambda: 0.0, ask=silent)
        running = asyncio.create_task(bench.check.run())
        while not asked.is_set():  # noqa: ASYNC110 # set in another thread
            await asyncio.sleep(0.001)
        running.cancel()

    ending = threading.Thread(target=asyncio.run, args=(daemon(),), daemon=True)
    ending.start()
    ending.join(30)
    ended = not ending.is_alive()
    over.set()
    ending.join()
    assert ended


async def test_what_comes_after_nobody_waits_any_more_is_dropped():
    over = threading.Event()
    waiting = asyncio.create_task(aside(over.wait, "test"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    over.set()
    assert waiting.cancelled()
    assert await aside(lambda: 7, "test") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await aside(partial(int, "no number"), "test")
