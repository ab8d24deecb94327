"""What is done with jobs as a whole: list, cancel, decide, delete, expire, remove."""

import time

import pytest
from store_fakes import DAY, FAILED, HOUR, claim, items, part, refused, signature, spec

from segeld.audit.leaf import Act, decode
from segeld.jobqueue.store import NotBegun, Unknown
from segeld.model.faults import Reason
from segeld.model.job import Failure, Items, JobFilter, Signature
from segeld.model.job_state import JobState
from segeld.model.names import JobName, KeyName


async def acts(store) -> list[Act]:
    leaves = [decode(data) for data in await store.leaves(0, 1000)]
    return [leaf for leaf in leaves if isinstance(leaf, Act)]


async def test_jobs_are_listed_the_newest_first_and_page_by_page(store):
    made = [await store.sealed(1, f"r{number}") for number in range(5)]
    page = await store.jobs("office", JobFilter(), before=None, limit=3)
    assert [job.name for job in page] == [job.name for job in reversed(made[2:])]
    rest = await store.jobs("office", JobFilter(), before=page[-1].id, limit=3)
    assert [job.name for job in rest] == [made[1].name, made[0].name]
    assert await store.jobs("other", JobFilter(), before=None, limit=3) == ()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (JobFilter(states=frozenset({JobState.OPEN})), ["open"]),
        (
            JobFilter(states=frozenset({JobState.OPEN, JobState.QUEUED})),
            ["plain", "other-key", "labelled", "open"],
        ),
        (JobFilter(key=KeyName(b"x" * 32)), ["other-key"]),
        (JobFilter(labels=(("month", "november"),)), ["labelled"]),
        (JobFilter(labels=(("month", "november"), ("office", "2"))), []),
        (JobFilter(request_id="plain"), ["plain"]),
    ],
)
async def test_jobs_are_listed_by_what_they_are(store, wanted, found):
    kind = spec().kind
    await store.create_job(spec("open"), Items(), seal=False)
    await store.sealed(1, "labelled", labels=(("month", "november"), ("office", "1")))
    await store.sealed(1, "other-key", kind=type(kind)(KeyName(b"x" * 32), kind.algorithm, kind.encoding))
    await store.sealed(1, "plain")
    jobs = await store.jobs("office", wanted, before=None, limit=10)
    assert [job.spec.request_id for job in jobs] == found


@pytest.mark.parametrize("sift", [JobFilter(), JobFilter(labels=(("odd", "1"),))])
async def test_pages_lead_to_each_other_until_none_is_left(store, sift):
    made = [await store.sealed(1, f"r{number}", labels=(("odd", str(number % 2)),)) for number in range(8)]
    wanted = [job.name for job in reversed(made) if not sift.labels or job.spec.labels == sift.labels]
    found, before = [], None
    while found == [] or before is not None:
        page = await store.jobs_page("office", sift, before=before, limit=2)
        found += [job.name for job in page.jobs]
        before = page.next
    assert (found, len(page.jobs)) == (wanted, 2)


async def test_a_page_of_a_request_id_is_the_last(store):
    job = await store.sealed(1, "wanted")
    await store.sealed(1, "other")
    page = await store.jobs_page("office", JobFilter(request_id="wanted"), before=None, limit=1)
    assert ([found.name for found in page.jobs], page.next) == ([job.name], None)


async def test_usage_counts_jobs_that_have_not_ended_and_items_of_all_that_are_kept(store):
    await store.sealed(3, "a")
    await store.create_job(spec("b"), items(4), seal=False)
    ended = await store.sealed(5, "c")
    await store.cancel_job("office", ended.name, "office")
    assert await store.usage("office") == (2, 12)
    assert await store.usage("other") == (0, 0)
    await store.delete_job("office", ended.name)
    assert await store.usage("office") == (2, 7)


async def test_items_that_have_no_outcome_are_counted_over_all_callers(store):
    assert await store.items_unsigned() == 0
    await store.create_job(spec("open"), items(4), seal=False)
    await store.sealed(30, "held", approval=True, caller="other")
    job = await store.sealed(500, "queued")
    assert await store.items_unsigned() == 534
    await store.bring(await store.take(job, 0, 3), signature(0), FAILED, Unknown())
    assert await store.items_unsigned() == 532
    held = await store.take(job, 2, 1)
    await store.cancel_job("office", job.name, "office")
    assert await store.items_unsigned() == 532  # a token has one still
    await store.bring(held, NotBegun())
    assert await store.items_unsigned() == 34


