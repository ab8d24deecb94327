"""Initialising a token and setting its PIN anew, as changes: what is shown to who decides, and what is recorded."""

from dataclasses import replace

import pytest
from acts_fake import acts
from key_bench import NAME, PUBLIC, KeyBench
from office_fakes import FakeRecords

from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, ObjectRecord, SlotRecord, Survey, TokenKey, TokenRecord
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.act_key import DestroyingKey
from segeld.office.act_token import InitializingToken, UnblockingPin
from segeld.office.actions import DestroyKey, InitializeToken, UnblockPin
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import ChangeState, Person
from segeld.office.executor import Partly
from segeld.supervisor.half import Half, Known

SEAL = TokenName("seal")
INIT, UNBLOCK = InitializeToken("tokens/seal"), UnblockPin("tokens/seal")
WAYAN, MADE = Person("wayan", "uri:wayan"), Person("made", "uri:made")
ON_TOKEN = TokenKey("seal-2026", b"\1", KeyKind.P_256, NAME, PUBLIC, (), None, "")
SEEN = TokenRecord(
    name=SEAL,
    state=TokenState.INACTIVE,
    state_reason="It waits for its PIN.",
    state_since=0.0,
    label="Seal",
    serial="0042",
    manufacturer="ACME",
    model="One",
    flags=(),
    workers_ready=0,
    workers_configured=1,
    pin_source="prompt",
    keys=(),
)


class Tokens:
    """One token, and what is done to it."""

    def __init__(self) -> None:
        self.record = SEEN
        self.shown: tuple[ObjectRecord, ...] | Fault = ()
        self.slots: tuple[SlotRecord, ...] = ()
        self.outcome: BaseException | None = None
        self.asked: list = []
        self.meant: list[str] = []
        """The serial numbers of the devices that were meant."""

    def token(self, name):
        return self.record if name == SEAL else None

    def key(self, name):
        return KeyRecord(NAME, KeyKind.P_256, PUBLIC, (), (), None, "") if name == NAME else None

    async def public_objects(self, token):
        if isinstance(self.shown, Fault):
            raise self.shown
        return self.shown

    async def survey(self):
        return Survey(self.slots, ())

    async def _done(self, *asked):
        self.asked.append(asked)
        if self.outcome is not None:
            raise self.outcome
        return self.record

    async def initialize(self, token, slot, label, so_pin, new_pin, serial):
        self.meant.append(serial)
        return await self._done("initialize", token, slot, label)

    async def unblock(self, token, so_pin, new_pin, serial):
        self.meant.append(serial)
        return await self._done("unblock", token)


def shown(what: str) -> ObjectRecord:
    return ObjectRecord(what, "x", b"\1", "", None, (), ())


def slot(number: int, *, token: TokenName | None = None, initialized: bool = False) -> SlotRecord:
    flags = ("CKF_TOKEN_INITIALIZED",) if initialized else ()
    return SlotRecord("soft", number, "", "", "Other", "77", "", "", flags, token)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


async def summary(tokens: Tokens, action: InitializeToken = INIT) -> str:
    return " ".join((await InitializingToken(tokens, acts()).describe(action)).summary)


async def test_a_token_that_nobody_has_logged_in_to_is_not_said_to_be_empty(tokens) -> None:
    tokens.shown = (shown("public key"), shown("public key"), shown("certificate"))
    text = await summary(tokens)
    assert "(label 'Seal', serial number 0042) is erased: everything on it is lost, for ever." in text
    assert "Nobody has logged in to it since the daemon was started" in text
    assert "it shows 1 certificate, 2 public keys" in text
    assert "What it hides then is not known: private keys, secret keys and data." in text
    assert "segelctl token activate seal" in text
    tokens.shown = ()
    assert "it shows nothing." in await summary(tokens)


async def test_a_token_that_is_not_there_is_not_said_to_be_empty_either(tokens) -> None:
    tokens.record = replace(SEEN, state=TokenState.ABSENT, serial="")
    tokens.shown = Fault(Reason.TOKEN_NOT_PRESENT, "tokens/seal: no token with label 'Seal' is there.")
    text = await summary(tokens)
    assert "serial number not seen yet" in text
    assert "It is not known what is on it, for it cannot be looked at now: tokens/seal: no token" in text
    assert "There may be private keys, certificates, secret keys and data." in text


async def test_keys_that_were_seen_are_named_and_those_that_may_hide_are_not_denied(tokens) -> None:
    tokens.record = replace(SEEN, keys=(ON_TOKEN,))
    text = await summary(tokens)
    assert f"The key 'seal-2026' (P-256), {NAME}, without a certificate." in text
    assert "What it hides then is not known" in text


