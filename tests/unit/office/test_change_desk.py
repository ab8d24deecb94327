"""The desk of changes: what is durable, what is refused, and what a crash leaves."""

import asyncio

import pytest

from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.office.actions import ApplyPolicy, EnableKey, UnblockPin
from segeld.office.change_desk import MAX_OPEN, MAX_OPEN_OCTETS
from segeld.office.change_records import KEPT, MAX_ENDED
from segeld.office.changes import LIFETIME, ChangeState, Person
from segeld.office.executor import Partly

WAYAN = Person("wayan", "uri:wayan", b"w" * 32)
WAYAN_TOO = Person("wayan", "email:wayan@example.org")
MADE = Person("made", "uri:made", b"m" * 32)
KETUT = Person("ketut", "uri:ketut", b"k" * 32)
AWAY = Fault(Reason.TOKEN_NOT_PRESENT, "The token is away. Put it in.")


def secrets():
    return {"so_pin": Pin(b"so-canary-1"), "new_pin": Pin(b"new-canary-2")}


async def refused(waiting, reason: Reason) -> Fault:
    with pytest.raises(Fault) as caught:
        await waiting
    assert caught.value.reason is reason
    return caught.value


async def test_an_approval_is_gone_with_the_certificate_that_gave_it(office):
    change = await office.asked(UnblockPin("tokens/seal"))
    await office.desk.approve(1, MADE, change.hash)
    office.revoked.add(MADE.fingerprint)
    assert office.desk.change(1).state is ChangeState.WAITING
    fault = await refused(office.desk.run_change(1, WAYAN, secrets()), Reason.CHANGE_STATE)
    assert "waits for another officer" in fault.text
    assert office.token.runs == []
    office.officers.add(KETUT.name)
    await office.desk.approve(1, KETUT, change.hash)
    assert (await office.desk.run_change(1, WAYAN, secrets())).state is ChangeState.DONE


async def test_one_certificate_under_two_names_is_one_person(office):
    change = await office.desk.propose(UnblockPin("tokens/seal"), WAYAN)
    other = Person("made", "uri:made", WAYAN.fingerprint)
    await refused(office.desk.approve(1, other, change.hash), Reason.SECOND_PERSON_REQUIRED)


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


async def test_one_person_is_not_two(office):
    change = await office.asked()
    for who in (WAYAN, WAYAN_TOO, Person("new-name", "uri:wayan")):
        await refused(office.desk.approve(1, who, change.hash), Reason.SECOND_PERSON_REQUIRED)
    assert office.desk.change(1).state is ChangeState.WAITING
    await office.desk.approve(1, MADE, change.hash)
    await refused(office.desk.run_change(1, MADE, {}), Reason.SECOND_PERSON_REQUIRED)
    assert office.policy.runs == []


async def test_an_approval_of_something_else_is_refused(office):
    await office.asked(ApplyPolicy("weight = 1"))
    other = await office.asked(ApplyPolicy("weight = 2"))
    await refused(office.desk.approve(1, MADE, other.hash), Reason.CHANGE_STATE)


async def test_narrowing_needs_one(office):
    office.policy.needs_approval = False
    change = await office.asked()
    assert (change.state, change.decided) == (ChangeState.APPROVED, None)
    assert office.records.leaves[-1].facts["approval"] == "none needed"
    assert (await office.desk.run_change(1, WAYAN, {})).state is ChangeState.DONE
    assert office.policy.runs[0][2] == ""


async def test_an_office_of_one_is_audited_as_such(office):
    office.two_person = False
    change = await office.asked()
    assert (change.state, change.decided) == (ChangeState.APPROVED, None)
    assert office.records.leaves[-1].facts["approval"] == "none: two_person = false"


async def test_what_needs_another_officer_by_now_is_refused(office):
    office.policy.needs_approval = False
    await office.asked()
    office.policy.needs_approval = True
    fault = await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    assert "needs another officer by now" in fault.text
    assert office.policy.runs == []
    office.two_person = False
    assert (await office.desk.run_change(1, WAYAN, {})).state is ChangeState.DONE


async def test_two_person_switched_on_again_holds_for_what_was_asked_before(office):
    office.two_person = False
    await office.asked()
    office.two_person = True
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    assert office.policy.runs == []


async def test_the_approval_of_an_officer_who_was_removed_counts_no_more(office):
    change = await office.approved()
    office.officers.discard("made")
    assert office.desk.change(1).state is ChangeState.WAITING
    assert office.desk.waiting() == (office.desk.change(1),)
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    office.officers.add("ketut")
    await office.desk.approve(1, KETUT, change.hash)
    assert (await office.desk.run_change(1, WAYAN, {})).state is ChangeState.DONE
    assert office.policy.runs[0][2] == "ketut"


async def test_an_approval_does_not_come_back_with_its_officer(office):
    change = await office.approved()
    office.officers.discard("made")
    assert office.desk.change(1).state is ChangeState.WAITING
    office.officers.add("made")
    office.entered["made"] = 2
    await office.restart()
    seen = office.desk.change(1)
    assert (seen.state, seen.decided) == (ChangeState.WAITING, None)
    assert "taken out of the policy" in office.desk.next_step(seen)
    await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    await office.desk.approve(1, MADE, change.hash)
    assert "taken out" not in office.desk.next_step(office.desk.change(1))
    assert (await office.desk.run_change(1, WAYAN, {})).state is ChangeState.DONE


