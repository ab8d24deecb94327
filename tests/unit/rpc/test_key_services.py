"""Keys and certificates as officers ask for them."""

import asyncio
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from key_bench import CA, KEY, NAME, SEAL, KeyBench
from status_authority import der

from segel.v1 import signing_pb2, token_admin_pb2
from segeld.model.faults import Fault, Reason

PRIVATE = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_private_key_in_the_place_of_a_certificate_is_logged_nowhere(
    daemon, refusal, events, dry_run
):
    await daemon.start()
    request = token_admin_pb2.ImportCertificateRequest(data=PRIVATE, dry_run=dry_run)
    refused = await refusal(daemon.admin().ImportCertificate(request))
    assert refused.reason == "CERTIFICATE_INVALID"
    assert "it holds a private key, which must not leave its place" in refused.text.lower()
    line = PRIVATE.splitlines()[1].decode()
    assert line not in refused.text
    assert line not in str(events)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"subject": "/C=IDN/CN=x"},
            "subject: the subject is not valid: C has 3 characters; 2 is the limit.",
        ),
        ({"subject": "/CN=a\x1bb"}, "CN holds a character that cannot be printed"),
        ({"like": b"x"}, "like: the subject is not valid: the certificate to take it from:"),
        ({}, "give either a subject or a certificate"),
        ({"subject": "/CN=x", "like": b"x"}, "give either a subject or a certificate"),
    ],
)
async def test_a_bad_subject_is_refused_before_anything_is_signed(daemon, refusal, fields, told):
    await daemon.start()
    request = token_admin_pb2.CreateCsrRequest(key=str(daemon.mine.name), **fields)
    refused = await refusal(daemon.admin().CreateCsr(request))
    assert refused.reason == "FIELD_INVALID"
    assert told in refused.text
    assert daemon.dispatch.orders == []


async def test_callers_and_officers_read_each_their_own_of_a_key_that_is_disabled(daemon, kept):
    name = daemon.mine.name
    text = "It was disabled by an officer. Ask an officer."
    record = replace(daemon.mine, unusable=Reason.KEY_DISABLED, trouble=text, chain=der(SEAL))
    daemon.inventory.records[name] = record
    note = {"disabled_at": 3600.0, "disabled_by": "wayan", "disabled_why": "replaced"}
    await kept.desk.standing._records.change(name, "key disabled", "wayan", note)
    told = await daemon.signing().GetKey(signing_pb2.GetKeyRequest(name=str(name)))
    assert told.state_reason == text
    answer = await daemon.admin().ListManagedKeys(token_admin_pb2.ListManagedKeysRequest())
    (key,) = [each for each in answer.keys if each.key.name == str(name)]
    assert key.key.state_reason.startswith("It was disabled by wayan on 1970-01-01 01:00 UTC: replaced.")
    assert (key.disable_reason, key.kind) == ("replaced", "P-256")
    assert "CN=Issuing is missing" in key.chain_gap
    assert key.chain_gap in key.warnings


async def test_a_key_that_its_token_cannot_use_is_said_to_be_so_to_officers_too(daemon, kept):
    record = replace(daemon.mine, unusable=Reason.KEY_AMBIGUOUS, trouble="Two objects.", chain=())
    daemon.inventory.records = {record.name: record}
    kept.options.without_certificate = False
    (key,) = (await daemon.admin().ListManagedKeys(token_admin_pb2.ListManagedKeysRequest())).keys
    assert key.key.state_reason == "Two objects."


# --- what officers do not wait for, and what fails


class KeptKeys(KeyBench):
    """A desk that keeps what it decides, in the daemon; `recorded` is told of each act of it."""

    def __init__(self, daemon, folder) -> None:
        super().__init__(folder)
        self.signer = daemon.dispatch
        self.recorded: asyncio.Queue[str] = asyncio.Queue()
        keep = self.records.keep

        async def told(writes, leaf):
            index = await keep(writes, leaf)
            self.recorded.put_nowait(leaf.what)
            return index

        self.records.keep = told

    async def until(self, what: str) -> None:
        async with asyncio.timeout(10):
            while await self.recorded.get() != what:
                pass


@pytest.fixture
async def kept(daemon, tmp_path) -> KeptKeys:
    kept = KeptKeys(daemon, tmp_path)
    await kept.desk.load(kept.records)
    daemon.key_desk = kept.desk
    await daemon.start()
    return kept


def imported() -> tuple[token_admin_pb2.ImportCertificateRequest, tuple[bytes, ...]]:
    chain = (CA.seal(public_key=KEY), CA.certificate)
    data = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
    return token_admin_pb2.ImportCertificateRequest(key=str(NAME), data=data), der(*chain)


