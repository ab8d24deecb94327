"""A SignedData of one key, encoded once, with holes for what differs from document to document."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol, Self

from segel.cms import der


class CertifiedKey(Protocol):
    """What is asked of a key: `segel.Key` has it."""

    @property
    def name(self) -> str: ...

    @property
    def public_key(self) -> bytes: ...

    @property
    def certificate_chain(self) -> Sequence[bytes]: ...


class DigestSigner(Protocol):
    """What is asked of a signer: `segel.Signer` has it. ECDSA signatures must come in DER."""

    @property
    def key(self) -> CertifiedKey: ...

    @property
    def algorithm(self) -> str: ...

    async def sign_digest(self, digest: bytes, /) -> bytes: ...

    async def sign_message(self, message: bytes, /) -> bytes: ...


class CertificateError(ValueError):
    """The key has no certificate, or not one of its own: ask an officer to import it."""


@dataclass(frozen=True, slots=True)
class CmsAlgorithm:
    """How CMS writes an algorithm down: the hash of the content, and the signature's identifier."""

    hash_name: str
    digest_identifier: bytes
    signature_identifier: bytes
    signs_message: bool = False


# RFC 5754, section 2: the parameters of SHA-2 are left out.
_DIGESTS: Final = {
    "sha256": der.sequence(der.oid("2.16.840.1.101.3.4.2.1")),
    "sha384": der.sequence(der.oid("2.16.840.1.101.3.4.2.2")),
    "sha512": der.sequence(der.oid("2.16.840.1.101.3.4.2.3")),
}


def _rsa(hash_name: str, oid: str) -> CmsAlgorithm:
    return CmsAlgorithm(hash_name, _DIGESTS[hash_name], der.sequence(der.oid(oid), der.NULL))


def _pss(hash_name: str) -> CmsAlgorithm:
    """RFC 4056: hash, mask and length of the salt are written out; the salt is as long as the hash."""
    hashed = _DIGESTS[hash_name]
    mask = der.sequence(der.oid("1.2.840.113549.1.1.8"), hashed)
    salt = der.integer(hashlib.new(hash_name).digest_size)
    parameters = der.sequence(der.explicit(0, hashed), der.explicit(1, mask), der.explicit(2, salt))
    return CmsAlgorithm(hash_name, hashed, der.sequence(der.oid("1.2.840.113549.1.1.10"), parameters))


def _ecdsa(hash_name: str, oid: str) -> CmsAlgorithm:
    return CmsAlgorithm(hash_name, _DIGESTS[hash_name], der.sequence(der.oid(oid)))


ALGORITHMS: Final = {
    "RSA_PKCS1_SHA256": _rsa("sha256", "1.2.840.113549.1.1.11"),
    "RSA_PKCS1_SHA384": _rsa("sha384", "1.2.840.113549.1.1.12"),
    "RSA_PKCS1_SHA512": _rsa("sha512", "1.2.840.113549.1.1.13"),
    "RSA_PSS_SHA256": _pss("sha256"),
    "RSA_PSS_SHA384": _pss("sha384"),
    "RSA_PSS_SHA512": _pss("sha512"),
    "ECDSA_P256_SHA256": _ecdsa("sha256", "1.2.840.10045.4.3.2"),
    "ECDSA_P384_SHA384": _ecdsa("sha384", "1.2.840.10045.4.3.3"),
    "ECDSA_P521_SHA512": _ecdsa("sha512", "1.2.840.10045.4.3.4"),
    # RFC 8419: the content is hashed with SHA-512, the signed attributes are signed as they are.
    "ED25519": CmsAlgorithm(
        "sha512", _DIGESTS["sha512"], der.sequence(der.oid("1.3.101.112")), signs_message=True
    ),
}

_DATA: Final = der.oid("1.2.840.113549.1.7.1")
_SIGNED_DATA: Final = der.oid("1.2.840.113549.1.7.2")
_CONTENT_TYPE: Final = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST: Final = der.oid("1.2.840.113549.1.9.4")
_SIGNING_TIME: Final = der.oid("1.2.840.113549.1.9.5")
_SIGNING_CERTIFICATE_V2: Final = der.oid("1.2.840.113549.1.9.16.2.47")
_ALGORITHM_PROTECTION: Final = der.oid("1.2.840.113549.1.9.52")

MIN_ROOM: Final = 160
"""Octets in which an ECDSA signature on P-521 fits. An RSA signature is shorter than its public key."""


@dataclass(frozen=True, slots=True)
class CertificateParts:
    """Fields of a certificate, each as it is encoded there."""

    serial: bytes
    issuer: bytes
    public_key: bytes