@pytest.mark.parametrize("approval", [False, True])
async def test_a_job_that_waits_is_cancelled_at_once(store, approval):
    job = await store.sealed(3, approval=approval)
    cancelled = await store.cancel_job("office", job.name, "officer-a")
    assert cancelled.state is JobState.CANCELLED
    assert cancelled.ended is not None
    assert cancelled.expires == pytest.approx(cancelled.ended + cancelled.spec.retention)
    assert await store.cancel_job("office", job.name, "office") == cancelled


async def test_a_job_that_a_token_holds_ends_when_the_token_is_done(store):
    job = await store.sealed(3)
    claim, other = await store.take(job, 0, 1), await store.take(job, 1, 1)
    assert (await store.cancel_job("office", job.name, "office")).state is JobState.ENDING
    assert (await store.cancel_job("office", job.name, "office")).state is JobState.ENDING
    (now,) = (await store.bring(claim, signature(0))).jobs
    assert now.state is JobState.ENDING
    (now,) = (await store.bring(other, Unknown())).jobs
    assert (now.state, now.signed, now.failed) == (JobState.CANCELLED, 1, 0)
    first, *rest = await store.all_results(job)
    assert isinstance(first, Signature)
    assert [outcome.reason for outcome in rest] == [Reason.CANCELLED] * 2


async def test_a_job_that_ended_cannot_be_cancelled(store):
    job = await store.sealed(1)
    await store.sign(job, 0, 1)
    await refused(store.cancel_job("office", job.name, "office"), Reason.JOB_STATE)


async def test_who_cancelled_is_in_the_log_once(store):
    job = await store.sealed(3)
    await store.cancel_job("office", job.name, "officer-a")
    await store.cancel_job("office", job.name, "officer-b")
    (act,) = await acts(store)
    assert (act.what, act.who, act.subject) == ("job cancelled", "officer-a", str(job.name))
    assert act.facts["items"] == "3"


async def test_an_approved_job_is_queued(store):
    job = await store.sealed(3, approval=True)
    approved = await store.decide_job(job.name, "head", job.items_hash, "")
    assert approved.state is JobState.QUEUED
    assert [(act.what, act.who) for act in await acts(store)] == [("job approved", "head")]
    assert (approved.decided_by, approved.decided) == ("head", pytest.approx(time.time(), abs=60))


@pytest.mark.parametrize("yes", [True, False])
async def test_an_answer_that_was_lost_is_given_again_and_decided_once(store, yes):
    job = await store.sealed(3, approval=True)
    decided = await store.decide_job(job.name, "head", job.items_hash if yes else None, "no")
    assert await store.decide_job(job.name, "head", job.items_hash if yes else None, "no") == decided
    assert len(await acts(store)) == 1
    await refused(store.decide_job(job.name, "head", None if yes else job.items_hash, ""), Reason.JOB_STATE)
    await refused(store.decide_job(job.name, "deputy", job.items_hash if yes else None, ""), Reason.JOB_STATE)


async def test_approval_is_of_exactly_these_items(store):
    job = await store.sealed(3, approval=True)
    await refused(store.decide_job(job.name, "head", bytes(32), ""), Reason.ITEMS_CHANGED)
    assert (await store.job("office", job.name)).state is JobState.HELD


async def test_a_rejected_job_has_ended_and_has_no_results(store):
    job = await store.sealed(3, approval=True)
    rejected = await store.decide_job(job.name, "head", None, "Wrong month.")
    assert (rejected.state, rejected.reason) == (JobState.REJECTED, "Wrong month.")
    assert [(act.what, act.who) for act in await acts(store)] == [("job rejected", "head")]
    await refused(store.results("office", job.name, 0), Reason.JOB_STATE)


async def test_only_held_jobs_are_decided(store):
    job = await store.sealed(1)
    await refused(store.decide_job(job.name, "head", job.items_hash, ""), Reason.JOB_STATE)
    await refused(store.decide_job(JobName.new(), "head", None, ""), Reason.JOB_NOT_FOUND)


