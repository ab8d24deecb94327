"""Officers who go away while their act is being written: it stands in the log, so it holds."""

import asyncio
import contextlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from given_up import MOMENTS, GivenUp
from key_bench import CA, KEY, NAME, PLACES, KeyBench
from office_fakes import MADE, WAYAN
from store_fakes import COMMITMENTS, hold

from segeld.jobqueue.sqlite import FILE, SqliteStore
from segeld.model.activation import Limits
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Remembered
from segeld.model.principal import Principal, Role
from segeld.model.quarantine import Quarantine
from segeld.office.act_log import ADOPTION, Adoption
from segeld.office.actions import AdoptLog, ApplyPolicy
from segeld.office.policy_desk import PolicyDesk
from segeld.office.token_records import TokenRecords
from segeld.office.whole import whole

POLICY = """
[[callers]]
name = "one"
sans = ["dns:one"]
weight = 2
[[officers]]
name = "siti"
sans = ["email:siti"]
[[officers]]
name = "rahmat"
sans = ["email:rahmat"]
"""
SITI = Principal("siti", Role.OFFICER, "email:siti")
PRINT = "sha256-" + "ab" * 32
A = PLACES[0][0]
each_moment = pytest.mark.parametrize("moment", MOMENTS)


# --- who is shut out, and the policy


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


async def policy_of(file, records):
    desk = PolicyDesk(file, clock=lambda: 1000.0)
    await desk.load(records)
    await desk.begin()
    told = asyncio.Event()
    desk.changed.append(told.set)
    return desk, told


def shut_out(desk):
    revocations = desk.shut_out.revocations
    return revocations.names, revocations.certificates, revocations.let_in(b"\xab" * 32), desk.document()


@each_moment
@pytest.mark.parametrize("subject", ["one", PRINT])
async def test_whoever_was_shut_out_is_shut_out(file, subject, moment):
    records = GivenUp()
    desk, told = await policy_of(file, records)
    await records.cancelled(desk.shut_out.revoke(subject, SITI, "stolen"), moment)
    assert records.acts(subject) == [("caller revoked", "siti")]
    assert told.is_set()
    assert desk.shut_out.revocations.of(subject) is not None
    assert shut_out(desk) == shut_out((await policy_of(file, records))[0])


@each_moment
@pytest.mark.parametrize("subject", ["one", PRINT])
async def test_whoever_was_let_in_is_let_in(file, subject, moment):
    records = GivenUp()
    desk, told = await policy_of(file, records)
    await desk.shut_out.revoke(subject, SITI, "stolen")
    stamp = desk.shut_out.require_revoked(subject).stamp
    told.clear()
    await records.cancelled(desk.shut_out.unrevoke(subject, stamp, "siti", "rahmat"), moment)
    assert told.is_set()
    assert desk.shut_out.revocations.of(subject) is None
    assert shut_out(desk) == shut_out((await policy_of(file, records))[0])


@each_moment
async def test_a_policy_that_was_put_in_force_is_in_force(file, moment):
    records = GivenUp()
    desk, told = await policy_of(file, records)
    kept = desk.document()
    after = POLICY.replace("weight = 2", "weight = 9")
    await records.cancelled(desk.apply(after, kept.hash, kept.number, "siti", "rahmat"), moment)
    assert told.is_set()
    assert desk.current().weight("one") == 9
    assert desk.document() == (await policy_of(file, records))[0].document()
    with pytest.raises(Fault) as refused:
        await desk.apply(POLICY, kept.hash, kept.number, "siti", "rahmat")
    assert refused.value.reason is Reason.CHANGE_STATE


async def test_in_the_real_store_too(file):
    store = await SqliteStore.open(file.parent / FILE, COMMITMENTS)
    desk, told = await policy_of(file, store)
    release = await hold(store)
    revoking = asyncio.ensure_future(desk.shut_out.revoke("one", SITI, "stolen"))
    await asyncio.sleep(0)
    revoking.cancel()
    again = asyncio.ensure_future(desk.shut_out.revoke(PRINT, SITI, "stolen as well"))
    release()
    await asyncio.wait([revoking])
    assert revoking.cancelled()
    assert told.is_set()
    assert desk.shut_out.is_revoked("one")
    await again
    assert shut_out(desk) == shut_out((await policy_of(file, store))[0])
    await store.aclose()


# --- keys


@pytest.fixture
async def keys(tmp_path):
    bench = KeyBench(tmp_path)
    bench.records = GivenUp()
    await bench.restart()
    return bench


async def as_recorded(bench):
    """What is in memory; it must be what a restart finds."""
    seen = bench.desk.standing.note(NAME), bench.barred(), bench.desk.standing.chain(NAME, ())
    assert bench.tokens.reviewed.is_set()
    await bench.restart()
    assert seen == (bench.desk.standing.note(NAME), bench.barred(), bench.desk.standing.chain(NAME, ()))


@each_moment
async def test_a_key_that_was_disabled_signs_no_more(keys, moment):
    await keys.records.cancelled(keys.desk.withdrawal.disable(NAME, "wayan", "stolen"), moment)
    assert keys.acts() == ["key disabled"]
    assert keys.barred() is Reason.KEY_DISABLED
    with pytest.raises(Fault) as refused:
        await keys.desk.withdrawal.disable(NAME, "made", "as well")
    assert refused.value.reason is Reason.KEY_DISABLED
    await as_recorded(keys)


