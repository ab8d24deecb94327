"""The service for officers and auditors: what slots and tokens there are, and how they are."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from collections.abc import Callable
from typing import Any

import grpc

from segel.v1 import resources_pb2, tokens_pb2, tokens_pb2_grpc
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import SlotRecord, TokenKey, TokenRecord
from segeld.model.names import TokenName
from segeld.model.token_state import TokenState
from segeld.rpc import convert
from segeld.rpc.ports import Inventory

Context = grpc.aio.ServicerContext[Any, Any]


class Tokens(tokens_pb2_grpc.TokensServicer):
    def __init__(self, inventory: Inventory, trouble: Callable[[], str]) -> None:
        """:param trouble: why nothing is signed although tokens can; empty if all is well."""
        self._inventory = inventory
        self._trouble = trouble

    async def ListSlots(
        self, request: tokens_pb2.ListSlotsRequest, context: Context
    ) -> tokens_pb2.ListSlotsResponse:
        survey = await self._inventory.survey()
        slots = sorted(survey.slots, key=lambda slot: (slot.module, slot.slot_id))
        return tokens_pb2.ListSlotsResponse(
            slots=[slot_message(slot) for slot in slots], unreachable=survey.unreachable
        )

    async def ListTokens(
        self,
        request: tokens_pb2.ListTokensRequest,
        context: Context,
    ) -> tokens_pb2.ListTokensResponse:
        records = sorted(self._inventory.tokens(), key=lambda record: record.name)
        return tokens_pb2.ListTokensResponse(
            tokens=[token_message(record) for record in records], trouble=self._trouble()
        )

    async def GetToken(self, request: tokens_pb2.GetTokenRequest, context: Context) -> resources_pb2.Token:
        name = convert.token_name(request.name, "name")
        record = self._inventory.token(name)
        if record is None:
            raise token_not_found(name)
        return token_message(record)


def token_not_found(name: TokenName) -> Fault:
    return Fault(Reason.TOKEN_NOT_FOUND, f"No token {name} is configured.", token=str(name))


def token_message(record: TokenRecord) -> resources_pb2.Token:
    message = resources_pb2.Token(
        name=str(record.name),
        state=_STATES[record.state],
        state_reason=record.state_reason,
        label=record.label,
        serial=record.serial,
        manufacturer=record.manufacturer,
        model=record.model,
        flags=record.flags,
        workers_ready=record.workers_ready,
        workers_configured=record.workers_configured,
        keys=[_key_message(record.name, key) for key in record.keys],
        pin_source=record.pin_source,
        waiting_items=record.waiting,
        pin_tries=record.pin_tries,
    )
    message.state_time.FromMicroseconds(round(record.state_since * 1e6))
    if record.active_until is not None:
        message.active_until.FromMicroseconds(round(record.active_until * 1e6))
    if record.signatures_left is not None:
        message.signatures_left = record.signatures_left
    return message


def slot_message(record: SlotRecord) -> resources_pb2.Slot:
    message = resources_pb2.Slot(
        name=f"modules/{record.module}/slots/{record.slot_id}",
        description=record.description,
        manufacturer=record.manufacturer,
    )
    if record.token_label is not None:
        message.token.MergeFrom(
            resources_pb2.SlotToken(
                label=record.token_label,
                serial=record.token_serial,
                manufacturer=record.token_manufacturer,
                model=record.token_model,
                flags=record.token_flags,
                token=str(record.token) if record.token else "",
            )
        )
        message.token.SetInParent()
    return message


def _key_message(token: TokenName, key: TokenKey) -> resources_pb2.TokenKey:
    return resources_pb2.TokenKey(
        name=f"{token}/{key.name}" if key.name else "",
        key=str(key.name) if key.name else "",
        label=key.label,
        id=key.cka_id,
        kind=key.kind or "",
        unusable_reason=key.trouble if key.unusable else "",
    )


_STATES = {state: resources_pb2.Token.State.Value(f"STATE_{state.name}") for state in TokenState}
