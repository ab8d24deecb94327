"""The service for officers: what changes tokens."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from collections.abc import Callable
from typing import Any, Final

import grpc
import structlog

from segel.v1 import resources_pb2, token_admin_pb2, token_admin_pb2_grpc
from segeld.audit.acts import Acts
from segeld.model.faults import Fault
from segeld.office.key_desk import KeyDesk
from segeld.policy import Policy
from segeld.rpc import activation_fields, convert, secret_fields
from segeld.rpc import call as calls
from segeld.rpc.job_admin import JobAdmin
from segeld.rpc.outcomes import Outcomes
from segeld.rpc.ports import Inventory, Oversight
from segeld.rpc.token_ceremonies import TokenCeremonies
from segeld.rpc.tokens import token_message

Context = grpc.aio.ServicerContext[Any, Any]
_log: Final = structlog.get_logger(__name__)


class TokenAdmin(TokenCeremonies, JobAdmin, token_admin_pb2_grpc.TokenAdminServicer):
    """Whoever changes a token is recorded before, and what came of it afterwards; only a deactivation needs no room for it."""

    def __init__(
        self,
        inventory: Inventory,
        acts: Acts,
        oversight: Oversight,
        policy: Callable[[], Policy],
        key_desk: KeyDesk,
    ) -> None:
        self._policy = policy
        self._key_desk = key_desk
        self._inventory = inventory
        self._acts = acts
        self._outcomes = Outcomes(acts)
        self._oversight = oversight

    async def ActivateToken(
        self,
        request: token_admin_pb2.ActivateTokenRequest,
        context: Context,
    ) -> resources_pb2.Token:
        name = convert.token_name(request.name, "name")
        pin = secret_fields.take(request, "pin")
        who = calls.principal().name
        try:
            limits = activation_fields.limits(request)
            facts = activation_fields.said(limits)
            await self._acts.note("token activation asked", who=who, subject=str(name), **facts)
            record = await self._inventory.activate(name, pin, limits, who)
        except Fault as fault:
            self._acts.later("token activation failed", who=who, subject=str(name), reason=fault.reason)
            raise
        finally:
            if pin is not None:
                pin.wipe()
        self._acts.later("token activated", who=who, subject=str(name))
        return token_message(record)

    async def DeactivateToken(
        self,
        request: token_admin_pb2.DeactivateTokenRequest,
        context: Context,
    ) -> resources_pb2.Token:
        name, who = convert.token_name(request.name, "name"), calls.principal().name
        idle = {"only": "if idle"} if request.only_if_idle else {}
        try:
            await self._acts.note("token deactivation asked", who=who, subject=str(name), **idle)
        except Fault as fault:  # a full disk must not keep a PIN where an officer wants it gone
            _log.error("a token is deactivated unrecorded", token=str(name), who=who, why=fault.text)
        try:
            record = await self._inventory.deactivate(name, only_if_idle=request.only_if_idle)
        except Fault as fault:
            self._acts.later("token deactivation failed", who=who, subject=str(name), reason=fault.reason)
            raise
        self._acts.later("token deactivated", who=who, subject=str(name))
        return token_message(record)
