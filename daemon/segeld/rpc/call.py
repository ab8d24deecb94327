"""The call being served: who asks, under which id. Set by the interceptor, read by the services."""

import contextvars
from dataclasses import dataclass
from typing import Final

from segeld.model.person import Person
from segeld.model.principal import Principal


@dataclass(slots=True)
class Call:
    """One call. Its request id goes into every log line and every error of the call."""

    method: str
    request_id: str
    principal: Principal | None = None
    """None until the peer is known; a service never sees None."""
    fingerprint: bytes = b""
    """SHA-256 of the peer's certificate."""
    items: int = 0
    """Inputs that the call brought, for the access log."""


_CURRENT: Final[contextvars.ContextVar[Call]] = contextvars.ContextVar("segel_call")


def begin(call: Call) -> None:
    """Makes `call` the current one, for this task and those it starts."""
    _CURRENT.set(call)


def current() -> Call:
    """The call being served.

    :raises LookupError: outside a call.
    """
    return _CURRENT.get()


def principal() -> Principal:
    """Who asks."""
    who = current().principal
    assert who is not None, "a service was reached without an identity"
    return who


def person() -> Person:
    """Who asks, with what tells them from somebody else."""
    who = principal()
    return Person(who.name, who.identity, current().fingerprint)