class Holding:
    """The token takes its time over a certificate."""

    def __init__(self, kept, monkeypatch) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._store = kept.tokens.store_certificates
        monkeypatch.setattr(kept.tokens, "store_certificates", self.store)

    async def store(self, key, chain):
        self.begun.set()
        await self.go_on.wait()
        return await self._store(key, chain)


async def cancelled(call, begun) -> None:
    async with asyncio.timeout(10):
        await begun
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def failures(daemon, what: str) -> list[tuple[str, str, dict]]:
    await daemon.acts.drained()
    leaves = daemon.acts._recorder.leaves
    return [(leaf.who, leaf.subject, leaf.facts) for leaf in leaves if leaf.what == what]


async def test_an_import_that_nobody_waits_for_comes_to_its_end_and_is_recorded(daemon, kept, monkeypatch):
    request, chain = imported()
    await kept.desk.certificates._records.change(NAME, "certificate request made", "siti", {"csr_at": 1.0})
    holding = Holding(kept, monkeypatch)
    await cancelled(daemon.admin().ImportCertificate(request), holding.begun.wait())
    assert "certificate imported" not in kept.acts()
    holding.go_on.set()
    await kept.until("certificate imported")
    assert kept.desk.standing.chain(NAME, kept.tokens.chain) == chain
    assert kept.desk.standing.note(NAME).csr_at == 0
    assert kept.records.leaves[-1].facts["stored"] == "tokens/a, tokens/b"
    assert await failures(daemon, "certificate import failed") == []


async def test_nor_is_one_lost_that_fails_then(daemon, kept, monkeypatch):
    request, _ = imported()
    failed, later = asyncio.Event(), daemon.acts.later

    def noted(what, **facts):
        later(what, **facts)
        failed.set()

    monkeypatch.setattr(daemon.acts, "later", noted)
    kept.tokens.full = True
    (kept.folder / "certificates").write_bytes(b"no folder")
    holding = Holding(kept, monkeypatch)
    await cancelled(daemon.admin().ImportCertificate(request), holding.begun.wait())
    holding.go_on.set()
    async with asyncio.timeout(10):
        await failed.wait()
    told = await failures(daemon, "certificate import failed")
    assert told == [("siti", str(NAME), {"reason": "STORAGE_UNAVAILABLE"})]
    assert "certificate imported" not in kept.acts()


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (Fault(Reason.TOKEN_NOT_ACTIVE, "Its token waits for its PIN."), "TOKEN_NOT_ACTIVE"),
        (RuntimeError("odd"), "INTERNAL"),
    ],
    ids=["refused", "odd"],
)
async def test_a_request_for_a_certificate_that_could_not_be_signed_is_in_the_log(
    daemon, kept, refusal, fail, reason
):
    daemon.dispatch.fail = fail
    request = token_admin_pb2.CreateCsrRequest(key=str(NAME), subject="/CN=x")
    assert (await refusal(daemon.admin().CreateCsr(request))).reason == reason
    told = await failures(daemon, "certificate request not made")
    assert told == [("siti", str(NAME), {"reason": reason})]
    assert kept.acts() == []
    assert kept.desk.standing.note(NAME).csr_at == 0


async def test_so_is_one_whose_signature_was_refused_and_one_that_could_not_be_recorded(
    daemon, kept, refusal
):
    request = token_admin_pb2.CreateCsrRequest(key=str(NAME), subject="/CN=x")
    daemon.dispatch.outcome = lambda _: Fault(Reason.DEVICE_ERROR, "The token did not sign it.")
    assert (await refusal(daemon.admin().CreateCsr(request))).reason == "DEVICE_ERROR"
    daemon.dispatch.outcome, kept.records.broken = None, True
    assert (await refusal(daemon.admin().CreateCsr(request))).reason == "STORAGE_UNAVAILABLE"
    told = [facts["reason"] for *_, facts in await failures(daemon, "certificate request not made")]
    assert told == ["DEVICE_ERROR", "STORAGE_UNAVAILABLE"]
    assert kept.desk.standing.note(NAME).csr_at == 0


async def test_a_request_that_nobody_waits_for_is_recorded_as_made(daemon, kept):
    daemon.dispatch.hold = asyncio.Event()
    request = token_admin_pb2.CreateCsrRequest(key=str(NAME), subject="/CN=x")
    await cancelled(daemon.admin().CreateCsr(request), daemon.dispatch.arrived.acquire())
    assert kept.acts() == []
    daemon.dispatch.hold.set()
    await kept.until("certificate request made")
    assert kept.desk.standing.note(NAME).csr_at
    assert await failures(daemon, "certificate request not made") == []
