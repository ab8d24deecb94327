"""Disabling keys, enabling them again, destroying them."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from key_bench import CA, NAME, SEAL, A, KeyBench

from segeld.model.faults import Fault, Reason
from segeld.office.act_key import DestroyingKey, EnablingKey
from segeld.office.actions import DestroyKey, EnableKey
from segeld.office.executor import Partly
from segeld.office.outdated import outdated
from segeld.supervisor.ceremonies import DestroyedHalf

PEM = b"".join(each.public_bytes(Encoding.PEM) for each in (SEAL, CA.certificate))


async def test_disabled_is_disabled_after_a_restart_and_until_it_is_enabled(bench):
    assert bench.barred() is None
    await bench.desk.withdrawal.disable(NAME, "wayan", "lost")
    await bench.restart()
    assert bench.barred() is Reason.KEY_DISABLED
    enabling = EnablingKey(bench.desk.withdrawal)
    assert "by wayan: lost" in (await enabling.describe(EnableKey(str(NAME)))).summary[1]
    await enabling.run((await enabling.describe(EnableKey(str(NAME)))).action, "wayan", {}, "made")
    assert bench.barred() is None
    assert bench.records.leaves[-1].facts == {"approved_by": "made"}
    with pytest.raises(Fault) as refused:
        await enabling.describe(EnableKey(str(NAME)))
    assert refused.value.reason is Reason.CHANGE_STATE


async def test_an_approval_is_for_one_disabling(bench):
    withdrawal = bench.desk.withdrawal
    enabling = EnablingKey(withdrawal)
    await withdrawal.disable(NAME, "wayan", "lost")
    first = (await enabling.describe(EnableKey(str(NAME)))).action
    assert outdated(None, withdrawal, first) == ""
    await enabling.run(first, "wayan", {}, "made")
    assert outdated(None, withdrawal, first) == f"{NAME} is not disabled any more."
    bench.now += 60
    await withdrawal.disable(NAME, "ketut", "lost again")
    assert outdated(None, withdrawal, first) == f"{NAME} was disabled again since, by ketut: lost again"
    for again in (enabling.describe(first), enabling.run(first, "wayan", {}, "made")):
        with pytest.raises(Fault, match="disabled again since") as refused:
            await again
        assert refused.value.reason is Reason.CHANGE_STATE
    assert bench.barred() is Reason.KEY_DISABLED


async def test_nothing_is_disabled_that_could_not_be_written_down(bench):
    bench.records.broken = True
    with pytest.raises(Fault, match="is NOT disabled, as that cannot be recorded"):
        await bench.desk.withdrawal.disable(NAME, "wayan", "lost")
    assert bench.barred() is None


async def test_thirty_days_lie_between_disabling_and_destroying(bench):
    destroying, action = DestroyingKey(bench.desk.withdrawal), DestroyKey(str(NAME))
    with pytest.raises(Fault, match="not disabled"):
        await destroying.describe(action)
    await bench.desk.withdrawal.disable(NAME, "wayan", "lost")
    begun = bench.now
    for days, left in ((0, "30 days"), (1, "29 days"), (29.99, "1 day")):
        bench.now = begun + days * 86_400 + 1
        with pytest.raises(Fault, match=rf"in {left}\."):
            await destroying.run(action, "wayan", {}, "made")
    assert bench.tokens.there
    bench.now = begun + 30 * 86_400
    assert "for ever" in (await destroying.describe(action)).summary[0]
    await destroying.run(action, "wayan", {}, "made")
    assert not bench.tokens.there
    assert bench.acts() == ["key disabled", "key destruction begun", "key destroyed"]
    assert bench.records.leaves[-1].facts == {"tokens": "tokens/a, tokens/b", "approved_by": "made"}


@pytest.fixture
async def doomed(bench) -> KeyBench:
    await bench.desk.withdrawal.disable(NAME, "wayan", "lost")
    bench.now += 31 * 86_400
    return bench


async def test_a_change_of_a_key_that_is_on_no_token_any_more_is_outdated(doomed):
    stamp = doomed.desk.withdrawal.require_disabled(NAME).stamp
    assert doomed.desk.withdrawal.outdated(NAME, stamp) == ""
    doomed.tokens.there = False
    assert doomed.desk.withdrawal.outdated(NAME, stamp) == f"No token that was seen holds {NAME}."


async def destroy(bench) -> None:
    await DestroyingKey(bench.desk.withdrawal).run(DestroyKey(str(NAME)), "wayan", {}, "made")


async def test_destroyed_on_one_token_is_not_nothing(doomed):
    doomed.tokens.fails = DestroyedHalf(Fault(Reason.DEVICE_ERROR, "b: the device did not answer."), (A,))
    with pytest.raises(Partly) as partly:
        await destroy(doomed)
    assert "gone from tokens/a" in partly.value.fault.text
    assert "b: the device did not answer." in partly.value.fault.text
    assert doomed.acts()[-1] == "key destroyed in part"
    assert doomed.barred() is Reason.KEY_DISABLED
    doomed.tokens.fails = None
    await destroy(doomed)
    assert not doomed.tokens.there


async def test_destroyed_nowhere_can_be_run_again(doomed):
    doomed.tokens.fails = Fault(Reason.TOKEN_NOT_ACTIVE, "a waits for its PIN.")
    with pytest.raises(Fault):
        await destroy(doomed)
    assert doomed.tokens.there


async def test_destroyed_and_not_written_down_is_said_as_such(doomed):
    gone = doomed.tokens.destroy_key

    async def breaks(key):
        doomed.records.broken = True
        return await gone(key)

    doomed.tokens.destroy_key = breaks
    with pytest.raises(Partly) as partly:
        await destroy(doomed)
    assert partly.value.fault.reason is Reason.STORAGE_UNAVAILABLE
    assert f"ask again: segelctl key destroy {NAME}" in partly.value.fault.text


async def gone_unrecorded(bench) -> None:
    """Its destruction could not be written down; then the daemon is started again."""
    gone = bench.tokens.destroy_key

    async def breaks(key):
        bench.records.broken = True
        return await gone(key)

    bench.tokens.destroy_key = breaks
    with pytest.raises(Partly):
        await destroy(bench)
    bench.records.broken = False
    await bench.restart()


async def test_asked_again_a_destruction_that_was_not_written_down_is_recorded(doomed):
    await gone_unrecorded(doomed)
    for ask in (doomed.desk.standing.require, doomed.desk.withdrawal.require_disabled):
        with pytest.raises(Fault, match="wayan began its destruction") as told:
            ask(NAME)
        assert f"To have it recorded: segelctl key destroy {NAME}" in told.value.text
    destroying, action = DestroyingKey(doomed.desk.withdrawal), DestroyKey(str(NAME))
    described = await destroying.describe(action)
    assert "is gone from tokens/a, tokens/b, for ever: wayan began its destruction" in described.summary[0]
    assert not described.needs_approval
    assert doomed.acts()[-1] == "key destruction begun"  # describing changes nothing
    await destroying.run(action, "made", {})
    leaf = doomed.records.leaves[-1]
    assert (leaf.what, leaf.who) == ("key destroyed", "made")
    assert leaf.facts == {"tokens": "tokens/a, tokens/b", "begun_by": "wayan"}
    await doomed.restart()
    for ask in (destroying.describe(action), destroying.run(action, "made", {})):
        with pytest.raises(Fault, match="was destroyed by wayan on 2") as told:
            await ask
        assert told.value.reason is Reason.KEY_NOT_FOUND
    assert doomed.acts().count("key destroyed") == 1


async def test_while_it_cannot_be_recorded_still_it_can_be_asked_for_again(doomed):
    await gone_unrecorded(doomed)
    destroying, action = DestroyingKey(doomed.desk.withdrawal), DestroyKey(str(NAME))
    doomed.records.broken = True
    with pytest.raises(Fault) as told:
        await destroying.run(action, "made", {})
    assert told.value.reason is Reason.STORAGE_UNAVAILABLE
    doomed.records.broken = False
    await destroying.run(action, "made", {})
    assert doomed.acts()[-1] == "key destroyed"


async def test_a_key_that_was_not_destroyed_and_is_away_later_was_not_destroyed(doomed):
    doomed.tokens.fails = Fault(Reason.TOKEN_NOT_ACTIVE, "a waits for its PIN.")
    with pytest.raises(Fault):
        await destroy(doomed)
    assert doomed.records.leaves[-1].what == "key not destroyed"
    assert doomed.records.leaves[-1].facts == {"reason": "TOKEN_NOT_ACTIVE"}
    doomed.tokens.there = False
    await doomed.restart()
    with pytest.raises(Fault, match="No token that was seen holds"):
        await DestroyingKey(doomed.desk.withdrawal).describe(DestroyKey(str(NAME)))


async def test_its_certificate_that_cannot_be_removed_is_removed_when_it_is_asked_again(doomed):
    doomed.tokens.full = True
    desk = doomed.desk.certificates
    await desk.take(desk.examine(PEM, NAME), "wayan")
    (path,) = doomed.folder.rglob("*.pem")
    path.unlink()
    path.mkdir()  # as a disk that does not let go of it
    with pytest.raises(Partly, match="cannot be removed"):
        await destroy(doomed)
    path.rmdir()
    await destroy(doomed)
    assert doomed.acts()[-1] == "key destroyed"
    assert doomed.desk.standing.chain(NAME, ()) == ()
