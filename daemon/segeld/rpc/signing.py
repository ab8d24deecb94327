"""The service for callers: what they may use, and signatures."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

import base64
import binascii
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

import segeld
from segel.v1 import resources_pb2, signing_pb2, signing_pb2_grpc
from segeld.config.schema import Limits
from segeld.model.deadline import Deadline
from segeld.model.inventory import Order
from segeld.model.names import KeyName
from segeld.policy import Policy
from segeld.rpc import call as calls
from segeld.rpc import convert, keys
from segeld.rpc.deadlines import deadline
from segeld.rpc.gate import Gate
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.ports import Dispatch, Inventory
from segeld.rpc.sign_stream import OpenStreams, SignStream

Context = grpc.aio.ServicerContext[Any, Any]

PAGE: Final = 100
LARGEST_PAGE: Final = 1000


class Signing(signing_pb2_grpc.SigningServicer):
    """Checks, allows, and hands on to the dispatcher. Holds nothing between calls but open streams."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        dispatch: Dispatch,
        inventory: Inventory,
        limits: Limits,
        gate: Gate,
        metrics: CallMetrics,
    ) -> None:
        self._policy = policy
        self._dispatch = dispatch
        self._inventory = inventory
        self._limits = limits
        self._gate = gate
        self._streams = OpenStreams(limits, metrics.streams)

    async def WhoAmI(
        self, request: signing_pb2.WhoAmIRequest, context: Context
    ) -> signing_pb2.WhoAmIResponse:
        who = calls.principal()
        return signing_pb2.WhoAmIResponse(
            caller=who.name, role=who.role, identity=who.identity, daemon_version=segeld.__version__
        )

    async def ListKeys(
        self,
        request: signing_pb2.ListKeysRequest,
        context: Context,
    ) -> signing_pb2.ListKeysResponse:
        if request.page_size < 0:
            raise convert.invalid("page_size", "is negative")
        size = min(request.page_size or PAGE, LARGEST_PAGE)
        after = _read_page_token(request.page_token)
        policy, caller = self._policy(), calls.principal().name
        records = {record.name: record for record in self._inventory.keys()}  # noqa: SIM118 - no mapping
        visible = sorted(
            name for name in policy.visible_keys(caller, records) if after is None or name > after
        )
        page = visible[:size]
        return signing_pb2.ListKeysResponse(
            keys=[keys.to_message(policy, caller, records[name]) for name in page],
            next_page_token=_page_token(page[-1]) if len(visible) > size else "",
        )

    async def GetKey(self, request: signing_pb2.GetKeyRequest, context: Context) -> resources_pb2.Key:
        name = convert.key_or_alias(request.name, "name")
        policy, caller = self._policy(), calls.principal().name
        return keys.to_message(policy, caller, keys.choose(policy, self._inventory, caller, name))

    async def Sign(self, request: signing_pb2.SignRequest, context: Context) -> signing_pb2.SignResponse:
        return await self._sign(request, deadline(context.time_remaining(), None, self._limits.deadline), "")

    async def SignStream(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes by itself
        self, request_iterator: AsyncIterator[signing_pb2.SignStreamRequest], context: Context
    ) -> None:
        with self._streams.enter(calls.principal().name):
            await SignStream(self._sign, context, self._limits, self._gate.closing).run(request_iterator)

    async def _sign(
        self, request: signing_pb2.SignRequest, until: Deadline, prefix: str
    ) -> signing_pb2.SignResponse:
        """Checks what depends on the request alone before anything that depends on the key:
        so no answer tells whether a foreign key exists.
        """
        name = convert.key_or_alias(request.key, f"{prefix}key")
        algorithm = convert.algorithm(request.algorithm, f"{prefix}algorithm")
        encoding = convert.encoding(request.ecdsa_encoding, f"{prefix}ecdsa_encoding")
        request_id = convert.request_id(request.request_id, f"{prefix}request_id")
        messages = request.inputs
        data = convert.inputs(messages, algorithm, self._limits.max_batch, f"{prefix}inputs")
        call = calls.current()
        call.items += len(data)
        policy, caller = self._policy(), calls.principal().name
        record = keys.choose(policy, self._inventory, caller, name)
        keys.allow(policy, caller, record, algorithm)
        order = Order(caller, record.name, algorithm, encoding, data, until, request_id)
        return convert.response(messages, await self._dispatch.sign(order), record.name)


def _page_token(last: KeyName) -> str:
    return base64.urlsafe_b64encode(last.fingerprint).decode()


def _read_page_token(token: str) -> KeyName | None:
    if not token:
        return None
    try:
        fingerprint = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        fingerprint = b""
    if len(fingerprint) != 32:
        raise convert.invalid("page_token", "is not one that this daemon gave")
    return KeyName(fingerprint)