@each_moment
async def test_a_key_that_was_enabled_signs_again(keys, moment):
    await keys.desk.withdrawal.disable(NAME, "wayan", "stolen")
    stamp = keys.desk.standing.note(NAME).stamp
    keys.tokens.reviewed.clear()
    await keys.records.cancelled(keys.desk.withdrawal.enable(NAME, stamp, "wayan", "made"), moment)
    assert keys.barred() is None
    await as_recorded(keys)


@each_moment
async def test_a_revocation_that_was_heard_of_counts(keys, moment):
    keys.options.revoked = False
    await keys.records.cancelled(keys.desk.standing.heard(keys.record, "revoked"), moment)
    assert keys.barred() is Reason.KEY_CERTIFICATE
    await as_recorded(keys)


@pytest.mark.parametrize("moment", range(2 * len(MOMENTS)))
async def test_a_certificate_is_taken_to_the_end(keys, moment):
    keys.tokens.full = True
    fresh = CA.seal(public_key=KEY).public_bytes(Encoding.PEM)
    taken = keys.desk.certificates.examine(fresh, NAME)
    await keys.records.cancelled(keys.desk.certificates.take(taken, "wayan"), moment)
    assert keys.acts() == ["certificate import begun", "certificate imported"]
    assert keys.desk.standing.chain(NAME, ()) == taken.der
    await as_recorded(keys)


# --- tokens


async def tokens_of(records):
    notes = TokenRecords()
    await notes.load(records)
    return notes


@each_moment
@pytest.mark.parametrize(
    "act",
    [
        lambda notes: notes.isolate(A, Quarantine(5.0, "wayan", "found open")),
        lambda notes: notes.limit(A, "wayan", Limits(seconds=60.0)),
        lambda notes: notes.remember(A, Remembered("serial", "label", ())),
    ],
    ids=["quarantine", "limits", "keys"],
)
async def test_what_was_decided_of_a_token_is_remembered(act, moment):
    def seen(notes):
        return notes.quarantine(A), notes.limited_by(A), dict(notes.remembered())

    records = GivenUp()
    notes = await tokens_of(records)
    before = seen(notes)
    await records.cancelled(act(notes), moment)
    assert seen(notes) != before
    assert seen(notes) == seen(await tokens_of(records))


# --- changes


@pytest.fixture
async def given_up(office):
    office.records = GivenUp()
    await office.restart()
    return office


async def as_kept(office) -> None:
    seen = office.desk.changes(ended=True)
    await office.restart()
    assert seen == office.desk.changes(ended=True)


@each_moment
async def test_a_change_that_was_rejected_is_not_run(given_up, moment):
    change = await given_up.approved()
    given_up.moved.clear()
    await given_up.records.cancelled(given_up.desk.reject(change.number, MADE, "I was fooled"), moment)
    assert given_up.moved.is_set()
    with pytest.raises(Fault) as refused:
        await given_up.desk.run_change(change.number, WAYAN, {})
    assert refused.value.reason is Reason.CHANGE_STATE
    assert not given_up.policy.runs
    await as_kept(given_up)


@each_moment
async def test_a_change_that_was_approved_is_approved(given_up, moment):
    change = await given_up.asked()
    await given_up.records.cancelled(given_up.desk.approve(change.number, MADE, change.hash), moment)
    assert given_up.desk.change(change.number).decided == MADE
    await as_kept(given_up)


@each_moment
async def test_the_next_change_has_a_number_of_its_own(given_up, moment):
    asked = asyncio.ensure_future(given_up.asked())
    first = asyncio.ensure_future(given_up.records.cancelled(asked, moment))
    await asyncio.sleep(0)
    change = await given_up.asked(ApplyPolicy("weight = 2"))  # it waits for the one that was given up
    await first
    assert [each.number for each in given_up.desk.changes(ended=True)] == [2, 1]
    assert change.action == ApplyPolicy("weight = 2")
    await as_kept(given_up)


# --- the log


@each_moment
async def test_a_log_that_was_adopted_is_adopted(moment):
    records, told = GivenUp(), []
    records.kept[ADOPTION] = b"segel.example/log/before"
    adoption = Adoption(records, "segel.example/log/now", told.append)
    await adoption.load()
    await records.cancelled(adoption.run(AdoptLog(), "wayan", {}, "made"), moment)
    assert told[-1] is None
    assert adoption.refusal() is None
    assert ADOPTION not in records.kept


# --- the step itself


async def test_a_step_gives_and_raises_what_it_did():
    @whole
    async def divided(by: int) -> float:
        await asyncio.sleep(0)
        return 6 / by

    assert await divided(2) == 3
    with pytest.raises(ZeroDivisionError):
        await divided(0)


async def test_a_failure_that_nobody_waits_for_is_logged(events):
    going = asyncio.Event()

    @whole
    async def failing() -> None:
        await going.wait()
        raise Fault(Reason.STORAGE_FULL, "The disk is full.")

    waiting = asyncio.ensure_future(failing())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    waiting.cancel()  # however often
    assert not waiting.done()
    going.set()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
    (event,) = events
    assert event["why"] == "The disk is full."
