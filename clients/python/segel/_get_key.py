"""One key by its name."""

from segel import _convert
from segel._connection import CALL_TIMEOUT, Connection
from segel.models import Key
from segel.v1 import signing_pb2 as signing
from segel.v1.signing_pb2_grpc import SigningStub


async def get_key(connection: Connection, name: str) -> Key:
    """See `Client.key`."""
    response = await connection.call(
        lambda channel: SigningStub(channel).GetKey,
        signing.GetKeyRequest(name=name),
        timeout=CALL_TIMEOUT,
    )
    return _convert.key(response)
