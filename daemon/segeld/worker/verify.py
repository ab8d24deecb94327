"""Nothing unverified leaves: what the module gave as a signature, checked with the public key before it is used.

Each check is made once for a key and an algorithm, and called for every signature.
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.worker.public_keys import PublicKey

Check = Callable[[bytes, bytes], bytes | None]
"""(what C_Sign gave, digest or message) → the signature as it is given out, or None if it is not valid."""

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def check_for(key: PublicKey, algorithm: Algorithm, encoding: EcdsaEncoding) -> Check:
    """:raises TypeError: if the algorithm is not one for this kind of key."""
    match algorithm.scheme, key:
        case "ecdsa", ec.EllipticCurvePublicKey():
            return _ecdsa(key, _hash(algorithm), encoding)
        case "rsa-pkcs1", rsa.RSAPublicKey():
            return _rsa(key, padding.PKCS1v15(), _hash(algorithm))
        case "rsa-pss", rsa.RSAPublicKey():
            used = _hash(algorithm)
            return _rsa(key, padding.PSS(padding.MGF1(used), used.digest_size), used)
        case "ed25519", ed25519.Ed25519PublicKey():
            return _ed25519(key)
        case _:
            raise TypeError(f"{algorithm.name} with {type(key).__name__}")


def der_of(raw: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279 section 2.2.3) of r and s side by side."""
    half = len(raw) >> 1
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _hash(algorithm: Algorithm) -> hashes.HashAlgorithm:
    assert algorithm.hash_name is not None
    return _HASHES[algorithm.hash_name]


def _ecdsa(key: ec.EllipticCurvePublicKey, used: hashes.HashAlgorithm, encoding: EcdsaEncoding) -> Check:
    verify, scheme = key.verify, ec.ECDSA(Prehashed(used))
    size = 2 * ((key.curve.key_size + 7) // 8)
    as_der = encoding is EcdsaEncoding.DER

    def check(raw: bytes, digest: bytes) -> bytes | None:
        if len(raw) != size:
            return None
        der = der_of(raw)
        try:
            verify(der, digest, scheme)
        except InvalidSignature:
            return None
        return der if as_der else raw

    return check


def _rsa(key: rsa.RSAPublicKey, padded: padding.AsymmetricPadding, used: hashes.HashAlgorithm) -> Check:
    verify, prehashed = key.verify, Prehashed(used)

    def check(raw: bytes, digest: bytes) -> bytes | None:
        try:
            verify(raw, digest, padded, prehashed)
        except InvalidSignature:
            return None
        return raw

    return check


def _ed25519(key: ed25519.Ed25519PublicKey) -> Check:
    verify = key.verify

    def check(raw: bytes, message: bytes) -> bytes | None:
        try:
            verify(raw, message)
        except InvalidSignature:
            return None
        return raw

    return check
