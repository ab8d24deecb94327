"""Batches on one stream: limits, order, refusals, and ends."""

import asyncio

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from segel.v1 import resources_pb2, signing_pb2
from segeld.config.schema import Limits
from segeld.model.faults import Fault, Reason
from segeld.rpc import convert, sign_stream

P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256


def batch(key, request_id, count=1, *, size=32, timeout=None, **fields):
    inputs = [signing_pb2.SignInput(id=str(n), digest=bytes(size)) for n in range(count)]
    fields.setdefault("algorithm", P256)
    inner = signing_pb2.SignRequest(key=str(key), inputs=inputs, request_id=request_id, **fields)
    return signing_pb2.SignStreamRequest(batch=inner, timeout=timeout)


@pytest.fixture
async def stream(daemon):
    """A stream that was opened, its limits read."""

    async def open_one(who="backoffice"):
        call = daemon.signing(who).SignStream()
        await call.read()
        return call

    return open_one


async def ending(call):
    """How the stream ended, after everything that was still said."""
    said = []
    try:
        while (message := await call.read()) is not grpc.aio.EOF:
            said.append(message.batch)
    except grpc.aio.AioRpcError:
        pass
    return said, await call.code(), await rpc_status.aio.from_call(call)


async def test_the_limits_come_first(daemon):
    daemon.limit(max_in_flight=99, max_batch=7)
    await daemon.start()
    call = daemon.signing().SignStream()
    first = await call.read()
    assert (first.limits.max_in_flight, first.limits.max_batch) == (99, 7)
    await call.done_writing()
    assert await ending(call) == ([], grpc.StatusCode.OK, None)


async def test_batches_are_answered_in_the_order_of_finishing(daemon, stream):
    await daemon.start()
    daemon.dispatch.holds = {"slow": asyncio.Event()}
    call = await stream()
    await call.write(batch(daemon.mine.name, "slow"))
    await call.write(batch("keys/seal", "fast", 3))
    fast = (await call.read()).batch
    assert (fast.request_id, len(fast.response.results)) == ("fast", 3)
    assert fast.response.key == str(daemon.mine.name)
    daemon.dispatch.holds["slow"].set()
    assert (await call.read()).batch.request_id == "slow"


async def test_a_half_closed_stream_gets_every_answer(daemon, stream):
    await daemon.start()
    daemon.dispatch.hold = asyncio.Event()
    call = await stream()
    for number in range(5):
        await call.write(batch(daemon.mine.name, f"b{number}"))
    await call.done_writing()
    for _ in range(5):
        await daemon.dispatch.arrived.acquire()
    daemon.dispatch.hold.set()
    said, code, _ = await ending(call)
    assert code is grpc.StatusCode.OK
    assert {each.request_id for each in said} == {f"b{number}" for number in range(5)}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"count": 0}, "BATCH_EMPTY"),
        ({"count": 1025}, "BATCH_TOO_LARGE"),
        ({"size": 31}, "DIGEST_LENGTH"),
        ({"algorithm": 0}, "ALGORITHM_UNKNOWN"),
        ({"key": "keys/unheard-of"}, "KEY_NOT_FOUND"),
        ({"timeout": duration_pb2.Duration(nanos=1000)}, "DEADLINE_TOO_SHORT"),
        ({"timeout": duration_pb2.Duration(seconds=-5)}, "DEADLINE_TOO_SHORT"),
    ],
)
async def test_a_refused_batch_does_not_end_the_stream(daemon, stream, error_info, message, reason):
    await daemon.start()
    call = await stream()
    await call.write(batch(**({"key": daemon.mine.name, "request_id": "bad"} | message)))
    bad = (await call.read()).batch
    assert (bad.request_id, error_info(bad.error).reason) == ("bad", reason)
    await call.write(batch(daemon.mine.name, "good"))
    assert (await call.read()).batch.WhichOneof("outcome") == "response"


async def test_a_foreign_key_looks_like_an_unknown_one_on_a_stream_too(daemon, stream):
    await daemon.start()
    call = await stream()
    answers = set()
    for name in (daemon.foreign.name, "keys/theirs", "keys/unheard-of"):
        await call.write(batch(name, "same"))
        answers.add((await call.read()).SerializeToString(deterministic=True))
    assert len(answers) == 1


