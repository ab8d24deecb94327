"""Who may call what: every method there is, for every role."""

import contextlib
import importlib
import pkgutil

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import segel.v1
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.rpc.roles import ROLES, require_role
from segeld.rpc.service import OfficerService

MODULES = {
    info.name: importlib.import_module(f"segel.v1.{info.name}")
    for info in pkgutil.iter_modules(segel.v1.__path__)
    if info.name.endswith("_pb2")
}
"""Every one in the package's folder: a new proto cannot be forgotten."""
SERVICES = {
    service.full_name: (name, service)
    for name, module in MODULES.items()
    for service in module.DESCRIPTOR.services_by_name.values()
}
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for service in (
        *(service for _, service in SERVICES.values()),
        *health_pb2.DESCRIPTOR.services_by_name.values(),
        *reflection_pb2.DESCRIPTOR.services_by_name.values(),
    )
    for method in service.methods
}
FOR_CALLERS = {"segel.v1.Signing", "segel.v1.Jobs"}
"""Services of the callers' listener; all others are the officers'."""
BUILT_IN = FOR_CALLERS | {"segel.v1.Tokens", "segel.v1.TokenAdmin"}
NEWER_REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
"""Served by grpcio-reflection as an alias; it has no descriptor of its own."""

CALLER, OFFICER, AUDITOR, APPROVER = Role.CALLER, Role.OFFICER, Role.AUDITOR, Role.APPROVER
EVERYBODY = set(Role)
WANTED = {
    "Signing": {
        CALLER: "ListKeys GetKey Sign SignStream",
        OFFICER: "",
        AUDITOR: "",
        APPROVER: "",
    },
    "Jobs": {
        CALLER: "CreateJob AppendItems SealJob GetJob ListJobs WatchJob CancelJob ReadResults DeleteJob",
        OFFICER: "",
        AUDITOR: "",
        APPROVER: "GetJob ListJobs WatchJob ApproveJob RejectJob",
    },
    "Tokens": {
        CALLER: "",
        OFFICER: "ListSlots ListTokens GetToken",
        AUDITOR: "ListSlots ListTokens GetToken",
        APPROVER: "",
    },
    "TokenAdmin": {
        CALLER: "",
        OFFICER: "ActivateToken DeactivateToken ChangePin QuarantineToken ReleaseToken ListObjects ListManagedKeys "
        "GenerateKey CreateCsr ImportCertificate DisableKey ListAllJobs PauseJob ResumeJob CancelAnyJob",
        AUDITOR: "ListObjects ListManagedKeys ListAllJobs",
        APPROVER: "",
    },
    "Changes": {
        CALLER: "",
        OFFICER: "ProposeChange ListChanges GetChange ApproveChange RejectChange RunChange",
        AUDITOR: "ListChanges GetChange",
        APPROVER: "",
    },
    "PolicyAdmin": {
        CALLER: "",
        OFFICER: "GetPolicy CheckPolicy ExplainPolicy ListCallers RevokeCaller",
        AUDITOR: "GetPolicy ExplainPolicy ListCallers",
        APPROVER: "",
    },
    "Audit": {
        CALLER: "",
        OFFICER: "GetCheckpoint ReadEntries FindEntries ProveInclusion",
        AUDITOR: "GetCheckpoint ReadEntries FindEntries ProveInclusion",
        APPROVER: "",
    },
}
"""What was decided, beside WhoAmI, health and reflection, which are for everybody."""


def wanted(method: str) -> set[Role]:
    service, name = method[1:].rsplit("/", 1)
    if service.startswith("grpc.") or name == "WhoAmI":
        return EVERYBODY
    decided = WANTED[service.removeprefix("segel.v1.")]
    return {role for role in Role if name in decided[role].split()}


PERSON = {Role.CALLER: "backoffice", Role.OFFICER: "siti", Role.AUDITOR: "agus", Role.APPROVER: "dewi"}


def test_the_table_has_every_method_that_is_there_and_no_other():
    assert set(METHODS) | {NEWER_REFLECTION} == set(ROLES)


def test_what_was_decided_names_methods_that_are_there():
    for service, roles in WANTED.items():
        if f"segel.v1.{service}" in SERVICES:
            names = {name for methods in roles.values() for name in methods.split()}
            assert names <= {method.name for method in SERVICES[f"segel.v1.{service}"][1].methods}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("method", METHODS)
def test_the_table_is_what_was_decided(method, role):
    who = Principal("somebody", role, "dns:somebody")
    if role in wanted(method):
        require_role(method, who)
    else:
        with pytest.raises(Fault) as caught:
            require_role(method, who)
        assert caught.value.reason is Reason.ROLE_REQUIRED


@pytest.mark.parametrize("role", Role)
def test_a_method_outside_the_table_is_for_nobody(role):
    with pytest.raises(Fault):
        require_role("/segel.v1.Signing/Export", Principal("somebody", role, "dns:somebody"))


def _empty_service(name: str) -> OfficerService:
    """One whose every method fails once it is reached: what passes the gate is not PERMISSION_DENIED."""
    file, service = SERVICES[name]
    made = importlib.import_module(f"segel.v1.{file}_grpc")
    servicer = getattr(made, f"{service.name}Servicer")()
    return OfficerService(name, servicer, getattr(made, f"add_{service.name}Servicer_to_server"))


@pytest.fixture
def whole(daemon):
    """A daemon with every service there is."""
    daemon.services = tuple(_empty_service(name) for name in SERVICES if name not in BUILT_IN)
    return daemon


@pytest.mark.parametrize("role", Role)
async def test_on_the_wire_every_method_asks_for_its_role_first(whole, role):
    """Whoever has not the role gets PERMISSION_DENIED, from both servers, whatever the request."""
    await whole.start()
    for method, descriptor in METHODS.items():
        service = descriptor.containing_service.full_name
        if service.startswith("grpc.reflection"):
            continue
        officers = service.startswith("segel.v1") and service not in FOR_CALLERS
        channel = whole.channel(PERSON[role], officers=officers)
        code = await _code(channel, method, descriptor)
        assert code is not grpc.StatusCode.UNIMPLEMENTED, method
        denied = code is grpc.StatusCode.PERMISSION_DENIED
        assert denied == (role not in wanted(method)), method


@pytest.mark.parametrize("role", Role)
async def test_each_server_serves_its_own_services_alone(whole, role):
    await whole.start()
    for method, descriptor in METHODS.items():
        service = descriptor.containing_service.full_name
        if not service.startswith("segel.v1"):
            continue
        channel = whole.channel(PERSON[role], officers=service in FOR_CALLERS)
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
