"""The signatures in a sealed PDF: as the log knows them, and as they stand to the document that they are in."""

import hashlib
import itertools
import mmap
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from segeld.ctl.audit_later import Additions, Later, Place

if TYPE_CHECKING:
    from asn1crypto import cms

_RANGE: Final = re.compile(rb"/ByteRange\s*\[\s*(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")
_LARGEST: Final = 1 << 30
_MOST: Final = 1000
_LARGEST_GAP: Final = 32 << 20
"""Octets of a /Contents in hexadecimal: certificates and validation data may be in it."""
_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class Seal:
    """One signature value, in the order in which they were added. Who made it was not looked at."""

    number: int
    """From 1 on, time stamps left out."""
    value: bytes
    signed: bytes
    """What the value is over: the signed attributes as a SET in DER (RFC 5652, 5.4), or the document if there are none."""
    hash_name: str
    keys: tuple[bytes, ...]
    """SubjectPublicKeyInfo of each certificate beside it, in DER."""
    fits: bool
    """Whether the document, as far as it was signed, has the hash that stands in what was signed."""
    added: int
    """Octets that stand after what was signed; 0 if it is all of the file."""
    place: Place
    """Its /ByteRange."""
    numbers: dict[Place, int] = field(compare=False)
    """Those of all signatures."""
    additions: Additions = field(compare=False)

    @property
    def hash(self) -> bytes:
        """What the log has of it."""
        return hashlib.sha256(self.value).digest()

    @property
    def later(self) -> Later:
        """What was added since, if anything was: the first of a file to be asked for takes a second or more."""
        later = self.additions.after(self.place, self.hash)
        if later.changed or later.newest in self.numbers:
            return later
        return Later("it was signed again in a form that is not looked for in the log")


def is_pdf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"%PDF-" in file.read(1024)
    except OSError:
        return False


def seals(path: Path) -> tuple[Seal, ...]:
    """All signatures; none if there is no seal.

    The gap that /ByteRange leaves holds the CMS in hexadecimal (ISO 32000-2, 12.8.1). No signature is verified here.
    """
    size = path.stat().st_size
    if not 0 < size <= _LARGEST:
        return ()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _seals(path, data)


def _seals(path: Path, data: mmap.mmap) -> tuple[Seal, ...]:
    found: list[tuple[_Range, cms.SignerInfo, cms.SignedData]] = []
    for given in [match.groups() for match in itertools.islice(_RANGE.finditer(data), _MOST)]:
        part = _Range(data, *map(int, given))
        if (content := _content(part.gap)) is None:
            continue
        if content["encap_content_info"]["content_type"].native == "tst_info":
            continue  # a time stamp seals what was signed before, and signs nothing itself
        found += ((part, signer, content) for signer in content["signer_infos"])
    numbers = {part.place: number for number, (part, _, _) in enumerate(found, 1)}
    additions = Additions(path)
    return tuple(
        Seal(number, *_facts(*one), one[0].added, one[0].place, numbers, additions)
        for number, one in enumerate(found, 1)
    )


class _Range:
    """What one /ByteRange signs of a file."""

    def __init__(self, data: mmap.mmap, first: int, length: int, second: int, rest: int) -> None:
        self.place: Final = first, length, second, rest
        self.added: Final = len(data) - second - rest
        self.is_whole: Final = first == 0 and length < second and self.added >= 0
        start = first + length
        self.gap: Final = data[start:second].strip() if second - start <= _LARGEST_GAP else b""
        self._data = data

    def hash(self, name: str) -> bytes:
        first, length, second, rest = self.place
        hasher = hashlib.new(name)
        with memoryview(self._data) as view:
            for start, end in ((first, first + length), (second, second + rest)):
                with view[start:end] as part:
                    hasher.update(part)
        return hasher.digest()

    def octets(self) -> bytes:
        first, length, second, rest = self.place
        return self._data[first : first + length] + self._data[second : second + rest]


def _facts(
    part: _Range, signer: "cms.SignerInfo", content: "cms.SignedData"
) -> tuple[bytes, bytes, str, tuple[bytes, ...], bool]:
    """From `Seal.value` to `Seal.fits`."""
    name = signer["digest_algorithm"]["algorithm"].native
    attributes = signer["signed_attrs"]
    if attributes.native:
        announced = next(
            (one["values"][0].native for one in attributes if one["type"].native == "message_digest"), b""
        )
        fits = part.is_whole and name in _HASHES and announced == part.hash(name)
        signed = attributes.untag().dump()
    else:
        fits, signed = part.is_whole, part.octets()
    return signer["signature"].native, signed, name, tuple(_public_keys(content)), fits


def _public_keys(content: "cms.SignedData") -> Any:
    for choice in content["certificates"] or ():
        if choice.name == "certificate":
            yield choice.chosen.public_key.dump()


def _content(contents: bytes) -> "cms.SignedData | None":
    from asn1crypto import cms

    if not (contents.startswith(b"<") and contents.endswith(b">")):
        return None
    try:
        info = cms.ContentInfo.load(bytes.fromhex(contents[1:-1].decode("ascii")))
        if info["content_type"].native != "signed_data":
            return None
        content = info["content"]
        content.native  # noqa: B018  # reads all of it: what is garbage raises here
    except (ValueError, TypeError, KeyError):
        return None
    return content
