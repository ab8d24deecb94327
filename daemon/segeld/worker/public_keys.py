"""Public keys, from the forms in which tokens keep them to one SubjectPublicKeyInfo. Pure.

Whatever the source, the key is read and written again, so that one key has one encoding and one name.
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from segeld.model.algorithm import KeyKind

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
"""The kinds of key segel knows, as `cryptography` holds them."""

CKK_RSA: Final = 0x00
CKK_EC: Final = 0x03
CKK_EC_EDWARDS: Final = 0x40

_RSA_KINDS: Final = {2048: KeyKind.RSA_2048, 3072: KeyKind.RSA_3072, 4096: KeyKind.RSA_4096}
_CURVES: Final[dict[KeyKind, ec.EllipticCurve]] = {
    KeyKind.P_256: ec.SECP256R1(),
    KeyKind.P_384: ec.SECP384R1(),
    KeyKind.P_521: ec.SECP521R1(),
}
_CURVE_KINDS: Final = {curve.name: kind for kind, curve in _CURVES.items()}
_PARAMETERS: Final = {
    # Object identifiers: RFC 5480 section 2.1.1.1, RFC 8410 section 3, and the one that was used before it.
    bytes.fromhex("06082a8648ce3d030107"): KeyKind.P_256,
    bytes.fromhex("06052b81040022"): KeyKind.P_384,
    bytes.fromhex("06052b81040023"): KeyKind.P_521,
    bytes.fromhex("06032b6570"): KeyKind.ED25519,
    bytes.fromhex("06092b06010401da470f01"): KeyKind.ED25519,
    # PKCS #11 v3.0 section 2.3.5: a PrintableString with the curve's name.
    b"\x13\x0cedwards25519": KeyKind.ED25519,
}
_POINT_SIZES: Final = {KeyKind.P_256: 65, KeyKind.P_384: 97, KeyKind.P_521: 133, KeyKind.ED25519: 32}


class NotAKey(ValueError):
    """Octets that are no public key of a kind segel knows. The text says what is wrong."""


def kind_of_parameters(key_type: int, parameters: bytes) -> KeyKind | None:
    """What CKA_KEY_TYPE and CKA_EC_PARAMS say together; None for another curve."""
    kind = _PARAMETERS.get(parameters)
    if kind is not None and (kind is KeyKind.ED25519) == (key_type == CKK_EC_EDWARDS):
        return kind
    return None


def kind_of_modulus(modulus: bytes) -> KeyKind | None:
    return _RSA_KINDS.get(int.from_bytes(modulus).bit_length())


def kind_of(key: PublicKey) -> KeyKind | None:
    """None for sizes and curves that segel does not sign with."""
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA_KINDS.get(key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVE_KINDS.get(key.curve.name)
    return KeyKind.ED25519


def from_rsa(modulus: bytes, exponent: bytes) -> PublicKey:
    """From CKA_MODULUS and CKA_PUBLIC_EXPONENT.

    :raises NotAKey: if they cannot be an RSA key.
    """
    try:
        return rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()
    except ValueError as error:
        raise NotAKey(f"no RSA key: {error}") from None


def from_point(kind: KeyKind, encoded: bytes) -> PublicKey:
    """From CKA_EC_POINT: a DER OCTET STRING by the standard, in a BIT STRING or bare with some modules.

    :raises NotAKey: if it is no point of that curve.
    """
    point = _unwrap(encoded, _POINT_SIZES[kind])
    try:
        if kind is KeyKind.ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(point)
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], point)
    except ValueError as error:
        raise NotAKey(f"no point of {kind}: {error}") from None


def from_spki(der: bytes) -> PublicKey:
    """From a SubjectPublicKeyInfo (RFC 5280 section 4.1).

    :raises NotAKey: if it is none, or of a kind segel does not know.
    """
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAKey(f"no public key: {error}") from None
    return known(key)


def known(key: object) -> PublicKey:
    """:raises NotAKey: if it is of a kind that segel has no word for."""
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return key
    raise NotAKey("a public key of another kind")


def to_spki(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _unwrap(encoded: bytes, size: int) -> bytes:
    """The size decides: the first octet of a bare point is 0x04 too."""
    if len(encoded) == size:
        return encoded
    length = bytes([size]) if size < 0x80 else bytes([0x81, size])
    for header in (b"\x04" + length, b"\x03" + _bit_string_length(size) + b"\x00"):
        if encoded.startswith(header) and len(encoded) == len(header) + size:
            return encoded[len(header) :]
    return encoded


def _bit_string_length(size: int) -> bytes:
    return bytes([size + 1]) if size + 1 < 0x80 else bytes([0x81, size + 1])


def key_type(key: PublicKey) -> int:
    """Its CKA_KEY_TYPE."""
    if isinstance(key, rsa.RSAPublicKey):
        return CKK_RSA
    return CKK_EC if isinstance(key, ec.EllipticCurvePublicKey) else CKK_EC_EDWARDS
