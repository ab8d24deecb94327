"""The service for officers: what changes tokens."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from typing import Any

import grpc

from segel.v1 import resources_pb2, token_admin_pb2, token_admin_pb2_grpc
from segeld.audit.acts import Acts
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError
from segeld.rpc import call as calls
from segeld.rpc import convert
from segeld.rpc.ports import Inventory
from segeld.rpc.tokens import token_message

Context = grpc.aio.ServicerContext[Any, Any]


class TokenAdmin(token_admin_pb2_grpc.TokenAdminServicer):
    """Whoever changes a token is recorded before, and what came of it afterwards."""

    def __init__(self, inventory: Inventory, acts: Acts) -> None:
        self._inventory = inventory
        self._acts = acts

    async def ActivateToken(
        self,
        request: token_admin_pb2.ActivateTokenRequest,
        context: Context,
    ) -> resources_pb2.Token:
        name = convert.token_name(request.name, "name")
        pin = _take_pin(request)
        who = calls.principal().name
        try:
            await self._acts.note("token activation asked", who=who, subject=str(name))
            record = await self._inventory.activate(name, pin)
        except Fault as fault:
            self._acts.later("token activation failed", who=who, subject=str(name), reason=fault.reason)
            raise
        finally:
            pin.wipe()
        self._acts.later("token activated", who=who, subject=str(name))
        return token_message(record)

    async def DeactivateToken(
        self,
        request: token_admin_pb2.DeactivateTokenRequest,
        context: Context,
    ) -> resources_pb2.Token:
        name = convert.token_name(request.name, "name")
        await self._acts.note("token deactivated", who=calls.principal().name, subject=str(name))
        return token_message(await self._inventory.deactivate(name))


def _take_pin(request: token_admin_pb2.ActivateTokenRequest) -> Pin:
    """The PIN out of the message. What gRPC and protobuf made of it on the way cannot be wiped from Python: it is
    freed with the call, and core files of the front are off.

    :raises Fault: PIN_LENGTH.
    """
    try:
        return Pin(request.pin)
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"{error}.".replace("a PIN", "A PIN", 1), field="pin") from None
    finally:
        request.ClearField("pin")
