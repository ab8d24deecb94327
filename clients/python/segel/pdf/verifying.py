"""Checks the signatures of a PDF, and says what was found in words that can be acted on."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESFailure, AdESIndeterminate, AdESSubIndic
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from segel.pdf.reading import damage_named, open_reader


class Verdict(enum.StrEnum):
    """From best to worst."""

    TRUSTED = "trusted"
    """Intact, and the signer's certificate leads to one that is trusted."""
    INTACT = "intact"
    """Intact; who signed was not checked, because no trusted certificates were given."""
    UNSIGNED = "unsigned"
    """There is no signature."""
    UNTRUSTED = "untrusted"
    """Intact, and the signer's certificate does not lead to a trusted one, or is not valid now."""
    BROKEN = "broken"
    """Changed after signing, or the signature does not fit, or it cannot be checked."""


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """One signature."""

    field: str
    verdict: Verdict
    signer: str | None
    """The common name in the certificate, or all of its subject; None if it cannot be read."""
    signed_at: datetime | None
    """As the signer says: not proved by anybody."""
    coverage: str
    """What it covers, for people."""
    detail: str
    """Why the verdict is not a better one, for people; empty if trusted."""


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """All signatures of a document, the first one first."""

    verdict: Verdict
    """The worst of the signatures'."""
    signatures: tuple[SignatureReport, ...]


_NO_CERTIFICATES_GIVEN = "the signer was not checked: no trusted certificates were given"

# A seal's certificate may say digitalSignature where a person's says nonRepudiation.
_USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)

_WHY_UNTRUSTED: dict[AdESSubIndic, str] = {
    AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND: "its certificate was not issued by any of those that are trusted",
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE: "a certificate in its chain has expired or is not valid yet",
    AdESIndeterminate.OUT_OF_BOUNDS_NOT_REVOKED: "its certificate has expired or is not valid yet",
    AdESIndeterminate.EXPIRED: "its certificate has expired",
    AdESIndeterminate.NOT_YET_VALID: "its certificate is not valid yet",
    AdESFailure.NOT_YET_VALID: "its certificate is not valid yet",
    AdESFailure.REVOKED: "its certificate was revoked",
    AdESIndeterminate.REVOKED_NO_POE: "its certificate was revoked",
    AdESIndeterminate.REVOKED_CA_NO_POE: "the certificate of its issuer was revoked",
    AdESIndeterminate.CHAIN_CONSTRAINTS_FAILURE: "its certificate is not one for signing documents",
    AdESIndeterminate.SIG_CONSTRAINTS_FAILURE: "its certificate is not the one that the signature names",
    AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE: "its algorithm is too weak",
    AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: "its algorithm is too weak",
}


async def verify(
    stream: BinaryIO, trusted: Sequence[bytes] = (), *, password: str | None = None
) -> DocumentReport:
    """Checks every signature in the PDF; `trusted` are certificates in DER. Nothing is fetched from a network,
    so revocation is not looked up.

    :raises PdfError: if it is not a PDF that can be read.
    """
    reader = open_reader(stream, password)
    with damage_named():
        fields = [
            (name, value.get_object(), field)
            for name, value, field in enumerate_sig_fields(reader, filled_status=True)
        ]
    reports = [
        await _check(reader, name, field, trusted)
        for name, value, field in fields
        if value.get("/Type", "/Sig") != "/DocTimeStamp"
    ]
    verdicts = [report.verdict for report in reports] or [Verdict.UNSIGNED]
    return DocumentReport(max(verdicts, key=list(Verdict).index), tuple(reports))


async def _check(reader: PdfFileReader, name: str, field: Any, trusted: Sequence[bytes]) -> SignatureReport:
    roots = [x509.Certificate.load(encoded) for encoded in trusted]
    context = ValidationContext(trust_roots=roots, allow_fetching=False)
    try:
        embedded = EmbeddedPdfSignature(reader, field, name)
        status = await async_validate_pdf_signature(embedded, context, key_usage_settings=_USAGE)
    except (OSError, MemoryError):
        raise
    except Exception as fault:  # noqa: BLE001  # a signature made of garbage makes parsers raise anything
        detail = f"the signature cannot be checked ({str(fault).strip().rstrip('.') or type(fault).__name__})"
        return SignatureReport(name, Verdict.BROKEN, None, None, "unknown", detail)
    verdict, detail = _judge(status, checked=bool(trusted))
    return SignatureReport(
        name, verdict, _name(status.signing_cert), embedded.self_reported_timestamp, _coverage(status), detail
    )


def _judge(status: PdfSignatureStatus, *, checked: bool) -> tuple[Verdict, str]:
    if not status.intact:
        return Verdict.BROKEN, "what was signed has been changed"
    if not status.valid:
        return Verdict.BROKEN, "the signature does not fit its certificate"
    if status.coverage is None or status.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
        return Verdict.BROKEN, "it leaves out parts of the document"
    if status.modification_level is None or status.modification_level >= ModificationLevel.OTHER:
        return Verdict.BROKEN, "the document was changed after signing"
    if not status.docmdp_ok:
        return Verdict.BROKEN, "the document was changed after signing in a way that the signer did not allow"
    if not checked:
        return Verdict.INTACT, _NO_CERTIFICATES_GIVEN
    if status.trusted:
        return Verdict.TRUSTED, ""
    problem = status.trust_problem_indic
    why = _WHY_UNTRUSTED.get(problem) if problem is not None else None
    return (
        Verdict.UNTRUSTED,
        why or f"its certificate is not trusted ({problem.standard_name if problem else 'no path'})",
    )


def _coverage(status: PdfSignatureStatus) -> str:
    if status.coverage is SignatureCoverageLevel.ENTIRE_FILE:
        return "whole document"
    if status.coverage is not SignatureCoverageLevel.ENTIRE_REVISION:
        return "only a part of the document"
    if status.modification_level is None or status.modification_level >= ModificationLevel.OTHER:
        return "the document before it was changed"
    if status.modification_level is ModificationLevel.ANNOTATIONS:
        return "whole document, annotated since"
    return "whole document, signed or filled in further since"


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.native
    common = names.get("common_name")
    return common if isinstance(common, str) else str(certificate.subject.human_friendly)
