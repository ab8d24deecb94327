"""Key pairs in PKCS#11 attributes: generated on the token, or made outside and imported. Only `_tokens` uses it."""

import hashlib
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, PublicKey, Session
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key, encode_named_curve_parameters
from pkcs11.util.rsa import decode_rsa_private_key, decode_rsa_public_key

from segel_softhsm.kinds import CURVES, RSA_BITS, KeyKind
from segel_softhsm.script import GenerateKey, ImportKey, MadePublicKey

KeyPair = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Public = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Template = dict[Attribute, Any]

_ED25519: Final = bytes.fromhex("06032b6570")  # OBJECT IDENTIFIER 1.3.101.112
_CURVE_CLASSES: Final[dict[str, type[ec.EllipticCurve]]] = {"p256": ec.SECP256R1, "p384": ec.SECP384R1}

# Signing and nothing else: no decryption, no unwrapping, no derivation, and never out of the token.
_PRIVATE: Final[Template] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}
_PUBLIC: Final[Template] = {
    Attribute.PRIVATE: False,
    Attribute.VERIFY: True,
    Attribute.VERIFY_RECOVER: False,
    Attribute.ENCRYPT: False,
    Attribute.WRAP: False,
    Attribute.DERIVE: False,
}


def generate(session: Session, step: GenerateKey) -> Public:
    """Generate a key pair on the token; the public object lasts only if the step says so."""
    options: dict[str, Any] = {
        "id": bytes.fromhex(step.cka_id),
        "label": step.label,
        "store": True,
        "private_template": _PRIVATE,
        "public_template": {**_PUBLIC, Attribute.TOKEN: step.public_object},
    }
    if step.kind in RSA_BITS:
        public, _ = session.generate_keypair(KeyType.RSA, RSA_BITS[step.kind], **options)
        return rsa.RSAPublicNumbers(
            int.from_bytes(public[Attribute.PUBLIC_EXPONENT]), int.from_bytes(public[Attribute.MODULUS])
        ).public_key()
    if step.kind in CURVES:
        named = {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVES[step.kind])}
        domain = session.create_domain_parameters(KeyType.EC, named, local=True)
        public, _ = domain.generate_keypair(**options)
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE_CLASSES[step.kind](), _point(public))
    domain = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _ED25519}, local=True)
    public, _ = domain.generate_keypair(mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, **options)
    return ed25519.Ed25519PublicKey.from_public_bytes(_point(public))


def new_pair(kind: KeyKind) -> KeyPair:
    """Make a key pair in this process's memory: for tests that need the same key on two tokens, and nothing else."""
    if kind in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[kind])
    if kind in CURVES:
        return ec.generate_private_key(_CURVE_CLASSES[kind]())
    return ed25519.Ed25519PrivateKey.generate()


def import_key(session: Session, step: ImportKey, pair: KeyPair) -> None:
    """Store a key pair as objects of the token."""
    private, public = _attributes(pair)
    named = {Attribute.TOKEN: True, Attribute.LABEL: step.label, Attribute.ID: bytes.fromhex(step.cka_id)}
    session.create_object({**private, **named, **_PRIVATE})
    if step.public_object:
        session.create_object({**public, **named, **_PUBLIC})


def public_answer(label: str, public: Public) -> MadePublicKey:
    """Describe a public key for the parent."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return MadePublicKey(label, pem.decode(), hashlib.sha256(der).hexdigest())


def _attributes(pair: KeyPair) -> tuple[Template, Template]:
    if isinstance(pair, ed25519.Ed25519PrivateKey):
        raw = pair.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        point = b"\x04\x20" + pair.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        edwards: Template = {Attribute.KEY_TYPE: KeyType.EC_EDWARDS, Attribute.EC_PARAMS: _ED25519}
        return (
            {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **edwards, Attribute.VALUE: raw},
            {Attribute.CLASS: ObjectClass.PUBLIC_KEY, **edwards, Attribute.EC_POINT: point},
        )
    private = pair.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    if isinstance(pair, rsa.RSAPrivateKey):
        public = pair.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        return decode_rsa_private_key(private), decode_rsa_public_key(public)
    public = pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return decode_ec_private_key(private), decode_ec_public_key(public)


def _point(public: PublicKey) -> bytes:
    """Return what the OCTET STRING in CKA_EC_POINT holds; all these points are shorter than 128 bytes."""
    wrapped: bytes = public[Attribute.EC_POINT]
    return wrapped[2:]
