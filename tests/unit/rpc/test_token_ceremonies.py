"""What officers do to tokens, as the service takes it: fields, secrets, errors, and what is recorded before and after."""

import asyncio

import grpc
import pytest

from segel.v1 import token_admin_pb2 as pb
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyMade, ObjectRecord, TokenKey
from segeld.model.names import Alias, KeyName, TokenName
from segeld.model.principal import Principal, Role
from segeld.office.key_desk import KeyDesk
from segeld.rpc import call as calls
from segeld.rpc import secret_fields
from segeld.rpc.token_admin import TokenAdmin
from segeld.supervisor.half import Half, Known

PIN, NEW_PIN = b"canary-pin-8472", b"canary-new-9583"
PAYROLL = "tokens/payroll"
BUSY = Fault(Reason.TOKEN_BUSY, "tokens/payroll: another program has it.", token=PAYROLL)
UNSURE = Half(Fault(Reason.DEVICE_ERROR, "tokens/payroll: nobody knows. Look.", token=PAYROLL), Known.UNKNOWN)
MADE = KeyMade(KeyName.of(b"new"), KeyKind.P_256, b"new", TokenName("payroll"), "seal-2026", b"\2")


class Tokens:
    """An inventory whose ceremonies do as they are told; `hold` makes them wait."""

    def __init__(self, inventory) -> None:
        self._inventory = inventory
        self.outcome: object = None
        self.hold: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.asked: list = []
        self.given: list = []
        """The PINs themselves."""
        self.seen: list[bytes] = []

    def __getattr__(self, name):
        return getattr(self._inventory, name)

    async def _come_to(self, *asked):
        self.asked.append(asked)
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def change_pin(self, token, pin, new_pin):
        self.given += [pin, new_pin]
        for each in (pin, new_pin):
            with each.view() as view:
                self.seen.append(bytes(view))
        return await self._come_to("change_pin", token)

    async def objects(self, token):
        return await self._come_to("objects", token)

    async def generate_key(self, token, label, kind, cka_id):
        return await self._come_to("generate_key", token, label, kind, cka_id)


@pytest.fixture
def tokens(daemon) -> Tokens:
    daemon.inventory = Tokens(daemon.inventory)
    return daemon.inventory


@pytest.fixture
def servicer(daemon, tokens):
    """The service itself, called as siti calls it, so that a test sees what becomes of its message."""
    desk = KeyDesk(daemon.config, lambda: tokens, lambda: daemon.policy, lambda: daemon.dispatch)
    calls.begin(calls.Call("a method", "r", Principal("siti", Role.OFFICER, "email:siti@example.org")))
    return TokenAdmin(tokens, daemon.acts, daemon.desk.oversight, lambda: daemon.policy, desk)


async def acts(daemon) -> list[tuple[str, str, str, dict]]:
    await daemon.acts.drained()
    return [(leaf.what, leaf.who, leaf.subject, leaf.facts) for leaf in daemon.acts._recorder.leaves]


def change_pin(name: str = PAYROLL, pin: bytes = PIN, new_pin: bytes = NEW_PIN) -> pb.ChangePinRequest:
    return pb.ChangePinRequest(name=name, pin=pin, new_pin=new_pin)


def generate(**fields) -> pb.GenerateKeyRequest:
    return pb.GenerateKeyRequest(
        **{"token": PAYROLL, "label": "seal-2026", "kind": "p256", "id": b"\2"} | fields
    )


# --- secrets


