"""Jobs that wait for a yes, and officers with other people's jobs, as they come over the wire."""

from dataclasses import replace

import grpc
import pytest

from segel.v1 import jobs_pb2, resources_pb2, signing_pb2, token_admin_pb2, tokens_pb2
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.job import JobSpec
from segeld.model.job_state import JobState
from segeld.model.kind import Kind
from segeld.model.names import TokenName
from segeld.model.priority import Priority
from segeld.policy.key_options import KeyOptions
from segeld.policy.rules import ANY_ALGORITHM, Grants

P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
DIGEST = signing_pb2.SignInput(digest=bytes(32))
HELD = jobs_pb2.Job.STATE_HELD


def ask(daemon, *approvers):
    """backoffice needs a yes of one of these from now on."""
    grants = Grants({daemon.mine.name: ANY_ALGORITHM}, approvers={daemon.mine.name: frozenset(approvers)})
    daemon.policy = replace(daemon.policy, grants=daemon.policy.grants | {"backoffice": grants})


def put(daemon, caller="backoffice", request_id="r", **fields):
    key = daemon.mine if caller == "backoffice" else daemon.foreign
    kind = Kind(key.name, Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
    spec = JobSpec(caller, request_id, kind, Priority.NORMAL, (), 2e9, 60.0)
    job = daemon.desk.put(spec, **{"state": JobState.HELD, "items_hash": b"h" * 32, "read": 1} | fields)
    return str(job.name)


def create(**fields):
    return jobs_pb2.CreateJobRequest(
        **{"request_id": "r", "algorithm": P256, "key": "keys/seal", "items": [DIGEST]} | fields
    )


@pytest.mark.parametrize("rule", ["at creation", "at sealing", "never"])
async def test_the_rule_counts_when_the_job_is_made_and_when_it_is_sealed(daemon, rule):
    if rule == "at creation":
        ask(daemon, "dewi")
    await daemon.start()
    stub = daemon.jobs()
    job = await stub.CreateJob(create())
    ask(daemon, *(["dewi"] if rule == "at sealing" else []))
    sealed = await stub.SealJob(jobs_pb2.SealJobRequest(name=job.name, item_count=1))
    assert (sealed.state == HELD) == (rule != "never")
    assert sealed.caller == "backoffice"


async def test_a_job_that_is_made_and_sealed_at_once_is_held(daemon):
    ask(daemon, "dewi")
    await daemon.start()
    assert (await daemon.jobs().CreateJob(create(seal=True))).state == HELD


async def test_nobody_could_be_asked_about_an_order(daemon, refusal):
    ask(daemon, "dewi")
    await daemon.start()
    request = signing_pb2.SignRequest(key="keys/seal", algorithm=P256, inputs=[DIGEST])
    refused = await refusal(daemon.signing().Sign(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "APPROVAL_REQUIRED")
    assert daemon.dispatch.orders == []


async def test_an_approver_sees_what_waits_for_this_one_and_nothing_else(daemon, refusal):
    ask(daemon, "dewi")
    mine, foreign = put(daemon), put(daemon, "other")
    queued = put(daemon, state=JobState.QUEUED)
    await daemon.start()
    stub = daemon.jobs("dewi")
    seen = await stub.GetJob(jobs_pb2.GetJobRequest(name=mine))
    assert (seen.caller, seen.items_hash, seen.request_id, seen.read_offset) == (
        "backoffice",
        b"h" * 32,
        "",
        0,
    )
    assert [job.name for job in (await stub.ListJobs(jobs_pb2.ListJobsRequest())).jobs] == [mine]
    for name in (foreign, queued):
        for call in (
            stub.GetJob(jobs_pb2.GetJobRequest(name=name)),
            stub.ApproveJob(jobs_pb2.ApproveJobRequest(name=name, items_hash=b"h" * 32)),
            stub.RejectJob(jobs_pb2.RejectJobRequest(name=name)),
        ):
            assert (await refusal(call)).reason == "JOB_NOT_FOUND"


@pytest.mark.parametrize("approvers", [(), ("somebody",)])
async def test_who_may_decide_is_asked_of_the_policy_at_that_moment(daemon, refusal, approvers):
    ask(daemon, "dewi")
    name = put(daemon)
    await daemon.start()
    ask(daemon, *approvers)
    request = jobs_pb2.ApproveJobRequest(name=name, items_hash=b"h" * 32)
    assert (await refusal(daemon.jobs("dewi").ApproveJob(request))).reason == "JOB_NOT_FOUND"
    assert daemon.desk.decisions == []


async def test_who_decided_and_when_is_told_to_both(daemon):
    ask(daemon, "dewi")
    name = put(daemon)
    await daemon.start()
    request = jobs_pb2.ApproveJobRequest(name=name, items_hash=b"h" * 32)
    await daemon.jobs("dewi").ApproveJob(request)
    for who in ("dewi", "backoffice"):
        job = await daemon.jobs(who).GetJob(jobs_pb2.GetJobRequest(name=name))
        assert (job.decided_by, job.HasField("decide_time")) == ("dewi", True)


async def test_an_approver_watches_what_waits_and_what_becomes_of_it(daemon):
    ask(daemon, "dewi")
    name = put(daemon)
    await daemon.start()
    stub = daemon.jobs("dewi")
    watch = stub.WatchJob(jobs_pb2.WatchJobRequest(name=name))
    assert (await watch.read()).state == HELD
    await stub.ApproveJob(jobs_pb2.ApproveJobRequest(name=name, items_hash=b"h" * 32))
    seen = await watch.read()
    assert (seen.state, seen.request_id) == (jobs_pb2.Job.STATE_QUEUED, "")
    watch.cancel()


async def every(stub, **fields) -> list[list[str]]:
    pages, token = [], ""
    while not pages or token:
        request = token_admin_pb2.ListAllJobsRequest(page_token=token, **fields)
        page = await stub.ListAllJobs(request)
        pages.append([job.caller for job in page.jobs])
        token = page.next_page_token
    return pages


async def test_officers_see_the_jobs_of_every_caller_that_have_not_ended(daemon):
    for caller, state in (
        ("backoffice", JobState.HELD),
        ("other", JobState.QUEUED),
        ("backoffice", JobState.CANCELLED),
        ("backoffice", JobState.PAUSED),
    ):
        ended = {"ended": 1.0} if state is JobState.CANCELLED else {}
        put(daemon, caller, state=state, **ended)
    await daemon.start()
    stub = daemon.admin()
    assert await every(stub) == [["backoffice", "other", "backoffice"]]
    assert await every(stub, page_size=2) == [["backoffice", "other"], ["backoffice"]]
    assert await every(stub, caller="other") == [["other"]]
    assert await every(stub, states=[jobs_pb2.Job.STATE_CANCELLED]) == [["backoffice"]]
    assert await every(stub, key=str(daemon.foreign.name)) == [["other"]]


async def test_a_page_of_one_question_is_none_of_another(daemon, refusal):
    for _ in range(3):
        put(daemon)
    await daemon.start()
    stub = daemon.admin()
    token = (await stub.ListAllJobs(token_admin_pb2.ListAllJobsRequest(page_size=1))).next_page_token
    request = token_admin_pb2.ListAllJobsRequest(page_token=token, caller="other")
    assert (await refusal(stub.ListAllJobs(request))).reason == "FIELD_INVALID"


async def test_officers_pause_resume_and_cancel(daemon, refusal):
    name = put(daemon, state=JobState.QUEUED)
    await daemon.start()
    stub = daemon.admin()
    paused = await stub.PauseJob(token_admin_pb2.PauseJobRequest(name=name))
    assert (paused.state, paused.state_reason) == (jobs_pb2.Job.STATE_PAUSED, "Paused by siti.")
    resumed = await stub.ResumeJob(token_admin_pb2.ResumeJobRequest(name=name))
    assert resumed.state == jobs_pb2.Job.STATE_QUEUED
    refused = await refusal(stub.CancelAnyJob(token_admin_pb2.CancelAnyJobRequest(name=name)))
    assert refused.reason == "FIELD_INVALID"
    request = token_admin_pb2.CancelAnyJobRequest(name=name, reason="made twice")
    cancelled = await stub.CancelAnyJob(request)
    assert cancelled.state_reason == "Cancelled by siti: made twice"


async def test_the_limits_of_an_activation_arrive(daemon, refusal):
    await daemon.start()
    request = token_admin_pb2.ActivateTokenRequest(name="tokens/payroll", pin=b"1234", max_signatures=7)
    request.lifetime.FromSeconds(90)
    await daemon.admin().ActivateToken(request)
    (limits,) = daemon.inventory.limits
    assert (limits.seconds, limits.signatures) == (90.0, 7)
    for field, value in (("max_signatures", -1), ("lifetime", 0.5), ("lifetime", 1e9)):
        request = token_admin_pb2.ActivateTokenRequest(name="tokens/payroll", pin=b"1234")
        if field == "lifetime":
            request.lifetime.FromNanoseconds(int(value * 1e9))
        else:
            request.max_signatures = value
        assert (await refusal(daemon.admin().ActivateToken(request))).reason == "FIELD_INVALID"
    assert len(daemon.inventory.limits) == 1


async def test_what_is_left_of_an_activation_is_shown(daemon, make):
    name = TokenName("payroll")
    token = replace(make.token(), active_until=1_900_000_000.0, signatures_left=0, waiting=12)
    daemon.inventory.configured = {name: token}
    await daemon.start()
    shown = await daemon.tokens().GetToken(tokens_pb2.GetTokenRequest(name=str(name)))
    assert shown.active_until.seconds == 1_900_000_000
    assert (shown.HasField("signatures_left"), shown.signatures_left, shown.waiting_items) == (True, 0, 12)


async def test_a_token_for_which_something_waits_is_kept_if_that_was_asked(daemon, make, refusal):
    daemon.inventory.configured = {TokenName("payroll"): replace(make.token(), waiting=12)}
    await daemon.start()
    stub = daemon.admin()
    request = token_admin_pb2.DeactivateTokenRequest(name="tokens/payroll", only_if_idle=True)
    assert (await refusal(stub.DeactivateToken(request))).reason == "TOKEN_BUSY"
    request.only_if_idle = False
    assert (await stub.DeactivateToken(request)).state == resources_pb2.Token.STATE_INACTIVE


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_key_that_wants_its_pin_each_time_is_no_jobs_unless_the_policy_says_so(daemon, refusal, bulk):
    key = replace(daemon.mine, always_authenticate=True)
    daemon.inventory.records[key.name] = key
    daemon.policy = replace(daemon.policy, options={key.name: KeyOptions(bulk=bulk)})
    await daemon.start()
    if bulk:
        assert (await daemon.jobs().CreateJob(create(seal=True))).item_count == 1
    else:
        refused = await refusal(daemon.jobs().CreateJob(create(seal=True)))
        assert "bulk" in refused.text
    request = signing_pb2.SignRequest(key="keys/seal", algorithm=P256, inputs=[DIGEST])
    assert (await daemon.signing().Sign(request)).results[0].signature
