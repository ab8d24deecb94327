"""Health and reflection: open to whom the policy knows, and silent about keys and tokens."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

Status = health_pb2.HealthCheckResponse


@pytest.fixture
def health(daemon):
    def stub(who="backoffice", **where):
        return health_pb2_grpc.HealthStub(daemon.channel(who, **where))

    return stub


async def check(stub, service=""):
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_each_server_tells_of_its_own_services_alone(daemon, health):
    await daemon.start()
    assert set((await health().List(health_pb2.HealthListRequest())).statuses) == {
        "",
        "segel.v1.Signing",
        "segel.v1.Jobs",
    }
    officers = await health("agus", officers=True).List(health_pb2.HealthListRequest())
    assert set(officers.statuses) == {"", "segel.v1.Tokens", "segel.v1.TokenAdmin"}


@pytest.mark.parametrize("name", ["segel.v1.Tokens", "tokens/payroll", "keys/seal", "nothing"])
async def test_other_names_are_not_found(daemon, health, name):
    await daemon.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(health(), name)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_service_is_as_it_was_last_said_to_be(daemon, health):
    await daemon.start()
    stub = health()
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="segel.v1.Signing"))
    assert (await watch.read()).status == Status.SERVING
    await daemon.servers.show_health("segel.v1.Signing", serving=False)
    assert (await watch.read()).status == Status.NOT_SERVING
    assert await check(stub, "segel.v1.Signing") == Status.NOT_SERVING
    assert await check(stub) == Status.SERVING
    watch.cancel()


async def test_health_may_be_set_before_the_start(daemon, health):
    daemon.build()
    await daemon.servers.show_health("segel.v1.Signing", serving=False)
    daemon.bound = await daemon.servers.start()
    assert await check(health(), "segel.v1.Signing") == Status.NOT_SERVING


async def test_a_stranger_is_told_nothing(daemon, health):
    daemon.authority.issue("stranger", ["dns:stranger.example"])
    await daemon.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(health("stranger"))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_is_no_news_for_the_log(daemon, health, events):
    await daemon.start()
    await check(health())
    assert [event["log_level"] for event in events] == ["debug"]


@pytest.mark.parametrize("on", [True, False])
async def test_reflection_is_there_if_it_was_asked_for(daemon, on):
    daemon.change(reflection=on)
    await daemon.start()
    stub = reflection_pb2_grpc.ServerReflectionStub(daemon.channel("backoffice"))
    call = stub.ServerReflectionInfo()
    if on:
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        names = {service.name for service in answer.list_services_response.service}
        assert names == {
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "segel.v1.Jobs",
            "segel.v1.Signing",
        }
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    assert await call.code() is (grpc.StatusCode.OK if on else grpc.StatusCode.UNIMPLEMENTED)


async def test_an_open_reflection_does_not_hold_up_the_end(daemon):
    daemon.change(reflection=True)
    await daemon.start()
    call = reflection_pb2_grpc.ServerReflectionStub(daemon.channel("backoffice")).ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    await call.read()
    await daemon.servers.stop(30)
    with pytest.raises(grpc.aio.AioRpcError, match="shutting down"):
        await call.read()
