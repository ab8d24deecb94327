"""The desk of keys, with tokens, a policy and a clock of the test's own."""

import asyncio
import datetime as dt
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from office_fakes import FakeRecords
from status_authority import DAY, NOW, StatusAuthority, der

from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.office.act_key import DestroyingKey, EnablingKey
from segeld.office.actions import DestroyKey, EnableKey
from segeld.office.executor import Partly
from segeld.office.key_desk import KeyDesk
from segeld.supervisor.ceremonies import DestroyedHalf

A, B = TokenName("a"), TokenName("b")
CA = StatusAuthority()
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
PUBLIC = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NAME = KeyName.of(PUBLIC)
SEAL = CA.seal(public_key=KEY)


class Tokens:
    """One key on two tokens, and what is done to it there."""

    def __init__(self) -> None:
        self.chain = der(SEAL, CA.certificate)
        self.there = True
        self.reviewed = asyncio.Event()
        self.full = False
        self.fails: Exception | None = None

    def key(self, name):
        if name != NAME or not self.there:
            return None
        places = ((A, TokenState.ACTIVE), (B, TokenState.ACTIVE))
        return KeyRecord(NAME, KeyKind.P_256, PUBLIC, self.chain, places, None, "")

    def keys(self):
        return tuple(filter(None, [self.key(NAME)]))

    def review(self) -> None:
        self.reviewed.set()

    async def store_certificates(self, key, chain):
        if self.full:
            raise Fault(Reason.TOKEN_NO_ROOM, "a: it has no room.")
        self.chain = chain
        return (A, B)

    async def destroy_key(self, key):
        if self.fails is not None:
            raise self.fails
        self.there = False
        return (A, B)


class Bench:
    def __init__(self, folder) -> None:
        self.folder = folder
        self.now = NOW.timestamp()
        self.records = FakeRecords()
        self.tokens = Tokens()
        self.options = SimpleNamespace(without_certificate=True, expired=True, revoked=True)
        self.desk = self.make()

    def make(self) -> KeyDesk:
        return KeyDesk(
            SimpleNamespace(state_dir=self.folder),
            lambda: self.tokens,
            lambda: SimpleNamespace(options_of=lambda key: self.options),
            lambda: None,
            ceremonies=lambda: self.tokens,
            clock=lambda: self.now,
        )

    async def restart(self) -> None:
        self.desk = self.make()
        await self.desk.load(self.records)

    @property
    def record(self) -> KeyRecord:
        return self.tokens.key(NAME)

    def barred(self):
        fault = self.desk.bar(self.record)
        return fault and fault.reason

    def acts(self):
        return [what for what, _ in self.records.acts(str(NAME))]


@pytest.fixture
async def bench(tmp_path) -> Bench:
    bench = Bench(tmp_path)
    await bench.desk.load(bench.records)
    return bench


async def test_disabled_is_disabled_after_a_restart_and_until_it_is_enabled(bench):
    assert bench.barred() is None
    await bench.desk.disable(NAME, "wayan", "lost")
    await bench.restart()
    assert bench.barred() is Reason.KEY_DISABLED
    enabling = EnablingKey(bench.desk)
    assert "by wayan: lost" in (await enabling.describe(EnableKey(str(NAME)))).summary[1]
    await enabling.run(EnableKey(str(NAME)), "wayan", {}, "made")
    assert bench.barred() is None
    assert bench.records.leaves[-1].facts == {"approved_by": "made"}
    with pytest.raises(Fault) as refused:
        await enabling.describe(EnableKey(str(NAME)))
    assert refused.value.reason is Reason.CHANGE_STATE


async def test_nothing_is_disabled_that_could_not_be_written_down(bench):
    bench.records.broken = True
    with pytest.raises(Fault):
        await bench.desk.disable(NAME, "wayan", "lost")
    assert bench.barred() is None


@pytest.mark.parametrize(
    ("option", "arrange", "later"),
    [
        ("without_certificate", lambda tokens: setattr(tokens, "chain", ()), dt.timedelta()),
        ("expired", lambda tokens: None, 300 * DAY),
        ("expired", lambda tokens: None, -31 * DAY),
    ],
    ids=["none", "over", "not begun"],
)
async def test_a_key_is_refused_for_its_certificate_where_the_policy_says_so(bench, option, arrange, later):
    arrange(bench.tokens)
    bench.now += later.total_seconds()
    assert bench.barred() is None
    setattr(bench.options, option, False)
    assert bench.barred() is Reason.KEY_CERTIFICATE
    assert bench.desk.refusal(NAME).reason is Reason.KEY_CERTIFICATE


async def test_a_revoked_certificate_stays_so_until_its_authority_says_otherwise(bench):
    bench.options.revoked = False
    await bench.desk.heard(bench.record, "good")
    assert bench.barred() is None
    await bench.desk.heard(bench.record, "revoked")
    await bench.desk.heard(bench.record, "unknown")
    await bench.restart()
    assert bench.barred() is Reason.KEY_CERTIFICATE
    assert bench.desk.key_warnings(bench.record) == ("Its certificate was revoked.",)
    assert bench.acts() == ["certificate status"] * 2
    fresh = CA.seal(public_key=KEY)
    bench.tokens.chain = der(fresh, CA.certificate)
    assert bench.barred() is None
    assert bench.desk.revocation(bench.record) == ""