async def test_a_deleted_job_is_gone_with_its_request_id(store):
    job = await store.sealed(300)
    await refused(store.delete_job("office", job.name), Reason.JOB_STATE)
    await store.cancel_job("office", job.name, "office")
    await store.delete_job("office", job.name)
    await refused(store.job("office", job.name), Reason.JOB_NOT_FOUND)
    await refused(store.create_job(spec(), items(300), seal=True), Reason.IDEMPOTENCY_MISMATCH)
    await store.tidy(time.time())
    assert await store.jobs("office", JobFilter(), before=None, limit=9) == ()


async def test_an_open_job_can_be_deleted(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await store.delete_job("office", job.name)
    await refused(store.job("office", job.name), Reason.JOB_NOT_FOUND)


async def test_a_jobs_id_is_never_used_again(store, reopen):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await store.delete_job("office", job.name)
    store = await reopen()
    again, _ = await store.create_job(spec("again"), items(3), seal=False)
    assert again.id > job.id


@pytest.mark.parametrize("approval", [False, True])
async def test_jobs_past_their_deadline_expire(store, approval):
    job = await store.sealed(3, approval=approval)
    before = job.spec.deadline - 1
    assert (await store.tidy(before)).ended == ()
    (ended,) = (await store.tidy(job.spec.deadline)).ended
    assert (ended.name, ended.state) == (job.name, JobState.EXPIRED)
    assert [outcome.reason for outcome in await store.all_results(job)] == [Reason.DEADLINE_PASSED] * 3
    assert [(act.what, act.who) for act in await acts(store)] == [("job expired", "")]


async def test_a_job_that_a_token_holds_expires_when_the_token_is_done(store):
    job = await store.sealed(2)
    claim = await store.take(job, 0, 1)
    (ending,) = (await store.tidy(job.spec.deadline)).ended
    assert ending.state is JobState.ENDING
    assert (await store.tidy(job.spec.deadline)).ended == ()
    (now,) = (await store.bring(claim, NotBegun())).jobs
    assert now.state is JobState.EXPIRED


async def test_a_job_that_is_never_sealed_expires(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    (ended,) = (await store.tidy(time.time() + 25 * HOUR)).ended
    assert (ended.name, ended.state) == (job.name, JobState.EXPIRED)


async def test_a_job_is_removed_when_its_time_is_over(store):
    job = await store.sealed(3, retention=10 * DAY)
    await store.sign(job, 0, 3)
    ended = (await store.job("office", job.name)).ended
    assert (await store.tidy(ended + 6 * DAY)).unread == ()
    soon = await store.tidy(ended + 8 * DAY)
    assert ([unread.name for unread in soon.unread], soon.removed) == ([job.name], ())
    removed = await store.tidy(ended + 11 * DAY)
    assert [gone.name for gone in removed.removed] == [job.name]
    await refused(store.job("office", job.name), Reason.JOB_NOT_FOUND)
    await refused(store.create_job(spec(), items(3), seal=True), Reason.IDEMPOTENCY_MISMATCH)
    await store.tidy(ended + 11 * DAY + 8 * DAY)
    assert (await store.create_job(spec(), items(3), seal=True))[1]


async def test_results_that_were_read_are_no_warning(store):
    job = await store.sealed(3, retention=DAY)
    await store.sign(job, 0, 3)
    await store.note_read("office", job.name, 3)
    assert (await store.tidy(time.time())).unread == ()


async def test_how_far_results_were_read_never_goes_back(store):
    job = await store.sealed(3)
    for offset, read in ((2, 2), (1, 2), (99, 3)):
        await store.note_read("office", job.name, offset)
        assert (await store.job("office", job.name)).read == read


async def test_results_come_by_blocks_up_to_the_first_item_that_has_none(store):
    job = await store.sealed(600)
    assert (await store.results("office", job.name, 0)).outcomes == ()
    await store.sign(job, 0, 256)
    await store.sign(job, 256, 10)
    await store.sign(job, 300, 20)
    assert len((await store.results("office", job.name, 5)).outcomes) == 251
    assert len((await store.results("office", job.name, 256)).outcomes) == 10
    assert (await store.results("office", job.name, 266)).outcomes == ()
    assert len((await store.results("office", job.name, 310)).outcomes) == 10
    assert (await store.results("office", job.name, 600)).outcomes == ()
    await refused(store.results("office", job.name, 601), Reason.OFFSET_OUT_OF_RANGE)


async def test_results_carry_the_items_ids(store):
    job, _ = await store.create_job(spec(), items(3, ids=True), seal=True)
    await store.sign(job, 0, 3)
    assert (await store.results("office", job.name, 1)).ids == ("letter-1", "letter-2")


@pytest.mark.parametrize("approval", [False, True])
async def test_a_job_that_was_not_begun_has_no_results(store, approval):
    job, _ = await store.create_job(spec(approval=approval), items(3), seal=approval)
    await refused(store.results("office", job.name, 0), Reason.JOB_STATE)


async def test_failures_are_results_too(store):
    job = await store.sealed(2)
    await store.bring(await store.take(job, 0, 2), signature(0), FAILED)
    signed, failed = await store.all_results(job)
    assert signed.value == signature(0)
    assert failed == Failure(FAILED.reason, FAILED.text)


async def test_of_a_paused_job_nothing_is_granted_and_what_a_token_holds_is_finished(store):
    job = await store.sealed(3)
    held = await store.take(job, 0, 1)
    paused = await store.pause_job(job.name, "siti")
    assert (paused.state, paused.reason) == (JobState.PAUSED, "Paused by siti.")
    claimed = await store.claim(claim(part(job.id, 1, 1)))
    (verdict,) = claimed.verdicts
    assert (verdict.later, verdict.fault.reason) == (True, Reason.JOB_STATE)
    assert (await store.signable(0, 9), await store.block(job.id, 0)) == ((), None)
    (now,) = (await store.bring(held, signature(0))).jobs
    assert (now.state, now.signed) == (JobState.PAUSED, 1)
    assert [found.value for found in await store.all_results(job)] == [signature(0)]
    assert (await store.usage("office"), await store.items_unsigned()) == ((1, 3), 2)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_resumed_job_goes_on_where_it_was(store, begun):
    job = await store.sealed(2)
    if begun:
        await store.sign(job, 0, 1)
    before = await store.job("office", job.name)
    await store.pause_job(job.name, "siti")
    resumed = await store.resume_job(job.name, "wayan")
    assert resumed == before
    assert resumed.state is (JobState.RUNNING if begun else JobState.QUEUED)
    assert [found.id for found in await store.signable(0, 9)] == [job.id]
    await store.sign(job, int(begun), 1)
    assert [(act.what, act.who) for act in await acts(store)] == [
        ("job paused", "siti"),
        ("job resumed", "wayan"),
    ]


async def test_pausing_and_resuming_are_done_and_recorded_once(store):
    job = await store.sealed(1)
    assert await store.pause_job(job.name, "siti") == await store.pause_job(job.name, "wayan")
    assert await store.resume_job(job.name, "siti") == await store.resume_job(job.name, "siti")
    assert len(await acts(store)) == 2


async def test_the_last_items_of_a_paused_job_end_it(store):
    job = await store.sealed(1)
    held = await store.take(job, 0, 1)
    await store.pause_job(job.name, "siti")
    (ended,) = (await store.bring(held, signature(0))).jobs
    assert (ended.state, ended.reason) == (JobState.SUCCEEDED, "")


async def test_a_paused_job_can_be_cancelled_and_expires(store):
    held, late = await store.sealed(2, "held"), await store.sealed(2, "late", deadline=time.time() + HOUR)
    taken = await store.take(held, 0, 1)
    for job in (held, late):
        await store.pause_job(job.name, "siti")
    assert (await store.cancel_job("office", held.name, "office")).state is JobState.ENDING
    (ended,) = (await store.bring(taken, NotBegun())).jobs
    assert ended.state is JobState.CANCELLED
    (ended,) = (await store.tidy(time.time() + 2 * HOUR)).ended
    assert (ended.name, ended.state) == (late.name, JobState.EXPIRED)


@pytest.mark.parametrize("state", ["open", "held", "succeeded"])
async def test_only_what_is_queued_or_running_is_paused_and_only_what_is_paused_resumed(store, state):
    if state == "open":
        job, _ = await store.create_job(spec(), items(1), seal=False)
    else:
        job = await store.sealed(1, approval=state == "held")
    if state == "succeeded":
        await store.sign(job, 0, 1)
    await refused(store.pause_job(job.name, "siti"), Reason.JOB_STATE)
    await refused(store.resume_job(job.name, "siti"), Reason.JOB_STATE)
    await refused(store.pause_job(JobName.new(), "siti"), Reason.JOB_NOT_FOUND)


async def test_a_pause_outlives_a_restart(store, reopen):
    job = await store.sealed(2)
    paused = await store.pause_job(job.name, "siti")
    store = await reopen()
    assert await store.any_job(job.name) == paused
    assert await store.signable(0, 9) == ()


async def test_an_officer_cancels_whosever_job_it_is_and_says_why(store):
    job = await store.sealed(2, caller="other")
    cancelled = await store.cancel_any(job.name, "siti", "made twice")
    assert (cancelled.state, cancelled.reason) == (JobState.CANCELLED, "Cancelled by siti: made twice")
    (act,) = await acts(store)
    assert (act.what, act.who, act.facts["text"]) == ("job cancelled", "siti", "made twice")


@pytest.mark.parametrize("told_at", ["creation", "sealing", "both"])
async def test_a_job_is_held_if_approval_is_wanted_when_it_is_created_or_sealed(store, told_at):
    job, _ = await store.create_job(spec(approval=told_at != "sealing"), items(2), seal=False)
    sealed = await store.seal_job("office", job.name, 2, approval=told_at != "creation")
    assert (sealed.state, sealed.reason) == (JobState.HELD, "It waits for an approver.")
    assert (await store.seal_job("office", job.name, 2)).state is JobState.HELD
    assert await store.signable(0, 9) == ()


async def test_a_held_job_expires_at_its_deadline(store):
    await store.sealed(2, approval=True, deadline=time.time() + HOUR)
    (ended,) = (await store.tidy(time.time() + 2 * HOUR)).ended
    assert (ended.state, ended.signed) == (JobState.EXPIRED, 0)
    await refused(store.decide_job(ended.name, "head", ended.items_hash, ""), Reason.JOB_STATE)


async def every(store, wanted=None, **kwargs) -> list[str]:
    found, before = [], None
    while True:
        page = await store.all_jobs(wanted or JobFilter(), before=before, limit=2, **kwargs)
        found += [job.spec.request_id for job in page.jobs]
        if (before := page.next) is None:
            return found


async def test_officers_see_the_jobs_of_every_caller_page_by_page(store):
    for number in range(5):
        await store.sealed(1, f"r{number}", caller=("office", "other")[number % 2])
    paused = (await store.all_jobs(JobFilter(), caller="other", before=None, limit=1)).jobs[0]
    await store.pause_job(paused.name, "siti")
    assert await every(store) == ["r4", "r3", "r2", "r1", "r0"]
    assert await every(store, caller="other") == ["r3", "r1"]
    for states, found in (
        ({JobState.PAUSED}, ["r3"]),
        ({JobState.QUEUED}, ["r4", "r2", "r1", "r0"]),
        ({JobState.QUEUED, JobState.PAUSED}, ["r4", "r3", "r2", "r1", "r0"]),
        ({JobState.RUNNING}, []),
    ):
        assert await every(store, JobFilter(states=frozenset(states))) == found
    mine = await store.jobs("other", JobFilter(states=frozenset({JobState.PAUSED})), before=None, limit=9)
    assert [job.spec.request_id for job in mine] == ["r3"]


async def test_an_approver_sees_what_waits_for_this_one_and_what_this_one_decided(store):
    jobs = {name: await store.sealed(1, name, caller=name, approval=True) for name in ("a", "b", "c", "d")}
    await store.sealed(1, "queued", caller="a")
    await store.decide_job(jobs["b"].name, "head", jobs["b"].items_hash, "")
    await store.decide_job(jobs["c"].name, "deputy", None, "")

    async def seen(who, *callers, since=0.0, **fields):
        found = await store.to_decide(
            who,
            lambda caller, _: caller in callers,
            JobFilter(**fields),
            since=since,
            before=fields.pop("before", None),
            limit=9,
        )
        return [job.spec.request_id for job in found]

    assert await seen("head", "a", "b", "c") == ["b", "a"]
    assert await seen("deputy", "d") == ["d", "c"]
    assert await seen("head", "a", since=time.time() + 1) == ["a"]
    assert await seen("head", "a", states=frozenset({JobState.HELD})) == ["a"]
    assert await seen("nobody") == []
    page = await store.to_decide("head", lambda *_: True, JobFilter(), since=0.0, before=None, limit=2)
    assert [job.spec.request_id for job in page] == ["d", "b"]
    page = await store.to_decide("head", lambda *_: True, JobFilter(), since=0.0, before=page[-1].id, limit=2)
    assert [job.spec.request_id for job in page] == ["a"]
