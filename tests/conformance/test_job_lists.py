"""Who sees which jobs: callers, officers and approvers, page by page; and how much a caller has."""

import time

import pytest
from store_fakes import FAILED, items, signature, spec

from segeld.jobqueue.claims import NotBegun, Unknown
from segeld.model.job import Items, JobFilter
from segeld.model.job_state import JobState
from segeld.model.names import KeyName


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