async def test_a_token_that_was_looked_through_is_said_to_hold_what_it_holds(tokens) -> None:
    tokens.shown = Fault(Reason.INTERNAL, "Nobody asks for it.")
    tokens.record = replace(SEEN, keys=(ON_TOKEN,), looked_through=True)
    text = await summary(tokens)
    assert f"The key 'seal-2026' (P-256), {NAME}" in text
    assert "not known" not in text
    tokens.record = replace(SEEN, looked_through=True)
    assert "No key was on it when it was last logged in." in await summary(tokens)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (InitializeToken("tokens/other"), Reason.TOKEN_NOT_FOUND),
        (InitializeToken("tokens/seal", "modules/soft/slots/x"), Reason.FIELD_INVALID),
        (InitializeToken("tokens/seal", "modules/soft/slots/9"), Reason.SLOT_NOT_FOUND),
        (InitializeToken("tokens/seal", "modules/soft/slots/2"), Reason.TOKEN_STATE),
        (UnblockPin("tokens/other"), Reason.TOKEN_NOT_FOUND),
    ],
)
async def test_what_cannot_be_is_refused_when_it_is_asked_for(tokens, action, reason) -> None:
    tokens.slots = (slot(2, initialized=True),)
    executor = (UnblockingPin if isinstance(action, UnblockPin) else InitializingToken)(tokens, acts())
    with pytest.raises(Fault) as refused:
        await executor.describe(action)
    assert refused.value.reason is reason


async def test_a_blank_slot_loses_nothing_and_the_tokens_own_slot_loses_all(tokens) -> None:
    tokens.slots = (slot(4), slot(5, token=SEAL, initialized=True))
    text = await summary(tokens, InitializeToken("tokens/seal", "modules/soft/slots/4"))
    assert "The blank token in modules/soft/slots/4 becomes tokens/seal" in text
    assert "Nothing is on it that could be lost" in text
    text = await summary(tokens, InitializeToken("tokens/seal", "modules/soft/slots/5"))
    assert "everything on it is lost, for ever" in text


# --- run


def secrets() -> dict[str, Pin]:
    return {"so_pin": Pin(b"so-canary"), "new_pin": Pin(b"new-canary")}


FAULT = Fault(Reason.PIN_INCORRECT, "tokens/seal: the token refused the SO PIN.")
CASES = [
    (InitializingToken, INIT, None, "token initialised"),
    (InitializingToken, INIT, FAULT, "token initialisation failed"),
    (InitializingToken, INIT, Half(FAULT, Known.IN_PART), "token erased, pin not set"),
    (InitializingToken, INIT, Half(FAULT, Known.UNKNOWN), "token perhaps erased"),
    (InitializingToken, INIT, Half(FAULT, Known.DONE), "token initialised, not wholly recorded"),
    (UnblockingPin, UNBLOCK, None, "token unblocked"),
    (UnblockingPin, UNBLOCK, FAULT, "token unblocking failed"),
    (UnblockingPin, UNBLOCK, Half(FAULT, Known.UNKNOWN), "token unblocking not ended"),
]


@pytest.mark.parametrize(("executor", "action", "outcome", "ended"), CASES)
async def test_it_is_recorded_before_and_after_and_told_as_what_it_is(
    tokens, executor, action, outcome, ended
) -> None:
    recorder, tokens.outcome = acts(), outcome
    work = executor(tokens, recorder).run(action, "wayan", secrets(), "made")
    if outcome is None:
        await work
    else:
        with pytest.raises(Partly) as raised:
            await work
        assert raised.value.fault.reason is FAULT.reason
        assert raised.value.fault.text.startswith(FAULT.text)
    await recorder.drained()
    begun, after = recorder._recorder.leaves
    assert (begun.who, begun.subject, begun.facts) == ("wayan", "tokens/seal", {"approved_by": "made"})
    assert begun.what.endswith("begun")
    assert (after.what, after.who, after.subject) == (ended, "wayan", "tokens/seal")
    assert "canary" not in str(recorder._recorder.leaves)


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        (
            Fault(Reason.PIN_INCORRECT, "The token refused the SO PIN.", token="tokens/seal", ckr="0xa0"),
            False,
        ),
        (Fault(Reason.PIN_LOCKED, "Its SO PIN is locked.", ckr="0xa4"), False),
        (Fault(Reason.DEVICE_ERROR, "The device failed.", ckr="0x30"), False),
        (Fault(Reason.DEVICE_ERROR, "The device did not answer. Nothing was changed."), True),
        (Fault(Reason.PIN_LOCKED, "Its SO PIN is locked; nothing was sent.", ckr="0x0"), True),
        (Fault(Reason.PIN_REFUSED_BEFORE, "The token refused it before; nothing was sent."), True),
        (Fault(Reason.PIN_LENGTH, "The SO PIN was not sent, and no try was spent.", ckr="0x0"), True),
        (Fault(Reason.TOKEN_NOT_PRESENT, "It is not there.", ckr="0xe0"), True),
    ],
    ids=lambda each: each.text if isinstance(each, Fault) else "",
)
@pytest.mark.parametrize(
    ("executor", "action"), [(UnblockingPin, UNBLOCK), (InitializingToken, INIT)], ids=["unblock", "init"]
)
async def test_one_approval_is_for_one_try_of_the_so_pin(tokens, executor, action, fault, again) -> None:
    office = Office({type(action): executor(tokens, acts())})
    number = await office.approved(action)
    tokens.outcome = fault
    with pytest.raises(Fault) as refused:
        await office.desk.run_change(number, WAYAN, secrets())
    assert refused.value.reason is fault.reason
    change = office.desk.change(number)
    if again:
        assert (change.state, refused.value) == (ChangeState.APPROVED, fault)
        return
    assert change.state is ChangeState.FAILED
    assert "ask anew" in office.desk.next_step(change)
    assert office.desk._records._records.leaves[-1].facts["left"] == "a try of the SO PIN is spent"
    tokens.outcome = None
    with pytest.raises(Fault, match="ask anew"):
        await office.desk.run_change(number, WAYAN, secrets())
    assert len(tokens.asked) == 1


