"""Making a key pair on a token, and removing one with what belongs to it."""

from typing import Any, Final

from pkcs11 import Session, exceptions
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

from segeld.ipc import ceremony_wire as wire
from segeld.ipc.worker_wire import Remedy
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Reason
from segeld.worker import ceremony_faults, objects, pairing, public_keys
from segeld.worker.failure import Failure
from segeld.worker.objects import Objects, PrivateObject, PublicObject

_Template = dict[Attribute, Any]
_BITS: Final = {KeyKind.RSA_2048: 2048, KeyKind.RSA_3072: 3072, KeyKind.RSA_4096: 4096}
_CURVES: Final = {KeyKind.P_256: "secp256r1", KeyKind.P_384: "secp384r1", KeyKind.P_521: "secp521r1"}
_ED25519: Final = bytes.fromhex("06032b6570")
"""OBJECT IDENTIFIER 1.3.101.112 (RFC 8410, section 3)."""
_PRIVATE: Final[_Template] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}
_PUBLIC: Final[_Template] = {
    Attribute.PRIVATE: False,
    Attribute.VERIFY: True,
    Attribute.VERIFY_RECOVER: False,
    Attribute.ENCRYPT: False,
    Attribute.WRAP: False,
    Attribute.DERIVE: False,
}


def generate(session: Session, request: wire.GenerateKey) -> wire.KeyGenerated:
    """:raises Failure: KEY_EXISTS; what the token says."""
    _refuse_known(objects.read(session), request)
    try:
        _generate(session, request)
    except exceptions.PKCS11Error as error:
        raise ceremony_faults.raised(error, f"C_GenerateKeyPair ({request.kind})") from None
    made = [one for one in objects.read(session).public if one.cka_id == request.cka_id]
    if len(made) != 1:
        raise Failure(
            Reason.DEVICE_ERROR,
            Remedy.REPLACE,
            f"The token says that it has made the key {request.label!r}, but shows {len(made)} public objects of it.",
        )
    return wire.KeyGenerated(request.id, public_keys.to_spki(made[0].key))


def _refuse_known(found: Objects, request: wire.GenerateKey) -> None:
    known: list[PrivateObject | PublicObject] = [*found.private, *found.public]
    for what, same in (
        ("label", any(one.label == request.label for one in known)),
        ("CKA_ID", any(one.cka_id == request.cka_id for one in [*known, *found.certificates])),
    ):
        if same:
            value = repr(request.label) if what == "label" else request.cka_id.hex()
            raise Failure(
                Reason.KEY_EXISTS,
                Remedy.ITEM,
                f"The token has a key with the {what} {value} already; give the new one another.",
            )


def _generate(session: Session, request: wire.GenerateKey) -> None:
    options: dict[str, Any] = {
        "id": request.cka_id,
        "label": request.label,
        "store": True,
        "private_template": _PRIVATE,
        "public_template": _PUBLIC,
    }
    if request.kind in _BITS:
        session.generate_keypair(KeyType.RSA, _BITS[request.kind], **options)
    elif request.kind in _CURVES:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(_CURVES[request.kind])}
        session.create_domain_parameters(KeyType.EC, curve, local=True).generate_keypair(**options)
    else:
        edwards = session.create_domain_parameters(
            KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _ED25519}, local=True
        )
        edwards.generate_keypair(mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, **options)


def destroy(session: Session, request: wire.DestroyKey) -> wire.KeyDestroyed:
    """The private object last: if it fails before, it can be tried again.

    :raises Failure: what the token says; KEY_AMBIGUOUS if two private objects could be it.
    """
    found = objects.read(session)
    own = [
        one.private
        for one in pairing.pair(found, [])
        if one.found.public_key == request.public_key and one.private is not None
    ]
    ids = {one.cka_id for one in own}
    same_id = [one for one in found.private if one.cka_id in ids]
    if len(own) > 1 or len(same_id) > len(own):
        raise Failure(
            Reason.KEY_AMBIGUOUS,
            Remedy.ITEM,
            "Two private objects on the token could be this key; which of them it is cannot be told. Nothing was removed.",
        )
    removed = 0
    try:
        for what, attribute in ((ObjectClass.CERTIFICATE, Attribute.VALUE), (ObjectClass.PUBLIC_KEY, None)):
            for one in list(session.get_objects({Attribute.CLASS: what})):
                values = objects.values_of(one, objects.CERTIFICATE if attribute else objects.PUBLIC)
                shown = objects.certificate_of(values) if attribute else objects.public_of(values)
                if shown is not None and public_keys.to_spki(shown.key) == request.public_key:
                    one.destroy()
                    removed += 1
        handles = {one.handle for one in own}
        for one in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
            if one.handle in handles:
                one.destroy()
                removed += 1
    except exceptions.PKCS11Error as error:
        raise ceremony_faults.raised(error, "C_DestroyObject") from None
    return wire.KeyDestroyed(request.id, removed)
