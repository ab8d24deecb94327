"""Whose yes counts, to what, and for how long."""

import asyncio

from office_fakes import KETUT, MADE, WAYAN, WAYAN_TOO, secrets
from store_fakes import refused

from segeld.model.faults import Fault, Reason
from segeld.office.actions import ApplyPolicy, UnblockPin
from segeld.office.changes import ChangeState, Person


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
