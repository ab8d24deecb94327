"""Why a PDF was not signed or not checked. The text is one sentence, without the file's name.

PdfError
├── NotPdf            something else, or nothing at all
├── PdfDamaged        a PDF that cannot be read
├── PdfEncrypted      it has a password, and the right one was not given
├── PdfLocked         an earlier signature or the owner forbids what was asked
├── FieldTaken        the signature field cannot be used
├── StampMisplaced    the visible stamp does not fit on the page
└── StampUndrawable   the visible stamp's text cannot be drawn
"""


class PdfError(Exception):
    """A PDF was not signed or not checked; nothing was written."""


class NotPdf(PdfError):
    """Give a PDF file."""


class PdfDamaged(PdfError):
    """Make the PDF anew from its source."""


class PdfEncrypted(PdfError):
    """Give the password that opens the document for changes."""


class PdfLocked(PdfError):
    """Ask whoever signed first for a document that may be signed again."""


class FieldTaken(PdfError):
    """Name another field, or none."""


class StampMisplaced(PdfError):
    """Name a page that is there, and a box on it."""


class StampUndrawable(PdfError):
    """Use letters that the stamp's font has, and no other names in braces than those there are."""
