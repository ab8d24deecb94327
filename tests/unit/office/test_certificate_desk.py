"""Taking what authorities send."""

import asyncio
import dataclasses

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from key_bench import CA, KEY, NAME, SEAL
from status_authority import DAY, NOW, StatusAuthority, der

from segeld.model.faults import Fault, Reason


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


async def test_a_certificate_goes_to_the_token_or_else_to_the_folder(bench):
    fresh = CA.seal(public_key=KEY)
    taken = bench.desk.certificates.examine(pem(fresh, CA.certificate), None)
    assert await bench.desk.certificates.take(taken, "wayan") == (("tokens/a", "tokens/b"), ())
    assert bench.tokens.chain == der(fresh, CA.certificate)
    assert not list(bench.folder.rglob("*.pem"))
    bench.tokens.full = True
    stored, (warning,) = await bench.desk.certificates.take(taken, "wayan")
    assert stored == ("state folder",)
    assert "it has no room" in warning
    await bench.restart()
    assert bench.desk.standing.chain(NAME, ()) == der(fresh, CA.certificate)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_pem_and_der_are_taken(bench, encoding):
    bench.tokens.chain = ()  # no issuer is at hand
    taken = bench.desk.certificates.examine(SEAL.public_bytes(encoding), NAME)
    assert taken.der == der(SEAL)
    assert "CN=Issuing is missing" in taken.warnings[0]


async def test_an_issuer_that_another_key_has_at_hand_need_not_come_again(bench):
    fresh, other = CA.seal(public_key=KEY), ec.generate_private_key(ec.SECP256R1()).public_key()
    bench.tokens.chain = ()
    assert "CN=Issuing is missing" in bench.desk.certificates.examine(pem(fresh), NAME).warnings[0]
    bench.tokens.also(other)
    chain = der(CA.seal(public_key=other), CA.certificate)
    bench.tokens.others[0] = dataclasses.replace(bench.tokens.others[0], chain=(*chain, b"odd"))
    taken = bench.desk.certificates.examine(pem(fresh), NAME)
    assert taken.der == der(fresh, CA.certificate)
    assert not any("missing" in each for each in taken.warnings)


async def test_an_authoritys_certificate_is_no_seals(bench):
    authority = CA.issue("seal", KEY, x509.BasicConstraints(True, None))
    with pytest.raises(Fault, match="certification authority") as refused:
        bench.desk.certificates.examine(pem(authority), NAME)
    assert refused.value.reason is Reason.CERTIFICATE_INVALID


async def test_the_clock_of_an_authority_may_be_minutes_ahead(bench):
    begins = SEAL.not_valid_before_utc.timestamp()
    bench.now = begins - 299
    assert bench.desk.certificates.examine(pem(SEAL, CA.certificate), NAME).warnings == ()
    bench.now = begins - 301
    with pytest.raises(Fault, match="Import it when it has begun"):
        bench.desk.certificates.examine(pem(SEAL, CA.certificate), NAME)


async def test_one_that_has_begun_is_used_beside_a_younger_that_has_not(bench):
    future = StatusAuthority(at=NOW + 100 * DAY).seal(public_key=KEY)
    bench.tokens.full = True
    taken = bench.desk.certificates.examine(pem(SEAL, CA.certificate), None)
    await bench.desk.certificates.take(taken, "wayan")
    assert bench.desk.standing.chain(NAME, der(future)) == der(SEAL, CA.certificate)
    bench.now += 71 * 86_400
    assert bench.desk.standing.chain(NAME, der(future)) == der(future)


OWN = StatusAuthority("Wayan's own")
SUBORDINATE = StatusAuthority("Subordinate")
CROSS = CA.issue("Subordinate", SUBORDINATE.key.public_key(), x509.BasicConstraints(True, None))
USER = StatusAuthority("stranger")
ISSUED_TO_USER = CA.issue("stranger", USER.key.public_key())


