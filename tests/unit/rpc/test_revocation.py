"""Whoever is shut out is cut at once, in whatever call they are; and the service by which officers do it."""

import asyncio
import contextlib
import time

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from office_fakes import FakeRecords

from segel.v1 import jobs_pb2, policy_admin_pb2, policy_admin_pb2_grpc, resources_pb2, signing_pb2
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import JobSpec
from segeld.model.job_state import JobState
from segeld.model.kind import Kind
from segeld.model.priority import Priority
from segeld.office.policy_desk import PolicyDesk
from segeld.rpc.policy_admin import policy_service

P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
ASK = signing_pb2.WhoAmIRequest()
AT_ONCE = 1.0

TOML = """
[[callers]]
name = "backoffice"
sans = ["uri:spiffe://example/backoffice"]
[[callers.grants]]
keys = ["{mine}"]
[[callers]]
name = "other"
sans = ["dns:other.example"]
[[officers]]
name = "siti"
sans = ["email:siti@example.org"]
[[officers]]
name = "rahmat"
sans = ["email:rahmat@example.org"]
[[auditors]]
name = "agus"
sans = ["email:agus@example.org"]
"""


@pytest.fixture
async def desk(daemon, tmp_path):
    """A daemon whose policy is that of a desk."""
    file = tmp_path / "policy.toml"
    file.write_text(TOML.format(mine=daemon.mine.name))
    desk = PolicyDesk(file)
    await desk.load(FakeRecords())
    await desk.begin()

    def follow():
        daemon.policy = desk.current()
        daemon.open_calls.review()

    desk.changed.append(follow)
    daemon.policy, daemon.shut_out = desk.current(), desk.shut_out.refusal
    barred = {daemon.foreign.name: Fault(Reason.KEY_DISABLED, "The key is disabled.")}
    daemon.services = (
        policy_service(desk, daemon.open_calls, daemon.inventory, jobs_of=len, barred=barred.get),
    )
    await daemon.start()
    return desk


async def apply(desk, toml):
    """On what is in force."""
    kept = desk.document()
    await desk.apply(toml, kept.hash, kept.number, "siti", "rahmat")


def admin(daemon, who="siti"):
    return policy_admin_pb2_grpc.PolicyAdminStub(daemon.channel(who, officers=True))


def revoke(name="backoffice", reason="stolen"):
    return policy_admin_pb2.RevokeCallerRequest(caller=name, reason=reason)


