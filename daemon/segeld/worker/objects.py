"""Objects of a token as plain values: private keys, public keys and certificates, each read in one go.

An attribute that a module does not give is missing, no more; a public object that makes no sense is left out, and so
is a certificate, which is logged: people wonder where theirs is. A search is read to its end at once, for an open one holds the session.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

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
_PUBLIC: Final = (
    Attribute.LABEL,
    Attribute.ID,
    Attribute.KEY_TYPE,
    Attribute.EC_PARAMS,
    Attribute.EC_POINT,
    Attribute.MODULUS,
    Attribute.PUBLIC_EXPONENT,
)
_CERTIFICATE: Final = (Attribute.LABEL, Attribute.ID, Attribute.VALUE)
_FLAGS: Final = (
    Attribute.TOKEN,
    Attribute.PRIVATE,
    Attribute.MODIFIABLE,
    Attribute.LOCAL,
    Attribute.SENSITIVE,
    Attribute.ALWAYS_SENSITIVE,
    Attribute.EXTRACTABLE,
    Attribute.NEVER_EXTRACTABLE,
    Attribute.ALWAYS_AUTHENTICATE,
    Attribute.SIGN,
    Attribute.SIGN_RECOVER,
    Attribute.VERIFY,
    Attribute.VERIFY_RECOVER,
    Attribute.ENCRYPT,
    Attribute.DECRYPT,
    Attribute.WRAP,
    Attribute.UNWRAP,
    Attribute.DERIVE,
)


class Flags(NamedTuple):
    """Names of attributes, without CKA_. What the module does not say is in neither list."""

    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()


NO_FLAGS: Final = Flags()


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
    flags: Flags = NO_FLAGS
    """If they were asked for."""


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


def read(session: Session, *, flags: bool = False) -> Objects:
    """Everything on the token that has to do with signing keys.

    :param flags: whether what private keys may do is asked too: for people, who must know of weak ones.
    :raises Failure: if the token cannot be searched.
    """
    try:
        private = [
            replace(
                private_of(one.handle, values_of(one, _PRIVATE)), flags=flags_of(one) if flags else NO_FLAGS
            )
            for one in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
            if one.handle is not None
        ]
        public = _all(session, ObjectClass.PUBLIC_KEY, _PUBLIC)
        certificates = _all(session, ObjectClass.CERTIFICATE, _CERTIFICATE)
    except exceptions.PKCS11Error as error:
        raise Failure.raised(error, "listing objects") from None
    return Objects(
        tuple(private),
        tuple(one for values in public if (one := public_of(values)) is not None),
        tuple(found for values in certificates if (found := certificate_of(values)) is not None),
    )


def _all(session: Session, what: ObjectClass, attributes: Sequence[Attribute]) -> list[Values]:
    return [values_of(one, attributes) for one in list(session.get_objects({Attribute.CLASS: what}))]


def flags_of(found: Object) -> Flags:
    """Asked by itself: no class has all of them, and a module may answer for none if it lacks one."""
    values = values_of(found, _FLAGS)
    return Flags(
        tuple(flag.name for flag in _FLAGS if any(values.get(flag, b""))),
        tuple(flag.name for flag in _FLAGS if values.get(flag) and not any(values[flag])),
    )


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


def shown_key(found: Object, what: ObjectClass) -> bytes | None:
    """The key that a public object or a certificate shows, as SubjectPublicKeyInfo, DER."""
    is_certificate = what is ObjectClass.CERTIFICATE
    values = values_of(found, _CERTIFICATE if is_certificate else _PUBLIC)
    shown = certificate_of(values) if is_certificate else public_of(values)
    return public_keys.to_spki(shown.key) if shown is not None else None


def number_of(value: bytes | None) -> int:
    """A CK_ULONG as the module laid it down; -1 if there is none."""
    return int.from_bytes(value, sys.byteorder) if value else -1


def _flag(value: bytes | None, *, default: bool) -> bool:
    return default if not value else any(value)


def label_of(values: Values) -> str:
    return text(values.get(Attribute.LABEL, b"").rstrip(b"\0"))
