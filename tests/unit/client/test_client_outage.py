"""What the client does when the stream breaks, the daemon refuses for now, or time runs out."""

import asyncio
import hashlib

import pytest

import segel
from segel import _stream, errors
from segel.v1 import signing_pb2

DIGEST = hashlib.sha256(b"letter").digest()


async def never(request):
    return None


async def test_after_a_restart_the_same_request_id_is_sent_again(signer, daemon, kit):
    daemon.answer = never
    async with asyncio.TaskGroup() as tasks:
        single = tasks.create_task(signer.sign_digest(DIGEST))
        bulk = tasks.create_task(signer.sign_digests([DIGEST] * 10))
        await daemon.has_batches(2)
        before = {batch.batch.request_id: batch.batch for batch in daemon.batches}
        await daemon.stop()
        daemon.batches.clear()
        daemon.answer = kit_answer(kit)
        await daemon.start()
    assert single.result() == b"sig:" + DIGEST
    assert len(bulk.result()) == 10
    assert {batch.batch.request_id: batch.batch for batch in daemon.batches} == before


def kit_answer(kit):
    async def answer(request):
        return kit.signed(request)

    return answer


async def test_a_restart_while_idle_is_not_noticed(signer, daemon):
    await signer.sign_digest(DIGEST)
    await daemon.stop()
    await daemon.start()
    assert await signer.sign_digest(DIGEST) == b"sig:" + DIGEST


async def test_an_old_connection_is_replaced(issuer, server_files, tls, kit):
    """The server sends GOAWAY to connections of an age, and ends their streams."""
    daemon = kit.FakeDaemon(
        server_files,
        issuer.file,
        options=(("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 100)),
    )
    daemon.keys["keys/seal"] = kit.a_key()
    async with kit.running(daemon), segel.Client.connect(daemon.target, tls=tls) as client:
        signer = await client.signer("keys/seal")
        while daemon.streams < 3:
            assert await signer.sign_digest(DIGEST) == b"sig:" + DIGEST


async def test_a_call_waits_out_the_daemon_until_its_own_deadline(signer, daemon):
    await signer.sign_digest(DIGEST)
    await daemon.stop()
    with pytest.raises(errors.DeadlinePassed, match="could not be reached") as caught:
        await signer.sign_digest(DIGEST, timeout=0.5)
    assert isinstance(caught.value.__cause__, errors.ConnectionFailed)
    assert caught.value.__cause__.reason in {"NOTHING_LISTENS", "CONNECTION_BROKE"}


async def test_a_deadline_ends_one_call_and_not_the_others(signer, daemon, kit):
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return kit.signed(request)

    daemon.answer = answer
    async with asyncio.TaskGroup() as tasks:
        patient = tasks.create_task(signer.sign_digest(DIGEST))
        with pytest.raises(errors.DeadlinePassed, match=r"within 0\.05 s"):
            await signer.sign_digest(DIGEST, timeout=0.05)
        release.set()
    assert patient.result() == b"sig:" + DIGEST
    assert daemon.streams == 1


async def test_time_that_runs_out_is_a_failure_of_each_item(signer, daemon):
    daemon.answer = never
    results = await signer.sign_digests([DIGEST] * 3, timeout=0.05)
    assert [type(one.error) for one in results] == [errors.DeadlinePassed] * 3


async def test_a_cancelled_call_leaves_the_others_alone(signer, daemon, kit):
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return kit.signed(request)

    daemon.answer = answer
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(signer.sign_digest(DIGEST))
        second = tasks.create_task(signer.sign_digest(DIGEST))
        many = tasks.create_task(signer.sign_digests([DIGEST] * 5))
        await daemon.has_batches(2)
        first.cancel()
        many.cancel()
        release.set()
    assert first.cancelled()
    assert many.cancelled()
    assert second.result() == b"sig:" + DIGEST
    assert daemon.streams == 1


async def test_what_was_given_up_before_it_was_sent_is_not_sent(signer, daemon):
    call = asyncio.create_task(signer.sign_digest(DIGEST))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    await signer.sign_message(b"another")
    assert [len(batch.batch.inputs) for batch in daemon.batches] == [1]


@pytest.mark.parametrize(
    ("code", "reason"), [("RESOURCE_EXHAUSTED", "QUEUE_FULL"), ("UNAVAILABLE", "TOKEN_RECOVERING")]
)
async def test_a_batch_refused_for_now_is_sent_again_under_its_id(signer, daemon, kit, code, reason):
    async def answer(request):
        if len(daemon.batches) < 3:
            error = kit.status(code, reason, retry_after=0.01)
            return refused(request, error)
        return kit.signed(request)

    daemon.answer = answer
    assert await signer.sign_digest(DIGEST) == b"sig:" + DIGEST
    assert len({batch.batch.request_id for batch in daemon.batches}) == 1
    assert len(daemon.batches) == 3


def refused(request, error):
    return signing_pb2.SignedBatch(request_id=request.request_id, error=error)


async def test_items_refused_for_now_are_sent_again_under_a_new_id(signer, daemon, kit):
    """The old id stands for its answer for ever: sending it again would get the same refusals."""

    async def answer(request):
        answer = kit.signed(request)
        if len(daemon.batches) == 1:
            for place in (1, 3):
                error = kit.status("UNAVAILABLE", "WORKER_LOST", retry_after=0.01)
                answer.response.results[place].error.CopyFrom(error)
        return answer

    daemon.answer = answer
    wanted = [(f"n{number}", hashlib.sha256(bytes([number])).digest()) for number in range(5)]
    results = await signer.sign_digests(wanted)
    assert results == [segel.Signature(b"sig:" + digest, name) for name, digest in wanted]
    first, second = daemon.batches
    assert first.batch.request_id != second.batch.request_id
    assert [item.id for item in second.batch.inputs] == ["n1", "n3"]


async def test_a_delay_longer_than_the_deadline_is_not_waited_for(signer, daemon, kit):
    async def answer(request):
        return refused(request, kit.status("RESOURCE_EXHAUSTED", "QUEUE_FULL", retry_after=30.0))

    daemon.answer = answer
    with pytest.raises(errors.Overloaded) as caught:
        await signer.sign_digest(DIGEST, timeout=5)
    assert caught.value.retry_after == 30.0
    [failure] = await signer.sign_digests([DIGEST], timeout=5)
    assert failure.error.reason == "QUEUE_FULL"


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("INVALID_ARGUMENT", "FIELD_INVALID", errors.BadRequest),
        ("PERMISSION_DENIED", "ALGORITHM_NOT_GRANTED", errors.NotAllowed),
        ("UNAUTHENTICATED", "CALLER_UNKNOWN", errors.NotAuthenticated),
        ("NOT_FOUND", "KEY_NOT_FOUND", errors.KeyNotFound),
        ("FAILED_PRECONDITION", "TOKEN_NOT_ACTIVE", errors.TokenNotActive),
        ("INTERNAL", "INTERNAL", errors.DaemonError),
        ("UNAVAILABLE", "TOKEN_NOT_PRESENT", errors.TokenUnavailable),
    ],
)
async def test_a_refusal_for_good_is_not_repeated(signer, daemon, kit, code, reason, kind):
    """The last one is UNAVAILABLE, but the daemon does not say when to come back."""

    async def answer(request):
        return refused(request, kit.status(code, reason))

    daemon.answer = answer
    with pytest.raises(kind):
        await signer.sign_digest(DIGEST)
    assert len(daemon.batches) == 1


