"""The disk fails while a policy is put in force, or somebody is shut out: whoever is told no finds nothing changed."""

import apsw
import pytest
from flaky_disk import FlakyDisk
from store_fakes import COMMITMENTS

from segeld.jobqueue.sqlite import SqliteStore
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.office.policy_desk import PolicyDesk

OFFICERS = "".join(f'[[officers]]\nname = "{name}"\nsans = ["email:{name}"]\n' for name in ("siti", "rahmat"))
CALLER = '[[callers]]\nname = "one"\nsans = ["dns:one"]\nweight = 2\n'
POLICY, NARROWER = CALLER + OFFICERS, CALLER.replace("weight = 2", "weight = 1") + OFFICERS
SITI = Principal("siti", Role.OFFICER, "email:siti")
ERRORS = {apsw.FullError: Reason.STORAGE_FULL, apsw.IOError: Reason.STORAGE_UNAVAILABLE}


@pytest.fixture
def disk(request):
    disk = FlakyDisk(request.node.name)
    yield disk
    disk.heal()
    disk.unregister()


async def opened(path, disk, file) -> tuple[SqliteStore, PolicyDesk]:
    store = await SqliteStore.open(path, COMMITMENTS, vfs=disk.name)
    desk = PolicyDesk(file)
    await desk.load(store)
    await desk.begin()
    return store, desk


async def narrow(desk: PolicyDesk) -> None:
    kept = desk.document()
    await desk.apply(NARROWER, kept.hash, kept.number, "siti")


async def shut_out(desk: PolicyDesk) -> None:
    await desk.shut_out.revoke("one", SITI, "stolen")


async def let_in(desk: PolicyDesk) -> None:
    await desk.shut_out.unrevoke("one", desk.shut_out.require_revoked("one").stamp, "siti", "rahmat")


def seen(desk: PolicyDesk) -> tuple[object, ...]:
    return desk.current().weight("one"), desk.document().number, desk.shut_out.is_revoked("one")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("act", [narrow, shut_out, let_in])
async def test_wherever_the_disk_fails_it_is_done_or_refused_and_can_be_repeated(tmp_path, disk, act, error):
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    operation, refused = 0, 0
    while True:
        operation += 1
        path = tmp_path / f"{operation}.db"
        store, desk = await opened(path, disk, file)
        if act is let_in:
            await shut_out(desk)
        told: list[tuple[object, ...]] = []
        desk.changed.append(lambda desk=desk, told=told: told.append(seen(desk)))
        before, leaves = seen(desk), await store.leaf_count()
        disk.fail_at(operation, error, lasting=True)
        fault = None
        try:
            await act(desk)
        except Fault as caught:
            fault = caught
        if fault is not None:
            refused += 1
            assert fault.reason is ERRORS[error]
            assert ("NOT shut out" in fault.text) == (act is shut_out)
            assert (seen(desk), told) == (before, [])
            disk.heal()
            assert await store.leaf_count() == leaves
            await act(desk)
        reached = disk.operations >= operation
        disk.heal()
        after = seen(desk)
        assert (after != before, told) == (True, [after])
        assert await store.leaf_count() == leaves + 1
        await store.aclose()
        store, again = await opened(path, disk, file)
        assert seen(again) == after
        await store.aclose()
        if not reached:
            break
    assert refused
