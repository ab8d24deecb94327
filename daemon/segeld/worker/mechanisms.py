"""What C_SignInit and C_Sign get for each algorithm: mechanism, parameters, and the octets around a digest. Pure.

No mechanism that hashes on the token, and none that signs unpadded RSA, is ever used.
"""

import ctypes
from typing import Final

from segeld.model.algorithm import Algorithm, KeyKind
from segeld.worker.cryptoki import Mechanism, PssParams

_RSA_PKCS: Final = 0x0001
_RSA_PKCS_PSS: Final = 0x000D
_ECDSA: Final = 0x1041
_EDDSA: Final = 0x1057

_PSS_HASHES: Final = {"sha256": (0x0250, 2), "sha384": (0x0260, 3), "sha512": (0x0270, 4)}
"""CKM_ of the hash and CKG_MGF1_ over it, by name."""

_DIGEST_INFO: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""DER of DigestInfo up to the digest: RFC 8017 section 9.2, note 1."""

_SIZES: Final = {
    KeyKind.RSA_2048: 256,
    KeyKind.RSA_3072: 384,
    KeyKind.RSA_4096: 512,
    KeyKind.P_256: 64,
    KeyKind.P_384: 96,
    KeyKind.P_521: 132,
    KeyKind.ED25519: 64,
}


def mechanism(algorithm: Algorithm) -> Mechanism:
    """A CK_MECHANISM to keep and use again; it holds its parameters."""
    match algorithm.scheme:
        case "rsa-pkcs1":
            return Mechanism(_RSA_PKCS, None, 0)
        case "rsa-pss":
            return _pss(algorithm)
        case "ecdsa":
            return Mechanism(_ECDSA, None, 0)
        case "ed25519":
            return Mechanism(_EDDSA, None, 0)


def prefix(algorithm: Algorithm) -> bytes:
    """What stands before the digest in what C_Sign gets: the DigestInfo's head for PKCS #1 v1.5, else nothing."""
    if algorithm.scheme != "rsa-pkcs1":
        return b""
    assert algorithm.hash_name is not None
    return _DIGEST_INFO[algorithm.hash_name]


def signature_size(kind: KeyKind) -> int:
    """Octets of the signature as the module gives it: the modulus, or r and s side by side."""
    return _SIZES[kind]


def _pss(algorithm: Algorithm) -> Mechanism:
    """The salt is as long as the digest (RFC 8017 section 9.1; FIPS 186-5 section 5.4)."""
    assert algorithm.hash_name is not None
    assert algorithm.digest_size is not None
    parameters = PssParams(*_PSS_HASHES[algorithm.hash_name], algorithm.digest_size)
    made = Mechanism(_RSA_PKCS_PSS, ctypes.addressof(parameters), ctypes.sizeof(parameters))
    made.keep = parameters
    return made