async def test_what_is_beyond_the_limit_is_refused_and_what_is_within_is_not(daemon, stream, error_info):
    daemon.limit(max_in_flight=10)
    await daemon.start()
    daemon.dispatch.hold = asyncio.Event()
    call = await stream()
    await call.write(batch(daemon.mine.name, "seven", 7))
    await call.write(batch(daemon.mine.name, "four", 4))
    four = (await call.read()).batch
    assert four.request_id == "four"
    assert four.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert error_info(four.error).reason == "CALLER_QUOTA"
    await call.write(batch(daemon.mine.name, "three", 3))
    daemon.dispatch.hold.set()
    assert {(await call.read()).batch.request_id for _ in range(2)} == {"seven", "three"}
    daemon.dispatch.hold = None
    await call.write(batch(daemon.mine.name, "ten", 10))
    assert (await call.read()).batch.WhichOneof("outcome") == "response"


async def test_a_client_that_keeps_to_the_limit_is_never_refused(daemon, stream):
    """It reckons with its share, and with its ids, as soon as it has read an answer."""
    daemon.limit(max_in_flight=10)
    await daemon.start()
    call = await stream()
    await call.write(batch(daemon.mine.name, "a", 5))
    await call.write(batch(daemon.mine.name, "b", 5))
    for _ in range(300):
        answer = (await call.read()).batch
        assert answer.WhichOneof("outcome") == "response"
        await call.write(batch(daemon.mine.name, answer.request_id, 5))


async def test_octets_in_flight_are_limited_as_well(daemon, stream, error_info, monkeypatch):
    monkeypatch.setattr(sign_stream, "MAX_OCTETS", 500)
    await daemon.start()
    call = await stream()
    await call.write(batch(daemon.mine.name, "large", 20))
    large = (await call.read()).batch
    assert error_info(large.error).reason == "CALLER_QUOTA"


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129])
async def test_a_batch_without_a_proper_id_ends_the_stream_but_loses_no_answer(daemon, stream, request_id):
    await daemon.start()
    daemon.dispatch.hold = asyncio.Event()
    call = await stream()
    await call.write(batch(daemon.mine.name, "before"))
    await daemon.dispatch.arrived.acquire()
    await call.write(batch(daemon.mine.name, request_id))
    daemon.dispatch.hold.set()
    said, code, status = await ending(call)
    assert [each.request_id for each in said] == ["before"]
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "batch.request_id" in status.message


