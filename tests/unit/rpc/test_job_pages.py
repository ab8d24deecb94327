"""Lists of jobs, page after page."""

import itertools

import pytest

from segel.v1 import jobs_pb2
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.job import JobSpec
from segeld.model.job_state import JobState
from segeld.model.kind import Kind
from segeld.model.priority import Priority
from segeld.rpc import job_pages

List = jobs_pb2.ListJobsRequest
OPEN, QUEUED = jobs_pb2.Job.STATE_OPEN, jobs_pb2.Job.STATE_QUEUED


@pytest.fixture
def fill(daemon):
    """So many jobs, every third one queued; the second of each pair is another caller's."""

    def fill(count, **labels):
        kind = Kind(daemon.mine.name, Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
        for number in range(count):
            state = JobState.OPEN if number % 3 else JobState.QUEUED
            for caller in ("backoffice", "other"):
                spec = JobSpec(caller, f"r{number}", kind, Priority.NORMAL, tuple(labels.items()), 2e9, 60.0)
                daemon.desk.put(spec, state=state)

    return fill


async def every(stub, **fields):
    """All pages, as the request ids of their jobs."""
    pages, token = [], ""
    while True:
        page = await stub.ListJobs(List(page_token=token, **fields))
        pages.append([job.request_id for job in page.jobs])
        token = page.next_page_token
        if not token:
            return pages


async def test_the_newest_come_first_and_no_job_is_anothers(daemon, fill):
    fill(25)
    await daemon.start()
    pages = await every(daemon.jobs(), page_size=10)
    assert [len(page) for page in pages] == [10, 10, 5]
    assert list(itertools.chain(*pages)) == [f"r{number}" for number in reversed(range(25))]
    assert await every(daemon.jobs(), page_size=25) == [list(itertools.chain(*pages))]


async def test_a_filter_is_a_filter(daemon, fill, make):
    fill(7, place="hall")
    await daemon.start()
    stub = daemon.jobs()
    assert await every(stub, states=[QUEUED], page_size=2) == [["r6", "r3"], ["r0"]]
    assert await every(stub, request_id="r5") == [["r5"]]
    assert await every(stub, labels={"place": "attic"}) == [[]]
    assert len((await every(stub, labels={"place": "hall"}))[0]) == 7
    assert len((await every(stub, key=str(daemon.mine.name)))[0]) == 7
    assert await every(stub, key=str(make.key("nowhere").name)) == [[]]


async def test_a_page_of_long_labels_is_shorter(daemon, fill):
    fill(60, **{f"label{number}": "€" * 256 for number in range(16)})
    await daemon.start()
    pages = await every(daemon.jobs(), page_size=1000)
    assert list(itertools.chain(*pages)) == [f"r{number}" for number in reversed(range(60))]
    page = await daemon.jobs().ListJobs(List())
    assert 1 < len(page.jobs) < 60
    assert page.ByteSize() < job_pages.MAX_OCTETS + 1024


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"page_token": "AAAA"}, "page_token"),
        ({"page_token": "A" * 32}, "page_token"),
        ({"page_token": "A" * 100_000}, "page_token"),
        ({"states": [0]}, "states[0]"),
        ({"states": [OPEN, 77]}, "states[1]"),
        ({"states": [OPEN] * 12}, "states"),
        ({"key": "keys/seal"}, "key"),
        ({"labels": {"A": ""}}, "labels"),
        ({"request_id": " "}, "request_id"),
    ],
)
async def test_a_wrong_question_is_refused(daemon, refusal, fields, field):
    await daemon.start()
    refused = await refusal(daemon.jobs().ListJobs(List(**fields)))
    assert refused.reason == "FIELD_INVALID"
    assert refused.text.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("who", "fields"),
    [
        ("backoffice", {}),
        ("backoffice", {"states": [OPEN]}),
        ("backoffice", {"states": [QUEUED], "labels": {"a": ""}}),
        ("backoffice", {"states": [QUEUED], "request_id": "r1"}),
        ("other", {"states": [QUEUED]}),
    ],
)
async def test_a_token_of_another_question_is_refused(daemon, fill, refusal, who, fields):
    fill(9)
    await daemon.start()
    token = (await daemon.jobs().ListJobs(List(states=[QUEUED], page_size=1))).next_page_token
    assert (await daemon.jobs().ListJobs(List(states=[QUEUED], page_token=token))).jobs
    refused = await refusal(daemon.jobs(who).ListJobs(List(page_token=token, **fields)))
    assert refused.reason == "FIELD_INVALID"
