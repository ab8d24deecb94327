"""Opens a PDF, or says in one sentence why it cannot be used."""

import contextlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from pyhanko.pdf_utils.crypt import AuthStatus, StandardSecurityHandler
from pyhanko.pdf_utils.crypt.permissions import PdfPermissions, StandardPermissions
from pyhanko.pdf_utils.reader import PdfFileReader

from segel.pdf.errors import NotPdf, PdfDamaged, PdfEncrypted, PdfError, PdfLocked

_HEADER_WITHIN: Final = 1024
"""Octets before the header that readers put up with (ISO 32000-1, annex H.3)."""

_MAY_SIGN: Final = (
    StandardPermissions.ALLOW_MODIFICATION_GENERIC
    | StandardPermissions.ALLOW_ANNOTS_FORM_FILLING
    | StandardPermissions.ALLOW_FORM_FILLING
)


def open_reader(stream: BinaryIO, password: str | None = None) -> PdfFileReader:
    """A reader on `stream`, decrypted if `password` is given or the empty one does.

    Real documents are seldom strict (word processors write hybrid cross-references), so neither is the reader.

    :raises NotPdf: if there is no PDF header.
    :raises PdfDamaged: if the structure cannot be followed to the pages.
    :raises PdfEncrypted: if the password is missing or wrong.
    """
    head = stream.read(_HEADER_WITHIN)
    stream.seek(0)
    if not head:
        raise NotPdf("the file is empty")
    if b"%PDF-" not in head:
        raise NotPdf("this is not a PDF: it has no %PDF header")
    with damage_named():
        reader = PdfFileReader(stream, strict=False)
        if reader.encrypted:
            _decrypt(reader, password)
        if "/Pages" not in reader.root:
            raise PdfDamaged("the PDF is damaged: it has no pages")
        return reader


def check_may_change(reader: PdfFileReader, password: str | None) -> None:
    """Sees that the owner of an encrypted document lets it be signed.

    :raises PdfEncrypted: if no password was given: reading needs none, signing does.
    :raises PdfLocked: if the password opens it for reading only.
    """
    if not reader.encrypted:
        return
    handler = reader.security_handler
    if handler.pdf_mac_enabled:
        raise PdfLocked("the PDF is encrypted with an integrity code (ISO 32004), which segel cannot renew")
    if password is None:
        raise PdfEncrypted("the PDF is encrypted; give the password that its owner set")
    rights = _authenticate(reader, password)
    if rights is not None and not rights & _MAY_SIGN:
        raise PdfLocked("this password opens the PDF for reading only; signing needs the owner's password")


def _decrypt(reader: PdfFileReader, password: str | None) -> None:
    if not isinstance(reader.security_handler, StandardSecurityHandler):
        raise PdfEncrypted("the PDF is encrypted for certain people's certificates, which segel cannot open")
    _authenticate(reader, password or "")


def _authenticate(reader: PdfFileReader, password: str) -> PdfPermissions | None:
    """What may be done with this password; None for everything."""
    answer = reader.decrypt(password)
    if answer.status is AuthStatus.FAILED:
        if password:
            raise PdfEncrypted("the PDF is encrypted, and this password does not open it")
        raise PdfEncrypted("the PDF is encrypted; give its password")
    return None if answer.status is AuthStatus.OWNER else answer.permission_flags


@contextlib.contextmanager
def damage_named() -> Iterator[None]:
    """A broken file makes pyHanko's parsers raise whatever they happen to; here it becomes one thing."""
    try:
        yield
    except (PdfError, OSError, MemoryError):
        raise
    except Exception as fault:
        detail = str(fault).strip().rstrip(".") or type(fault).__name__
        raise PdfDamaged(f"the PDF is damaged and cannot be read ({detail})") from fault
