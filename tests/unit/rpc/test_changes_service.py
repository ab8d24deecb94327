"""What officers ask for together, on the wire."""

import grpc
import pytest
from google.rpc import error_details_pb2
from office_fakes import FakeExecutor, FakeRecords

from segel.v1 import changes_pb2, changes_pb2_grpc
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.office.actions import (
    AdoptLog,
    ApplyPolicy,
    DestroyKey,
    EnableKey,
    InitializeToken,
    UnblockPin,
    UnrevokeCaller,
)
from segeld.office.change_desk import ChangeDesk
from segeld.rpc.changes import changes_service, take_secrets

KEY = "keys/sha256-" + "ab" * 32
SO_PIN, NEW_PIN = b"so-canary-8472", b"new-canary-9583"
ACTIONS = {
    "initialize_token": changes_pb2.InitializeToken(
        token="tokens/seal", slot="modules/vendor/slots/7", label="Seal"
    ),
    "unblock_pin": changes_pb2.UnblockPin(token="tokens/seal"),
    "destroy_key": changes_pb2.DestroyKey(key=KEY),
    "enable_key": changes_pb2.EnableKey(key=KEY),
    "apply_policy": changes_pb2.ApplyPolicy(toml="two_person = true", base=bytes(32)),
    "unrevoke_caller": changes_pb2.UnrevokeCaller(caller="backoffice"),
    "adopt_log": changes_pb2.AdoptLog(),
}
KINDS = (InitializeToken, UnblockPin, DestroyKey, EnableKey, ApplyPolicy, UnrevokeCaller, AdoptLog)


@pytest.fixture
async def office(daemon, authority):
    """A daemon with two officers and a desk; `siti` asks, `wati` decides."""
    daemon.executor = FakeExecutor()
    daemon.pins = FakeExecutor(secrets=("so_pin", "new_pin"))
    daemon.records = FakeRecords()
    daemon.two_person = True
    desk = ChangeDesk(
        daemon.records,
        {kind: daemon.pins if kind in {InitializeToken, UnblockPin} else daemon.executor for kind in KINDS},
        two_person=lambda: daemon.two_person,
        standing=lambda _: "an officer",
    )
    daemon.services = (changes_service(desk),)
    san = "email:wati@example.org"
    authority.issue("wati", [san])
    people = dict(daemon.policy.principals)
    people[san] = Principal("wati", Role.OFFICER, san)
    object.__setattr__(daemon.policy, "principals", people)
    await daemon.start()
    return daemon


def changes_of(office, who: str = "siti"):
    return changes_pb2_grpc.ChangesStub(office.channel(who, officers=True))


def proposal(kind: str = "apply_policy", **more):
    return changes_pb2.ProposeChangeRequest(action=changes_pb2.Action(**{kind: ACTIONS[kind]}), **more)


async def test_asked_for_approved_and_run(office):
    siti, wati = changes_of(office), changes_of(office, "wati")
    asked = await siti.ProposeChange(proposal())
    assert (asked.name, asked.state) == ("changes/1", changes_pb2.Change.STATE_WAITING)
    assert (asked.requested_by, asked.decided_by) == ("siti", "")
    assert asked.expire_time.seconds - asked.create_time.seconds == 72 * 3600
    assert "segelctl change approve 1" in asked.state_reason
    shown = await wati.GetChange(changes_pb2.GetChangeRequest(name="changes/1"))
    assert shown == asked
    assert shown.action.apply_policy == ACTIONS["apply_policy"]
    approved = await wati.ApproveChange(
        changes_pb2.ApproveChangeRequest(name="changes/1", action_hash=shown.action_hash)
    )
    assert (approved.state, approved.decided_by) == (changes_pb2.Change.STATE_APPROVED, "wati")
    done = await siti.RunChange(changes_pb2.RunChangeRequest(name="changes/1"))
    assert done.state == changes_pb2.Change.STATE_DONE
    assert done.HasField("end_time")


@pytest.mark.parametrize("kind", ACTIONS)
async def test_every_action_comes_back_as_it_was(office, kind):
    asked = await changes_of(office).ProposeChange(proposal(kind))
    assert asked.action.WhichOneof("action") == kind
    assert getattr(asked.action, kind) == ACTIONS[kind]
    assert list(asked.secrets) == (
        ["so_pin", "new_pin"] if kind in {"initialize_token", "unblock_pin"} else []
    )


async def test_lists_are_brief_and_say_whether_there_are_two_persons(office):
    siti = changes_of(office)
    await siti.ProposeChange(proposal())
    await siti.ProposeChange(proposal())
    await siti.RejectChange(changes_pb2.RejectChangeRequest(name="changes/1", reason="a slip"))
    office.two_person = False
    agus = changes_of(office, "agus")
    answer = await agus.ListChanges(changes_pb2.ListChangesRequest())
    assert [change.name for change in answer.changes] == ["changes/2"]
    assert not answer.two_person
    assert answer.changes[0].action.apply_policy.toml == ""
    assert list(answer.changes[0].summary) == [office.executor.summary[0]]
    answer = await agus.ListChanges(changes_pb2.ListChangesRequest(ended=True))
    assert [change.name for change in answer.changes] == ["changes/2", "changes/1"]
    assert answer.changes[1].state_reason == "Withdrawn by siti: a slip."


async def test_a_dry_run_says_what_would_be_asked_for(office):
    answer = await changes_of(office).ProposeChange(proposal(dry_run=True))
    assert (answer.name, answer.state) == ("", changes_pb2.Change.STATE_WAITING)
    assert list(answer.summary) == list(office.executor.summary)
    assert office.records.leaves == []


