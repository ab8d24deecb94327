"""Who may call what: every method there is, for every role."""

import contextlib
import importlib
import pkgutil

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import segel.v1
from segel.v1 import jobs_pb2, signing_pb2, token_admin_pb2, tokens_pb2
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.rpc.roles import ROLES, require_role

FILES = (signing_pb2, jobs_pb2, tokens_pb2, token_admin_pb2, health_pb2, reflection_pb2)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
WANTED = {
    "WhoAmI": set(Role),
    "ListKeys": {Role.CALLER},
    "GetKey": {Role.CALLER},
    "Sign": {Role.CALLER},
    "SignStream": {Role.CALLER},
    "CreateJob": {Role.CALLER},
    "AppendItems": {Role.CALLER},
    "SealJob": {Role.CALLER},
    "GetJob": {Role.CALLER},
    "ListJobs": {Role.CALLER},
    "WatchJob": {Role.CALLER},
    "CancelJob": {Role.CALLER},
    "ReadResults": {Role.CALLER},
    "DeleteJob": {Role.CALLER},
    "ApproveJob": {Role.APPROVER},
    "RejectJob": {Role.APPROVER},
    "ListSlots": {Role.OFFICER, Role.AUDITOR},
    "ListTokens": {Role.OFFICER, Role.AUDITOR},
    "GetToken": {Role.OFFICER, Role.AUDITOR},
    "ActivateToken": {Role.OFFICER},
    "DeactivateToken": {Role.OFFICER},
    "Check": set(Role),
    "List": set(Role),
    "Watch": set(Role),
    "ServerReflectionInfo": set(Role),
}
PERSON = {Role.CALLER: "backoffice", Role.OFFICER: "siti", Role.AUDITOR: "agus", Role.APPROVER: "dewi"}


def test_no_method_of_the_descriptors_is_forgotten():
    assert set(METHODS) <= set(ROLES)


def test_every_service_of_the_package_is_walked():
    """A new proto file in the package must be added here, or this fails."""

    named = {file.DESCRIPTOR.name for file in FILES}
    for info in pkgutil.iter_modules(segel.v1.__path__):
        if info.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"segel.v1.{info.name}").DESCRIPTOR
            assert not descriptor.services_by_name or descriptor.name in named


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("method", METHODS)
def test_the_table_is_what_was_decided(method, role):
    who = Principal("somebody", role, "dns:somebody")
    if role in WANTED[method.rpartition("/")[2]]:
        require_role(method, who)
    else:
        with pytest.raises(Fault) as caught:
            require_role(method, who)
        assert caught.value.reason is Reason.ROLE_REQUIRED


@pytest.mark.parametrize("role", Role)
def test_a_method_outside_the_table_is_for_nobody(role):
    with pytest.raises(Fault):
        require_role("/segel.v1.Signing/Export", Principal("somebody", role, "dns:somebody"))


@pytest.mark.parametrize("role", Role)
async def test_on_the_wire_every_method_asks_for_its_role_first(daemon, role):
    """Whoever has not the role gets PERMISSION_DENIED, from both servers, whatever the request."""
    await daemon.start()
    for method, descriptor in METHODS.items():
        service = descriptor.containing_service.full_name
        if service.startswith("grpc.reflection"):
            continue
        officers = service in {"segel.v1.Tokens", "segel.v1.TokenAdmin"}
        channel = daemon.channel(PERSON[role], officers=officers)
        code = await _code(channel, method, descriptor)
        denied = code is grpc.StatusCode.PERMISSION_DENIED
        assert denied == (role not in WANTED[descriptor.name]), method


@pytest.mark.parametrize("role", Role)
async def test_each_server_serves_its_own_services_alone(daemon, role):
    await daemon.start()
    for method, descriptor in METHODS.items():
        service = descriptor.containing_service.full_name
        if not service.startswith("segel.v1"):
            continue
        wrong = service in {"segel.v1.Signing", "segel.v1.Jobs"}
        channel = daemon.channel(PERSON[role], officers=wrong)
        assert await _code(channel, method, descriptor) is grpc.StatusCode.UNIMPLEMENTED


async def _code(channel, method, descriptor):
    if descriptor.client_streaming:
        call = channel.stream_stream(method)()
        await call.done_writing()
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
    elif descriptor.server_streaming:
        call = channel.unary_stream(method)(b"")
        try:
            await call.read()
        except grpc.aio.AioRpcError:
            return await call.code()
        call.cancel()
        return grpc.StatusCode.OK
    else:
        call = channel.unary_unary(method)(b"")
    return await call.code()