class CmsTemplate:
    """A detached SignedData of one key and one algorithm, with holes for what is different each time."""

    def __init__(self, algorithm: str, certificate_chain: Sequence[bytes]) -> None:
        """The key's own certificate comes first in `certificate_chain`.

        :raises CertificateError: if there is no certificate, or it is not one.
        :raises ValueError: if `algorithm` is none of `ALGORITHMS`.
        """
        if algorithm not in ALGORITHMS:
            raise ValueError(f"{algorithm} has no form in CMS; one of {', '.join(ALGORITHMS)} has")
        if not certificate_chain:
            raise CertificateError("the key has no certificate; ask an officer to import one for it")
        self.algorithm: Final = algorithm
        self.certificate_chain: Final = tuple(certificate_chain)
        self._form: Final = ALGORITHMS[algorithm]
        own = certificate_parts(certificate_chain[0])
        self.max_signature: Final = max(len(own.public_key), MIN_ROOM)
        self._fixed_attributes: Final = (
            _attribute(_CONTENT_TYPE, _DATA),
            _attribute(_SIGNING_CERTIFICATE_V2, _signing_certificate(certificate_chain[0])),
            _attribute(_ALGORITHM_PROTECTION, _algorithm_protection(self._form)),
        )
        self._before_signer: Final = b"".join(
            (
                der.integer(1),
                der.set_of(self._form.digest_identifier),
                der.sequence(_DATA),
                der.retagged(0xA0, der.set_of(*set(certificate_chain))),
            )
        )
        self._signer_head: Final = (
            der.integer(1) + der.sequence(own.issuer, own.serial) + self._form.digest_identifier
        )

    @classmethod
    def of(cls, signer: DigestSigner) -> Self:
        """The template for a signer, its certificate compared with its key.

        :raises CertificateError: if there is no certificate, or it is another key's.
        """
        key = signer.key
        if not key.certificate_chain:
            raise CertificateError(f"{key.name} has no certificate; ask an officer to import one for it")
        if certificate_parts(key.certificate_chain[0]).public_key != key.public_key:
            raise CertificateError(
                f"the certificate of {key.name} is for another key; ask an officer to replace it"
            )
        return cls(str(signer.algorithm), key.certificate_chain)

    @property
    def hash_name(self) -> str:
        """The hash of the content, as `hashlib` calls it."""
        return self._form.hash_name

    @property
    def max_size(self) -> int:
        """Octets that no signature of this template exceeds."""
        attributes = self.signed_attributes(bytes(64), datetime.now(UTC))
        return len(self.signed_data(attributes, bytes(self.max_signature)))

    async def sign(self, signer: DigestSigner, digest: bytes, signing_time: datetime | None = None) -> bytes:
        """The finished CMS for content of this digest. `signing_time` is for CAdES; PDF keeps it elsewhere."""
        attributes = self.signed_attributes(digest, signing_time)
        if self._form.signs_message:
            signature = await signer.sign_message(attributes)
        else:
            signature = await signer.sign_digest(hashlib.new(self.hash_name, attributes).digest())
        return self.signed_data(attributes, signature)

    def signed_attributes(self, digest: bytes, signing_time: datetime | None = None) -> bytes:
        """What is signed: the SET OF attributes, in DER."""
        varying = [_attribute(_MESSAGE_DIGEST, der.octets(digest))]
        if signing_time is not None:
            varying.append(_attribute(_SIGNING_TIME, der.time(signing_time)))
        return der.set_of(*self._fixed_attributes, *varying)

    def signed_data(self, attributes: bytes, signature: bytes) -> bytes:
        """The finished CMS: ContentInfo with SignedData, in DER."""
        signer_info = der.sequence(
            self._signer_head,
            der.retagged(0xA0, attributes),  # signed as a SET, written as [0] (RFC 5652, section 5.4)
            self._form.signature_identifier,
            der.octets(signature),
        )
        signed = der.sequence(self._before_signer, der.set_of(signer_info))
        return der.sequence(_SIGNED_DATA, der.explicit(0, signed))


def certificate_parts(certificate: bytes) -> CertificateParts:
    """What a signature says of its certificate.

    :raises CertificateError: if it is not a DER certificate.
    """
    try:
        fields = der.children(der.children(certificate)[0])
        first = 1 if fields[0][:1] == b"\xa0" else 0  # the version, left out in version 1
        return CertificateParts(serial=fields[first], issuer=fields[first + 2], public_key=fields[first + 5])
    except (ValueError, IndexError):
        text = "the key's certificate cannot be read; ask an officer to import it again"
        raise CertificateError(text) from None


def _attribute(name: bytes, value: bytes) -> bytes:
    return der.sequence(name, der.set_of(value))


def _signing_certificate(certificate: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035). SHA-256 is its default and so left out; issuer and serial stand in SignerInfo."""
    return der.sequence(der.sequence(der.sequence(der.octets(hashlib.sha256(certificate).digest()))))


def _algorithm_protection(form: CmsAlgorithm) -> bytes:
    """RFC 6211: nobody can pass one algorithm off as another."""
    return der.sequence(form.digest_identifier, der.retagged(0xA1, form.signature_identifier))
