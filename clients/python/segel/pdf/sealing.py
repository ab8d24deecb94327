"""Signs a PDF: pyHanko writes the document, the signature's CMS comes from a template.

pyHanko's own way to a CMS encodes every certificate anew for each document (about 30 ms of CPU); with the
template a document costs 2 to 4 ms, and bulk signing waits for the token, not for Python.
"""

import asyncio
from dataclasses import dataclass
from typing import BinaryIO, Final

from asn1crypto import x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import FormFillingError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers import ExternalSigner, PdfSignatureMetadata, PdfSigner
from pyhanko.sign.signers.pdf_byterange import BuildProps, PreparedByteRangeDigest

from segel.cms import CmsTemplate, DigestSigner
from segel.pdf.errors import PdfLocked
from segel.pdf.permissions import choose_field
from segel.pdf.reading import check_may_change, damage_named, open_reader
from segel.pdf.signer import mechanism
from segel.pdf.stamp import Stamp, check, drawable, place, style

_READ_SIZE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class SealOptions:
    """What the signature says beside who and when."""

    field: str | None = None
    """The signature field: an empty one that is there, or the name of a new one. Without it a new `Segel`."""
    reason: str | None = None
    location: str | None = None
    stamp: Stamp | None = None
    """Without it the signature is there but nothing is drawn."""


class PdfSealer:
    """Signs documents with one key. Safe to use from many tasks at once."""

    def __init__(self, signer: DigestSigner, options: SealOptions = SealOptions()) -> None:
        """Looks at what can be known before the first document.

        :raises CertificateError: if the key has no certificate, or it is another key's.
        :raises StampUndrawable: if the stamp's text cannot be drawn.
        """
        self._signer: Final = signer
        self._options: Final = options
        self._template: Final = CmsTemplate.of(signer)
        if options.stamp is not None:
            check(options.stamp.text, self._certified().subject_name or "")

    async def seal(self, source: BinaryIO, target: BinaryIO, *, password: str | None = None) -> None:
        """Writes `source` with one more signature to `target`, which is empty and open for reading and writing.

        What is in `target` after an exception is of no use. Documents are prepared in threads, so that a
        large one does not keep others from being signed.

        :raises PdfError: if the document cannot be signed.
        :raises SegelError: if the daemon does not sign.
        """
        prepared = await asyncio.to_thread(self._prepare, source, target, password)
        finished = await self._template.sign(self._signer, prepared.document_digest)
        await asyncio.to_thread(prepared.fill_with_cms, target, finished)

    def _prepare(self, source: BinaryIO, target: BinaryIO, password: str | None) -> PreparedByteRangeDigest:
        """Writes the document with a hole for the signature, and hashes the rest."""
        reader = open_reader(source, password)
        check_may_change(reader, password)
        with damage_named():
            pdf_signer = self._pdf_signer(reader)
            try:
                session = pdf_signer.init_signing_session(IncrementalPdfFileWriter.from_reader(reader))
                if session.timestamper is not None:
                    raise PdfLocked("the signature field asks for a time stamp, which segel does not make")
                document = session.prepare_tbs_document(
                    None,
                    bytes_reserved=2 * self._template.max_size,  # written in hexadecimal
                    appearance_text_params={"signer": drawable(pdf_signer.signer.subject_name or "")},
                )
            except FormFillingError as refusal:
                raise PdfLocked(
                    f"the PDF does not let itself be signed this way: {_sentence(refusal)}"
                ) from refusal
            digest, _ = document.digest_tbs_document(output=target, chunk_size=_READ_SIZE)
            return digest

    def _pdf_signer(self, reader: PdfFileReader) -> PdfSigner:
        options = self._options
        field, exists = choose_field(reader, options.field)
        stamp = options.stamp
        new_field = None
        if not exists and stamp is not None:
            page, box = place(reader, stamp)
            new_field = SigFieldSpec(field, on_page=page, box=box)
        return PdfSigner(
            PdfSignatureMetadata(
                field_name=field,
                md_algorithm=self._template.hash_name,
                subfilter=SigSeedSubFilter.PADES,
                reason=options.reason,
                location=options.location,
                app_build_props=BuildProps(name="segel"),
            ),
            self._certified(),
            stamp_style=style(stamp or Stamp()),
            new_field_spec=new_field,
        )

    def _certified(self) -> ExternalSigner:
        """Made anew for each document: asn1crypto decodes lazily, and documents are prepared in threads."""
        return ExternalSigner(
            x509.Certificate.load(self._template.certificate_chain[0]),
            cert_registry=None,  # the template has the chain
            signature_mechanism=mechanism(self._template.algorithm),
        )


def _sentence(refusal: Exception) -> str:
    text = str(refusal).strip().rstrip(".")
    return text[:1].lower() + text[1:]
