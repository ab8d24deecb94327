"""Making a key pair on a token, and removing one with what belongs to it."""

from collections.abc import Sequence
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
        raise _not_made(error, request) from None
    made = [one for one in _read_back(session, request).public if one.cka_id == request.cka_id]
    if len(made) != 1:
        raise _not_shown(request, f"shows {len(made)} public objects of it")
    return wire.KeyGenerated(request.id, public_keys.to_spki(made[0].key))


def _not_made(error: exceptions.PKCS11Error, request: wire.GenerateKey) -> Failure:
    """python-pkcs11 reads the two objects when C_GenerateKeyPair has made them already: what says nothing of the request,
    but that the session or the token is gone, can be the answer to that.
    """
    failure = ceremony_faults.raised(error, f"C_GenerateKeyPair ({request.kind})", changing=True)
    certain = failure.certain and failure.remedy is Remedy.ITEM
    return Failure(failure.reason, failure.remedy, failure.text, ckr=failure.ckr, certain=certain)


def _read_back(session: Session, request: wire.GenerateKey) -> Objects:
    try:
        return objects.read(session)
    except Failure as failure:
        raise _not_shown(request, f"cannot be searched for it ({failure.text})") from None


def _not_shown(request: wire.GenerateKey, text: str) -> Failure:
    said = f"The token says that it has made the key {request.label!r}, but {text}."
    return Failure(Reason.DEVICE_ERROR, Remedy.REPLACE, said, certain=False)


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
    """The private object first: while it is there, so is what it is found by. What is left then is public, and found by
    the public key itself if this is asked once more.

    :raises Failure: what the token says; KEY_AMBIGUOUS if it cannot be told which private object is it.
    """
    found = objects.read(session)
    configured = [public_keys.from_spki(der) for der in request.configured]
    paired = pairing.pair(found, configured)
    own = [
        one.private
        for one in paired
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
    if not own and _may_be_there(found, paired, request.public_key):
        raise Failure(
            Reason.KEY_AMBIGUOUS,
            Remedy.ITEM,
            "A private object on the token has the CKA_ID of this key, and of another public key too; whose it is cannot be "
            "told. Nothing was removed.",
        )
    handles = {one.handle for one in own}
    try:
        private = [
            one
            for one in list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
            if one.handle in handles
        ]
        for one in private:
            one.destroy()
    except exceptions.PKCS11Error as error:
        raise ceremony_faults.raised(error, "C_DestroyObject", changing=True) from None
    removed, left = _remove_public(session, request.public_key)
    return wire.KeyDestroyed(request.id, len(private) + removed, left)


def _may_be_there(found: Objects, paired: Sequence[pairing.Paired], public_key: bytes) -> bool:
    """Whether a private object that belongs to no public key for certain could belong to this one."""
    shown: tuple[PublicObject, ...] = (*found.public, *found.certificates)
    ids = {one.cka_id for one in shown if one.cka_id and public_keys.to_spki(one.key) == public_key}
    return any(
        one.found.public_key is None and one.private is not None and one.private.cka_id in ids
        for one in paired
    )


def _remove_public(session: Session, public_key: bytes) -> tuple[int, int]:
    """How many objects of the key were removed, and how many are left: the key is gone without them too.

    :raises Failure: if the token cannot be searched any more.
    """
    removed = left = 0
    try:
        for what in (ObjectClass.CERTIFICATE, ObjectClass.PUBLIC_KEY):
            for one in list(session.get_objects({Attribute.CLASS: what})):
                if objects.shown_key(one, what) != public_key:
                    continue
                try:
                    one.destroy()
                    removed += 1
                except exceptions.PKCS11Error:
                    left += 1
    except exceptions.PKCS11Error as error:
        failure = ceremony_faults.raised(error, "listing objects")
        # Whatever it answered: the private object has gone before.
        raise Failure(failure.reason, failure.remedy, failure.text, ckr=failure.ckr, certain=False) from None
    return removed, left
