"""One connection to one daemon: opens it, calls unary methods on it, and says why when it cannot be had."""

import asyncio
from collections.abc import Callable
from typing import Final, Literal, TypeVar

import grpc
import grpc.aio

from segel import _status
from segel._channel import open_channel
from segel._diagnosis import diagnose
from segel._patience import Patience, worth_repeating
from segel._target import Target
from segel._tls import Pem, Tls
from segel.errors import ClientClosed, ConnectionFailed, SegelError, SettingsInvalid

__all__ = ["CALL_TIMEOUT", "Connection", "Listener", "Method", "closed", "worth_repeating"]

Request = TypeVar("Request")
Response = TypeVar("Response")
Listener = Literal["callers", "officers"]
Method = Callable[[grpc.aio.Channel], grpc.aio.UnaryUnaryMultiCallable[Request, Response]]

CALL_TIMEOUT: Final = 30.0
"""Seconds that a call may take which asks no token for a signature."""


def closed() -> ClientClosed:
    """What everything says after `aclose`."""
    return ClientClosed("The client is closed", reason="CLIENT_CLOSED", code="CANCELLED")


class Connection:
    """Belongs to the event loop that uses it first.

    A connection that has not yet reached the daemon fails at once; one that has waits out a restart.
    """

    def __init__(
        self, target: Target, tls: Tls, server_name: str | None = None, listener: Listener = "callers"
    ) -> None:
        self.target: Final = target
        self._listener: Final = listener
        self._tls = tls
        self._server_name = server_name or target.server_name
        self._pem: Pem | None = None
        self._channel: grpc.aio.Channel | None = None
        self._retired: grpc.aio.Channel | None = None
        self._closed = False
        self._reached = False

    def channel(self) -> grpc.aio.Channel:
        """The channel, opened if it is not.

        :raises SettingsInvalid: if a file of `Tls` is not as it should be.
        :raises ClientClosed: after `aclose`.
        """
        if self._closed:
            raise closed()
        if self._channel is None:
            self._pem = self._tls.read()
            self._channel = open_channel(self.target, self._pem, self._server_name)
        return self._channel

    async def call(
        self,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout: float = CALL_TIMEOUT,  # noqa: ASYNC109 -- travels to the daemon as the call's deadline
        repeat: bool = True,
        attempt: float | None = None,
    ) -> Response:
        """Calls a unary method; repeats it while that helps, if `repeat`, within `timeout` seconds.

        :param attempt: seconds after which one attempt is given up and repeated; all there are if None.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        patience = Patience(timeout)
        while True:
            reached = self._reached
            limit = patience.left if attempt is None else min(patience.left, attempt)
            try:
                response = await method(self.channel())(request, timeout=limit)
            except grpc.aio.AioRpcError as error:
                failure = await self.explain(error)
                if attempt is not None and failure.code == "DEADLINE_EXCEEDED":
                    failure = _broken(failure, self.target)
            except asyncio.CancelledError:
                if self.was_cut_off():
                    raise closed() from None
                raise
            else:
                self._reached = True
                patience.went_on()
                return response
            if not repeat:
                raise failure
            await patience.wait(failure, reached=reached)

    @property
    def reached(self) -> bool:
        """Whether the daemon ever answered on this connection."""
        return self._reached

    def note_answer(self) -> None:
        """The daemon answered, on a stream that somebody else reads."""
        self._reached = True

    def was_cut_off(self) -> bool:
        """Whether a CancelledError is `aclose`: gRPC cancels the calls of a channel that is closed."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()

    async def explain(self, error: grpc.aio.AioRpcError) -> SegelError:
        """What a call's status means. Where gRPC knows no more than UNAVAILABLE, looks for the reason itself.

        That takes up to a few seconds, and leaves a channel behind that has read renewed files.
        """
        said = _status.from_call(error.code().name, error.details(), error.trailing_metadata())
        if _status.is_from_daemon(said):
            self._reached = True
            return said
        if said.code == "UNIMPLEMENTED" and not self._reached:
            return _wrong_listener(said, self.target, self._listener)
        if said.code == "CANCELLED" or said.text in _status.LOST_WHILE_WRITING:
            return _broken(said, self.target)  # nobody here gave it up: a daemon that stops ends its calls so
        unreached = said.code == "UNAVAILABLE" or (said.code == "DEADLINE_EXCEEDED" and not self._reached)
        if not unreached:
            return said
        try:
            renewed = await self._renew()
        except SettingsInvalid as invalid:
            return invalid
        found = await asyncio.to_thread(
            diagnose, self.target, self._tls, self._server_name, error.details() or ""
        )
        if renewed or found is None:
            # Nothing stands in the way any more; the next attempt will tell.
            return said if said.code == "DEADLINE_EXCEEDED" else _broken(said, self.target)
        return found

    async def _renew(self) -> bool:
        """Certificates are renewed while programs run: a channel made of old files would fail for ever."""
        pem = self._tls.read()
        if self._channel is None or pem == self._pem:
            return False
        # Other calls may still run on the old one: it is closed with the next renewal, or at the end.
        retired, self._retired, self._channel = self._retired, self._channel, None
        if retired is not None:
            await retired.close()
        return True

    async def aclose(self) -> None:
        """Ends the connection and every call on it. May be called twice."""
        self._closed = True
        channels, self._channel, self._retired = (self._channel, self._retired), None, None
        for channel in channels:
            if channel is not None:
                await channel.close()


def _wrong_listener(said: SegelError, target: Target, wanted: Listener) -> SegelError:
    text = {
        "officers": "That is the listener for callers; segelctl wants the one for officers, "
        "for example unix:/run/segel/officer.sock",
        "callers": "That is the listener for officers; segel wants the one for callers, "
        "for example localhost:7443",
    }[wanted]
    return ConnectionFailed(
        text,
        reason="WRONG_LISTENER",
        code="UNIMPLEMENTED",
        facts={"target": str(target), "listener": wanted, "details": said.text},
    )


def _broken(said: SegelError, target: Target) -> SegelError:
    return ConnectionFailed(
        f"The connection to {target} broke ({said.text}). The daemon can be reached now: try again",
        reason="CONNECTION_BROKE",
        code="UNAVAILABLE",
        facts={"target": str(target), "details": said.text},
        retry_after=said.retry_after or 0.0,
    )
