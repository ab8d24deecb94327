"""The client of back-office systems: who am I, which keys, sign, and jobs."""

import os
from types import TracebackType
from typing import Final, Self

from segel import _convert
from segel._algorithms import Algorithm
from segel._connection import CALL_TIMEOUT, Connection
from segel._gather import Gatherer
from segel._get_key import get_key
from segel._target import Target
from segel._tls import Tls
from segel.errors import BadRequest, KeyNotUsable, SettingsInvalid
from segel.jobs import Jobs
from segel.models import Key, WhoAmI
from segel.settings import Settings
from segel.signer import Ecdsa, Signer
from segel.v1 import signing_pb2 as signing
from segel.v1.signing_pb2_grpc import SigningStub

_PAGE: Final = 200


class Client:
    """A connection to one daemon, for as many calls at once as you like. Belongs to one event loop.

        async with segel.Client.connect("localhost:7443", tls=segel.Tls(ca=..., cert=..., key=...)) as client:
            signer = await client.signer("keys/seal-2026")
            signature = await signer.sign_digest(digest)

    Nothing is sent before the first call. A first call that cannot reach the daemon fails at once and says why;
    later ones wait out a restart of the daemon, within their time.
    """

    def __init__(self, connection: Connection, signing_key: str | None = None) -> None:
        self._connection = connection
        self._gatherer = Gatherer(connection)
        self._signing_key = signing_key
        self._jobs = Jobs(connection, _choose)

    @classmethod
    def connect(cls, target: str, *, tls: Tls, server_name: str | None = None) -> Self:
        """A client of the daemon at `target`: ``host:port`` or ``unix:/path``.

        :param server_name: the name that the daemon's certificate must have, if not that of the target.
        :raises SettingsInvalid: if `target` is no address.
        """
        return cls(Connection(Target.parse(target), tls, server_name))

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """A client with the settings of arguments, environment and files: see `Settings.load`.

        :raises SettingsInvalid: if a setting is missing or wrong.
        """
        settings = settings or Settings.load()
        target = Target.parse(settings.target, settings.sources.get("target", "the settings"))
        return cls(Connection(target, settings.tls, settings.server_name), settings.signing_key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connection. Calls that still run are refused with ClientClosed. May be called twice."""
        await self._gatherer.aclose()
        await self._connection.aclose()

    async def whoami(self) -> WhoAmI:
        """Who the daemon thinks this client is.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: SigningStub(channel).WhoAmI, signing.WhoAmIRequest(), timeout=CALL_TIMEOUT
        )
        return _convert.who_am_i(response)

    async def keys(self) -> tuple[Key, ...]:
        """The keys that this client may use, ordered by name.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        keys: list[Key] = []
        page = ""
        while True:
            response = await self._connection.call(
                lambda channel: SigningStub(channel).ListKeys,
                signing.ListKeysRequest(page_size=_PAGE, page_token=page),
                timeout=CALL_TIMEOUT,
            )
            keys += map(_convert.key, response.keys)
            page = response.next_page_token
            if not page:
                return tuple(keys)

    async def key(self, name: str) -> Key:
        """One key, by alias or by its immutable name. An alias answers one healthy key of those it names.

        :raises KeyNotFound: if there is none, or it is not granted.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        return await get_key(self._connection, name)

    @property
    def jobs(self) -> Jobs:
        """Batches of any size that outlive this client and the daemon."""
        return self._jobs

    async def signer(
        self, key: str | None = None, *, algorithm: Algorithm | str | None = None, ecdsa: Ecdsa = "der"
    ) -> Signer:
        """A signer of one key. The key is fetched once, and the signer keeps to it even if the alias moves on.

        :param key: alias or immutable name; the settings' signing key if None.
        :param algorithm: one of the key's, by any name that `Algorithm.parse` takes; its default if None.
        :param ecdsa: ``"der"`` for X.509, CMS and PDF; ``"p1363"`` for JOSE and COSE.
        :raises SettingsInvalid: if no key is named here or in the settings.
        :raises BadRequest: if the key cannot sign that way.
        :raises KeyNotUsable: if it cannot sign at all.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        if ecdsa not in ("der", "p1363"):
            raise ValueError(f"ecdsa is 'der' or 'p1363', not {ecdsa!r}")
        wanted = Algorithm.parse(algorithm) if algorithm is not None else None
        name = key or self._signing_key
        if name is None:
            raise SettingsInvalid(
                "There is no key to sign with. Name one, or set SEGEL_KEY.",
                reason="SETTING_MISSING",
                code="FAILED_PRECONDITION",
                facts={"setting": "signing_key"},
            )
        found = await self.key(name)
        return Signer(self._gatherer, found, _choose(found, wanted), ecdsa)


def connect(
    target: str | None = None,
    *,
    ca: str | os.PathLike[str] | None = None,
    cert: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    server_name: str | None = None,
) -> Client:
    """A client with what is given here, and the rest from environment and files: see `Settings.load`.

    :raises SettingsInvalid: if a setting is missing or wrong.
    """
    return Client.from_settings(Settings.load(target, ca, cert, key, server_name=server_name))


def _choose(key: Key, wanted: Algorithm | None) -> Algorithm:
    if not key.algorithms:
        raise KeyNotUsable(
            key.state_reason or f"There is no way to sign with {key.name}",
            reason="KEY_UNUSABLE",
            code="FAILED_PRECONDITION",
            facts={"key": key.name},
        )
    if wanted is None:
        return key.algorithms[0]
    if wanted not in key.algorithms:
        offered = ", ".join(algorithm.value for algorithm in key.algorithms)
        raise BadRequest(
            f"{key.name} cannot sign with {wanted.value}. It offers {offered}.",
            reason="ALGORITHM_NOT_SUPPORTED",
            code="INVALID_ARGUMENT",
            facts={"key": key.name, "algorithm": wanted.value, "offered": offered},
        )
    return wanted
