"""Objects of a token as plain values: private keys, public keys and certificates, each read in one go.

An attribute that a module does not give is missing, no more; a public object that makes no sense is left out, and so
is a certificate, which is logged: people wonder where theirs is. A search is read to its end at once, for an open one holds the session.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from pkcs11 import Object, Session, exceptions
from pkcs11.constants import Attribute, ObjectClass

from segeld.model.algorithm import KeyKind
from segeld.model.chains import OddCertificate, readable
from segeld.worker import log, public_keys
from segeld.worker.cryptoki import text
from segeld.worker.failure import Failure
from segeld.worker.public_keys import NotAKey, PublicKey

_PRIVATE: Final = (
    Attribute.LABEL,
    Attribute.ID,
    Attribute.KEY_TYPE,
    Attribute.SIGN,
    Attribute.ALWAYS_AUTHENTICATE,
    Attribute.EC_PARAMS,
    Attribute.MODULUS,
    Attribute.PUBLIC_EXPONENT,
)
PUBLIC: Final = (
    Attribute.LABEL,
    Attribute.ID,
    Attribute.KEY_TYPE,
    Attribute.EC_PARAMS,
    Attribute.EC_POINT,
    Attribute.MODULUS,
    Attribute.PUBLIC_EXPONENT,
)
CERTIFICATE: Final = (Attribute.LABEL, Attribute.ID, Attribute.VALUE)


@dataclass(frozen=True, slots=True)
class PrivateObject:
    handle: int
    label: str
    cka_id: bytes
    key_type: int
    kind: KeyKind | None
    may_sign: bool
    always_authenticate: bool
    own_public: PublicKey | None
    """From the modulus and exponent that an RSA private key shows."""


@dataclass(frozen=True, slots=True)
class PublicObject:
    label: str
    cka_id: bytes
    key: PublicKey


@dataclass(frozen=True, slots=True)
class CertificateObject(PublicObject):
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Objects:
    """What one search found."""

    private: tuple[PrivateObject, ...]
    public: tuple[PublicObject, ...]
    certificates: tuple[CertificateObject, ...]


Values = dict[Attribute, bytes]


def read(session: Session) -> Objects:
    """Everything on the token that has to do with signing keys.

    :raises Failure: if the token cannot be searched.
    """
    try:
        private = _all(session, ObjectClass.PRIVATE_KEY, _PRIVATE)
        public = _all(session, ObjectClass.PUBLIC_KEY, PUBLIC)
        certificates = _all(session, ObjectClass.CERTIFICATE, CERTIFICATE)
    except exceptions.PKCS11Error as error:
        raise Failure.raised(error, "listing objects") from None
    return Objects(
        tuple(private_of(handle, values) for handle, values in private),
        tuple(one for _, values in public if (one := public_of(values)) is not None),
        tuple(found for _, values in certificates if (found := certificate_of(values)) is not None),
    )


def _all(session: Session, what: ObjectClass, attributes: Sequence[Attribute]) -> list[tuple[int, Values]]:
    found = list(session.get_objects({Attribute.CLASS: what}))
    return [(one.handle, values_of(one, attributes)) for one in found if one.handle is not None]


def values_of(found: Object, attributes: Sequence[Attribute]) -> Values:
    try:
        return dict(found.get_attributes(list(attributes)))
    except exceptions.PKCS11Error:
        return dict(_one_by_one(found, attributes))


def _one_by_one(found: Object, attributes: Sequence[Attribute]) -> Iterator[tuple[Attribute, bytes]]:
    """For modules that answer a question for many attributes with an error if they lack one."""
    for attribute in attributes:
        try:
            yield attribute, found[attribute]
        except (
            exceptions.AttributeTypeInvalid,
            exceptions.AttributeSensitive,
            exceptions.FunctionFailed,
            KeyError,
        ):
            continue


def private_of(handle: int, values: Values) -> PrivateObject:
    key_type = number_of(values.get(Attribute.KEY_TYPE))
    own = None
    if key_type == public_keys.CKK_RSA:
        modulus = values.get(Attribute.MODULUS, b"")
        kind = public_keys.kind_of_modulus(modulus)
        try:
            own = public_keys.from_rsa(modulus, values.get(Attribute.PUBLIC_EXPONENT, b""))
        except NotAKey:
            own = None
    else:
        kind = public_keys.kind_of_parameters(key_type, values.get(Attribute.EC_PARAMS, b""))
    return PrivateObject(
        handle=handle,
        label=label_of(values),
        cka_id=values.get(Attribute.ID, b""),
        key_type=key_type,
        kind=kind,
        # A module that does not say is believed to allow it: the signature itself will tell.
        may_sign=_flag(values.get(Attribute.SIGN), default=True),
        always_authenticate=_flag(values.get(Attribute.ALWAYS_AUTHENTICATE), default=False),
        own_public=own,
    )


def public_of(values: Values) -> PublicObject | None:
    key_type = number_of(values.get(Attribute.KEY_TYPE))
    try:
        if key_type == public_keys.CKK_RSA:
            key = public_keys.from_rsa(
                values.get(Attribute.MODULUS, b""), values.get(Attribute.PUBLIC_EXPONENT, b"")
            )
        else:
            kind = public_keys.kind_of_parameters(key_type, values.get(Attribute.EC_PARAMS, b""))
            if kind is None:
                return None
            key = public_keys.from_point(kind, values.get(Attribute.EC_POINT, b""))
    except NotAKey:
        return None
    label = label_of(values)
    return PublicObject(label, values.get(Attribute.ID, b""), key)


def certificate_of(values: Values) -> CertificateObject | None:
    label, cka_id = label_of(values), values.get(Attribute.ID, b"")
    try:
        certificate = readable(lambda: x509.load_der_x509_certificate(values.get(Attribute.VALUE, b"")))
        key = public_keys.known(certificate.public_key())
    except (OddCertificate, NotAKey) as error:
        log.say("certificate left out", label=label, cka_id=cka_id.hex(), why=str(error))
        return None
    return CertificateObject(label, cka_id, key, certificate)


def number_of(value: bytes | None) -> int:
    """A CK_ULONG as the module laid it down; -1 if there is none."""
    return int.from_bytes(value, sys.byteorder) if value else -1


def _flag(value: bytes | None, *, default: bool) -> bool:
    return default if not value else any(value)


def label_of(values: Values) -> str:
    return text(values.get(Attribute.LABEL, b"").rstrip(b"\0"))