async def test_an_id_in_flight_cannot_be_used_again(daemon, stream, monkeypatch):
    await daemon.start()
    refused, invalid = asyncio.Event(), convert.invalid
    monkeypatch.setattr(convert, "invalid", lambda *said: refused.set() or invalid(*said))
    daemon.dispatch.hold = asyncio.Event()
    call = await stream()
    await call.write(batch(daemon.mine.name, "twin"))
    await call.write(batch(daemon.mine.name, "twin"))
    await refused.wait()
    daemon.dispatch.hold.set()
    said, code, status = await ending(call)
    assert [each.WhichOneof("outcome") for each in said] == ["response"]
    assert (code, "already in flight" in status.message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert len(daemon.dispatch.orders) == 1


async def test_an_id_may_be_used_again_once_it_was_answered(daemon, stream):
    await daemon.start()
    call = await stream()
    for _ in range(3):
        await call.write(batch(daemon.mine.name, "again"))
        assert (await call.read()).batch.WhichOneof("outcome") == "response"


async def test_a_failure_in_one_batch_says_nothing_of_itself(daemon, stream, error_info):
    await daemon.start()
    call = await stream()
    daemon.dispatch.fail = RuntimeError("canary-8472")
    await call.write(batch(daemon.mine.name, "broken"))
    broken = (await call.read()).batch
    assert error_info(broken.error).reason == "INTERNAL"
    assert b"canary" not in broken.SerializeToString()
    daemon.dispatch.fail = None
    await call.write(batch(daemon.mine.name, "fine"))
    assert (await call.read()).batch.WhichOneof("outcome") == "response"


async def test_a_refused_order_is_the_batches_error(daemon, stream, error_info):
    await daemon.start()
    call = await stream()
    daemon.dispatch.fail = Fault(
        Reason.TOKEN_NOT_ACTIVE, "the token waits for its PIN", token="tokens/payroll"
    )
    await call.write(batch(daemon.mine.name, "early"))
    assert error_info((await call.read()).batch.error).reason == "TOKEN_NOT_ACTIVE"


async def test_a_client_that_goes_takes_its_batches_along(daemon, stream):
    await daemon.start()
    daemon.dispatch.hold = asyncio.Event()
    call = await stream()
    await call.write(batch(daemon.mine.name, "lost"))
    await daemon.dispatch.arrived.acquire()
    call.cancel()
    await daemon.dispatch.cancelled.wait()


async def test_a_message_that_cannot_be_read_ends_the_stream(daemon):
    await daemon.start()
    call = daemon.channel("backoffice").stream_stream("/segel.v1.Signing/SignStream")()
    await call.read()
    await call.write(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_streams_are_counted_for_each_caller_and_over_all(daemon, stream):
    daemon.limit(max_streams=3, max_streams_per_caller=2)
    await daemon.start()
    await stream()
    second = await stream()
    third = daemon.signing().SignStream()
    _, code, status = await ending(third)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    quota = error_details_pb2.QuotaFailure()
    (packed,) = [each for each in status.details if each.Is(quota.DESCRIPTOR)]
    packed.Unpack(quota)
    assert quota.violations[0].subject == "caller:backoffice"
    await stream("other")
    _, code, _ = await ending(daemon.signing("other").SignStream())
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await second.done_writing()
    await ending(second)
    await stream()
    assert daemon.registry.get_sample_value("segel_rpc_streams") == 3


async def test_a_client_that_does_not_read_is_held_to_its_share_and_loses_nothing(daemon):
    """It writes as much as the daemon takes; what the daemon holds for it stays below the limit."""
    daemon.limit(max_in_flight=2048, max_batch=1024)
    daemon.dispatch.outcome = lambda _: bytes(512)
    await daemon.start()
    call = daemon.signing().SignStream()
    message = batch(daemon.mine.name, "", 1024)
    batches = 400

    async def write_on():
        for number in range(batches):
            message.batch.request_id = str(number)
            await call.write(message)
        await call.done_writing()

    writing = asyncio.create_task(write_on())
    stuck = asyncio.Event()

    def watch(seen=-1, still=0):
        # No clock says when a writer is stuck: it is, when the loop has gone round often and nothing was ordered.
        now = len(daemon.dispatch.orders)
        still = still + 1 if now == seen else 0
        if still == 50:
            stuck.set()
        else:
            asyncio.get_running_loop().call_later(0.01, watch, now, still)

    watch()
    await stuck.wait()
    assert not writing.done()
    assert len(daemon.dispatch.orders) < 40
    said, code, _ = await ending(call)
    assert code is grpc.StatusCode.OK
    assert {each.request_id for each in said[1:]} == {str(number) for number in range(batches)}
    await writing


async def test_a_share_is_free_before_the_write_of_its_answer_has_come_back():
    """The client may have read it by then, and sent the next batch under the same id."""
    messages, signed_again = asyncio.Queue(), asyncio.Event()
    orders = []

    async def sign(request, until, prefix):
        orders.append(request.request_id)
        if len(orders) == 2:
            signed_again.set()
        return signing_pb2.SignResponse()

    class Context:
        def time_remaining(self):
            return None

        async def write(self, message):
            if message.HasField("limits"):
                messages.put_nowait(batch("keys/seal", "same", 10))
            elif not signed_again.is_set():
                messages.put_nowait(batch("keys/seal", "same", 10))
                await signed_again.wait()
                messages.put_nowait(None)

    async def arriving():
        while (message := await messages.get()) is not None:
            yield message

    # Eleven, so that what waits to be written (ten) does not yet stop the reading.
    stream = sign_stream.SignStream(sign, Context(), Limits(max_in_flight=11), asyncio.Event())
    async with asyncio.timeout(10):
        await stream.run(arriving())
    assert orders == ["same", "same"]
