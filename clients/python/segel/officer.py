"""The client of officers: slots and tokens, and logging tokens in and out."""

import datetime as dt
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from segel import _convert, _convert_objects
from segel._connection import CALL_TIMEOUT, Connection
from segel._target import Target
from segel._tls import Tls
from segel.models import Slots, Token
from segel.models_objects import PinChanged, TokenObject
from segel.officer_changes import OfficerChanges
from segel.officer_jobs import OfficerJobs
from segel.officer_keys import OfficerKeys
from segel.officer_log import OfficerLog
from segel.officer_policy import OfficerPolicy
from segel.settings import Settings
from segel.v1 import token_admin_pb2, tokens_pb2
from segel.v1.token_admin_pb2_grpc import TokenAdminStub
from segel.v1.tokens_pb2_grpc import TokensStub

ACTIVATE_TIMEOUT: Final = 300.0
"""Seconds that logging a token in or out may take: slow modules start slowly, and with some readers a person types
the PIN there."""


class Officer:
    """A connection to a daemon's officer listener. Belongs to one event loop.

    async with segel.Officer.connect("unix:/run/segel/officer.sock", tls=segel.Tls(...)) as officer:
        await officer.activate("tokens/seal", pin)
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def connect(cls, target: str, *, tls: Tls, server_name: str | None = None) -> Self:
        """An officer of the daemon at `target`: ``unix:/path`` or ``host:port``.

        :param server_name: the name that the daemon's certificate must have, if not that of the target.
        :raises SettingsInvalid: if `target` is no address.
        """
        return cls(Connection(Target.parse(target), tls, server_name, "officers"))

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """An officer with the settings of profile ``"officer"``: see `Settings.load`.

        :raises SettingsInvalid: if a setting is missing or wrong.
        """
        settings = settings or Settings.load(profile="officer")
        target = Target.parse(settings.target, settings.sources.get("target", "the settings"))
        return cls(Connection(target, settings.tls, settings.server_name, "officers"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connection. May be called twice."""
        await self._connection.aclose()

    @cached_property
    def log(self) -> OfficerLog:
        """The audit log; for auditors too."""
        return OfficerLog(self._connection)

    @cached_property
    def changes(self) -> OfficerChanges:
        """What one officer asks for, another approves, and the first then runs."""
        return OfficerChanges(self._connection)

    @cached_property
    def keys(self) -> OfficerKeys:
        """Keys and their certificates."""
        return OfficerKeys(self._connection)

    @cached_property
    def jobs(self) -> OfficerJobs:
        """Jobs of every caller."""
        return OfficerJobs(self._connection)

    @cached_property
    def policy(self) -> OfficerPolicy:
        """Who may do what, and who is shut out."""
        return OfficerPolicy(self._connection)

    async def slots(self) -> Slots:
        """The slots of every configured module, and the modules that could not be asked.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokensStub(channel).ListSlots,
            tokens_pb2.ListSlotsRequest(),
            timeout=ACTIVATE_TIMEOUT,
        )
        return _convert.slots(response)

    async def tokens(self) -> tuple[Token, ...]:
        """The tokens that the daemon is configured to use, ordered by name.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokensStub(channel).ListTokens,
            tokens_pb2.ListTokensRequest(),
            timeout=CALL_TIMEOUT,
        )
        return tuple(map(_convert.token, response.tokens))

    async def trouble(self) -> str:
        """Why nothing is signed although tokens can, such as a full disk; empty if all is well.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokensStub(channel).ListTokens,
            tokens_pb2.ListTokensRequest(),
            timeout=CALL_TIMEOUT,
        )
        return response.trouble

    async def token(self, name: str) -> Token:
        """One token with its keys. `name` is ``tokens/…``.

        :raises TokenNotFound: if none is configured under that name.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokensStub(channel).GetToken,
            tokens_pb2.GetTokenRequest(name=name),
            timeout=CALL_TIMEOUT,
        )
        return _convert.token(response)

    async def activate(
        self,
        name: str,
        pin: bytes | bytearray,
        *,
        lifetime: dt.timedelta | None = None,
        max_signatures: int | None = None,
    ) -> Token:
        """Logs a token in; returns when it can sign. Never repeated by itself: each try may cost one of the token's.

        A `bytearray` is overwritten with zeros once it was sent, whatever came of it.

        :param pin: empty if it is typed at the reader's own pad.
        :param lifetime: after this it is deactivated; only by an officer if None.
        :param max_signatures: after so many it is deactivated. A token that is active is only limited further by either.
        :raises PinRefused: if the token, or the daemon's memory of a refusal, does not take the PIN.
        :raises SegelError: what else the daemon said, or why it cannot be reached. After ConnectionFailed with
            reason CONNECTION_BROKE it is not known whether the PIN was tried: look at the token.
        """
        request = token_admin_pb2.ActivateTokenRequest(
            name=name, pin=bytes(pin), max_signatures=max_signatures or 0
        )
        if lifetime is not None:
            request.lifetime.FromTimedelta(lifetime)
        try:
            response = await self._connection.call(
                lambda channel: TokenAdminStub(channel).ActivateToken,
                request,
                timeout=ACTIVATE_TIMEOUT,
                repeat=False,
            )
        finally:
            request.ClearField("pin")
            if isinstance(pin, bytearray):
                pin[:] = bytes(len(pin))
        return _convert.token(response)

    async def deactivate(self, name: str, *, only_if_idle: bool = False) -> Token:
        """Logs a token out: the daemon forgets its PIN. What it is signing is finished first.

        :param only_if_idle: refuse if anything waits for its keys.
        :raises TokenNotFound: if none is configured under that name.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).DeactivateToken,
            token_admin_pb2.DeactivateTokenRequest(name=name, only_if_idle=only_if_idle),
            timeout=ACTIVATE_TIMEOUT,
            repeat=False,
        )
        return _convert.token(response)

    async def change_pin(self, name: str, pin: bytes | bytearray, new_pin: bytes | bytearray) -> PinChanged:
        """Changes the user PIN. Never repeated by itself: a wrong present PIN costs one of the token's tries.

        A `bytearray` is overwritten with zeros once it was sent, whatever came of it.

        :raises PinRefused: if the token, or the daemon's memory of a refusal, does not take the present PIN.
        :raises SegelError: what else the daemon said, or why it cannot be reached. After ConnectionFailed with
            reason CONNECTION_BROKE it is not known whether the PIN was changed.
        """
        request = token_admin_pb2.ChangePinRequest(name=name, pin=bytes(pin), new_pin=bytes(new_pin))
        try:
            response = await self._connection.call(
                lambda channel: TokenAdminStub(channel).ChangePin,
                request,
                timeout=ACTIVATE_TIMEOUT,
                repeat=False,
            )
        finally:
            request.ClearField("pin")
            request.ClearField("new_pin")
            for given in (pin, new_pin):
                if isinstance(given, bytearray):
                    given[:] = bytes(len(given))
        return PinChanged(_convert.token(response.token), response.advice)

    async def quarantine(self, name: str, reason: str) -> Token:
        """Ends all use of a token at once, until it is released.

        :raises TokenNotFound: if none is configured under that name.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).QuarantineToken,
            token_admin_pb2.QuarantineTokenRequest(name=name, reason=reason),
            timeout=CALL_TIMEOUT,
            repeat=False,
        )
        return _convert.token(response)

    async def release(self, name: str) -> Token:
        """Ends a quarantine.

        :raises TokenNotFound: if none is configured under that name.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).ReleaseToken,
            token_admin_pb2.ReleaseTokenRequest(name=name),
            timeout=CALL_TIMEOUT,
            repeat=False,
        )
        return _convert.token(response)

    async def objects(self, name: str) -> tuple[TokenObject, ...]:
        """What an active token shows to its user, with what makes it weak.

        :raises TokenNotFound: if none is configured under that name.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).ListObjects,
            token_admin_pb2.ListObjectsRequest(name=name),
            timeout=ACTIVATE_TIMEOUT,
        )
        return tuple(map(_convert_objects.token_object, response.objects))
