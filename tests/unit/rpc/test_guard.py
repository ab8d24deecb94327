"""What stands before every service: ids, the one except clause, one log line, figures."""

import asyncio
import uuid

import grpc
import pytest
from google.protobuf.internal import api_implementation
from google.rpc import error_details_pb2

from segel.v1 import signing_pb2, tokens_pb2
from segeld.model.faults import Fault, Reason
from segeld.rpc import gate

ASK = signing_pb2.WhoAmIRequest()
CANARY = "canary-8472"


async def test_no_exceptions_text_leaves_the_daemon(daemon, refusal, events):
    await daemon.start()
    daemon.inventory.fail = RuntimeError(f"/secret/path {CANARY}")
    refused = await refusal(daemon.tokens().ListSlots(tokens_pb2.ListSlotsRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    request_id = refused.trailers["x-request-id"]
    assert refused.text == f"The daemon failed; its log has more under request id {request_id}."
    assert CANARY.encode() not in refused.status.SerializeToString()
    assert all(CANARY not in str(item) for item in refused.trailers.items())
    (failure,) = [event for event in events if event["event"] == "call_failed"]
    assert CANARY in str(failure["exc_info"])
    assert failure["request_id"] == request_id


@pytest.mark.parametrize(
    "error", [KeyError(CANARY), ExceptionGroup(CANARY, [ValueError(CANARY)]), OSError(CANARY)]
)
async def test_no_kind_of_exception_is_told(daemon, refusal, error):
    await daemon.start()
    daemon.inventory.fail = error
    refused = await refusal(daemon.tokens().ListSlots(tokens_pb2.ListSlotsRequest()))
    assert refused.code is grpc.StatusCode.INTERNAL
    assert CANARY not in refused.text


async def test_a_request_that_is_no_message_is_an_invalid_argument(daemon, refusal):
    await daemon.start()
    refused = await refusal(daemon.channel("backoffice").unary_unary("/segel.v1.Signing/Sign")(b"\xff"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_clients_request_id_comes_back(daemon, refusal):
    await daemon.start()
    stub = daemon.signing()
    call = stub.WhoAmI(ASK, metadata=[("x-request-id", "letter-7:1")])
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "letter-7:1"
    refused = await refusal(
        stub.GetKey(signing_pb2.GetKeyRequest(), metadata=[("x-request-id", "letter-7:2")])
    )
    assert refused.trailers["x-request-id"] == "letter-7:2"
    assert refused.detail(error_details_pb2.RequestInfo).request_id == "letter-7:2"
    assert refused.detail(error_details_pb2.ErrorInfo).metadata["request_id"] == "letter-7:2"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a;b"])
async def test_a_malformed_request_id_is_replaced(daemon, given):
    await daemon.start()
    call = daemon.signing().WhoAmI(ASK, metadata=[("x-request-id", given)])
    await call
    uuid.UUID(dict(await call.trailing_metadata())["x-request-id"])


async def test_each_call_is_one_log_line(daemon, refusal, events):
    await daemon.start()
    digest = signing_pb2.SignInput(digest=bytes(32), id="private name")
    request = signing_pb2.SignRequest(key="keys/seal", algorithm=7, inputs=[digest] * 3)
    await daemon.signing().Sign(request, metadata=[("x-request-id", "one")])
    await refusal(daemon.signing().GetKey(signing_pb2.GetKeyRequest(name="keys/theirs")))
    await refusal(daemon.signing("agus").ListKeys(signing_pb2.ListKeysRequest()))
    lines = [event for event in events if event["event"] == "call"]
    for line in lines:
        assert line.pop("duration_ms") >= 0
        line.pop("request_id")
    common = {"event": "call", "log_level": "info"}
    assert lines == [
        common
        | {
            "method": "segel.v1.Signing/Sign",
            "principal": "backoffice",
            "code": "OK",
            "reason": None,
            "items": 3,
        },
        common
        | {
            "method": "segel.v1.Signing/GetKey",
            "principal": "backoffice",
            "code": "NOT_FOUND",
            "reason": Reason.KEY_NOT_FOUND,
            "items": 0,
        },
        common
        | {
            "method": "segel.v1.Signing/ListKeys",
            "principal": "agus",
            "code": "PERMISSION_DENIED",
            "reason": Reason.ROLE_REQUIRED,
            "items": 0,
        },
    ]


async def test_a_call_that_was_given_up_is_logged_as_cancelled(daemon, events):
    daemon.dispatch.hold = asyncio.Event()
    await daemon.start()
    digest = signing_pb2.SignInput(digest=bytes(32))
    call = daemon.signing().Sign(signing_pb2.SignRequest(key="keys/seal", algorithm=7, inputs=[digest]))
    await daemon.dispatch.arrived.acquire()
    call.cancel()
    await daemon.dispatch.cancelled.wait()
    await daemon.servers.stop(10)
    (line,) = [event for event in events if event["event"] == "call"]
    assert (line["code"], line["reason"]) == ("CANCELLED", Reason.CANCELLED)


async def test_calls_are_counted_and_timed(daemon, refusal):
    await daemon.start()
    await daemon.signing().WhoAmI(ASK)
    await refusal(daemon.signing().GetKey(signing_pb2.GetKeyRequest(name="keys/theirs")))

    def value(name, **labels):
        return daemon.registry.get_sample_value(name, labels)

    who, get = "/segel.v1.Signing/WhoAmI", "/segel.v1.Signing/GetKey"
    assert value("segel_rpc_calls_total", method=who, code="OK", reason="") == 1
    assert value("segel_rpc_calls_total", method=get, code="NOT_FOUND", reason="KEY_NOT_FOUND") == 1
    assert value("segel_rpc_seconds_count", method=who) == 1


async def test_a_method_that_is_not_there_leaves_no_trace(daemon):
    """Names that a stranger makes up must not fill a table."""
    await daemon.start()
    channel = daemon.channel("backoffice")
    for number in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/segel.v1.Signing/Made{number}")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert daemon.registry.get_sample_value("segel_rpc_calls_total", {}) is None


async def test_a_long_text_still_fits_into_the_trailers(daemon, refusal):
    await daemon.start()
    daemon.inventory.fail = Fault(Reason.DEVICE_ERROR, "ä\n" * 10_000, what="\0" * 10_000)
    refused = await refusal(daemon.tokens().ListSlots(tokens_pb2.ListSlotsRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEVICE_ERROR")


@pytest.mark.parametrize(
    ("limits", "reason"), [({"max_calls": 2}, "QUEUE_FULL"), ({"max_calls_per_caller": 2}, "CALLER_QUOTA")]
)
async def test_calls_beyond_the_limit_are_refused_and_told_when_to_come_back(daemon, refusal, limits, reason):
    daemon.limit(**limits)
    daemon.dispatch.hold = asyncio.Event()
    await daemon.start()
    stub = daemon.signing()
    inputs = [signing_pb2.SignInput(digest=bytes(32))]
    request = signing_pb2.SignRequest(key="keys/seal", algorithm=7, inputs=inputs)
    calls = [stub.Sign(request) for _ in range(2)]
    for _ in calls:
        await daemon.dispatch.arrived.acquire()
    refused = await refusal(stub.WhoAmI(ASK))
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
    assert refused.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1
    daemon.dispatch.hold.set()
    await asyncio.gather(*calls)
    await stub.WhoAmI(ASK)


async def test_octets_of_calls_are_limited_as_well(daemon, refusal, monkeypatch):
    monkeypatch.setattr(gate, "MAX_OCTETS", 100)
    await daemon.start()
    refused = await refusal(daemon.signing().GetKey(signing_pb2.GetKeyRequest(name="x" * 101)))
    assert refused.reason == "QUEUE_FULL"
    assert (
        await refusal(daemon.signing().GetKey(signing_pb2.GetKeyRequest(name="x")))
    ).reason == "FIELD_INVALID"


async def test_compressed_requests_are_not_unpacked(daemon):
    await daemon.start()
    call = daemon.channel("backoffice").unary_unary("/segel.v1.Signing/Sign")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(bytes(900_000), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_messages_are_parsed_by_upb():
    """The pure Python parser has had holes that this one has not."""
    assert api_implementation.Type() == "upb"