@pytest.mark.parametrize(
    ("outcome", "raises"),
    [("", None), (BUSY, Fault), (UNSURE, Fault), (RuntimeError("odd"), RuntimeError)],
    ids=["done", "refused", "half", "odd"],
)
async def test_both_pins_leave_the_message_and_are_wiped_whatever_comes_of_it(
    servicer, tokens, outcome, raises
):
    tokens.outcome = outcome
    request = change_pin()
    if raises is None:
        await servicer.ChangePin(request, None)
    else:
        with pytest.raises(raises):
            await servicer.ChangePin(request, None)
    assert (request.pin, request.new_pin) == (b"", b"")
    assert tokens.seen == [PIN, NEW_PIN]
    assert [len(pin) for pin in tokens.given] == [0, 0]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (change_pin(pin=b""), "pin"),
        (change_pin(new_pin=b""), "new_pin"),
        (change_pin(pin=b"x" * 256), "pin"),
        (change_pin(new_pin=b"x" * 256), "new_pin"),
        (change_pin(new_pin=b"one\ntwo"), "new_pin"),
        (change_pin(name="payroll"), "name"),
        (change_pin(name="tokens/" + "x" * 200), "name"),
    ],
    ids=["no PIN", "no new PIN", "long PIN", "long new PIN", "two lines", "no token", "long name"],
)
async def test_a_request_that_is_wrong_keeps_no_pin_either_and_reaches_nothing(
    daemon, servicer, tokens, request_, field
):
    with pytest.raises(Fault) as refused:
        await servicer.ChangePin(request_, None)
    assert refused.value.field == field
    assert (request_.pin, request_.new_pin) == (b"", b"")
    assert tokens.asked == []
    assert await acts(daemon) == []


async def test_pins_are_wiped_if_the_change_cannot_be_recorded(daemon, servicer, tokens, monkeypatch):
    taken = []
    take_both = secret_fields.take_both

    def kept(*arguments):
        taken.extend(take_both(*arguments))
        return tuple(taken)

    async def broken(leaf):
        raise Fault(Reason.STORAGE_UNAVAILABLE, "The database cannot be written.")

    monkeypatch.setattr(daemon.acts._recorder, "record", broken)
    monkeypatch.setattr(secret_fields, "take_both", kept)
    with pytest.raises(Fault) as refused:
        await servicer.ChangePin(change_pin(), None)
    assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
    assert tokens.asked == []
    assert [len(pin) for pin in taken] == [0, 0]


async def test_no_pin_is_recorded_logged_or_answered(daemon, tokens, events, refusal):
    await daemon.start()
    tokens.outcome = UNSURE
    refused = await refusal(daemon.admin().ChangePin(change_pin()))
    whole = f"{await acts(daemon)} {events} {refused.status}"
    assert PIN.decode() not in whole
    assert NEW_PIN.decode() not in whole


# --- what is recorded


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        ("", ("token pin changed", {})),
        (BUSY, ("token pin not changed", {"reason": "TOKEN_BUSY"})),
        (UNSURE, ("token pin not changed", {"reason": "DEVICE_ERROR", "known": "not known"})),
        (RuntimeError("odd"), ("token pin not changed", {"reason": "INTERNAL"})),
    ],
    ids=["done", "refused", "half", "odd"],
)
async def test_a_change_of_the_pin_is_recorded_before_and_after(daemon, servicer, tokens, outcome, then):
    tokens.outcome = outcome
    try:
        answer = await servicer.ChangePin(change_pin(), None)
        assert (answer.token.name, answer.advice) == (PAYROLL, "")
    except (Fault, RuntimeError):
        assert outcome
    what, facts = then
    assert await acts(daemon) == [
        ("token pin change asked", "siti", PAYROLL, {}),
        (what, "siti", PAYROLL, facts),
    ]


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        (MADE, ("key generated", str(MADE.name), {"token": PAYROLL, "label": "seal-2026", "kind": "p256"})),
        (BUSY, ("key generation failed", PAYROLL, {"reason": "TOKEN_BUSY"})),
        (UNSURE, ("key generation failed", PAYROLL, {"reason": "DEVICE_ERROR", "known": "not known"})),
        (RuntimeError("odd"), ("key generation failed", PAYROLL, {"reason": "INTERNAL"})),
    ],
    ids=["done", "refused", "half", "odd"],
)
async def test_a_generation_is_recorded_before_and_after(daemon, servicer, tokens, outcome, then):
    tokens.outcome = outcome
    try:
        await servicer.GenerateKey(generate(), None)
    except (Fault, RuntimeError):
        assert outcome is not MADE
    asked, ended = await acts(daemon)
    assert asked == ("key generation asked", "siti", PAYROLL, {"label": "seal-2026", "kind": "p256"})
    assert ended == (then[0], "siti", *then[1:])


async def test_a_listing_is_recorded_before_for_it_logs_in(daemon, servicer, tokens):
    tokens.outcome = BUSY
    with pytest.raises(Fault):
        await servicer.ListObjects(pb.ListObjectsRequest(name=PAYROLL), None)
    assert [(what, subject) for what, _, subject, _ in await acts(daemon)] == [
        ("token objects listed", PAYROLL),
        ("token objects not listed", PAYROLL),
    ]


