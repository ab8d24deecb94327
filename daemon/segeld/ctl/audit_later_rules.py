"""What may come after a signature and leave a document as it was: time stamps and validation data (ETSI EN 319 142-1).

pyHanko's analysis of differences decides, with fewer allowances than it has by itself, and then what it leaves open is
looked at: it takes the document that was signed for an honest one, which a document made for a later trick is not.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, IndirectObject
from pyhanko.pdf_utils.reader import HistoricalResolver
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DocInfoRule,
    DSSCompareRule,
    FormUpdatingRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    ReferenceUpdate,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    SuspiciousModification,
    XrefStreamRule,
)
from pyhanko.sign.diff_analysis.commons import compare_dicts

_LTA: Final = ModificationLevel.LTA_UPDATES
_WRITER: Final = frozenset({"/ModDate", "/Producer"})
_OF_FIELD: Final = frozenset(
    {"/FT", "/Type", "/Subtype", "/T", "/TU", "/TM", "/V", "/F", "/Ff", "/Rect", "/P", "/Kids", "/Parent",
     "/AP", "/NM", "/M", "/DA", "/Lock", "/SV"}
)  # fmt: skip


class InfoRule(DocInfoRule):
    """Of the document's own data, a writer may change its name and the time; the title stays as it was signed."""

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> Iterable[ReferenceUpdate]:
        compare_dicts(_info(old), _info(new), _WRITER)
        yield from super().apply(old, new)


def _info(of: HistoricalResolver) -> Any:
    trailer: Any = of.trailer_view
    ref = trailer.get_value_as_reference("/Info", optional=True)
    # As it was then: what the trailer itself gives is as it is now.
    return DictionaryObject() if ref is None else of(ref)  # type: ignore[no-untyped-call]


ONLY_VALIDATION: Final = StandardDiffPolicy(
    global_rules=[
        CatalogModificationRule(  # type: ignore[no-untyped-call]
            frozenset({"/AcroForm", "/DSS", "/Extensions", "/Metadata", "/Version"})
        ),
        InfoRule().as_qualified(_LTA),
        XrefStreamRule().as_qualified(_LTA),
        ObjectStreamRule().as_qualified(_LTA),
        DSSCompareRule().as_qualified(_LTA),
        MetadataUpdateRule().as_qualified(_LTA),  # type: ignore[no-untyped-call]
    ],
    # Fonts, colours and a wish for new appearances are how a form's fields are shown: they stay.
    form_rule=FormUpdatingRule(
        [SigFieldCreationRule(), SigFieldModificationRule()],  # type: ignore[no-untyped-call]
        ignored_acroform_keys=frozenset({"/Fields"}),
    ),
)


def look_closer(old: HistoricalResolver, new: HistoricalResolver) -> None:
    """Looks at what `ONLY_VALIDATION` leaves open.

    :raises SuspiciousModification: if something can be seen after that was not there when it was signed.
    """
    xrefs = new.reader.xrefs
    if any(xrefs.get_xref_data(one).hybrid is not None for one in range(old.revision + 1, new.revision + 1)):
        raise SuspiciousModification("readers do not agree on what a hybrid cross-reference adds")
    for before, after in zip(_pages(old), _pages(new), strict=True):
        was, now = _annotations(before), _annotations(after)
        if now[: len(was)] != was:
            raise SuspiciousModification("the order of annotations was changed")
    for field in _fields(new):
        _is_nothing_to_see(field, old)


def _pages(of: HistoricalResolver) -> Iterator[DictionaryObject]:
    seen: set[Any] = set()
    waiting: list[Any] = [of.root.raw_get("/Pages")]
    while waiting:
        one = waiting.pop()
        if isinstance(one, IndirectObject):
            if one.reference in seen:
                raise SuspiciousModification("the tree of pages has a circle")
            seen.add(one.reference)
        node = one.get_object()
        if "/Kids" in node:
            waiting += reversed(node["/Kids"])
        else:
            yield node


def _annotations(page: DictionaryObject) -> list[Any]:
    return list(page["/Annots"]) if "/Annots" in page else []


def _fields(of: HistoricalResolver) -> Iterator[IndirectObject]:
    """Fields of the form, and what shows them."""
    seen: set[Any] = set()
    waiting: list[Any] = list(of.root["/AcroForm"]["/Fields"])
    while waiting:
        one = waiting.pop()
        if one.reference in seen:
            continue
        seen.add(one.reference)
        yield one
        field = one.get_object()
        if "/Kids" in field:
            waiting += field["/Kids"]


def _is_nothing_to_see(ref: IndirectObject, old: HistoricalResolver) -> None:
    """A field that was added or filled since takes no room on its page, whatever a reader makes of its rectangle.

    :raises SuspiciousModification: if it may be seen, or does something.
    """
    if old.reader.xrefs.get_last_change(ref.reference) <= old.revision:
        return
    field: Any = ref.get_object()  # type: ignore[no-untyped-call]
    if more := field.keys() - _OF_FIELD:
        raise SuspiciousModification(f"a signature field has {', '.join(sorted(more))}")
    if "/Rect" not in field:
        return
    sides = field.raw_get("/Rect")
    if (
        not isinstance(sides, ArrayObject)
        or len(sides) != 4
        or not all(isinstance(side, generic.NumberObject | generic.FloatObject) for side in sides)
        or (sides[0], sides[1]) != (sides[2], sides[3])
    ):
        raise SuspiciousModification("a signature field can be seen")