# --- what was approved is what is done


class Office:
    """wayan asks, made approves, wayan runs."""

    def __init__(self, executors) -> None:
        self.desk = ChangeDesk(
            FakeRecords(), executors, two_person=lambda: True, standing=lambda _: "an officer"
        )

    async def approved(self, action) -> int:
        change = await self.desk.propose(action, WAYAN)
        await self.desk.approve(change.number, MADE, change.hash)
        return change.number

    async def moved_on(self, number: int, given: dict[str, Pin]) -> None:
        with pytest.raises(Fault, match="would not do what it said") as refused:
            await self.desk.run_change(number, WAYAN, given)
        assert refused.value.reason is Reason.CHANGE_STATE
        assert self.desk.change(number).state is not ChangeState.DONE


@pytest.mark.parametrize(
    "moved",
    [{"serial": "0043"}, {"keys": (ON_TOKEN,)}, {"looked_through": True}],
    ids=lambda each: next(iter(each)),
)
async def test_a_token_that_is_another_or_holds_other_keys_is_not_erased_by_an_older_yes(
    tokens, moved
) -> None:
    office = Office({InitializeToken: InitializingToken(tokens, acts())})
    number = await office.approved(INIT)
    tokens.record = replace(SEEN, **moved)
    await office.moved_on(number, secrets())
    assert tokens.asked == []
    tokens.record = SEEN
    await office.desk.run_change(await office.approved(INIT), WAYAN, secrets())
    assert (tokens.asked, tokens.meant) == ([("initialize", SEAL, None, None)], ["0042"])


async def test_a_token_that_waits_for_its_pin_since_it_was_shown_is_looked_at_first(tokens) -> None:
    looked = tokens.record = replace(SEEN, looked_through=True)
    office = Office({InitializeToken: InitializingToken(tokens, acts())})
    number = await office.approved(INIT)
    tokens.record = SEEN
    with pytest.raises(Fault, match="segelctl token activate seal, then run it again"):
        await office.desk.run_change(number, WAYAN, secrets())
    assert tokens.asked == []
    tokens.record = looked
    assert "segelctl token activate seal" in office.desk.next_step(
        await office.desk.run_change(number, WAYAN, secrets())
    )


async def test_a_blank_token_in_a_slot_is_the_one_that_was_shown(tokens) -> None:
    tokens.slots = (slot(4),)
    office = Office({InitializeToken: InitializingToken(tokens, acts())})
    number = await office.approved(InitializeToken("tokens/seal", "modules/soft/slots/4"))
    await office.desk.run_change(number, WAYAN, secrets())
    assert tokens.meant == ["77"]


async def test_another_device_gets_no_new_pin_by_an_older_yes_but_its_tries_may_move(tokens) -> None:
    office = Office({UnblockPin: UnblockingPin(tokens, acts())})
    number = await office.approved(UNBLOCK)
    tokens.record = replace(SEEN, serial="0043")
    await office.moved_on(number, secrets())
    assert tokens.asked == []
    tokens.record = replace(SEEN, pin_tries="The token says that its PIN is locked.", state=TokenState.LOCKED)
    await office.desk.run_change(await office.approved(UNBLOCK), WAYAN, secrets())
    assert (tokens.asked, tokens.meant) == ([("unblock", SEAL)], ["0042"])


@pytest.mark.parametrize("what", ["a replica", "a certificate", "withdrawn anew"])
async def test_a_key_that_is_not_as_it_was_shown_is_not_destroyed_by_an_older_yes(
    tmp_path, monkeypatch, what
) -> None:
    bench = KeyBench(tmp_path)
    await bench.desk.load(bench.records)
    withdrawal = bench.desk.withdrawal
    await withdrawal.disable(NAME, "wayan", "lost")
    bench.now += 31 * 86_400
    office = Office({DestroyKey: DestroyingKey(withdrawal)})
    action = DestroyKey(str(NAME))
    number = await office.approved(action)
    match what:
        case "a replica":
            monkeypatch.setattr("key_bench.PLACES", ((TokenName("c"), TokenState.ACTIVE),))
        case "a certificate":
            bench.tokens.chain = ()
        case _:
            await withdrawal.enable(NAME, withdrawal.require_disabled(NAME).stamp, "wayan", "made")
            await withdrawal.disable(NAME, "made", "found again, and lost")
            bench.now += 31 * 86_400
    await office.moved_on(number, {})
    assert bench.tokens.there
    await office.desk.run_change(await office.approved(action), WAYAN, {})
    assert not bench.tokens.there
