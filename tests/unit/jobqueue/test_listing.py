"""Listing by a filter: the reader looks at a bounded number of jobs at once, and all are found in the end."""

import pytest
from store_fakes import spec

from segeld.jobqueue.sqlite import reading
from segeld.jobqueue.store import Page
from segeld.model.job import Items, JobFilter

WANTED = JobFilter(labels=(("month", "november"),))


@pytest.fixture
async def jobs(store, monkeypatch):
    """25 jobs, of which the oldest is wanted; the reader looks at 10 at once."""
    monkeypatch.setattr(reading, "LOOKED_AT", 10)
    made = []
    for number in range(25):
        labels = () if number else WANTED.labels
        made.append((await store.create_job(spec(f"r{number}", labels=labels), Items(), seal=False))[0])
        await store.create_job(spec(f"other{number}", caller="other"), Items(), seal=False)
    return made


async def test_a_page_ends_after_so_many_jobs_whether_they_were_wanted_or_not(store, jobs):
    page = await store.jobs_page("office", WANTED, before=None, limit=3)
    assert page == Page((), jobs[15].id)
    page = await store.jobs_page("office", WANTED, before=page.next, limit=3)
    assert page == Page((), jobs[5].id)
    assert await store.jobs_page("office", WANTED, before=page.next, limit=3) == Page((jobs[0],), None)
    assert await store.jobs_page("office", WANTED, before=jobs[10].id, limit=3) == Page((jobs[0],), None)


async def test_what_is_far_away_is_found_bit_by_bit(store, jobs, monkeypatch):
    looks = []
    look = reading.jobs_page
    monkeypatch.setattr(reading, "jobs_page", lambda *asked: looks.append(asked) or look(*asked))
    assert await store.jobs("office", WANTED, before=None, limit=3) == (jobs[0],)
    assert len(looks) == 3


async def test_no_more_is_looked_at_than_is_needed(store, jobs, monkeypatch):
    looks = []
    look = reading.jobs_page
    monkeypatch.setattr(reading, "jobs_page", lambda *asked: looks.append(asked) or look(*asked))
    open_ones = JobFilter(states=frozenset({jobs[0].state}))
    assert await store.jobs("office", open_ones, before=None, limit=12) == tuple(reversed(jobs[13:]))
    assert await store.jobs("office", JobFilter(request_id="r0"), before=None, limit=1) == (jobs[0],)
    assert len(looks) == 3


@pytest.mark.parametrize(
    "question",
    [
        "SELECT sum(count) FROM job INDEXED BY job_items WHERE caller = 'office'",
        "SELECT sum(count - signed - failed) FROM job INDEXED BY job_unsigned WHERE ended IS NULL",
    ],
)
async def test_what_is_asked_for_each_upload_reads_an_index_alone(store, question):
    ((*_, plan),) = await store._reading.ask(
        lambda db: db.execute(f"EXPLAIN QUERY PLAN {question}").fetchall()
    )
    assert "COVERING INDEX" in plan
