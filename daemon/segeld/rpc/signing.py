"""The service for callers: what they may use, and signatures."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

import base64
import binascii
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

import segeld
from segel.v1 import resources_pb2, signing_pb2, signing_pb2_grpc
from segeld.config.schema import Limits
from segeld.dispatch.standing import approval_required
from segeld.model.deadline import Deadline
from segeld.model.inventory import Order
from segeld.model.names import KeyName
from segeld.policy import Policy
from segeld.rpc import call as calls
from segeld.rpc import convert, inputs, keys, results
from segeld.rpc.deadlines import deadline
from segeld.rpc.gate import Gate
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.open_streams import OpenStreams
from segeld.rpc.ports import Dispatch, Inventory
from segeld.rpc.rates import Rates
from segeld.rpc.sign_stream import SignStream

Context = grpc.aio.ServicerContext[Any, Any]


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
        self._rates = Rates()
        self._streams = OpenStreams(
            limits.max_streams,
            limits.max_streams_per_caller,
            "Send more batches on one stream.",
            metrics.streams,
        )

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
        size = convert.page_size(request.page_size)
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
        inputs.check_count(len(request.inputs), self._limits.max_batch, f"{prefix}inputs")
        items = inputs.checked(request.inputs, algorithm, f"{prefix}inputs")
        calls.current().items += len(items.inputs)
        policy, caller = self._policy(), calls.principal().name
        record = keys.choose(policy, self._inventory, caller, name)
        keys.allow(policy, caller, record, algorithm)
        if policy.approvers_for(caller, record.name):
            raise approval_required(record.name)
        priority = policy.highest_priority(caller)
        order = Order(caller, record.name, algorithm, encoding, items.inputs, until, request_id, priority)
        with self._rates.entered(policy, caller, len(order.inputs)):
            signed = await self._dispatch.sign(order)
        answer = signing_pb2.SignResponse(key=str(record.name), log_origin=self._dispatch.log_origin)
        results.add(answer.results, items.ids, signed.outcomes)
        return answer


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
        raise convert.page_token_invalid()
    return KeyName(fingerprint)