async def test_unknown_refuses_nothing(bench):
    bench.options.revoked = False
    await bench.desk.heard(bench.record, "unknown")
    assert bench.barred() is None


async def test_the_keys_are_looked_at_again_at_the_moment_a_certificate_ends(bench):
    """In the middle of the night: nobody calls, nothing happens but the time."""
    end = SEAL.not_valid_after_utc
    assert end.hour == 3
    bench.now = end.timestamp() - 0.05
    bench.options.expired = False
    running = asyncio.create_task(bench.desk.run())
    await asyncio.sleep(0)
    assert not bench.tokens.reviewed.is_set()
    assert bench.barred() is None
    bench.now = end.timestamp()
    async with asyncio.timeout(10):
        await bench.tokens.reviewed.wait()
    assert bench.barred() is Reason.KEY_CERTIFICATE
    running.cancel()


async def test_thirty_days_lie_between_disabling_and_destroying(bench):
    destroying, action = DestroyingKey(bench.desk), DestroyKey(str(NAME))
    with pytest.raises(Fault, match="not disabled"):
        await destroying.describe(action)
    await bench.desk.disable(NAME, "wayan", "lost")
    begun = bench.now
    for days, left in ((0, 30), (1, 29), (29.99, 1)):
        bench.now = begun + days * 86_400 + 1
        with pytest.raises(Fault, match=f"in {left} days"):
            await destroying.run(action, "wayan", {}, "made")
    assert bench.tokens.there
    bench.now = begun + 30 * 86_400
    assert "for ever" in (await destroying.describe(action)).summary[0]
    await destroying.run(action, "wayan", {}, "made")
    assert not bench.tokens.there
    assert bench.acts() == ["key disabled", "key destruction begun", "key destroyed"]
    assert bench.records.leaves[-1].facts == {"tokens": "tokens/a, tokens/b", "approved_by": "made"}


@pytest.fixture
async def doomed(bench) -> Bench:
    await bench.desk.disable(NAME, "wayan", "lost")
    bench.now += 31 * 86_400
    return bench


async def destroy(bench) -> None:
    await DestroyingKey(bench.desk).run(DestroyKey(str(NAME)), "wayan", {}, "made")


async def test_destroyed_on_one_token_is_not_nothing(doomed):
    doomed.tokens.fails = DestroyedHalf(Fault(Reason.DEVICE_ERROR, "b: the device did not answer."), (A,))
    with pytest.raises(Partly) as partly:
        await destroy(doomed)
    assert "gone from tokens/a" in partly.value.fault.text
    assert "b: the device did not answer." in partly.value.fault.text
    assert doomed.acts()[-1] == "key destroyed in part"
    assert doomed.barred() is Reason.KEY_DISABLED
    doomed.tokens.fails = None
    await destroy(doomed)


async def test_destroyed_nowhere_can_be_run_again(doomed):
    doomed.tokens.fails = Fault(Reason.TOKEN_NOT_ACTIVE, "a waits for its PIN.")
    with pytest.raises(Fault):
        await destroy(doomed)
    assert doomed.tokens.there


async def test_destroyed_and_not_written_down_is_said_as_such(doomed):
    gone = doomed.tokens.destroy_key

    async def breaks(key):
        doomed.records.broken = True
        return await gone(key)

    doomed.tokens.destroy_key = breaks
    with pytest.raises(Partly) as partly:
        await destroy(doomed)
    assert partly.value.fault.reason is Reason.STORAGE_UNAVAILABLE


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


async def test_a_certificate_goes_to_the_token_or_else_to_the_folder(bench):
    fresh = CA.seal(public_key=KEY)
    taken = bench.desk.examine(pem(fresh, CA.certificate), None)
    assert await bench.desk.take(taken, "wayan") == (("tokens/a", "tokens/b"), ())
    assert bench.tokens.chain == der(fresh, CA.certificate)
    assert not list(bench.folder.rglob("*.pem"))
    bench.tokens.full = True
    stored, (warning,) = await bench.desk.take(taken, "wayan")
    assert stored == ("state folder",)
    assert "it has no room" in warning
    await bench.restart()
    assert bench.desk.chain(NAME, ()) == der(fresh, CA.certificate)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_pem_and_der_are_taken(bench, encoding):
    taken = bench.desk.examine(SEAL.public_bytes(encoding), NAME)
    assert taken.der == der(SEAL)
    assert "CN=Issuing is missing" in taken.warnings[0]


async def test_an_authoritys_certificate_is_no_seals(bench):
    authority = CA.issue("seal", KEY, x509.BasicConstraints(True, None))
    with pytest.raises(Fault, match="certification authority") as refused:
        bench.desk.examine(pem(authority), NAME)
    assert refused.value.reason is Reason.CERTIFICATE_INVALID


async def test_one_that_is_not_valid_yet_is_taken_and_said(bench):
    bench.now -= 31 * 86_400
    taken = bench.desk.examine(pem(SEAL, CA.certificate), NAME)
    assert any("valid only from" in each for each in taken.warnings)


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
        bench.desk.examine(data, NAME)
    assert refused.value.reason is Reason.CERTIFICATE_INVALID
    assert bench.records.leaves == []


async def test_one_that_is_over_is_refused(bench):
    bench.now += 301 * 86_400
    with pytest.raises(Fault, match="expired on"):
        bench.desk.examine(pem(SEAL), NAME)
