"""What earlier signatures allow: a seal must not break them."""

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, enumerate_sig_fields
from pyhanko.sign.validation import read_certification_data

from segel.pdf.errors import FieldTaken, PdfLocked

DEFAULT_FIELD = "Segel"


def choose_field(reader: PdfFileReader, wanted: str | None) -> tuple[str, bool]:
    """The field to sign in, and whether it is there already.

    Without a wish it is a new one: an empty field that waits in a form was put there for somebody.

    :raises FieldTaken: if the wanted field is signed, or is no field for signatures.
    :raises PdfLocked: if an earlier signature would be broken.
    """
    fields = {name: value is not None for name, value, _ in enumerate_sig_fields(reader)}
    if wanted is None:
        chosen = _unused(set(fields) | _top_level_names(reader))
    elif fields.get(wanted):
        raise FieldTaken(f"the field {wanted} is signed already")
    elif wanted not in fields and wanted in _top_level_names(reader):
        raise FieldTaken(f"the field {wanted} is not one for signatures")
    elif not all(part.strip() for part in wanted.split(".")):
        raise FieldTaken("a field's name cannot be empty, nor begin or end with a dot")
    else:
        chosen = wanted
    _check_earlier_signatures(reader, chosen, exists=chosen in fields)
    return chosen, chosen in fields


def _check_earlier_signatures(reader: PdfFileReader, field: str, *, exists: bool) -> None:
    certification = read_certification_data(reader)
    if certification is not None:
        if certification.permission is MDPPerm.NO_CHANGES:
            raise PdfLocked("the PDF is certified, and its author allows no change and no further signature")
        if not exists:
            raise PdfLocked(
                "the PDF is certified: it can only be signed in a field that its author left for that; name the field"
            )
    for earlier in reader.embedded_regular_signatures:
        if earlier.docmdp_level is MDPPerm.NO_CHANGES:
            raise PdfLocked(f"the signature in {earlier.field_name} allows no change after it")
        if earlier.fieldmdp is not None and earlier.fieldmdp.is_locked(field):
            raise PdfLocked(f"the signature in {earlier.field_name} locks the field {field}")


def _unused(taken: set[str]) -> str:
    number = 1
    while (name := DEFAULT_FIELD if number == 1 else f"{DEFAULT_FIELD}{number}") in taken:
        number += 1
    return name


def _top_level_names(reader: PdfFileReader) -> set[str]:
    root = reader.root
    if "/AcroForm" not in root or "/Fields" not in root["/AcroForm"]:
        return set()
    fields = [field.get_object() for field in root["/AcroForm"]["/Fields"]]
    return {str(field["/T"]) for field in fields if "/T" in field}