@pytest.mark.parametrize("method", ["ChangePin", "GenerateKey", "ListObjects"])
async def test_nothing_is_done_that_could_not_be_recorded(daemon, servicer, tokens, monkeypatch, method):
    async def broken(leaf):
        raise Fault(Reason.STORAGE_UNAVAILABLE, "The database cannot be written.")

    monkeypatch.setattr(daemon.acts._recorder, "record", broken)
    message = {
        "ChangePin": change_pin(),
        "GenerateKey": generate(),
        "ListObjects": pb.ListObjectsRequest(name=PAYROLL),
    }[method]
    with pytest.raises(Fault) as refused:
        await getattr(servicer, method)(message, None)
    assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
    assert tokens.asked == []


@pytest.mark.parametrize(
    ("method", "message", "outcome", "ended"),
    [
        ("ChangePin", change_pin(), "", "token pin changed"),
        ("GenerateKey", generate(), MADE, "key generated"),
    ],
)
async def test_an_officer_who_does_not_wait_cannot_keep_the_outcome_out_of_the_log(
    daemon, tokens, monkeypatch, method, message, outcome, ended
):
    there, record = asyncio.Event(), daemon.acts._recorder.record

    async def watched(leaf):
        await record(leaf)
        if leaf.what == ended:
            there.set()

    monkeypatch.setattr(daemon.acts._recorder, "record", watched)
    await daemon.start()
    tokens.hold, tokens.outcome = asyncio.Event(), outcome
    call = getattr(daemon.admin(), method)(message)
    await tokens.begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    tokens.hold.set()
    async with asyncio.timeout(10):
        await there.wait()
    assert [len(pin) for pin in tokens.given] == [0] * len(tokens.given)