async def reason_of(call) -> str:
    """Why a call that was going on has ended."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    status = await rpc_status.aio.from_call(call)
    info = error_details_pb2.ErrorInfo()
    (packed,) = [each for each in status.details if each.Is(info.DESCRIPTOR)]
    packed.Unpack(info)
    return info.reason


def sign(key, request_id="r"):
    return signing_pb2.SignRequest(
        key=str(key), algorithm=P256, request_id=request_id, inputs=[signing_pb2.SignInput(digest=bytes(32))]
    )


async def test_open_streams_are_cut_at_once_and_new_calls_refused(daemon, desk, refusal):
    stream = daemon.signing().SignStream()
    await stream.read()
    daemon.dispatch.hold = asyncio.Event()  # a batch is with a token
    await stream.write(signing_pb2.SignStreamRequest(batch=sign(daemon.mine.name)))
    kind = Kind(daemon.mine.name, Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
    job = daemon.desk.put(
        JobSpec("backoffice", "r", kind, Priority.NORMAL, (), 2e9, 60.0), state=JobState.QUEUED
    )
    watch = daemon.jobs().WatchJob(jobs_pb2.WatchJobRequest(name=str(job.name)))
    await watch.read()
    waiting = daemon.signing().Sign(sign(daemon.mine.name, "u"))
    for _ in range(2):
        await daemon.dispatch.arrived.acquire()
    others = daemon.signing("other").SignStream()
    await others.read()
    began = time.monotonic()
    answer = await admin(daemon).RevokeCaller(revoke())
    assert await reason_of(stream) == "CALLER_REVOKED"
    assert await reason_of(watch) == "CALLER_REVOKED"
    assert (await refusal(waiting)).reason == "CALLER_REVOKED"
    assert time.monotonic() - began < AT_ONCE
    assert (answer.cut, answer.jobs_held) == (3, len("backoffice"))
    refused = await refusal(daemon.signing().WhoAmI(ASK))
    assert refused.reason == "CALLER_REVOKED"
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    await others.done_writing()
    assert await others.read() is grpc.aio.EOF
    assert await others.code() is grpc.StatusCode.OK
    stamp = desk.shut_out.require_revoked("backoffice").stamp
    await desk.shut_out.unrevoke("backoffice", stamp, "siti", "rahmat")
    assert (await daemon.signing().WhoAmI(ASK)).caller == "backoffice"


async def test_a_watch_of_health_is_cut_too(daemon, desk):
    watch = health_pb2_grpc.HealthStub(daemon.channel("backoffice")).Watch(health_pb2.HealthCheckRequest())
    await watch.read()
    await admin(daemon).RevokeCaller(revoke())
    assert await reason_of(watch) == "CALLER_REVOKED"


async def test_one_certificate_is_cut_and_another_goes_on(daemon, desk, refusal):
    daemon.authority.issue("renewed", ["uri:spiffe://example/backoffice"])
    old = daemon.signing().SignStream()
    await old.read()
    certificate = daemon.open_calls.last_seen("backoffice").fingerprint
    new = daemon.signing("renewed").SignStream()
    await new.read()
    answer = await admin(daemon).RevokeCaller(revoke(f"sha256-{certificate.hex()}"))
    assert answer.cut == 1
    assert await reason_of(old) == "CALLER_REVOKED"
    assert (await refusal(daemon.signing().WhoAmI(ASK))).reason == "CALLER_REVOKED"
    await new.done_writing()
    assert await new.read() is grpc.aio.EOF
    listed = await admin(daemon, "agus").ListCallers(policy_admin_pb2.ListCallersRequest())
    assert [(each.fingerprint, each.revoked_by) for each in listed.certificates] == [(certificate, "siti")]
    assert not listed.callers[0].HasField("revoke_time")


async def test_whoever_the_policy_does_not_know_any_more_is_cut(daemon, desk):
    stream = daemon.signing().SignStream()
    await stream.read()
    without = desk.document().toml.replace("example/backoffice", "example/another")
    await apply(desk, without)
    assert await reason_of(stream) == "CALLER_UNKNOWN"


async def test_a_client_that_went_away_is_not_answered(daemon, desk, events):
    stream = daemon.signing().SignStream()
    await stream.read()
    stream.cancel()
    await desk.shut_out.revoke("backoffice", desk.current().principal(["email:siti@example.org"]), "stolen")
    await daemon.servers.stop(1)
    ended = next(each for each in events if each["event"] == "call" and "SignStream" in each["method"])
    assert ended["code"] in {"CANCELLED", "UNAUTHENTICATED"}


async def test_the_file_is_compared_with_the_policy_whenever_it_is_shown(daemon, desk, tmp_path):
    officer, file = admin(daemon), tmp_path / "policy.toml"
    before = file.read_bytes()
    for content, differs in ((before, False), (before + b"# edited", True), (before, False)):
        file.write_bytes(content)
        policy = await officer.GetPolicy(policy_admin_pb2.GetPolicyRequest())
        assert policy.file_differs is differs
        assert any("has no effect" in each for each in policy.warnings) is differs


async def test_the_policy_is_shown_checked_and_explained(daemon, desk):
    officer = admin(daemon)
    policy = await officer.GetPolicy(policy_admin_pb2.GetPolicyRequest())
    assert policy.toml == desk.document().toml
    assert policy.two_person
    unknown = "keys/sha256-" + "ab" * 32
    toml = policy.toml.replace(str(daemon.mine.name), unknown)
    checked = await officer.CheckPolicy(policy_admin_pb2.CheckPolicyRequest(toml=toml))
    assert checked.needs_approval
    assert {each.widens for each in checked.differences} == {True, False}
    assert unknown in checked.warnings[0]
    broken = await officer.CheckPolicy(policy_admin_pb2.CheckPolicyRequest(toml="x = 1\ny = 2"))
    assert len(broken.problems) == 2
    for caller, key, allowed, last in (
        ("backoffice", daemon.mine.name, True, "Yes"),
        ("backoffice", daemon.foreign.name, False, "does not exist"),
        ("nobody", daemon.mine.name, False, "Nobody"),
        ("siti", daemon.mine.name, False, "an officer"),
    ):
        request = policy_admin_pb2.ExplainPolicyRequest(caller=caller, key=str(key))
        answer = await officer.ExplainPolicy(request)
        assert (answer.allowed, last in " ".join(answer.steps[-2:])) == (allowed, True), answer.steps


async def test_callers_are_listed_with_what_they_came_with(daemon, desk):
    await daemon.signing().WhoAmI(ASK)
    await admin(daemon).RevokeCaller(revoke("other", "broken into"))
    listed = await admin(daemon, "agus").ListCallers(policy_admin_pb2.ListCallersRequest())
    mine, other = listed.callers
    assert (mine.name, list(mine.sans)) == ("backoffice", ["uri:spiffe://example/backoffice"])
    assert mine.certificate == daemon.open_calls.last_seen("backoffice").fingerprint
    assert mine.HasField("certificate_end")
    assert (other.revoked_by, other.revoke_reason) == ("siti", "broken into")
    assert not other.certificate


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (revoke("nobody"), "CALLER_NOT_FOUND"),
        (revoke(reason=""), "FIELD_INVALID"),
        (revoke("x" * 200), "FIELD_INVALID"),
        (revoke("rahmat"), "FIELD_INVALID"),
        (revoke("siti"), "FIELD_INVALID"),
    ],
)
async def test_what_cannot_be_revoked(daemon, desk, refusal, request_, reason):
    assert (await refusal(admin(daemon).RevokeCaller(request_))).reason == reason


async def test_explaining_an_algorithm_that_is_none(daemon, desk, refusal):
    request = policy_admin_pb2.ExplainPolicyRequest(caller="backoffice", algorithm="MD5")
    assert (await refusal(admin(daemon).ExplainPolicy(request))).reason == "ALGORITHM_UNKNOWN"


async def test_a_rate_of_the_policy_is_enforced_with_when_to_come_back(daemon, desk, refusal):
    toml = desk.document().toml.replace('name = "backoffice"', 'name = "backoffice"\nrate = 0.01\nburst = 2')
    await apply(desk, toml)
    for request_id in ("a", "b"):
        await daemon.signing().Sign(sign(daemon.mine.name, request_id))
    refused = await refusal(daemon.signing().Sign(sign(daemon.mine.name, "c")))
    assert refused.reason == "RATE_LIMITED"
    assert 90 < refused.detail(error_details_pb2.RetryInfo).retry_delay.seconds <= 100


async def test_interactive_work_that_needs_a_yes_is_refused(daemon, desk, refusal):
    toml = desk.document().toml.replace(
        '"]\n[[callers]]\nname = "other"', '"]\napproval = ["dewi"]\n[[callers]]\nname = "other"'
    )
    toml += '[[approvers]]\nname = "dewi"\nsans = ["email:dewi@example.org"]\n'
    await apply(desk, toml)
    assert (await refusal(daemon.signing().Sign(sign(daemon.mine.name)))).reason == "APPROVAL_REQUIRED"
