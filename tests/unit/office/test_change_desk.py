"""The desk of changes: what is asked for, what is run, and what a crash leaves."""

import asyncio

import pytest
from office_fakes import MADE, WAYAN, secrets
from store_fakes import refused

from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.office.actions import ApplyPolicy, EnableKey, UnblockPin
from segeld.office.changes import LIFETIME, ChangeState
from segeld.office.executor import Partly

AWAY = Fault(Reason.TOKEN_NOT_PRESENT, "The token is away. Put it in.")


async def test_two_officers_change_something(office):
    change = await office.asked(UnblockPin("tokens/seal"))
    assert (change.name, change.state) == ("changes/1", ChangeState.WAITING)
    assert change.summary == office.token.summary
    approved = await office.desk.approve(1, MADE, change.hash)
    assert (approved.state, approved.decided) == (ChangeState.APPROVED, MADE)
    given = secrets()
    done = await office.desk.run_change(1, WAYAN, given)
    assert done.state is ChangeState.DONE
    assert office.token.runs == [(UnblockPin("tokens/seal"), "wayan", "made")]
    assert office.token.seen == [("new_pin", b"new-canary-2"), ("so_pin", b"so-canary-1")]
    assert office.records.acts("changes/1") == [
        ("change asked", "wayan"),
        ("change approved", "made"),
        ("change begun", "wayan"),
        ("change done", "wayan"),
    ]
    assert [len(pin) for pin in given.values()] == [0, 0]
    written = b"".join(office.records.kept.values()) + repr(office.records.leaves).encode()
    assert b"canary" not in written


async def test_it_is_written_as_running_before_anything_is_done(office):
    await office.approved()
    office.policy.hold = asyncio.Event()
    running = asyncio.create_task(office.desk.run_change(1, WAYAN, {}))
    await office.policy.begun.wait()
    assert office.desk.change(1).state is ChangeState.RUNNING
    assert office.records.leaves[-1].what == "change begun"
    assert "wayan is running it" in office.desk.next_step(office.desk.change(1))
    await refused(office.desk.reject(1, MADE, ""), Reason.CHANGE_STATE)
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    office.policy.hold.set()
    assert (await running).state is ChangeState.DONE
    assert len(office.policy.runs) == 1


async def test_after_a_crash_it_may_have_been_run_and_can_only_be_closed(office):
    await office.approved()
    office.policy.hold = asyncio.Event()
    running = asyncio.create_task(office.desk.run_change(1, WAYAN, {}))
    await office.policy.begun.wait()
    await office.restart()
    change = office.desk.change(1)
    assert change.state is ChangeState.RUNNING
    assert "may have been run, wholly or in part" in office.desk.next_step(change)
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    await refused(office.desk.approve(1, MADE, change.hash), Reason.CHANGE_STATE)
    office.now += 10 * LIFETIME
    assert office.desk.change(1).state is ChangeState.RUNNING
    closed = await office.desk.reject(1, MADE, "looked: the policy is in force")
    assert closed.state is ChangeState.REJECTED
    office.policy.hold.set()
    await running


async def test_a_broken_connection_does_not_stop_what_was_begun(office):
    await office.approved()
    office.policy.hold = asyncio.Event()
    waiting = asyncio.create_task(office.desk.run_change(1, WAYAN, {}))
    await office.policy.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert office.desk.change(1).state is ChangeState.RUNNING
    office.policy.hold.set()
    await office.desk.aclose()
    assert office.desk.change(1).state is ChangeState.DONE


async def test_what_failed_before_anything_was_changed_can_be_run_again(office):
    await office.approved()
    office.policy.outcome = AWAY
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.TOKEN_NOT_PRESENT)
    change = office.desk.change(1)
    assert change.state is ChangeState.APPROVED
    assert "The token is away" in office.desk.next_step(change)
    leaf = office.records.leaves[-1]
    assert (leaf.what, leaf.facts) == (
        "change failed",
        {"reason": "TOKEN_NOT_PRESENT", "left": "nothing changed"},
    )
    office.policy.outcome = None
    assert (await office.desk.run_change(1, WAYAN, {})).state is ChangeState.DONE


@pytest.mark.parametrize(
    ("outcome", "reason", "words"),
    [
        (Partly(AWAY), Reason.TOKEN_NOT_PRESENT, "The token is away"),
        (RuntimeError("canary"), Reason.INTERNAL, "what was changed is not known"),
    ],
)
async def test_what_failed_in_part_is_over(office, outcome, reason, words):
    await office.approved()
    office.policy.outcome = outcome
    fault = await refused(office.desk.run_change(1, WAYAN, {}), reason)
    assert words in fault.text
    assert "canary" not in fault.text
    change = office.desk.change(1)
    assert change.state is ChangeState.FAILED
    assert words in office.desk.next_step(change)
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)


async def test_nothing_is_done_that_cannot_be_recorded(office):
    change = await office.approved()
    office.records.broken = True
    await refused(office.asked(), Reason.STORAGE_UNAVAILABLE)
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.STORAGE_UNAVAILABLE)
    assert office.policy.runs == []
    assert office.desk.changes(ended=True) == (change,)


async def test_what_was_done_and_could_not_be_recorded_says_so(office):
    await office.approved()
    office.policy.hold = asyncio.Event()
    running = asyncio.create_task(office.desk.run_change(1, WAYAN, {}))
    await office.policy.begun.wait()
    office.records.broken = True
    office.policy.hold.set()
    await refused(running, Reason.STORAGE_UNAVAILABLE)
    assert "may have been run" in office.desk.next_step(office.desk.change(1))


async def test_a_dry_run_keeps_nothing(office):
    change = await office.desk.propose(ApplyPolicy("weight = 1"), WAYAN, dry_run=True)
    assert (change.number, change.state) == (0, ChangeState.WAITING)
    assert office.records.leaves == []
    assert office.desk.changes(ended=True) == ()


async def test_what_cannot_be_done_is_not_asked_for(office):
    office.policy.impossible = Fault(Reason.POLICY_INVALID, "There are faults.")
    await refused(office.asked(), Reason.POLICY_INVALID)
    await refused(office.asked(EnableKey("keys/x")), Reason.FIELD_INVALID)
    assert office.records.leaves == []


async def test_secrets_are_those_that_are_needed_and_are_wiped_anyway(office):
    await office.approved(UnblockPin("tokens/seal"))
    one = {"so_pin": Pin(b"so")}
    fault = await refused(office.desk.run_change(1, WAYAN, one), Reason.FIELD_INVALID)
    assert fault.field == "new_pin"
    assert len(one["so_pin"]) == 0
    await office.approved()
    needless = secrets()
    await refused(office.desk.run_change(2, WAYAN, needless), Reason.FIELD_INVALID)
    assert [len(pin) for pin in needless.values()] == [0, 0]
    unknown = secrets()
    await refused(office.desk.run_change(99, WAYAN, unknown), Reason.CHANGE_NOT_FOUND)
    assert [len(pin) for pin in unknown.values()] == [0, 0]


async def test_of_many_runs_at_once_there_is_one(office):
    await office.approved()
    answers = await asyncio.gather(
        *(office.desk.run_change(1, WAYAN, {}) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, Fault) for answer in answers) == 4
    assert len(office.policy.runs) == 1