# --- answers


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.PIN_INCORRECT, grpc.StatusCode.PERMISSION_DENIED),
        (Reason.PIN_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        (Reason.PIN_LOCKED, grpc.StatusCode.FAILED_PRECONDITION),
        (Reason.TOKEN_NO_ROOM, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Reason.TOKEN_NOT_FOUND, grpc.StatusCode.NOT_FOUND),
        (Reason.KEY_EXISTS, grpc.StatusCode.ALREADY_EXISTS),
        (Reason.TOKEN_STATE, grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
@pytest.mark.parametrize("method", ["ChangePin", "GenerateKey", "ListObjects"])
async def test_what_a_token_says_is_told_as_what_it_is(daemon, tokens, refusal, method, reason, code):
    await daemon.start()
    tokens.outcome = Fault(reason, "It says so.", token=PAYROLL)
    messages = {
        "ChangePin": change_pin(),
        "GenerateKey": generate(),
        "ListObjects": pb.ListObjectsRequest(name=PAYROLL),
    }
    refused = await refusal(getattr(daemon.admin(), method)(messages[method]))
    assert (refused.code, refused.reason, refused.text) == (code, str(reason), "It says so.")


async def test_the_advice_after_a_change_is_passed_on(daemon, tokens):
    await daemon.start()
    tokens.outcome = "Write the new one into /run/pin."
    answer = await daemon.admin().ChangePin(change_pin())
    assert answer.advice == "Write the new one into /run/pin."


async def test_objects_are_shown_with_what_makes_them_weak(daemon, tokens):
    await daemon.start()
    key = KeyName.of(b"k")
    tokens.outcome = (
        ObjectRecord("private key", "seal", b"\1", "P-256", key, ("SIGN", "EXTRACTABLE"), ("It can be.",)),
        ObjectRecord("data", "", b"", "", None, (), ()),
    )
    private, data = (await daemon.admin("agus").ListObjects(pb.ListObjectsRequest(name=PAYROLL))).objects
    assert (private.object_class, private.key, list(private.warnings)) == (
        "private key",
        str(key),
        ["It can be."],
    )
    assert (data.key, list(data.attributes)) == ("", [])


async def test_the_fields_of_a_generation_are_passed_on_as_they_are(daemon, tokens):
    await daemon.start()
    tokens.outcome = MADE
    await daemon.admin().GenerateKey(generate(id=b""))
    assert tokens.asked == [("generate_key", TokenName("payroll"), "seal-2026", "p256", b"")]


async def test_a_key_that_is_made_and_not_shown_yet_is_answered_with_what_is_missing(daemon, tokens):
    await daemon.start()
    tokens.outcome = KeyMade(
        MADE.name, MADE.kind, MADE.public_key, MADE.token, MADE.label, MADE.cka_id, "Not used yet: look."
    )
    key = await daemon.admin().GenerateKey(generate())
    assert (key.key.name, key.key.public_key) == (str(MADE.name), b"new")
    assert [(place.token, place.label, place.id) for place in key.places] == [(PAYROLL, "seal-2026", b"\2")]
    assert "Not used yet: look." in list(key.warnings)
    assert key.key.state_reason == "Not used yet: look."


# --- keys


async def test_weak_keys_are_named_in_the_list_of_keys_with_the_token_where_there_are_several(daemon, make):
    mine = daemon.mine
    weak = TokenKey(
        "seal", b"\1", KeyKind.P_256, mine.name, mine.public_key, (), None, "", weak=("It is weak.",)
    )
    daemon.inventory.configured = {TokenName("payroll"): make.token(keys=[weak])}
    await daemon.start()
    listed = await daemon.admin("agus").ListManagedKeys(pb.ListManagedKeysRequest())
    warnings = {key.key.name: list(key.warnings) for key in listed.keys}
    assert "It is weak." in warnings[str(mine.name)]
    assert "It is weak." not in warnings[str(daemon.foreign.name)]
    daemon.inventory.configured[TokenName("spare")] = make.token("spare", keys=[weak])
    listed = await daemon.admin().ListManagedKeys(pb.ListManagedKeysRequest())
    (warnings,) = [list(key.warnings) for key in listed.keys if key.key.name == str(mine.name)]
    assert [text for text in warnings if "weak" in text] == [
        "On tokens/payroll: It is weak.",
        "On tokens/spare: It is weak.",
    ]


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        (pb.CreateCsrRequest(key="seal", subject="/CN=x"), "FIELD_INVALID", "key"),
        (pb.CreateCsrRequest(key="keys/nobody", subject="/CN=x"), "KEY_NOT_FOUND", None),
        (pb.CreateCsrRequest(key="keys/seal"), "FIELD_INVALID", "subject"),
        (pb.DisableKeyRequest(key="keys/seal", reason=" "), "FIELD_INVALID", "reason"),
        (pb.DisableKeyRequest(key="keys/seal", reason="a\nb"), "FIELD_INVALID", "reason"),
        (pb.DisableKeyRequest(key="keys/", reason="x"), "FIELD_INVALID", "key"),
        (pb.ImportCertificateRequest(data=b"none"), "CERTIFICATE_INVALID", "data"),
        (pb.ImportCertificateRequest(data=b"none", key="keys/nobody"), "KEY_NOT_FOUND", None),
    ],
)
async def test_a_request_about_a_key_names_the_field_at_fault(daemon, servicer, message, reason, field):
    method = type(message).__name__.removesuffix("Request")
    with pytest.raises(Fault) as refused:
        await getattr(servicer, method)(message, None)
    assert (refused.value.reason, refused.value.field) == (reason, field)


async def test_an_alias_of_several_keys_names_none(daemon, servicer):
    daemon.policy.aliases[Alias("both")] = (daemon.mine.name, daemon.foreign.name)
    with pytest.raises(Fault, match="names 2 keys") as refused:
        await servicer.DisableKey(pb.DisableKeyRequest(key="keys/both", reason="lost"), None)
    assert refused.value.reason is Reason.KEY_AMBIGUOUS


@pytest.mark.parametrize("who", ["agus", "dewi", "backoffice"])
@pytest.mark.parametrize("method", ["ChangePin", "GenerateKey", "DisableKey", "CreateCsr"])
async def test_only_officers_change_tokens_and_keys(daemon, tokens, refusal, who, method):
    await daemon.start()
    message = getattr(pb, f"{method}Request")()
    refused = await refusal(getattr(daemon.admin(who), method)(message))
    assert refused.reason == "ROLE_REQUIRED"
    assert tokens.asked == []
