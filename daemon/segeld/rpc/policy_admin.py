"""The service for officers: the policy in force, what another one would change, and who is shut out."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from collections.abc import Callable
from typing import Any, Final

import grpc

from segel.v1 import policy_admin_pb2 as wire
from segel.v1 import policy_admin_pb2_grpc
from segeld.model.algorithm import BY_NAME, Algorithm
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName
from segeld.model.principal import Role
from segeld.office.policy_desk import PolicyDesk
from segeld.office.revocations import is_fingerprint
from segeld.policy.explain import explain
from segeld.policy.rules import Policy
from segeld.rpc import call as calls
from segeld.rpc import convert, policy_explained, policy_pages
from segeld.rpc.open_calls import OpenCalls
from segeld.rpc.ports import Inventory
from segeld.rpc.service import OfficerService

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "segel.v1.PolicyAdmin"
_ALGORITHM: Final = "SIGNATURE_ALGORITHM_"


def policy_service(
    desk: PolicyDesk,
    open_calls: OpenCalls,
    inventory: Inventory,
    *,
    jobs_of: Callable[[str], int],
    barred: Callable[[KeyName], Fault | None] = lambda key: None,  # noqa: ARG005
) -> OfficerService:
    """:param jobs_of: how many jobs of a caller wait.
    :param barred: why nobody may use a key now.
    """
    admin = PolicyAdmin(desk, open_calls, inventory, jobs_of, barred)
    return OfficerService(NAME, admin, policy_admin_pb2_grpc.add_PolicyAdminServicer_to_server)


class PolicyAdmin(policy_admin_pb2_grpc.PolicyAdminServicer):
    def __init__(
        self,
        desk: PolicyDesk,
        open_calls: OpenCalls,
        inventory: Inventory,
        jobs_of: Callable[[str], int],
        barred: Callable[[KeyName], Fault | None],
    ) -> None:
        self._desk = desk
        self._open_calls = open_calls
        self._inventory = inventory
        self._jobs_of = jobs_of
        self._barred = barred

    async def GetPolicy(self, request: wire.GetPolicyRequest, context: Context) -> wire.Policy:
        await self._desk.compared.look()
        kept = self._desk.document()
        answer = wire.Policy(
            toml=kept.toml,
            hash=kept.hash,
            requested_by=kept.requested_by,
            approved_by=kept.approved_by,
            two_person=self._desk.two_person(),
            warnings=self._desk.warnings(),
            file_differs=bool(self._desk.compared.difference),
        )
        answer.apply_time.FromMicroseconds(round(kept.at * 1e6))
        return answer

    async def CheckPolicy(
        self, request: wire.CheckPolicyRequest, context: Context
    ) -> wire.CheckPolicyResponse:
        check = await self._desk.check(request.toml)
        begin = policy_pages.begin(request, check)
        shown = policy_pages.page(check.differences, begin, request.page_size)
        end = begin + len(shown)
        return wire.CheckPolicyResponse(
            problems=policy_pages.problems(check.problems),
            differences=shown,
            needs_approval=check.needs_approval and self._desk.two_person(),
            warnings=[] if check.problems else [*self._unknown_keys(check.policy), *check.notes],
            next_page_token=policy_pages.token(end, check, request.toml)
            if end < len(check.differences)
            else "",
            base=check.base.hash,
        )

    def _unknown_keys(self, policy: Policy) -> list[str]:
        held = {record.name for record in self._inventory.keys()}  # noqa: SIM118 - no mapping
        return [f"{key}: no token that was looked at holds this key" for key in sorted(policy.keys() - held)]

    async def ExplainPolicy(
        self, request: wire.ExplainPolicyRequest, context: Context
    ) -> wire.ExplainPolicyResponse:
        convert.check_name_length(request.caller, "caller")
        if not request.caller:
            raise convert.invalid("caller", "is missing")
        key = convert.key_or_alias(request.key, "key") if request.key else None
        revocation = self._desk.shut_out.revocations.of_name(request.caller)
        found = explain(
            self._desk.current(),
            request.caller,
            key,
            _algorithm(request.algorithm),
            revoked=policy_explained.revoked(request.caller, revocation),
            barred=lambda name: policy_explained.barred(self._barred(name), name),
            held=policy_explained.held(self._inventory),
        )
        return wire.ExplainPolicyResponse(allowed=found.allowed, steps=found.steps)

    async def ListCallers(
        self, request: wire.ListCallersRequest, context: Context
    ) -> wire.ListCallersResponse:
        revocations = self._desk.shut_out.revocations
        sans: dict[str, list[str]] = {name: [] for name in revocations.names}
        for san, who in self._desk.current().principals.items():
            if who.role is Role.CALLER or who.name in sans:
                sans.setdefault(who.name, []).append(san)
        answer = wire.ListCallersResponse(callers=[self._caller(name, sans[name]) for name in sorted(sans)])
        for fingerprint, revocation in revocations.certificates.items():
            message = answer.certificates.add(
                fingerprint=fingerprint, revoked_by=revocation.by, revoke_reason=revocation.why
            )
            message.revoke_time.FromMicroseconds(round(revocation.at * 1e6))
        return answer

    def _caller(self, name: str, sans: list[str]) -> wire.Caller:
        message = wire.Caller(name=name, sans=sorted(sans))
        revocation = self._desk.shut_out.revocations.of_name(name)
        if revocation is not None:
            message.revoke_time.FromMicroseconds(round(revocation.at * 1e6))
            message.revoked_by, message.revoke_reason = revocation.by, revocation.why
        seen = self._open_calls.last_seen(name)
        if seen is not None:
            message.certificate = seen.fingerprint
            message.certificate_end.FromDatetime(seen.not_after)
        return message

    async def RevokeCaller(
        self, request: wire.RevokeCallerRequest, context: Context
    ) -> wire.RevokeCallerResponse:
        convert.check_name_length(request.caller, "caller")
        subject, who = request.caller, calls.principal()
        await self._desk.shut_out.revoke(subject, who, request.reason, calls.current().fingerprint)
        return wire.RevokeCallerResponse(
            cut=self._open_calls.cut(subject),
            jobs_held=0 if is_fingerprint(subject) else self._jobs_of(subject),
        )


def _algorithm(name: str) -> Algorithm | None:
    """:raises Fault: ALGORITHM_UNKNOWN."""
    if not name:
        return None
    found = BY_NAME.get(name.removeprefix(_ALGORITHM))
    if found is None:
        known = ", ".join(BY_NAME)
        raise Fault(
            Reason.ALGORITHM_UNKNOWN,
            f"algorithm: {name[:64]!r} is not known; there are {known}.",
            field="algorithm",
            algorithm=name,
        )
    return found
