"""Objects on a token, from the wire."""

from segel.models_objects import TokenObject
from segel.v1 import token_admin_pb2


def token_object(message: token_admin_pb2.TokenObject) -> TokenObject:
    return TokenObject(
        object_class=message.object_class,
        label=message.label,
        id=message.id,
        kind=message.kind,
        key=message.key,
        attributes=tuple(message.attributes),
        warnings=tuple(message.warnings),
    )