@pytest.mark.parametrize(
    ("chain", "alone"),
    [
        ((CA.seal(public_key=KEY), CA.certificate), True),
        ((CA.seal(public_key=KEY),), True),
        ((SUBORDINATE.seal(public_key=KEY), CROSS, CA.certificate), True),
        ((OWN.seal(public_key=KEY), OWN.certificate), False),
        ((OWN.issue("seal", KEY, issuer="Issuing"),), False),
        ((USER.seal(public_key=KEY), ISSUED_TO_USER, CA.certificate), False),
    ],
    ids=[
        "same",
        "same, issuer at hand",
        "below it",
        "own authority",
        "name of it alone",
        "below no authority",
    ],
)
@pytest.mark.parametrize("full", [False, True], ids=["on the token", "in the folder"])
async def test_what_the_policy_refuses_is_not_undone_by_one_with_an_authority_of_their_own(
    bench, chain, alone, full
):
    bench.options.revoked = False
    await bench.desk.standing.heard(bench.record, "revoked")
    assert bench.barred() is Reason.KEY_CERTIFICATE
    bench.tokens.full = full
    taken = bench.desk.certificates.examine(pem(*chain), None)
    assert any("takes two officers: segelctl key enable" in each for each in taken.warnings) is not alone
    await bench.desk.certificates.take(taken, "wayan")
    bench.tokens.chain = bench.desk.standing.chain(NAME, bench.tokens.chain)
    assert bench.barred() is (None if alone else Reason.KEY_DISABLED)
    await bench.restart()
    assert bench.barred() is (None if alone else Reason.KEY_DISABLED)


async def test_a_key_that_signs_may_get_its_certificate_from_anywhere(bench):
    taken = bench.desk.certificates.examine(pem(OWN.seal(public_key=KEY), OWN.certificate), None)
    assert not any("two officers" in each for each in taken.warnings)
    await bench.desk.certificates.take(taken, "wayan")
    assert bench.barred() is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (pem(CA.seal()), "not for keys/sha256-"),
        (pem(SEAL)[:-40], "cut short"),
        (b"", "no certificate"),
        (SEAL.public_bytes(Encoding.DER)[:-1], "no certificate"),
    ],
    ids=["another key", "cut PEM", "nothing", "cut DER"],
)
async def test_what_does_not_fit_is_refused(bench, data, why):
    with pytest.raises(Fault, match=why) as refused:
        bench.desk.certificates.examine(data, NAME)
    assert refused.value.reason is Reason.CERTIFICATE_INVALID
    assert bench.records.leaves == []


async def test_one_that_is_over_is_refused(bench):
    bench.now += 301 * 86_400
    with pytest.raises(Fault, match="expired on"):
        bench.desk.certificates.examine(pem(SEAL), NAME)


async def test_a_revoked_certificate_stays_so_when_it_is_imported_again(bench):
    bench.options.revoked = False
    await bench.desk.standing.heard(bench.record, "revoked")
    taken = bench.desk.certificates.examine(pem(SEAL, CA.certificate), None)
    await bench.desk.certificates.take(taken, "wayan")
    assert bench.barred() is Reason.KEY_CERTIFICATE
    fresh = bench.desk.certificates.examine(pem(CA.seal(public_key=KEY), CA.certificate), None)
    await bench.desk.certificates.take(fresh, "wayan")
    assert bench.barred() is None


async def test_one_that_was_revoked_stays_so_after_another_one_in_between(bench):
    bench.options.revoked = False
    await bench.desk.standing.heard(bench.record, "revoked")
    bench.tokens.chain = der(CA.seal(public_key=KEY), CA.certificate)
    await bench.desk.standing.heard(bench.record, "good")
    assert bench.barred() is None
    await bench.restart()
    bench.tokens.chain = der(SEAL, CA.certificate)
    assert bench.barred() is Reason.KEY_CERTIFICATE
    assert bench.desk.standing.warnings(bench.record)[-1] == "Its certificate was revoked."
    await bench.desk.standing.heard(bench.record, "good")  # its authority takes that back
    bench.tokens.chain = der(CA.seal(public_key=KEY), CA.certificate)
    await bench.desk.standing.heard(bench.record, "good")
    bench.tokens.chain = der(SEAL, CA.certificate)
    assert bench.barred() is None


async def test_an_older_one_does_not_take_the_place_of_a_younger_in_the_folder(bench, monkeypatch):
    bench.tokens.full, old = True, pem(SEAL, CA.certificate)
    monkeypatch.setattr(CA, "age", CA.age / 2)
    younger = CA.seal(public_key=KEY, subject="younger")
    bench.now += 2 * 86_400
    for certificate in (SEAL, younger, younger):
        await bench.desk.certificates.take(
            bench.desk.certificates.examine(pem(certificate, CA.certificate), NAME), "wayan"
        )
    with pytest.raises(Fault, match="has a younger certificate") as refused:
        bench.desk.certificates.examine(old, NAME)
    assert refused.value.reason is Reason.CERTIFICATE_INVALID
    assert bench.desk.standing.chain(NAME, ()) == der(younger, CA.certificate)


