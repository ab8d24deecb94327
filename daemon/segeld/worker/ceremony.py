"""What officers do to a token: one request, one answer. Those of the user run where the sessions are used."""

from pkcs11 import Session

from segeld.ipc import ceremony_wire as wire
from segeld.worker import ceremony_certificates, ceremony_keys, ceremony_list, ceremony_pins
from segeld.worker.module import Module
from segeld.worker.tokens import Token, handle_of
from segeld.worker.typed import Typed, required

UserRequest = wire.ChangePin | wire.ListObjects | wire.GenerateKey | wire.StoreCertificates | wire.DestroyKey
SetUpRequest = wire.InitToken | wire.InitPin


def set_up(module: Module, request: SetUpRequest, secrets: Typed) -> wire.CeremonyAnswer:
    """Without an open token. The secrets stay until the PIN is set.

    :raises Failure: what the token says.
    """
    if isinstance(request, wire.InitToken):
        return ceremony_pins.init_token(module.functions, request, secrets)
    try:
        return ceremony_pins.init_pin(module.functions, request, secrets)
    finally:
        secrets.wipe()


def as_user(
    module: Module, token: Token, session: Session, request: UserRequest, typed: Typed | None
) -> wire.CeremonyAnswer:
    """:raises Failure: what the token says.
    :raises Violation: if the secrets for a change of the PIN did not come.
    """
    match request:
        case wire.ChangePin():
            secrets = required(typed)
            try:
                ceremony_pins.change_pin(module.functions, handle_of(session), token.info, secrets)
            finally:
                secrets.wipe()
            return wire.PinChanged(request.id)
        case wire.ListObjects():
            return list_objects(session, request)
        case wire.GenerateKey():
            return ceremony_keys.generate(session, request)
        case wire.StoreCertificates():
            return ceremony_certificates.store(session, request)
        case wire.DestroyKey():
            return ceremony_keys.destroy(session, request)


def list_objects(session: Session, request: wire.ListObjects) -> wire.ObjectsListed:
    """:raises Failure: if the token cannot be searched."""
    return wire.ObjectsListed(request.id, ceremony_list.list_objects(session))