async def test_a_stream_that_is_refused_fails_what_waits(signer, daemon, kit):
    daemon.refusal = kit.status("UNAUTHENTICATED", "CALLER_UNKNOWN", "Your certificate was revoked")
    with pytest.raises(errors.NotAuthenticated, match="revoked"):
        await signer.sign_digest(DIGEST)
    daemon.refusal = None
    assert await signer.sign_digest(DIGEST) == b"sig:" + DIGEST


async def test_a_stopping_daemon_is_waited_for(signer, daemon, kit):
    daemon.refusal = kit.status("UNAVAILABLE", "DAEMON_STOPPING", retry_after=0.01)
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(signer.sign_digest(DIGEST))
        await daemon.was_called("SignStream", 2)
        daemon.refusal = None
    assert call.result() == b"sig:" + DIGEST


async def test_a_daemon_that_opens_no_stream_does_not_hold_a_call_for_ever(signer, daemon, monkeypatch):
    monkeypatch.setattr(_stream, "OPENING", 0.05)
    gate = asyncio.Event()
    meet = daemon._meet

    async def hang(name, context):
        if daemon.streams == 1:
            await gate.wait()
        await meet(name, context)

    daemon._meet = hang
    assert await signer.sign_digest(DIGEST) == b"sig:" + DIGEST
    assert daemon.streams == 2


async def test_a_stream_that_swallows_batches_is_replaced(signer, daemon, monkeypatch):
    """The call has its own end; the room that the lost batch takes must come back too."""
    monkeypatch.setattr(_stream, "OVERDUE", 0.05)
    daemon.limits = (1, 1)
    daemon.answer = never
    with pytest.raises(errors.DeadlinePassed):
        await signer.sign_digest(DIGEST, timeout=0.02)
    daemon.answer = type(daemon).answer
    assert await signer.sign_digest(DIGEST) == b"sig:" + DIGEST
    assert daemon.streams == 2


async def test_unary_calls_wait_out_a_restart(client, daemon):
    await client.whoami()
    await daemon.stop()
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.whoami())
        await asyncio.sleep(0)
        await daemon.start()
    assert call.result().caller == "backoffice"


async def test_renewed_files_are_read_after_a_failure(daemon, issuer, stranger, tmp_path):
    """A certificate that nobody takes is replaced on disk while the program runs."""
    cert, key = tmp_path / "me.pem", tmp_path / "me.key"

    def install(files):
        cert.write_bytes(files.cert.read_bytes())
        key.write_bytes(files.key.read_bytes())

    install(stranger.issue("me"))
    async with segel.Client.connect(
        daemon.target, tls=segel.Tls(ca=issuer.file, cert=cert, key=key)
    ) as client:
        with pytest.raises(errors.ConnectionFailed):
            await client.whoami()
        install(issuer.issue("me"))
        assert (await client.whoami()).caller == "backoffice"


async def test_closing_refuses_what_waits(daemon, tls):
    daemon.answer = never
    client = segel.Client.connect(daemon.target, tls=tls)
    signer = await client.signer("keys/seal")
    single = asyncio.create_task(signer.sign_digest(DIGEST))
    bulk = asyncio.create_task(signer.sign_digests([DIGEST] * 3))
    await daemon.has_batches(2)
    await client.aclose()
    with pytest.raises(errors.ClientClosed):
        await single
    assert [failure.error.reason for failure in await bulk] == ["CLIENT_CLOSED"] * 3
    with pytest.raises(errors.ClientClosed):
        await signer.sign_digest(DIGEST)
    with pytest.raises(errors.ClientClosed):
        await client.whoami()
    await client.aclose()
