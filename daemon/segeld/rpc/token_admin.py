"""The service for officers: what changes tokens."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from typing import Any

import grpc

from segel.v1 import resources_pb2, token_admin_pb2, token_admin_pb2_grpc
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError
from segeld.rpc import convert
from segeld.rpc.ports import Inventory
from segeld.rpc.tokens import token_message

Context = grpc.aio.ServicerContext[Any, Any]


class TokenAdmin(token_admin_pb2_grpc.TokenAdminServicer):
    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    async def ActivateToken(
        self,
        request: token_admin_pb2.ActivateTokenRequest,
        context: Context,
    ) -> resources_pb2.Token:
        name = convert.token_name(request.name, "name")
        pin = _take_pin(request)
        try:
            record = await self._inventory.activate(name, pin)
        finally:
            pin.wipe()
        return token_message(record)

    async def DeactivateToken(
        self,
        request: token_admin_pb2.DeactivateTokenRequest,
        context: Context,
    ) -> resources_pb2.Token:
        return token_message(await self._inventory.deactivate(convert.token_name(request.name, "name")))


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