async def test_what_is_kept_but_could_not_be_recorded_is_said_to_be_kept(bench, monkeypatch):
    taken = bench.desk.certificates.examine(pem(CA.seal(public_key=KEY), CA.certificate), NAME)
    store = bench.tokens.store_certificates

    async def then_the_disk_is_full(key, chain):
        bench.records.broken = True
        return await store(key, chain)

    monkeypatch.setattr(bench.tokens, "store_certificates", then_the_disk_is_full)
    with pytest.raises(
        Fault, match=r"is kept \(tokens/a, tokens/b\) and used, but that could not be recorded"
    ):
        await bench.desk.certificates.take(taken, "wayan")


@pytest.fixture
def two(bench, monkeypatch):
    """The certificates of one key, the older first, on their way at the same moment to a token that has no room."""
    bench.tokens.full = True
    monkeypatch.setattr(CA, "age", CA.age / 2)
    younger = CA.seal(public_key=KEY, subject="younger")
    bench.now += 2 * 86_400
    examine = bench.desk.certificates.examine
    return [examine(pem(each, CA.certificate), NAME) for each in (SEAL, younger)]


@pytest.mark.parametrize("first", [0, 1], ids=["the older first", "the younger first"])
async def test_of_two_that_come_at_once_the_younger_is_kept(bench, monkeypatch, two, first):
    refuses, asked, go_on = bench.tokens.store_certificates, [], asyncio.Event()
    both = asyncio.Event()

    async def slow(key, chain):
        asked.append(chain)
        both.set()
        await go_on.wait()
        return await refuses(key, chain)

    monkeypatch.setattr(bench.tokens, "store_certificates", slow)
    takes = [
        asyncio.create_task(bench.desk.certificates.take(taken, "wayan"))
        for taken in (two[first], two[1 - first])
    ]
    async with asyncio.timeout(10):
        await both.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert asked == [two[first].der]  # the other waits for its turn
        go_on.set()
        await asyncio.wait(takes)
    assert bench.desk.standing.chain(NAME, ()) == two[1].der
    assert takes[0].result()[0] == ("state folder",)
    if first == 0:
        assert takes[1].result()[0] == ("state folder",)
    else:
        refused = takes[1].exception()
        assert isinstance(refused, Fault)
        assert refused.reason is Reason.CERTIFICATE_INVALID
        assert "has a younger certificate" in refused.text
        assert asked == [two[1].der]  # the older went nowhere
    await bench.restart()
    assert bench.desk.standing.chain(NAME, ()) == two[1].der


async def test_those_of_two_keys_do_not_wait_for_each_other(bench, monkeypatch, two):
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    bench.tokens.also(other)
    taken = bench.desk.certificates.examine(pem(CA.seal(public_key=other), CA.certificate), None)
    begun, go_on = asyncio.Event(), asyncio.Event()
    refuses = bench.tokens.store_certificates

    async def slow(key, chain):
        if key == NAME:
            begun.set()
            await go_on.wait()
        return await refuses(key, chain)

    monkeypatch.setattr(bench.tokens, "store_certificates", slow)
    async with asyncio.timeout(10):
        first = asyncio.create_task(bench.desk.certificates.take(two[0], "wayan"))
        await begun.wait()
        await bench.desk.certificates.take(taken, "wayan")
        go_on.set()
        await first


async def test_one_whose_key_was_destroyed_meanwhile_is_kept_nowhere(bench, monkeypatch, two):
    async def destroyed(key, chain):
        bench.tokens.there = False
        raise Fault(Reason.KEY_NOT_FOUND, "No token holds it now.")

    monkeypatch.setattr(bench.tokens, "store_certificates", destroyed)
    with pytest.raises(Fault) as refused:
        await bench.desk.certificates.take(two[0], "wayan")
    assert refused.value.reason is Reason.KEY_NOT_FOUND
    assert not list(bench.folder.rglob("*.pem"))
