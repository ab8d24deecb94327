"""Detached CMS signatures (RFC 5652, CAdES baseline B-B) around a key that is somewhere else.

    template = CmsTemplate.of(signer)                      # once for a key
    p7s = await template.sign(signer, sha256_of_the_file, signing_time=datetime.now(UTC))

Only the digest of the signed attributes travels to the daemon. All that does not depend on the document
(certificates, their digest, algorithm identifiers) is encoded once, and one signature more is a handful of
concatenations: this is what makes bulk signing of PDFs cheap. The DER is written here, and nothing but the
standard library is needed; the tests have it read by OpenSSL, pyHanko and poppler.
"""

from segel.cms.template import (
    ALGORITHMS,
    CertificateError,
    CertifiedKey,
    CmsTemplate,
    DigestSigner,
    certificate_parts,
)

__all__ = [
    "ALGORITHMS",
    "CertificateError",
    "CertifiedKey",
    "CmsTemplate",
    "DigestSigner",
    "certificate_parts",
]
