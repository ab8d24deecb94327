"""The client without ``await``: the same names and arguments, run by the same code in a thread of its own.

Each method is one line that hands the async one to the thread; a test holds the signatures side by side. All
may be called from several threads at once, and concurrent calls are gathered as in the async client.
"""

import datetime as dt
from collections.abc import Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

from segel._algorithms import Algorithm
from segel._chunks import Item
from segel._portal import Portal
from segel._tls import Tls
from segel.blocking_jobs import BlockingJobs
from segel.client import Client
from segel.models import Failure, Key, Signature, Slots, Token, WhoAmI
from segel.models_objects import PinChanged, TokenObject
from segel.officer import Officer
from segel.settings import Settings
from segel.signer import SIGN_TIMEOUT, Ecdsa, Signer

Inner = TypeVar("Inner")


class _Owner(Generic[Inner]):
    """A connection and the thread that serves it; both end together."""

    def __init__(self, portal: Portal, inner: Inner) -> None:
        self._portal = portal
        self._inner = inner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, what is under way with it, and the thread."""
        self._portal.close()


class BlockingClient(_Owner[Client]):
    """`Client` without ``await``.

        with segel.BlockingClient.connect("localhost:7443", tls=segel.Tls(ca=..., cert=..., key=...)) as client:
            signer = client.signer("keys/seal-2026")
            signature = signer.sign_digest(digest)

    Not to be used after a fork, nor from an event loop, which it would block.
    """

    @classmethod
    def connect(cls, target: str, *, tls: Tls, server_name: str | None = None) -> Self:
        """See `Client.connect`."""
        return cls(
            *Portal.owning(lambda: Client.connect(target, tls=tls, server_name=server_name), Client.aclose)
        )

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """See `Client.from_settings`."""
        return cls(*Portal.owning(lambda: Client.from_settings(settings), Client.aclose))

    def whoami(self) -> WhoAmI:
        """See `Client.whoami`."""
        return self._portal.run(self._inner.whoami())

    def keys(self) -> tuple[Key, ...]:
        """See `Client.keys`."""
        return self._portal.run(self._inner.keys())

    def key(self, name: str) -> Key:
        """See `Client.key`."""
        return self._portal.run(self._inner.key(name))

    def signer(
        self, key: str | None = None, *, algorithm: Algorithm | str | None = None, ecdsa: Ecdsa = "der"
    ) -> "BlockingSigner":
        """See `Client.signer`."""
        inner = self._portal.run(self._inner.signer(key, algorithm=algorithm, ecdsa=ecdsa))
        return BlockingSigner(self._portal, inner)

    @property
    def jobs(self) -> BlockingJobs:
        """See `Client.jobs`."""
        return BlockingJobs(self._portal, self._inner.jobs)


class BlockingSigner:
    """`Signer` without ``await``. Made by `BlockingClient.signer`."""

    def __init__(self, portal: Portal, inner: Signer) -> None:
        self._portal = portal
        self._inner = inner
        self.key = inner.key
        self.algorithm = inner.algorithm
        self.ecdsa: Ecdsa = inner.ecdsa

    def __repr__(self) -> str:
        return f"Blocking{self._inner!r}"

    @property
    def certificate_chain(self) -> tuple[bytes, ...]:
        """See `Signer.certificate_chain`."""
        return self._inner.certificate_chain

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """See `Signer.algorithms`."""
        return self._inner.algorithms

    def digest(self, data: bytes) -> bytes:
        """See `Signer.digest`."""
        return self._inner.digest(data)

    def sign_digest(self, digest: bytes, *, timeout: float = SIGN_TIMEOUT) -> bytes:
        """See `Signer.sign_digest`."""
        return self._portal.run(self._inner.sign_digest(digest, timeout=timeout))

    def sign_message(self, data: bytes, *, timeout: float = SIGN_TIMEOUT) -> bytes:
        """See `Signer.sign_message`."""
        return self._portal.run(self._inner.sign_message(data, timeout=timeout))

    def sign_digests(
        self, digests: Iterable[Item], *, timeout: float = SIGN_TIMEOUT
    ) -> list[Signature | Failure]:
        """See `Signer.sign_digests`. The iterable is read in the client's thread."""
        return self._portal.run(self._inner.sign_digests(digests, timeout=timeout))


class BlockingOfficer(_Owner[Officer]):
    """`Officer` without ``await``: tokens alone. Changes, keys, the policy, jobs and the log are reached by `Officer`."""

    @classmethod
    def connect(cls, target: str, *, tls: Tls, server_name: str | None = None) -> Self:
        """See `Officer.connect`."""
        return cls(
            *Portal.owning(lambda: Officer.connect(target, tls=tls, server_name=server_name), Officer.aclose)
        )

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """See `Officer.from_settings`."""
        return cls(*Portal.owning(lambda: Officer.from_settings(settings), Officer.aclose))

    def slots(self) -> Slots:
        """See `Officer.slots`."""
        return self._portal.run(self._inner.slots())

    def tokens(self) -> tuple[Token, ...]:
        """See `Officer.tokens`."""
        return self._portal.run(self._inner.tokens())

    def trouble(self) -> str:
        """See `Officer.trouble`."""
        return self._portal.run(self._inner.trouble())

    def token(self, name: str) -> Token:
        """See `Officer.token`."""
        return self._portal.run(self._inner.token(name))

    def activate(
        self,
        name: str,
        pin: bytes | bytearray,
        *,
        lifetime: dt.timedelta | None = None,
        max_signatures: int | None = None,
    ) -> Token:
        """See `Officer.activate`."""
        return self._portal.run(
            self._inner.activate(name, pin, lifetime=lifetime, max_signatures=max_signatures)
        )

    def deactivate(self, name: str, *, only_if_idle: bool = False) -> Token:
        """See `Officer.deactivate`."""
        return self._portal.run(self._inner.deactivate(name, only_if_idle=only_if_idle))

    def change_pin(self, name: str, pin: bytes | bytearray, new_pin: bytes | bytearray) -> PinChanged:
        """See `Officer.change_pin`."""
        return self._portal.run(self._inner.change_pin(name, pin, new_pin))

    def quarantine(self, name: str, reason: str) -> Token:
        """See `Officer.quarantine`."""
        return self._portal.run(self._inner.quarantine(name, reason))

    def release(self, name: str) -> Token:
        """See `Officer.release`."""
        return self._portal.run(self._inner.release(name))

    def objects(self, name: str) -> tuple[TokenObject, ...]:
        """See `Officer.objects`."""
        return self._portal.run(self._inner.objects(name))
