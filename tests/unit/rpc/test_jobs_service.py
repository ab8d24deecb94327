"""Jobs, as a caller meets them: from the header to the last result, and every way to be refused."""

from dataclasses import replace

import grpc
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from google.rpc import error_details_pb2
from rpc_daemon import BACKOFFICE

from segel.v1 import jobs_pb2, resources_pb2, signing_pb2
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import JobSpec
from segeld.model.job_state import FINAL, JobState
from segeld.model.kind import Kind
from segeld.model.names import Alias, JobName
from segeld.model.person import Person
from segeld.model.priority import Priority
from segeld.model.token_state import TokenState
from segeld.policy.rules import ANY_ALGORITHM, Grants, Standing

P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
P384 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P384_SHA384
Named = {
    "GetJob": jobs_pb2.GetJobRequest,
    "CancelJob": jobs_pb2.CancelJobRequest,
    "DeleteJob": jobs_pb2.DeleteJobRequest,
    "SealJob": jobs_pb2.SealJobRequest,
}


def digests(count, start=0):
    return [
        signing_pb2.SignInput(digest=number.to_bytes(32, "big")) for number in range(start, start + count)
    ]


def create(key="keys/seal", **fields):
    return jobs_pb2.CreateJobRequest(**({"request_id": "r", "algorithm": P256} | fields), key=str(key))


def append(name, offset, items):
    return jobs_pb2.AppendItemsRequest(name=name, offset=offset, items=items)


def ask(daemon, *approvers):
    """backoffice needs a yes of one of these from now on."""
    grants = Grants({daemon.mine.name: ANY_ALGORITHM}, approvers={daemon.mine.name: frozenset(approvers)})
    daemon.policy = replace(daemon.policy, grants=daemon.policy.grants | {"backoffice": grants})


