"""A request for a certificate (PKCS #10, RFC 2986): what is to be signed, and the whole. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Final

from asn1crypto import algos, core, csr, keys, pem, x509
from cryptography import x509 as pyca

from segeld.model.algorithm import Algorithm, KeyKind, algorithms_for
from segeld.model.chains import OddCertificate, is_authority
from segeld.office.certificate_files import CertificateFileError, read_certificates
from segeld.office.names import name_text
from segeld.office.subject import BadSubject, parse, rfc4514, to_name

_ALGORITHMS: Final = {
    Algorithm.RSA_PKCS1_SHA256: "sha256_rsa",
    Algorithm.ECDSA_P256_SHA256: "sha256_ecdsa",
    Algorithm.ECDSA_P384_SHA384: "sha384_ecdsa",
    Algorithm.ECDSA_P521_SHA512: "sha512_ecdsa",
    Algorithm.ED25519: "ed25519",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A request without its signature."""

    algorithm: Algorithm
    info: bytes
    """CertificationRequestInfo, DER."""
    subject: str
    """RFC 4514."""

    @property
    def input(self) -> bytes:
        """What the key signs: a digest, or the message itself."""
        name = self.algorithm.hash_name
        return hashlib.new(name, self.info).digest() if name else self.info

    def signed(self, signature: bytes) -> bytes:
        """The request, PEM."""
        algorithm: dict[str, object] = {"algorithm": _ALGORITHMS[self.algorithm]}
        if self.algorithm.scheme == "rsa-pkcs1":
            algorithm["parameters"] = core.Null()  # RFC 4055 section 5
        request = csr.CertificationRequest(
            {
                "certification_request_info": csr.CertificationRequestInfo.load(self.info),
                "signature_algorithm": algos.SignedDigestAlgorithm(algorithm),
                "signature": signature,
            }
        )
        return bytes(pem.armor("CERTIFICATE REQUEST", request.dump()))


def draft(public_key: bytes, kind: KeyKind, subject: str) -> Draft:
    """A request for that subject, as openssl writes it.

    :raises BadSubject: naming the fault.
    """
    rdns = parse(subject)
    return _draft(public_key, kind, to_name(rdns).dump(), rfc4514(rdns), [])


def draft_like(public_key: bytes, kind: KeyKind, certificate: bytes) -> Draft:
    """A request with the subject and the alternative names of a certificate, octet by octet.

    :param certificate: in PEM, DER or PKCS #7; of a chain the one that is no authority's.
    :raises BadSubject: if it is no certificate, or has no subject.
    """
    try:
        found = read_certificates(certificate)
    except (CertificateFileError, OddCertificate) as error:
        raise BadSubject(f"the certificate to take it from: {error}") from None
    first = next((each for each in found if not is_authority(each)), found[0])  # a chain may begin anywhere
    if not list(first.subject):
        raise BadSubject("the certificate to take it from has none")
    attributes = []
    try:
        names = first.extensions.get_extension_for_class(pyca.SubjectAlternativeName)
    except pyca.ExtensionNotFound:
        pass
    else:
        extension = x509.Extension(
            {
                "extn_id": "subject_alt_name",
                "critical": names.critical,
                "extn_value": core.ParsableOctetString(names.value.public_bytes()),
            }
        )
        attributes.append(
            csr.CRIAttribute({"type": "extension_request", "values": [x509.Extensions([extension])]})
        )
    return _draft(public_key, kind, first.subject.public_bytes(), name_text(first.subject), attributes)


def _draft(
    public_key: bytes, kind: KeyKind, subject: bytes, text: str, attributes: list[csr.CRIAttribute]
) -> Draft:
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": x509.Name.load(subject),
            "subject_pk_info": keys.PublicKeyInfo.load(public_key),
            "attributes": attributes,
        }
    ).dump()
    return Draft(algorithms_for(kind)[0], info, text)