async def test_secrets_reach_the_executor_and_nothing_else(office, events):
    siti, wati = changes_of(office), changes_of(office, "wati")
    asked = await siti.ProposeChange(proposal("unblock_pin"))
    await wati.ApproveChange(changes_pb2.ApproveChangeRequest(name=asked.name, action_hash=asked.action_hash))
    await siti.RunChange(changes_pb2.RunChangeRequest(name=asked.name, so_pin=SO_PIN, new_pin=NEW_PIN))
    assert office.pins.seen == [("new_pin", NEW_PIN), ("so_pin", SO_PIN)]
    everything = repr(events) + repr(office.records.leaves) + repr(office.records.kept)
    assert "canary" not in everything


def test_secrets_leave_the_message_at_once():
    request = changes_pb2.RunChangeRequest(name="changes/1", so_pin=SO_PIN, new_pin=NEW_PIN)
    taken = take_secrets(request)
    assert (request.so_pin, request.new_pin) == (b"", b"")
    assert set(taken) == {"so_pin", "new_pin"}
    for pin in taken.values():
        pin.wipe()


def test_of_two_secrets_one_of_which_is_too_long_none_is_kept(monkeypatch):
    wiped = []
    monkeypatch.setattr("segeld.rpc.changes.Pin.wipe", lambda pin: wiped.append(len(pin)))
    request = changes_pb2.RunChangeRequest(so_pin=SO_PIN, new_pin=bytes(300))
    with pytest.raises(Fault) as caught:
        take_secrets(request)
    assert (caught.value.reason, caught.value.field) == (Reason.PIN_LENGTH, "new_pin")
    assert wiped == [len(SO_PIN)]
    assert (request.so_pin, request.new_pin) == (b"", b"")


async def test_whoever_asked_is_no_second_person(office, refusal):
    siti = changes_of(office)
    asked = await siti.ProposeChange(proposal())
    request = changes_pb2.ApproveChangeRequest(name=asked.name, action_hash=asked.action_hash)
    refused = await refusal(siti.ApproveChange(request))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "SECOND_PERSON_REQUIRED",
    )


async def test_an_approval_of_something_else_is_refused(office, refusal):
    asked = await changes_of(office).ProposeChange(proposal())
    request = changes_pb2.ApproveChangeRequest(name=asked.name, action_hash=bytes(32))
    refused = await refusal(changes_of(office, "wati").ApproveChange(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHANGE_STATE")
    (violation,) = refused.detail(error_details_pb2.PreconditionFailure).violations
    assert (violation.type, violation.subject) == ("CHANGE", "changes/1")


@pytest.mark.parametrize("name", ["", "changes/0", "changes/01", "7", "changes/-1", "changes/" + "9" * 200])
async def test_names_have_a_form(office, refusal, name):
    siti = changes_of(office)
    for call in (
        siti.GetChange(changes_pb2.GetChangeRequest(name=name)),
        siti.ApproveChange(changes_pb2.ApproveChangeRequest(name=name, action_hash=bytes(32))),
        siti.RejectChange(changes_pb2.RejectChangeRequest(name=name)),
        siti.RunChange(changes_pb2.RunChangeRequest(name=name, so_pin=SO_PIN)),
    ):
        refused = await refusal(call)
        assert refused.reason == "FIELD_INVALID"
        assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == "name"


async def test_one_that_is_not_there(office, refusal):
    refused = await refusal(changes_of(office).GetChange(changes_pb2.GetChangeRequest(name="changes/7")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "CHANGE_NOT_FOUND")


@pytest.mark.parametrize(
    ("action", "field"),
    [
        (changes_pb2.Action(), "action"),
        (changes_pb2.Action(unblock_pin=changes_pb2.UnblockPin(token="seal")), "action.unblock_pin.token"),
        (changes_pb2.Action(destroy_key=changes_pb2.DestroyKey(key="keys/seal")), "action.destroy_key.key"),
        (changes_pb2.Action(enable_key=changes_pb2.EnableKey()), "action.enable_key.key"),
        (changes_pb2.Action(apply_policy=changes_pb2.ApplyPolicy(base=b"1")), "action.apply_policy.base"),
        (changes_pb2.Action(unrevoke_caller=changes_pb2.UnrevokeCaller()), "action.unrevoke_caller.caller"),
        (
            changes_pb2.Action(initialize_token=changes_pb2.InitializeToken(token="tokens/seal", slot="7")),
            "action.initialize_token.slot",
        ),
        (
            changes_pb2.Action(
                initialize_token=changes_pb2.InitializeToken(token="tokens/seal", label="x" * 33)
            ),
            "action.initialize_token.label",
        ),
    ],
)
async def test_what_is_asked_for_has_a_form(office, refusal, action, field):
    refused = await refusal(changes_of(office).ProposeChange(changes_pb2.ProposeChangeRequest(action=action)))
    assert refused.reason == "FIELD_INVALID"
    assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == field


async def test_a_hash_has_its_length_and_a_reason_an_end(office, refusal):
    siti = changes_of(office)
    for call, field in (
        (siti.ApproveChange(changes_pb2.ApproveChangeRequest(name="changes/1")), "action_hash"),
        (siti.RejectChange(changes_pb2.RejectChangeRequest(name="changes/1", reason="x" * 501)), "reason"),
    ):
        refused = await refusal(call)
        assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == field