@pytest.fixture
def spec(daemon):
    """A specification, for jobs that are there already."""

    def make(caller="backoffice", request_id="r", **fields):
        kind = Kind(daemon.mine.name, Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
        return JobSpec(
            caller, request_id, kind, Priority.NORMAL, fields.pop("labels", ()), 2e9, 60.0, **fields
        )

    return make


async def test_a_job_keeps_who_created_it(daemon):
    await daemon.start()
    await daemon.jobs().CreateJob(create(items=digests(1)))
    (job,) = daemon.desk.kept.values()
    certificate = load_pem_x509_certificate((daemon.authority.folder / "backoffice.pem").read_bytes())
    assert job.spec.created_by == Person("backoffice", BACKOFFICE, certificate.fingerprint(SHA256()))


async def test_from_the_header_to_the_last_result(daemon):
    await daemon.start()
    stub = daemon.jobs()
    job = await stub.CreateJob(create(labels={"b": "2", "a": "1"}, items=digests(300)))
    assert (job.state, job.item_count, job.request_id) == (jobs_pb2.Job.STATE_OPEN, 300, "r")
    assert (job.key, job.algorithm) == (str(daemon.mine.name), P256)
    assert dict(job.labels) == {"a": "1", "b": "2"}
    assert (await stub.AppendItems(append(job.name, 300, digests(400, 300)))).committed == 700
    sealed = await stub.SealJob(jobs_pb2.SealJobRequest(name=job.name, item_count=700))
    assert (sealed.state, sealed.items_hash) == (jobs_pb2.Job.STATE_QUEUED, bytes(32))
    blocks = [block async for block in stub.ReadResults(jobs_pb2.ReadResultsRequest(name=job.name, offset=5))]
    assert [(block.offset, len(block.results)) for block in blocks] == [(5, 251), (256, 256), (512, 188)]
    assert {block.log_origin for block in blocks} == {"log.example/segel"}
    assert all(result.signature and result.leaf_index == 9 for block in blocks for result in block.results)
    assert (await stub.CancelJob(jobs_pb2.CancelJobRequest(name=job.name))).HasField("end_time")
    await stub.DeleteJob(jobs_pb2.DeleteJobRequest(name=job.name))
    assert not daemon.desk.kept


async def test_the_specification_says_everything_the_desk_needs(daemon):
    await daemon.start()
    await daemon.jobs().CreateJob(create(ecdsa_encoding=resources_pb2.ECDSA_ENCODING_P1363))
    (job,) = daemon.desk.kept.values()
    assert job.spec.caller == "backoffice"
    assert job.spec.kind == Kind(daemon.mine.name, Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.P1363)
    assert job.spec.approval is False


@pytest.mark.parametrize(
    ("asked", "highest", "got"),
    [
        (0, Priority.INTERACTIVE, Priority.NORMAL),
        (jobs_pb2.JOB_PRIORITY_LOW, Priority.INTERACTIVE, Priority.LOW),
        (jobs_pb2.JOB_PRIORITY_NORMAL, Priority.NORMAL, Priority.NORMAL),
        (jobs_pb2.JOB_PRIORITY_NORMAL, Priority.LOW, Priority.LOW),
    ],
)
async def test_the_policy_caps_the_priority(daemon, asked, highest, got):
    daemon.policy = replace(daemon.policy, standings={"backoffice": Standing(highest=highest)})
    await daemon.start()
    job = await daemon.jobs().CreateJob(create(priority=asked))
    assert jobs_pb2.JobPriority.Name(job.priority) == f"JOB_PRIORITY_{got.name}"


async def test_a_repetition_finds_its_job_even_if_the_alias_leads_elsewhere_by_now(daemon, make):
    other = make.key("other")
    daemon.inventory.records[other.name] = other
    daemon.policy = replace(
        daemon.policy,
        aliases={Alias("seal"): (daemon.mine.name, other.name)},
        grants={"backoffice": Grants({daemon.mine.name: ANY_ALGORITHM, other.name: ANY_ALGORITHM})},
    )
    await daemon.start()
    job = await daemon.jobs().CreateJob(create())
    daemon.inventory.records[daemon.mine.name] = make.key("mine", state=TokenState.ABSENT)
    assert (await daemon.jobs().CreateJob(create())).name == job.name
    assert (await daemon.jobs().CreateJob(create(request_id="new"))).key == str(other.name)


async def test_a_foreign_key_and_an_unknown_one_are_answered_the_same(daemon, make, refusal):
    await daemon.start()
    answers = set()
    for name in (daemon.foreign.name, make.key("nowhere").name, "keys/theirs", "keys/unheard-of"):
        call = daemon.jobs().CreateJob(create(name), metadata=[("x-request-id", "same")])
        refused = await refusal(call)
        answers.add((refused.code, refused.status.SerializeToString(deterministic=True)))
    assert {code for code, _ in answers} == {grpc.StatusCode.NOT_FOUND}
    assert len(answers) == 1
    assert not daemon.desk.kept


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"request_id": ""}, "FIELD_INVALID", "request_id"),
        ({"algorithm": 0}, "ALGORITHM_UNKNOWN", "algorithm"),
        ({"algorithm": P384}, "ALGORITHM_NOT_SUPPORTED", "algorithm"),
        ({"seal": True}, "BATCH_EMPTY", "items"),
        ({"labels": {"A": ""}}, "FIELD_INVALID", "labels"),
        ({"items": [signing_pb2.SignInput(digest=bytes(31))]}, "DIGEST_LENGTH", "items[0].digest"),
    ],
)
async def test_a_wrong_header_makes_no_job(daemon, refusal, fields, reason, field):
    await daemon.start()
    refused = await refusal(daemon.jobs().CreateJob(create(**fields)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [v.field for v in refused.detail(error_details_pb2.BadRequest).field_violations] == [field]
    assert not daemon.desk.kept


async def test_a_wrong_digest_in_the_middle_is_named_twice_and_nothing_is_taken(daemon, refusal):
    await daemon.start()
    job = await daemon.jobs().CreateJob(create(items=digests(10)))
    items = [*digests(5), signing_pb2.SignInput(digest=bytes(20)), *digests(5)]
    refused = await refusal(daemon.jobs().AppendItems(append(job.name, 10, items)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DIGEST_LENGTH")
    assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == "items[5].digest"
    facts = refused.detail(error_details_pb2.ErrorInfo).metadata
    assert (facts["offset"], facts["expected"], facts["got"]) == ("15", "32", "20")
    assert (await daemon.jobs().GetJob(jobs_pb2.GetJobRequest(name=job.name))).item_count == 10


@pytest.mark.parametrize("offset", [3, 11])
async def test_a_gap_and_an_overlap_tell_where_the_job_is(daemon, refusal, offset):
    await daemon.start()
    job = await daemon.jobs().CreateJob(create(items=digests(10)))
    refused = await refusal(daemon.jobs().AppendItems(append(job.name, offset, digests(2))))
    assert (refused.code, refused.reason) == (grpc.StatusCode.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE")
    assert refused.detail(error_details_pb2.ErrorInfo).metadata["committed"] == "10"
    assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == "offset"


async def test_an_append_of_nothing_or_from_before_the_start(daemon, refusal):
    await daemon.start()
    job = await daemon.jobs().CreateJob(create())
    assert (await refusal(daemon.jobs().AppendItems(append(job.name, 0, [])))).reason == "BATCH_EMPTY"
    assert (
        await refusal(daemon.jobs().AppendItems(append(job.name, -1, digests(1))))
    ).reason == "FIELD_INVALID"


@pytest.mark.parametrize(
    ("count", "reason"), [(-1, "FIELD_INVALID"), (9, "OFFSET_OUT_OF_RANGE"), (0, "BATCH_EMPTY")]
)
async def test_a_seal_over_another_count(daemon, refusal, count, reason):
    await daemon.start()
    job = await daemon.jobs().CreateJob(create(items=digests(10)))
    refused = await refusal(daemon.jobs().SealJob(jobs_pb2.SealJobRequest(name=job.name, item_count=count)))
    assert refused.reason == reason
    assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == "item_count"


async def test_a_foreign_job_and_an_unknown_one_are_answered_the_same(daemon, spec, refusal):
    await daemon.start()
    foreign = daemon.desk.put(spec("other"), count=3).name
    for method, request in Named.items():
        answers = set()
        for name in (foreign, JobName.new()):
            call = getattr(daemon.jobs(), method)(
                request(name=str(name)), metadata=[("x-request-id", "same")]
            )
            refused = await refusal(call)
            assert refused.reason == "JOB_NOT_FOUND", method
            answers.add(refused.status.SerializeToString(deterministic=True))
        assert len(answers) == 1
    assert (
        await refusal(daemon.jobs().AppendItems(append(str(foreign), 3, digests(1))))
    ).reason == "JOB_NOT_FOUND"
    assert foreign in daemon.desk.kept


@pytest.mark.parametrize(
    "name", ["", "jobs/", "jobs/" + "A" * 32, "jobs/" + "0" * 31, "x" * 500_000, "keys/seal"]
)
async def test_a_name_that_is_none(daemon, refusal, name):
    await daemon.start()
    for method, request in Named.items():
        refused = await refusal(getattr(daemon.jobs(), method)(request(name=name)))
        assert refused.reason == "FIELD_INVALID"
        assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == "name"


async def test_a_message_above_a_mebibyte_is_refused_by_the_transport(daemon):
    await daemon.start()
    job = await daemon.jobs().CreateJob(create())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await daemon.jobs().AppendItems(append(job.name, 0, digests(30_000)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await daemon.jobs().AppendItems(append(job.name, 0, digests(29_000)))).committed == 29_000


@pytest.mark.parametrize("reason", [Reason.STORAGE_FULL, Reason.STORAGE_UNAVAILABLE, Reason.CALLER_QUOTA])
async def test_what_the_desk_refuses_goes_out_as_it_is(daemon, refusal, reason):
    await daemon.start()
    daemon.desk.fail = Fault(reason, "not now", retry_after=5.0)
    refused = await refusal(daemon.jobs().CreateJob(create(daemon.mine.name)))
    assert (refused.reason, refused.text) == (str(reason), "not now")
    assert refused.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 5


async def test_a_state_that_does_not_allow_it_names_the_job(daemon, spec, refusal):
    await daemon.start()
    job = daemon.desk.put(spec(), state=JobState.SUCCEEDED)
    refused = await refusal(daemon.jobs().CancelJob(jobs_pb2.CancelJobRequest(name=str(job.name))))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE")
    (violation,) = refused.detail(error_details_pb2.PreconditionFailure).violations
    assert (violation.type, violation.subject) == ("JOB", str(job.name))


@pytest.mark.parametrize("state", JobState)
async def test_every_state_has_its_word_on_the_wire(daemon, spec, state):
    await daemon.start()
    fields = {"ended": 2e9, "expires": 3e9, "started": 1e9} if state in FINAL else {}
    name = str(daemon.desk.put(spec(), state=state, reason="why.", signed=2, failed=1, read=3, **fields).name)
    job = await daemon.jobs().GetJob(jobs_pb2.GetJobRequest(name=name))
    assert jobs_pb2.Job.State.Name(job.state) == f"STATE_{state.name}"
    assert (job.state_reason, job.signed_count, job.failed_count, job.read_offset) == ("why.", 2, 1, 3)
    assert job.create_time.ToMilliseconds() == 1_800_000_000_500
    assert job.deadline.seconds == 2_000_000_000
    assert [job.HasField(f) for f in ("start_time", "end_time", "expire_time")] == [state in FINAL] * 3


async def test_an_approver_decides_on_what_it_looked_at(daemon, spec, refusal):
    ask(daemon, "dewi")
    await daemon.start()
    approvers, held = daemon.jobs("dewi"), {"state": JobState.HELD, "items_hash": b"h" * 32}
    yes, no = (str(daemon.desk.put(spec(request_id=each), **held).name) for each in "yn")
    for items_hash, reason in ((b"", "FIELD_INVALID"), (b"x" * 32, "ITEMS_CHANGED")):
        request = jobs_pb2.ApproveJobRequest(name=yes, items_hash=items_hash)
        refused = await refusal(approvers.ApproveJob(request))
        assert refused.reason == reason
        assert refused.detail(error_details_pb2.BadRequest).field_violations[0].field == "items_hash"
    approved = await approvers.ApproveJob(jobs_pb2.ApproveJobRequest(name=yes, items_hash=b"h" * 32))
    assert approved.state == jobs_pb2.Job.STATE_QUEUED
    rejected = await approvers.RejectJob(jobs_pb2.RejectJobRequest(name=no, reason="not ours"))
    assert rejected.state == jobs_pb2.Job.STATE_REJECTED
    assert daemon.desk.decisions == [("dewi", b"h" * 32, ""), ("dewi", None, "not ours")]
    request = jobs_pb2.ApproveJobRequest(name=yes, items_hash=b"h" * 32)
    assert (await refusal(approvers.ApproveJob(request))).reason == "JOB_STATE"
    assert (await refusal(approvers.RejectJob(jobs_pb2.RejectJobRequest(name=no, reason="\n")))).reason == (
        "FIELD_INVALID"
    )


@pytest.mark.parametrize("who", ["backoffice", "siti", "agus"])
async def test_nobody_else_decides(daemon, spec, refusal, who):
    await daemon.start()
    name = str(daemon.desk.put(spec(), state=JobState.HELD, items_hash=b"h" * 32).name)
    request = jobs_pb2.ApproveJobRequest(name=name, items_hash=b"h" * 32)
    refused = await refusal(daemon.jobs(who).ApproveJob(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
    assert not daemon.desk.decisions
