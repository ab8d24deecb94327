"""Which role may call which method: the whole table. A method that is not in it is refused to everybody."""

from collections.abc import Mapping
from typing import Final

from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role

_CALLERS: Final = frozenset({Role.CALLER})
_WATCHERS: Final = frozenset({Role.OFFICER, Role.AUDITOR})
_APPROVERS: Final = frozenset({Role.APPROVER})
_OFFICERS: Final = frozenset({Role.OFFICER})
_KNOWN: Final = frozenset(Role)

ROLES: Final[Mapping[str, frozenset[Role]]] = {
    "/segel.v1.Signing/WhoAmI": _KNOWN,
    "/segel.v1.Signing/ListKeys": _CALLERS,
    "/segel.v1.Signing/GetKey": _CALLERS,
    "/segel.v1.Signing/Sign": _CALLERS,
    "/segel.v1.Signing/SignStream": _CALLERS,
    "/segel.v1.Jobs/CreateJob": _CALLERS,
    "/segel.v1.Jobs/AppendItems": _CALLERS,
    "/segel.v1.Jobs/SealJob": _CALLERS,
    "/segel.v1.Jobs/GetJob": _CALLERS | _APPROVERS,
    "/segel.v1.Jobs/ListJobs": _CALLERS | _APPROVERS,
    "/segel.v1.Jobs/WatchJob": _CALLERS | _APPROVERS,
    "/segel.v1.Jobs/CancelJob": _CALLERS,
    "/segel.v1.Jobs/ReadResults": _CALLERS,
    "/segel.v1.Jobs/DeleteJob": _CALLERS,
    "/segel.v1.Jobs/ApproveJob": _APPROVERS,
    "/segel.v1.Jobs/RejectJob": _APPROVERS,
    "/segel.v1.Tokens/ListSlots": _WATCHERS,
    "/segel.v1.Tokens/ListTokens": _WATCHERS,
    "/segel.v1.Tokens/GetToken": _WATCHERS,
    "/segel.v1.TokenAdmin/ActivateToken": _OFFICERS,
    "/segel.v1.TokenAdmin/DeactivateToken": _OFFICERS,
    "/segel.v1.TokenAdmin/ChangePin": _OFFICERS,
    "/segel.v1.TokenAdmin/QuarantineToken": _OFFICERS,
    "/segel.v1.TokenAdmin/ReleaseToken": _OFFICERS,
    "/segel.v1.TokenAdmin/ListObjects": _WATCHERS,
    "/segel.v1.TokenAdmin/ListManagedKeys": _WATCHERS,
    "/segel.v1.TokenAdmin/GenerateKey": _OFFICERS,
    "/segel.v1.TokenAdmin/CreateCsr": _OFFICERS,
    "/segel.v1.TokenAdmin/ImportCertificate": _OFFICERS,
    "/segel.v1.TokenAdmin/DisableKey": _OFFICERS,
    "/segel.v1.TokenAdmin/ListAllJobs": _WATCHERS,
    "/segel.v1.TokenAdmin/PauseJob": _OFFICERS,
    "/segel.v1.TokenAdmin/ResumeJob": _OFFICERS,
    "/segel.v1.TokenAdmin/CancelAnyJob": _OFFICERS,
    "/segel.v1.Audit/GetCheckpoint": _WATCHERS,
    "/segel.v1.Audit/ReadEntries": _WATCHERS,
    "/segel.v1.Audit/FindEntries": _WATCHERS,
    "/segel.v1.Audit/ProveInclusion": _WATCHERS,
    "/segel.v1.Changes/ProposeChange": _OFFICERS,
    "/segel.v1.Changes/ListChanges": _WATCHERS,
    "/segel.v1.Changes/GetChange": _WATCHERS,
    "/segel.v1.Changes/ApproveChange": _OFFICERS,
    "/segel.v1.Changes/RejectChange": _OFFICERS,
    "/segel.v1.Changes/RunChange": _OFFICERS,
    "/segel.v1.PolicyAdmin/GetPolicy": _WATCHERS,
    "/segel.v1.PolicyAdmin/CheckPolicy": _OFFICERS,
    "/segel.v1.PolicyAdmin/ExplainPolicy": _WATCHERS,
    "/segel.v1.PolicyAdmin/ListCallers": _WATCHERS,
    "/segel.v1.PolicyAdmin/RevokeCaller": _OFFICERS,
    "/grpc.health.v1.Health/Check": _KNOWN,
    "/grpc.health.v1.Health/List": _KNOWN,
    "/grpc.health.v1.Health/Watch": _KNOWN,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _KNOWN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _KNOWN,
}

ACTS: Final = frozenset(method for method, roles in ROLES.items() if roles in (_OFFICERS, _APPROVERS)) - {
    "/segel.v1.PolicyAdmin/CheckPolicy"
}
"""Those that change something for everybody. They go to their end whoever waits for them."""


def require_role(method: str, who: Principal) -> None:
    """:raises Fault: ROLE_REQUIRED."""
    allowed = ROLES.get(method, frozenset())
    if who.role not in allowed:
        wanted = " or ".join(sorted(allowed)) or "nobody"
        raise Fault(
            Reason.ROLE_REQUIRED,
            f"You are {who.name}, {_article(who.role)} {who.role}; this is for {wanted} ({method[1:]}). Use a "
            "certificate of that role, or ask an officer.",
            role=str(who.role),
            required=wanted,
        )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
