"""The service for officers: what one person must not do alone."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

import re
from typing import Any, Final

import grpc

from segel.v1 import changes_pb2, changes_pb2_grpc
from segeld.model.faults import Fault
from segeld.model.secret import Pin
from segeld.office.change_desk import MAX_REASON, ChangeDesk
from segeld.office.executor import NEW_PIN, SO_PIN
from segeld.rpc import call as calls
from segeld.rpc import convert, secret_fields
from segeld.rpc.change_convert import action_of, change_message
from segeld.rpc.service import OfficerService

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "segel.v1.Changes"
_NUMBER: Final = re.compile(r"changes/([1-9][0-9]{0,8})")
_HASH: Final = 32


def changes_service(desk: ChangeDesk) -> OfficerService:
    return OfficerService(NAME, Changes(desk), changes_pb2_grpc.add_ChangesServicer_to_server)


class Changes(changes_pb2_grpc.ChangesServicer):
    def __init__(self, desk: ChangeDesk) -> None:
        self._desk = desk

    async def ProposeChange(
        self, request: changes_pb2.ProposeChangeRequest, context: Context
    ) -> changes_pb2.Change:
        action = action_of(request.action)
        return change_message(
            self._desk, await self._desk.propose(action, calls.person(), dry_run=request.dry_run)
        )

    async def ListChanges(
        self, request: changes_pb2.ListChangesRequest, context: Context
    ) -> changes_pb2.ListChangesResponse:
        found = self._desk.changes(ended=request.ended)
        return changes_pb2.ListChangesResponse(
            changes=[change_message(self._desk, change, brief=True) for change in found],
            two_person=self._desk.two_person,
        )

    async def GetChange(self, request: changes_pb2.GetChangeRequest, context: Context) -> changes_pb2.Change:
        return change_message(self._desk, self._desk.change(_number(request.name)))

    async def ApproveChange(
        self, request: changes_pb2.ApproveChangeRequest, context: Context
    ) -> changes_pb2.Change:
        if len(request.action_hash) != _HASH:
            raise convert.invalid("action_hash", f"is not the {_HASH} octets that GetChange shows")
        change = await self._desk.approve(_number(request.name), calls.person(), request.action_hash)
        return change_message(self._desk, change)

    async def RejectChange(
        self, request: changes_pb2.RejectChangeRequest, context: Context
    ) -> changes_pb2.Change:
        if len(request.reason) > MAX_REASON:
            raise convert.invalid("reason", f"has more than {MAX_REASON} characters")
        if not request.reason.isprintable():
            raise convert.invalid("reason", "is one line of printable characters")
        return change_message(
            self._desk, await self._desk.reject(_number(request.name), calls.person(), request.reason)
        )

    async def RunChange(self, request: changes_pb2.RunChangeRequest, context: Context) -> changes_pb2.Change:
        secrets = take_secrets(request)
        try:
            number = _number(request.name)
        except Fault:
            for pin in secrets.values():
                pin.wipe()
            raise
        return change_message(self._desk, await self._desk.run_change(number, calls.person(), secrets))


def take_secrets(request: changes_pb2.RunChangeRequest) -> dict[str, Pin]:
    """The secrets out of the message, as far as there are any. Both fields are cleared, whatever comes of it.

    :raises Fault: PIN_LENGTH.
    """
    taken: dict[str, Pin] = {}
    try:
        for field in (SO_PIN, NEW_PIN):
            if (pin := secret_fields.take(request, field)) is not None:
                taken[field] = pin
    except Fault:
        for pin in taken.values():
            pin.wipe()
        raise
    finally:
        request.ClearField("so_pin")
        request.ClearField("new_pin")
    return taken


def _number(name: str) -> int:
    """:raises Fault: FIELD_INVALID."""
    convert.check_name_length(name, "name")
    found = _NUMBER.fullmatch(name)
    if found is None:
        raise convert.invalid("name", f"{name!r} is no change: changes/ and its number")
    return int(found[1])
