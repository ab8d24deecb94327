"""Keys and their certificates, as officers deal with them. To enable or destroy one is a change: `OfficerChanges`."""

from typing import Final

from segel import _convert_keys as convert
from segel._connection import CALL_TIMEOUT, Connection
from segel.models_keys import Csr, Imported, ManagedKey
from segel.v1 import token_admin_pb2
from segel.v1.token_admin_pb2_grpc import TokenAdminStub

TOKEN_TIMEOUT: Final = 120.0
"""Seconds that a token may take to sign, or to store something."""

GENERATE_TIMEOUT: Final = 600.0
"""Seconds: small devices take minutes for a long RSA key."""


class OfficerKeys:
    """The keys of one daemon. Reached as `Officer.keys`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> tuple[ManagedKey, ...]:
        """All of them, ordered by name.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        return tuple(map(convert.managed_key, (await self._list()).keys))

    async def look(self) -> tuple[tuple[ManagedKey, ...], tuple[str, ...]]:
        """All of them, and a sentence for each other certificate near its end: of a listener, or of somebody who came.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._list()
        return tuple(map(convert.managed_key, response.keys)), tuple(response.warnings)

    async def _list(self) -> token_admin_pb2.ListManagedKeysResponse:
        return await self._connection.call(
            lambda channel: TokenAdminStub(channel).ListManagedKeys,
            token_admin_pb2.ListManagedKeysRequest(),
            timeout=CALL_TIMEOUT,
        )

    async def generate(self, token: str, label: str, kind: str, *, id: bytes = b"") -> ManagedKey:  # noqa: A002 - CKA_ID
        """Makes a key pair on an active token: sensitive, not extractable, to sign with and for nothing else.

        :param kind: rsa2048, rsa3072, rsa4096, p256, p384, p521 or ed25519.
        :param id: CKA_ID; empty: random octets.
        :raises SegelError: what the daemon said, or why it cannot be reached. After ConnectionFailed with reason
            CONNECTION_BROKE it is not known whether the key was made.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).GenerateKey,
            token_admin_pb2.GenerateKeyRequest(token=token, label=label, kind=kind, id=id),
            timeout=GENERATE_TIMEOUT,
            repeat=False,
        )
        return convert.managed_key(response)

    async def csr(self, key: str, subject: str = "", *, like: bytes = b"") -> Csr:
        """A request for a certificate, signed by the key on its token.

        :param key: ``keys/…``; an alias must name one key.
        :param subject: as openssl writes it: ``/C=ID/O=…``. Either this or `like`.
        :param like: a certificate, PEM or DER, whose subject and names are taken over.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).CreateCsr,
            token_admin_pb2.CreateCsrRequest(key=key, subject=subject, like=like),
            timeout=TOKEN_TIMEOUT,
            repeat=False,
        )
        return Csr(response.pem, response.subject)

    async def import_certificate(self, data: bytes, key: str = "", *, dry_run: bool = False) -> Imported:
        """Takes a certificate that came back, and issuers with it: PEM, DER or PKCS #7, in any order.

        :param key: the key it must be for; empty: the key that has its public key.
        :param dry_run: nothing is stored.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).ImportCertificate,
            token_admin_pb2.ImportCertificateRequest(data=data, key=key, dry_run=dry_run),
            timeout=TOKEN_TIMEOUT,
            repeat=False,
        )
        return convert.imported(response)

    async def disable(self, key: str, reason: str) -> ManagedKey:
        """From now on nothing is signed with it.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: TokenAdminStub(channel).DisableKey,
            token_admin_pb2.DisableKeyRequest(key=key, reason=reason),
            timeout=CALL_TIMEOUT,
            repeat=False,
        )
        return convert.managed_key(response)
