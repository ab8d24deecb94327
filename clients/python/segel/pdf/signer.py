"""segel's keys as a pyHanko Signer, for those who build on pyHanko's own pipelines: time stamps, LTV, certification.

signer = SegelSigner(await client.signer("keys/seal-2026"))
await pyhanko.sign.signers.async_sign_pdf(writer, metadata, signer=signer, bytes_reserved=16384)
"""

import hashlib

from asn1crypto import x509
from asn1crypto.algos import SignedDigestAlgorithm
from pyhanko.sign.signers import Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from segel.cms import ALGORITHMS, CmsTemplate, DigestSigner


def mechanism(algorithm: str) -> SignedDigestAlgorithm:
    """An algorithm of segel in pyHanko's terms."""
    return SignedDigestAlgorithm.load(ALGORITHMS[algorithm].signature_identifier)


class SegelSigner(Signer):
    """Sends only a digest of the signed attributes (with Ed25519: the attributes themselves) to the daemon."""

    def __init__(self, signer: DigestSigner) -> None:
        """:raises CertificateError: if the key has no certificate, or it is another key's."""
        template = CmsTemplate.of(signer)
        own, *issuers = (x509.Certificate.load(encoded) for encoded in template.certificate_chain)
        others = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        others.register_multiple(issuers)
        self._form = ALGORITHMS[template.algorithm]
        self._remote = signer
        self.md_algorithm = template.hash_name
        super().__init__(
            signing_cert=own,
            cert_registry=others,
            signature_mechanism=mechanism(template.algorithm),
            embed_roots=True,
        )

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return bytes(CmsTemplate.of(self._remote).max_signature)
        if self._form.signs_message:
            return await self._remote.sign_message(data)
        return await self._remote.sign_digest(hashlib.new(digest_algorithm, data).digest())
