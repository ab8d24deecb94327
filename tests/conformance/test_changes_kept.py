"""Changes in a real database: each step with its leaf, and there again after a restart."""

import asyncio

import msgspec
from office_fakes import FakeExecutor

from segeld.audit import leaf
from segeld.office.actions import ApplyPolicy
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import ChangeState, Person
from segeld.office.conditions import JobConditions
from segeld.office.notices import Kind

WAYAN, MADE = Person("wayan", "uri:wayan"), Person("made", "uri:made")


def desk_on(store, executor) -> ChangeDesk:
    return ChangeDesk(store, {ApplyPolicy: executor}, two_person=lambda: True, standing=lambda _: "1")


async def acts(store) -> list[tuple[str, str, str]]:
    found = map(leaf.decode, await store.leaves(0, 100))
    return [(each.what, each.who, each.subject) for each in found if isinstance(each, leaf.Act)]


async def test_a_change_outlives_restarts_step_by_step(store, reopen):
    executor = FakeExecutor()
    asked = await desk_on(store, executor).propose(ApplyPolicy("weight = 1"), WAYAN)
    store = await reopen()
    desk = desk_on(store, executor)
    await desk.start()
    assert desk.change(1) == asked
    approved = await desk.approve(1, MADE, asked.hash)
    store = await reopen()
    desk = desk_on(store, executor)
    await desk.start()
    assert desk.change(1) == approved
    done = await desk.run_change(1, WAYAN, {})
    store = await reopen()
    desk = desk_on(store, executor)
    await desk.start()
    assert desk.change(1) == done
    assert await acts(store) == [
        ("change asked", "wayan", "changes/1"),
        ("change approved", "made", "changes/1"),
        ("change begun", "wayan", "changes/1"),
        ("change done", "wayan", "changes/1"),
    ]


async def test_one_that_was_being_run_at_a_crash_is_still_running(store, reopen):
    executor = FakeExecutor(needs_approval=False, hold=asyncio.Event())
    desk = desk_on(store, executor)
    await desk.propose(ApplyPolicy("weight = 1"), WAYAN)
    running = asyncio.create_task(desk.run_change(1, WAYAN, {}))
    await executor.begun.wait()
    kept = await store.records("change/")
    store = await reopen()
    assert await store.records("change/") == kept
    desk = desk_on(store, executor)
    await desk.start()
    assert desk.change(1).state is ChangeState.RUNNING
    assert "may have been run" in desk.next_step(desk.change(1))
    assert msgspec.msgpack.decode(kept["change/1"])["state"] == "RUNNING"
    assert (await desk.reject(1, MADE, "looked")).state is ChangeState.REJECTED
    executor.hold.set()  # the old desk finds its database closed
    assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], Exception)


async def test_held_jobs_are_told_of_and_no_others(store):
    await store.sealed(3, "queued")
    held = await store.sealed(3, "held", approval=True, caller="other")
    (condition,) = await JobConditions(store)()
    assert (condition.kind, condition.subject) == (Kind.JOB, str(held.name))
    assert "of other waits for an approver" in condition.text
