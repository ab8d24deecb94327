"""PDF signatures (PAdES baseline B-B) with keys that segeld holds. Needs the extra `segel[pdf]`.

    sealer = PdfSealer(await client.signer("keys/seal-2026"), SealOptions(reason="Surat keputusan"))
    with open("letter.pdf", "rb") as source, open("letter-signed.pdf", "w+b") as target:
        await sealer.seal(source, target)

The document stays here: one digest per document goes to the daemon.
"""

from segel.pdf.errors import (
    FieldTaken,
    NotPdf,
    PdfDamaged,
    PdfEncrypted,
    PdfError,
    PdfLocked,
    StampMisplaced,
    StampUndrawable,
)
from segel.pdf.sealing import PdfSealer, SealOptions
from segel.pdf.signer import SegelSigner
from segel.pdf.stamp import Stamp
from segel.pdf.verifying import DocumentReport, SignatureReport, Verdict, verify

__all__ = [
    "DocumentReport",
    "FieldTaken",
    "NotPdf",
    "PdfDamaged",
    "PdfEncrypted",
    "PdfError",
    "PdfLocked",
    "PdfSealer",
    "SealOptions",
    "SegelSigner",
    "SignatureReport",
    "Stamp",
    "StampMisplaced",
    "StampUndrawable",
    "Verdict",
    "verify",
]
