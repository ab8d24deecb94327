"""Signature algorithms: scheme and hash in one word, and what each asks of a key and of an input."""

import enum
from dataclasses import dataclass
from typing import Final, Literal

MAX_MESSAGE: Final = 65_536
"""Octets of a message signed as it is (Ed25519); everything longer must be hashed by the client."""


class KeyKind(enum.StrEnum):
    """The kinds of key segel signs with, by the names people use."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    P_256 = "P-256"
    P_384 = "P-384"
    P_521 = "P-521"
    ED25519 = "Ed25519"


class EcdsaEncoding(enum.StrEnum):
    """How r and s are written: RFC 3279 section 2.2.3, or IEEE P1363 (RFC 7518 section 3.4)."""

    DER = "der"
    P1363 = "p1363"


Scheme = Literal["rsa-pkcs1", "rsa-pss", "ecdsa", "ed25519"]


@dataclass(frozen=True, slots=True)
class _Traits:
    number: int
    scheme: Scheme
    hash_name: str | None
    digest_size: int | None
    kinds: frozenset[KeyKind]


_RSA: Final = frozenset({KeyKind.RSA_2048, KeyKind.RSA_3072, KeyKind.RSA_4096})


class Algorithm(enum.Enum):
    """One way to sign. The number is that of `segel.v1.SignatureAlgorithm`, and stays."""

    RSA_PKCS1_SHA256 = _Traits(1, "rsa-pkcs1", "sha256", 32, _RSA)
    RSA_PKCS1_SHA384 = _Traits(2, "rsa-pkcs1", "sha384", 48, _RSA)
    RSA_PKCS1_SHA512 = _Traits(3, "rsa-pkcs1", "sha512", 64, _RSA)
    RSA_PSS_SHA256 = _Traits(4, "rsa-pss", "sha256", 32, _RSA)
    RSA_PSS_SHA384 = _Traits(5, "rsa-pss", "sha384", 48, _RSA)
    RSA_PSS_SHA512 = _Traits(6, "rsa-pss", "sha512", 64, _RSA)
    ECDSA_P256_SHA256 = _Traits(7, "ecdsa", "sha256", 32, frozenset({KeyKind.P_256}))
    ECDSA_P384_SHA384 = _Traits(8, "ecdsa", "sha384", 48, frozenset({KeyKind.P_384}))
    ECDSA_P521_SHA512 = _Traits(9, "ecdsa", "sha512", 64, frozenset({KeyKind.P_521}))
    ED25519 = _Traits(10, "ed25519", None, None, frozenset({KeyKind.ED25519}))

    @property
    def number(self) -> int:
        return self.value.number

    @property
    def scheme(self) -> Scheme:
        return self.value.scheme

    @property
    def hash_name(self) -> str | None:
        """Name for `hashlib`; None where the message itself is signed."""
        return self.value.hash_name

    @property
    def digest_size(self) -> int | None:
        """Octets of the digest; None where the message itself is signed."""
        return self.value.digest_size

    @property
    def key_kinds(self) -> frozenset[KeyKind]:
        return self.value.kinds

    def accepts(self, data: bytes) -> bool:
        """Whether `data` has the length this algorithm signs. Asked in the front and again in the worker."""
        size = self.value.digest_size
        return len(data) == size if size is not None else len(data) <= MAX_MESSAGE


BY_NUMBER: Final = {algorithm.number: algorithm for algorithm in Algorithm}
BY_NAME: Final = {algorithm.name: algorithm for algorithm in Algorithm}


def algorithms_for(kind: KeyKind) -> tuple[Algorithm, ...]:
    """What a key of this kind can be asked for, the default first."""
    return tuple(algorithm for algorithm in Algorithm if kind in algorithm.key_kinds)
