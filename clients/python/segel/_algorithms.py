"""Signature algorithms by the names people use."""

import enum
from types import MappingProxyType
from typing import Final, Self


class Algorithm(enum.StrEnum):
    """How to sign: scheme and hash in one word. Values are the names of `segel.v1` without their prefix."""

    RSA_PKCS1_SHA256 = "RSA_PKCS1_SHA256"
    RSA_PKCS1_SHA384 = "RSA_PKCS1_SHA384"
    RSA_PKCS1_SHA512 = "RSA_PKCS1_SHA512"
    RSA_PSS_SHA256 = "RSA_PSS_SHA256"
    RSA_PSS_SHA384 = "RSA_PSS_SHA384"
    RSA_PSS_SHA512 = "RSA_PSS_SHA512"
    ECDSA_P256_SHA256 = "ECDSA_P256_SHA256"
    ECDSA_P384_SHA384 = "ECDSA_P384_SHA384"
    ECDSA_P521_SHA512 = "ECDSA_P521_SHA512"
    ED25519 = "ED25519"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Takes the names above in any case, with ``-`` for ``_``, and those of JOSE (``ES256``, ``EdDSA``).

        :raises TypeError: if it is no text.
        :raises ValueError: with the names there are, if it is none of them.
        """
        if not isinstance(name, str):
            raise TypeError(f"an algorithm is named by a str, not {type(name).__name__}")
        word = name.strip().upper().replace("-", "_").removeprefix("SIGNATURE_ALGORITHM_")
        word = _JOSE.get(word, word)
        if word in cls.__members__:
            return cls(word)
        known = ", ".join(member.value for member in cls)
        raise ValueError(f"{name!r} is no algorithm. There are {known}, and JOSE's names for them.")

    @property
    def hash_name(self) -> str | None:
        """For `hashlib.new`, for example ``"sha256"``; None where the message itself is signed (Ed25519)."""
        return f"sha{self.value[-3:]}" if "_SHA" in self.value else None

    @property
    def digest_size(self) -> int | None:
        """Octets of the digest: 32, 48 or 64; None where the message itself is signed."""
        return int(self.value[-3:]) // 8 if "_SHA" in self.value else None

    @property
    def is_ecdsa(self) -> bool:
        """Whether the ECDSA encoding matters."""
        return self.value.startswith("ECDSA")


_JOSE: Final = MappingProxyType(
    {
        "RS256": "RSA_PKCS1_SHA256",
        "RS384": "RSA_PKCS1_SHA384",
        "RS512": "RSA_PKCS1_SHA512",
        "PS256": "RSA_PSS_SHA256",
        "PS384": "RSA_PSS_SHA384",
        "PS512": "RSA_PSS_SHA512",
        "ES256": "ECDSA_P256_SHA256",
        "ES384": "ECDSA_P384_SHA384",
        "ES512": "ECDSA_P521_SHA512",
        "EDDSA": "ED25519",
    }
)
