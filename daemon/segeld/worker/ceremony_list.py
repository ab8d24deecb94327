"""All objects that a token shows to its user, as people want to see them, with what is true of them and what is not."""

from collections.abc import Iterator
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pkcs11 import Object, Session, exceptions
from pkcs11.constants import Attribute

from segeld.ipc.ceremony_wire import FoundObject
from segeld.model.chains import OddCertificate, readable
from segeld.worker import ceremony_faults, public_keys
from segeld.worker.objects import Values, flags_of, label_of, number_of, private_of, public_of, values_of
from segeld.worker.public_keys import NotAKey, PublicKey

MAX_OBJECTS: Final = 2000
"""So many fit into the frame of the answer; no token is known that holds as many."""
_CLASSES: Final = {0: "data", 1: "certificate", 2: "public key", 3: "private key", 4: "secret key"}
_TYPES: Final = {
    0x00: "RSA",
    0x01: "DSA",
    0x03: "EC",
    0x10: "generic secret",
    0x15: "3DES",
    0x1F: "AES",
    0x40: "EdDSA",
}
_FACTS: Final = (
    Attribute.CLASS,
    Attribute.LABEL,
    Attribute.ID,
    Attribute.KEY_TYPE,
    Attribute.EC_PARAMS,
    Attribute.EC_POINT,
    Attribute.MODULUS,
    Attribute.PUBLIC_EXPONENT,
)
_CERTIFICATE: Final = (Attribute.CLASS, Attribute.LABEL, Attribute.ID, Attribute.VALUE)


def list_objects(session: Session) -> tuple[FoundObject, ...]:
    """:raises Failure: if the token cannot be searched."""
    try:
        found = list(session.get_objects({}))[:MAX_OBJECTS]
        read = [_read(one, one.handle) for one in found if one.handle is not None]
    except exceptions.PKCS11Error as error:
        raise ceremony_faults.raised(error, "listing objects") from None
    return tuple(_with_public(read))


def _read(found: Object, handle: int) -> FoundObject:
    what = _CLASSES.get(number_of(values_of(found, (Attribute.CLASS,)).get(Attribute.CLASS)), "other")
    values = values_of(
        found, _CERTIFICATE if what == "certificate" else _FACTS if "key" in what else _FACTS[:2]
    )
    flags = flags_of(found)
    key = _key(what, handle, values)
    return FoundObject(
        object_class=what,
        label=label_of(values),
        cka_id=values.get(Attribute.ID, b""),
        kind=_kind(what, values, key),
        bits=key.key_size if isinstance(key, rsa.RSAPublicKey) else 0,
        public_key=public_keys.to_spki(key) if key is not None else None,
        attributes=flags.true,
        denied=flags.false,
    )


def _key(what: str, handle: int, values: Values) -> PublicKey | None:
    match what:
        case "private key":
            return private_of(handle, values).own_public
        case "public key":
            public = public_of(values)
            return public.key if public is not None else None
        case "certificate":
            try:
                certificate = readable(
                    lambda: x509.load_der_x509_certificate(values.get(Attribute.VALUE, b""))
                )
                return public_keys.known(certificate.public_key())
            except (OddCertificate, NotAKey):
                return None
        case _:
            return None


def _kind(what: str, values: Values, key: PublicKey | None) -> str:
    if what == "certificate":
        return "X.509"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    key_type = number_of(values.get(Attribute.KEY_TYPE))
    known = public_keys.kind_of_parameters(key_type, values.get(Attribute.EC_PARAMS, b""))
    return str(known) if known is not None else _TYPES.get(key_type, "")


def _with_public(found: list[FoundObject]) -> Iterator[FoundObject]:
    """A private key of an elliptic curve shows no public one: what has its CKA_ID beside it says which it is."""
    for one in found:
        if one.object_class != "private key" or one.public_key is not None or not one.cka_id:
            yield one
            continue
        beside = {
            other.public_key
            for other in found
            if other.cka_id == one.cka_id and other.object_class in ("public key", "certificate")
        } - {None}
        yield msgspec.structs.replace(one, public_key=beside.pop()) if len(beside) == 1 else one