async def test_nobody_approves_what_never_can_be_run(office):
    change = await office.asked()
    office.outdated = "Made put another policy in force since."
    assert "It cannot be run any more: Made put" in office.desk.next_step(change)
    fault = await refused(office.desk.approve(1, MADE, change.hash), Reason.CHANGE_STATE)
    assert "segelctl change reject 1" in fault.text
    await office.desk.reject(1, WAYAN, "")
    assert "Withdrawn" in office.desk.next_step(office.desk.change(1))


async def test_what_would_do_something_else_by_now_is_refused(office):
    office.policy.binding = True
    await office.approved()
    office.policy.summary = ("Something else is changed.",)
    fault = await refused(office.desk.run_change(1, WAYAN, {}), Reason.CHANGE_STATE)
    assert "would not do what it said" in fault.text
    assert office.policy.runs == []


async def test_it_expires(office):
    change = await office.asked()
    await office.approved()
    office.now += LIFETIME
    assert {each.state for each in office.desk.changes(ended=True)} == {ChangeState.EXPIRED}
    assert office.desk.changes(ended=False) == ()
    await refused(office.desk.approve(1, MADE, change.hash), Reason.CHANGE_STATE)
    await refused(office.desk.run_change(2, WAYAN, {}), Reason.CHANGE_STATE)
    assert "Ask anew" in office.desk.next_step(office.desk.change(1))


async def test_an_expiry_is_written_when_it_comes(office):
    upkeep = asyncio.create_task(office.desk.run())
    await office.asked()
    office.now += LIFETIME
    await office.asked()  # whatever moves wakes it
    async with asyncio.timeout(10):
        while ("change expired", "") not in office.records.acts("changes/1"):
            office.moved.clear()
            await office.moved.wait()
    upkeep.cancel()
    await office.restart()
    assert office.desk.change(1).state is ChangeState.EXPIRED


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


async def test_too_many_are_refused(office):
    for _ in range(MAX_OPEN):
        await office.asked()
    fault = await refused(office.asked(), Reason.QUEUE_FULL)
    assert "segelctl change list" in fault.text
    await office.desk.reject(1, WAYAN, "")
    await office.asked()


async def test_long_ones_are_bounded_by_what_they_hold(office):
    policy = ApplyPolicy("x" * (MAX_OPEN_OCTETS // 16))
    for _ in range(15):
        await office.asked(policy)
    await refused(office.asked(policy), Reason.QUEUE_FULL)
    await office.asked()


async def test_an_expiry_that_cannot_be_written_ends_nothing(office, events, monkeypatch):
    monkeypatch.setattr("segeld.office.change_desk.RETRY", 0.0)
    await office.asked()
    office.now += LIFETIME
    office.records.broken = True
    upkeep = asyncio.create_task(office.desk.run())
    async with asyncio.timeout(10):
        while not events:  # noqa: ASYNC110 - nothing says when something was logged
            await asyncio.sleep(0)
        office.records.broken = False
        while ("change expired", "") not in office.records.acts("changes/1"):
            office.moved.clear()
            await office.moved.wait()
    upkeep.cancel()


async def test_a_number_never_comes_again(office):
    await office.asked()
    await office.desk.reject(1, WAYAN, "")
    office.now += KEPT + 1
    await office.restart()
    assert (await office.asked()).number == 2
    await refused_now(office, 1)
    await office.restart()
    assert (await office.asked()).number == 3


async def refused_now(office, number: int) -> None:
    """It was kept long enough."""
    with pytest.raises(Fault) as caught:
        office.desk.change(number)
    assert caught.value.reason is Reason.CHANGE_NOT_FOUND


async def test_ended_ones_are_bounded_too(office):
    for _ in range(MAX_ENDED + 5):
        change = await office.asked()
        await office.desk.reject(change.number, WAYAN, "")
    assert len(office.records.kept) == len(office.desk.changes(ended=True))
    assert len(office.records.kept) <= MAX_ENDED + 1
    assert office.desk.changes(ended=True)[0].number == MAX_ENDED + 5


async def test_two_who_decide_at_once_are_one_after_the_other(office):
    change = await office.asked()
    answers = await asyncio.gather(
        office.desk.approve(1, MADE, change.hash),
        office.desk.approve(1, KETUT, change.hash),
        office.desk.reject(1, WAYAN, "no"),
        return_exceptions=True,
    )
    assert [isinstance(answer, Fault) for answer in answers] == [False, True, False]
    assert office.desk.change(1).state is ChangeState.REJECTED


async def test_of_many_runs_at_once_there_is_one(office):
    await office.approved()
    answers = await asyncio.gather(
        *(office.desk.run_change(1, WAYAN, {}) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, Fault) for answer in answers) == 4
    assert len(office.policy.runs) == 1
