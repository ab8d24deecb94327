"""What stands before every service: request id, gate, identity, role; and behind it the one except clause."""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from segeld.model.faults import Fault, Reason
from segeld.rpc import call as calls
from segeld.rpc.call import Call
from segeld.rpc.ending import unless_ended
from segeld.rpc.gate import Gate
from segeld.rpc.handlers import Context, Handler, Parsed, drain, parser
from segeld.rpc.identity import certificate_of
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.open_calls import OpenCall, OpenCalls
from segeld.rpc.roles import ACTS, require_role
from segeld.rpc.status import status
from segeld.rpc.to_the_end import ToTheEnd

T = TypeVar("T")

REQUEST_ID: Final = "x-request-id"
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_QUIET: Final = "/grpc."
"""Health and reflection are asked all the time, or forever: not worth a log line, nor waiting for at the end."""

_log: Final = structlog.get_logger("segeld.rpc")


def fault_of(error: Exception, request_id: str) -> Fault:
    """What the peer is told of an error: a Fault's own words, or none of another's. The log gets the rest."""
    if isinstance(error, Fault):
        return error
    _log.error("call_failed", request_id=request_id, exc_info=error)
    return Fault(Reason.INTERNAL, f"The daemon failed; its log has more under request id {request_id}.")


class Guard(grpc.aio.ServerInterceptor):
    """The outermost and only interceptor. It parses requests itself, so that grpc reports no failure of its own."""

    def __init__(self, calls: OpenCalls, gate: Gate, quiet: Gate, metrics: CallMetrics) -> None:
        """:param quiet: a gate that is never closed, for health and reflection."""
        self._calls = calls
        self._gate = gate
        self._quiet = quiet
        self._metrics = metrics
        self._guarded: dict[str, Handler] = {}
        self._end = asyncio.Event()
        self.acts: Final = ToTheEnd()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # grpc answers UNIMPLEMENTED
            guarded = self._guarded[method] = self._guard(method, handler)
        return guarded

    def end_endless(self) -> None:
        """Ends health watches and the like, which would hold up the end of a server."""
        self._end.set()

    def _guard(self, method: str, handler: Handler) -> Handler:
        parse, serialize = parser(handler), handler.response_serializer
        if handler.request_streaming:
            stream: Any = handler.stream_stream
            assert stream is not None, f"{method}: a stream answered once is not served here"

            async def stream_stream(raw: AsyncIterator[bytes], context: Context) -> None:
                await self._serve(
                    method, context, 0, lambda: drain(stream(Parsed(raw, parse), context), context)
                )

            return grpc.stream_stream_rpc_method_handler(stream_stream, response_serializer=serialize)
        if handler.response_streaming:
            watch: Any = handler.unary_stream

            async def unary_stream(raw: bytes, context: Context) -> None:
                await self._serve(
                    method, context, len(raw), lambda: drain(watch(parse(raw), context), context)
                )

            return grpc.unary_stream_rpc_method_handler(unary_stream, response_serializer=serialize)
        unary: Any = handler.unary_unary

        async def unary_unary(raw: bytes, context: Context) -> Any:
            return await self._serve(
                method, context, len(raw), lambda: unary(parse(raw), context), unary=True
            )

        return grpc.unary_unary_rpc_method_handler(unary_unary, response_serializer=serialize)

    async def _serve(
        self,
        method: str,
        context: Context,
        octets: int,
        work: Callable[[], Awaitable[T]],
        *,
        unary: bool = False,
    ) -> T:
        started = time.perf_counter()
        call = Call(method, _request_id(context))
        calls.begin(call)
        structlog.contextvars.bind_contextvars(request_id=call.request_id)
        context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        code, reason = grpc.StatusCode.OK, ""
        opened: OpenCall | None = None
        try:
            certificate = certificate_of(context.auth_context())
            call.fingerprint = certificate.fingerprint
            who = call.principal = self._calls.admit(certificate)
            require_role(method, who)
            with self._calls.serving(who, certificate) as opened:
                if method.startswith(_QUIET):
                    with self._quiet.enter(who.name, octets):
                        return await (work() if unary else unless_ended(work(), self._end))
                whole = self._inside(who.name, octets, work)
                return await (self.acts.bring(whole, method) if method in ACTS else whole)
        except asyncio.CancelledError:
            if opened is None or opened.cut is None or not opened.survives():
                code, reason = grpc.StatusCode.CANCELLED, Reason.CANCELLED
                raise
            answer = status(opened.cut, call.request_id)
            code, reason = rpc_status.to_status(answer).code, opened.cut.reason
        except grpc.aio.AbortError:
            code = context.code()
            raise
        except Exception as error:  # noqa: BLE001 - the one except clause: nothing else may reach grpc, which tells all
            fault = fault_of(error, call.request_id)
            answer = status(fault, call.request_id)
            code, reason = rpc_status.to_status(answer).code, fault.reason
        finally:
            seconds = time.perf_counter() - started
            self._metrics.ended(method, code, reason, seconds if unary else None)
            _access(call, code, reason, seconds)
        await _abort(context, answer, call.request_id)
        raise AssertionError("abort returned")

    async def _inside(self, who: str, octets: int, work: Callable[[], Awaitable[T]]) -> T:
        """An act is inside as long as it goes on: an end waits for it, and the limits count it."""
        with self._gate.enter(who, octets):
            return await work()


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and _WELL_FORMED.fullmatch(value):
            return value
    return str(uuid.uuid4())


async def _abort(context: Context, answer: status_pb2.Status, request_id: str) -> None:
    final = rpc_status.to_status(answer)
    await context.abort(final.code, final.details, (*final.trailing_metadata, (REQUEST_ID, request_id)))


def _access(call: Call, code: grpc.StatusCode, reason: str, seconds: float) -> None:
    """One line for each call: who, what, how it ended. No digest, no key material, no client's free text."""
    write = _log.debug if call.method.startswith(_QUIET) else _log.info
    write(
        "call",
        method=call.method[1:],
        principal=call.principal.name if call.principal else None,
        code=code.name,
        reason=reason or None,
        duration_ms=round(seconds * 1000, 2),
        items=call.items,
    )
