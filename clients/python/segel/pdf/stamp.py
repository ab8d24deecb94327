"""The visible form of a signature: who and when, in a box on one page."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils.layout import AxisAlignment, InnerScaling, Margins, SimpleBoxLayoutRule
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.text import TextBoxStyle
from pyhanko.stamp import TextStampStyle

from segel.pdf.errors import StampMisplaced, StampUndrawable

Box = tuple[int, int, int, int]

_WIDTH: Final = 230
_HEIGHT: Final = 52
_MARGIN: Final = 36
_MAX_DEPTH: Final = 50

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_FILLED_IN: Final = frozenset({"signer", "time"})

DEFAULT_TEXT: Final = "Ditandatangani secara elektronik oleh:\n{signer}\n{time}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where the stamp goes and what it says."""

    page: int = -1
    """From 1; -1 is the last page."""
    box: Box | None = None
    """Left, bottom, right, top in points (1/72 inch) from the page's lower left corner, as the page is before
    any rotation. Without it: the lower right corner."""
    text: str = DEFAULT_TEXT
    """`{signer}` is the name in the certificate, `{time}` the time. Drawn in Courier: Latin letters only."""


def style(stamp: Stamp) -> TextStampStyle:
    """How it looks: pyHanko's text in a thin frame, left-aligned, as large as the box allows."""
    text = (
        drawable(stamp.text).replace("%", "%%").replace("{signer}", "%(signer)s").replace("{time}", "%(ts)s")
    )
    return TextStampStyle(
        stamp_text=text,
        border_width=1,
        background=None,
        timestamp_format="%Y-%m-%d %H:%M:%S %Z",
        text_box_style=TextBoxStyle(font_size=10, border_width=0),
        inner_content_layout=SimpleBoxLayoutRule(
            x_align=AxisAlignment.ALIGN_MIN,
            y_align=AxisAlignment.ALIGN_MID,
            margins=Margins(4, 4, 4, 4),
            inner_content_scaling=InnerScaling.SHRINK_TO_FIT,
        ),
    )


def check(text: str, signer: str = "") -> None:
    """:raises StampUndrawable: if the text, or the signer's name in it, cannot be drawn as it is written."""
    for name in _PLACEHOLDER.findall(text):
        if name not in _FILLED_IN:
            raise StampUndrawable(
                f"the stamp's text has {{{name}}}, which nothing fills in; there are {{signer}} and {{time}}"
            )
    where = "the stamp's text has"
    _check_letters(text, where)
    if "{signer}" in text:
        _check_letters(signer, f"the name in the certificate, {signer}, has")


def _check_letters(text: str, where: str) -> None:
    for letter in text:
        if letter != "\n" and (ord(letter) > 0xFF or not letter.isprintable()) and letter != "\xa0":
            raise StampUndrawable(
                f"{where} {letter!r} (U+{ord(letter):04X}), which the stamp's font lacks: it has Latin letters only"
            )


def drawable(text: str) -> str:
    """`text` with a question mark for what the standard fonts do not have: for a stamp that nobody asked for."""
    return text.encode("latin-1", "replace").decode("latin-1")


def place(reader: PdfFileReader, stamp: Stamp) -> tuple[int, Box]:
    """The page, counted from 0, and the box on it.

    :raises StampMisplaced: if there is no such page, or the box reaches beyond it.
    """
    pages = int(reader.root["/Pages"]["/Count"])
    index = stamp.page - 1 if stamp.page > 0 else pages + stamp.page
    if stamp.page == 0 or not 0 <= index < pages:
        raise StampMisplaced(f"there is no page {stamp.page} for the stamp; the PDF has {pages}")
    left, bottom, right, top = _visible_area(reader.find_page_for_modification(index)[0].get_object())  # type: ignore[no-untyped-call]
    if stamp.box is None:
        x2, y1 = right - _MARGIN, bottom + _MARGIN
        box = (max(left, x2 - _WIDTH), y1, x2, min(top, y1 + _HEIGHT))
    else:
        box = stamp.box
    if not (left <= box[0] < box[2] <= right and bottom <= box[1] < box[3] <= top):
        raise StampMisplaced(
            f"the stamp's box {','.join(map(str, box))} is not on the page, which is {left},{bottom},{right},{top}"
        )
    return index, box


def _visible_area(page: Any) -> Box:
    """CropBox, else MediaBox; both may be inherited from the page tree."""
    for name in ("/CropBox", "/MediaBox"):
        node = page
        for _ in range(_MAX_DEPTH):
            if name in node:
                x1, y1, x2, y2 = (round(float(edge)) for edge in node[name])
                return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
            if "/Parent" not in node:
                break
            node = node["/Parent"]
    raise StampMisplaced("the page has no size, so the stamp has no place")
