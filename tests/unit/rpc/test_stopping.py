"""Stopping: no new work, everything begun is finished or, after the grace, cancelled."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from segel.v1 import signing_pb2

ASK = signing_pb2.WhoAmIRequest()


def order(request_id=""):
    inputs = [signing_pb2.SignInput(digest=bytes(32))]
    return signing_pb2.SignRequest(key="keys/seal", algorithm=7, inputs=inputs, request_id=request_id)


async def test_new_calls_are_refused_and_told_when_to_come_back(daemon, refusal):
    await daemon.start()
    stub = daemon.signing()
    await stub.WhoAmI(ASK)
    await daemon.servers.begin_stop()
    refused = await refusal(stub.WhoAmI(ASK))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DAEMON_STOPPING")
    assert refused.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 5


async def test_what_was_begun_is_answered(daemon):
    daemon.dispatch.hold = asyncio.Event()
    await daemon.start()
    call = daemon.signing().Sign(order())
    await daemon.dispatch.arrived.acquire()
    await daemon.servers.begin_stop()
    stopping = asyncio.create_task(daemon.servers.stop(30))
    daemon.dispatch.hold.set()
    assert (await call).results[0].signature
    await stopping


async def test_what_outlasts_the_grace_is_cancelled(daemon):
    daemon.dispatch.hold = asyncio.Event()
    await daemon.start()
    call = daemon.signing().Sign(order())
    await daemon.dispatch.arrived.acquire()
    await daemon.servers.stop(0.01)
    assert daemon.dispatch.cancelled.is_set()
    with pytest.raises(grpc.aio.AioRpcError):
        await call


async def test_a_stream_finishes_what_it_has_and_says_why_it_ends(daemon, refusal):
    daemon.dispatch.hold = asyncio.Event()
    await daemon.start()
    call = daemon.signing().SignStream()
    await call.read()
    await call.write(signing_pb2.SignStreamRequest(batch=order("begun")))
    await daemon.dispatch.arrived.acquire()
    await daemon.servers.begin_stop()
    stopping = asyncio.create_task(daemon.servers.stop(30))
    daemon.dispatch.hold.set()
    assert (await call.read()).batch.request_id == "begun"
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
    await stopping


async def test_an_idle_stream_does_not_hold_up_the_end(daemon):
    await daemon.start()
    call = daemon.signing().SignStream()
    await call.read()
    await daemon.servers.stop(30)
    assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_health_says_so_and_its_watchers_do_not_hold_up_the_end(daemon):
    await daemon.start()
    stub = health_pb2_grpc.HealthStub(daemon.channel("backoffice"))
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await daemon.servers.begin_stop()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    answer = await stub.Check(health_pb2.HealthCheckRequest(service="segel.v1.Signing"))
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await daemon.servers.stop(30)
    with pytest.raises(grpc.aio.AioRpcError, match="shutting down"):
        await watch.read()


async def test_stopping_twice_does_nothing(daemon):
    await daemon.start()
    await daemon.servers.stop(1)
    await daemon.servers.stop(1)


async def test_servers_that_were_never_started_can_be_stopped(daemon):
    daemon.build()
    await daemon.servers.stop(1)
