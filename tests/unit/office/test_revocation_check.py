"""Asking authorities in the background."""

from types import SimpleNamespace

import pytest
from status_authority import DAY, NOW, StatusAuthority, Web, der

from segeld.model.faults import Fault, Reason
from segeld.office import revocation_check
from segeld.office.revocation_check import RevocationCheck, ask

CA = StatusAuthority()


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def told(web, leaf) -> tuple[str, str]:
    return ask(der(leaf, CA.certificate), NOW)


def seal(web, *, ocsp=True, crl=True):
    return CA.seal(ocsp_url=web.url("/ocsp") if ocsp else "", crl_url=web.url("/crl") if crl else "")


def test_the_responder_is_asked_before_the_list(web):
    leaf = seal(web)
    web.pages.update({"/ocsp": CA.ocsp(leaf), "/crl": CA.crl(leaf)})
    assert told(web, leaf) == ("good", "")
    assert [path for path, _ in web.asked] == ["/ocsp"]
    assert web.asked[0][1] == revocation_check.ocsp_request(leaf, CA.certificate)


def test_the_list_decides_where_the_responder_says_nothing(web):
    leaf = seal(web)
    web.pages.update({"/ocsp": CA.ocsp(leaf, since=NOW - 9 * DAY, until=-DAY), "/crl": CA.crl(leaf)})
    assert told(web, leaf) == ("revoked", "")


def test_what_cannot_be_found_out_is_unknown_and_says_why(web):
    leaf = seal(web)
    stranger = StatusAuthority()
    web.pages.update({"/ocsp": bytes(revocation_check.MAX_OCSP + 1), "/crl": CA.crl(leaf, key=stranger.key)})
    status, why = told(web, leaf)
    assert status == "unknown"
    assert "more than 1048576 octets" in why
    assert "not signed by the issuer" in why


def test_nobody_is_asked_without_a_place_or_an_issuer(web):
    assert told(web, CA.seal()) == ("", "")
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
        self.check = RevocationCheck(self.desk, lambda: self.records, 1000.0, lambda: self.now, ask=self._ask)

    def _ask(self, chain, at):
        assert at.timestamp() == self.now
        self.asked += 1
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
    assert await bench.later(1) == 2
    assert len(bench.desk.told) == 2
