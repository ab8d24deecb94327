"""The part of `TokenAdmin` about what is done to a token beside activating it. What needs a second person is a change."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from typing import Any, Final

import grpc

from segel.v1 import resources_pb2, token_admin_pb2
from segeld.audit.acts import Acts
from segeld.model.faults import Fault
from segeld.model.inventory import ObjectRecord
from segeld.rpc import call as calls
from segeld.rpc import convert, secret_fields
from segeld.rpc.key_admin import KeyAdmin
from segeld.rpc.outcomes import Outcomes
from segeld.rpc.tokens import token_message, token_not_found

Context = grpc.aio.ServicerContext[Any, Any]
MAX_REASON: Final = 500
"""Characters."""


class TokenCeremonies(KeyAdmin):
    """A mixin: `TokenAdmin` gives it what it needs. Whoever asks is recorded before, and what came of it afterwards."""

    _acts: Acts
    _outcomes: Outcomes

    async def ChangePin(
        self, request: token_admin_pb2.ChangePinRequest, context: Context
    ) -> token_admin_pb2.ChangePinResponse:
        pin, new_pin = secret_fields.take_both(request, "pin", "new_pin")
        with pin, new_pin:
            name, who = convert.token_name(request.name, "name"), calls.principal().name
            await self._acts.note("token pin change asked", who=who, subject=str(name))
            advice = await self._outcomes.recorded(
                self._inventory.change_pin(name, pin, new_pin), "token pin not changed", who, str(name)
            )
        self._acts.later("token pin changed", who=who, subject=str(name))
        record = self._inventory.token(name)
        if record is None:
            raise token_not_found(name)
        return token_admin_pb2.ChangePinResponse(token=token_message(record), advice=advice)

    async def QuarantineToken(
        self, request: token_admin_pb2.QuarantineTokenRequest, context: Context
    ) -> resources_pb2.Token:
        name, who = convert.token_name(request.name, "name"), calls.principal().name
        why = " ".join(request.reason.split())
        if not why or len(why) > MAX_REASON or not why.isprintable():
            raise convert.invalid(
                "reason", f"1 to {MAX_REASON} printable characters are wanted; they are kept in the audit log"
            )
        # Not recorded before, but together with it: it must hold even if nothing can be recorded.
        try:
            record = await self._inventory.quarantine(name, why, who)
        except Fault as fault:
            self._acts.later("token quarantine failed", who=who, subject=str(name), reason=fault.reason)
            raise
        return token_message(record)

    async def ReleaseToken(
        self, request: token_admin_pb2.ReleaseTokenRequest, context: Context
    ) -> resources_pb2.Token:
        name, who = convert.token_name(request.name, "name"), calls.principal().name
        try:
            record = await self._inventory.release(name, who)
        except Fault as fault:
            self._acts.later("token release failed", who=who, subject=str(name), reason=fault.reason)
            raise
        return token_message(record)

    async def ListObjects(
        self, request: token_admin_pb2.ListObjectsRequest, context: Context
    ) -> token_admin_pb2.ListObjectsResponse:
        name, who = convert.token_name(request.name, "name"), calls.principal().name
        await self._acts.note("token objects listed", who=who, subject=str(name))  # it logs in
        objects = await self._outcomes.recorded(
            self._inventory.objects(name), "token objects not listed", who, str(name)
        )
        return token_admin_pb2.ListObjectsResponse(objects=map(_object_message, objects))

    async def GenerateKey(
        self, request: token_admin_pb2.GenerateKeyRequest, context: Context
    ) -> token_admin_pb2.ManagedKey:
        token, who = convert.token_name(request.token, "token"), calls.principal().name
        facts = {"label": request.label[:64], "kind": request.kind[:16]}
        await self._acts.note("key generation asked", who=who, subject=str(token), **facts)
        made = await self._outcomes.recorded(
            self._inventory.generate_key(token, request.label, request.kind, request.id),
            "key generation failed",
            who,
            str(token),
        )
        self._acts.later("key generated", who=who, subject=str(made.name), token=str(token), **facts)
        return self._made(made)


def _object_message(record: ObjectRecord) -> token_admin_pb2.TokenObject:
    return token_admin_pb2.TokenObject(
        object_class=record.object_class,
        label=record.label,
        id=record.cka_id,
        kind=record.kind,
        key=str(record.key) if record.key is not None else "",
        attributes=record.attributes,
        warnings=record.warnings,
    )
