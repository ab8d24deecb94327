"""What a policy would change, read to its end: nothing that is to be approved is kept from anybody."""

import pytest
from office_fakes import FakeRecords

from segel import _convert_policy
from segel.v1 import policy_admin_pb2 as wire
from segeld.model.faults import Fault, Reason
from segeld.office.policy_desk import PolicyDesk
from segeld.rpc import policy_pages
from segeld.rpc.policy_admin import PolicyAdmin

OFFICERS = "".join(f'[[officers]]\nname = "{name}"\nsans = ["email:{name}"]\n' for name in ("siti", "rahmat"))
MANY = "".join(f'[[callers]]\nname = "c{number}"\nsans = ["dns:c{number}"]\n' for number in range(2500))


class NoKeys:
    def keys(self):
        return ()


@pytest.fixture
async def desk(tmp_path) -> PolicyDesk:
    file = tmp_path / "policy.toml"
    file.write_text(OFFICERS)
    desk = PolicyDesk(file)
    await desk.load(FakeRecords())
    await desk.begin()
    return desk


@pytest.fixture
def check(desk):
    admin = PolicyAdmin(desk, None, NoKeys(), len, lambda key: None)

    async def check(toml=OFFICERS + MANY, **page) -> wire.CheckPolicyResponse:
        return await admin.CheckPolicy(wire.CheckPolicyRequest(toml=toml, **page), None)

    return check


@pytest.mark.parametrize(("size", "pages"), [(0, 3), (900, 3), (2499, 3), (5000, 3), (1, 2500)])
async def test_all_differences_come_in_pages_and_each_once(desk, check, size, pages):
    found = [await check(page_size=size)]
    while found[-1].next_page_token:
        found.append(await check(page_size=size, page_token=found[-1].next_page_token))
    assert len(found) == pages
    whole = _convert_policy.check(found)
    assert sorted(each.text for each in whole.differences) == sorted(
        f"new caller c{number}: dns:c{number}" for number in range(2500)
    )
    assert whole.needs_approval
    assert whole.base == desk.document().hash


async def test_a_page_holds_so_many_octets_and_at_least_one_difference(check, monkeypatch):
    monkeypatch.setattr(policy_pages, "MAX_OCTETS", 10)
    first = await check()
    assert len(first.differences) == 1
    second = await check(page_token=first.next_page_token)
    assert second.differences[0] != first.differences[0]


async def test_more_problems_than_anybody_mends_at_once_are_counted(check):
    found = await check("".join(f"x{number} = 1\n" for number in range(1203)))
    assert len(found.problems) == policy_pages.MAX + 1
    assert found.problems[-1] == "… and 203 more"


async def test_a_page_of_another_file_or_beside_another_policy_is_refused(desk, check):
    token = (await check()).next_page_token
    for wrong in ("x", token[:-4]):
        with pytest.raises(Fault) as caught:
            await check(page_token=wrong)
        assert caught.value.reason is Reason.FIELD_INVALID
    with pytest.raises(Fault):
        await check(toml=OFFICERS + MANY + "# a word", page_token=token)
    with pytest.raises(Fault):
        await check(page_size=-1)
    kept = desk.document()
    await desk.apply(OFFICERS + "# a word", kept.hash, kept.number, "siti")
    with pytest.raises(Fault, match="Look again") as caught:
        await check(page_token=token)
    assert caught.value.reason is Reason.CHANGE_STATE


async def test_what_is_no_fault_and_gives_nobody_more_is_noted(desk, check):
    with_two = OFFICERS + MANY[: MANY.index("[[callers]]", 5)]
    kept = desk.document()
    await desk.apply(with_two, kept.hash, kept.number, "siti", "rahmat")
    (note,) = (await check(OFFICERS)).warnings
    assert note.startswith("dns:c0: nobody's from now on.")
    officer = desk.current().principal(["email:siti"])
    await desk.shut_out.revoke("c0", officer, "stolen")
    (note,) = (await check(with_two.replace('name = "c0"', 'name = "other"'))).warnings
    assert "dns:c0: was shut out with c0, and stays so as other" in note
    assert (await check(with_two)).warnings == []
