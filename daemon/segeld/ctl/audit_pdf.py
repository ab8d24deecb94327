"""The signatures in a sealed PDF: as the log knows them, and as they stand to the document that they are in."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asn1crypto import cms

_RANGE: Final = re.compile(rb"/ByteRange\s*\[\s*(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")
_LARGEST: Final = 1 << 30
_MOST: Final = 1000
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
    covered_by: int
    """Number of the next signature over all that was added then; 0 if there is none."""

    @property
    def hash(self) -> bytes:
        """What the log has of it."""
        return hashlib.sha256(self.value).digest()


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
    if path.stat().st_size > _LARGEST:
        return ()
    data = path.read_bytes()
    ends: list[int] = []
    found: list[tuple[_Range, cms.SignerInfo, cms.SignedData]] = []
    for match in list(_RANGE.finditer(data))[:_MOST]:
        part = _Range(data, *map(int, match.groups()))
        if (content := _content(part.gap)) is None:
            continue
        if content["encap_content_info"]["content_type"].native == "tst_info":
            continue  # a time stamp seals what was signed before, and signs nothing itself
        for signer in content["signer_infos"]:
            found.append((part, signer, content))
            ends.append(part.end)
    return tuple(
        _seal(
            number, part, signer, content, next((n for n, end in enumerate(ends, 1) if end == len(data)), 0)
        )
        for number, (part, signer, content) in enumerate(found, 1)
    )


class _Range:
    """What one /ByteRange signs of a file."""

    def __init__(self, data: bytes, first: int, length: int, second: int, rest: int) -> None:
        self.gap: Final = data[first + length : second].strip()
        self.end: Final = second + rest
        self.added: Final = len(data) - self.end
        self.is_whole: Final = first == 0 and length < second and self.added >= 0
        self._parts = memoryview(data)[first : first + length], memoryview(data)[second : second + rest]

    def hash(self, name: str) -> bytes:
        hasher = hashlib.new(name)
        for part in self._parts:
            hasher.update(part)
        return hasher.digest()

    def octets(self) -> bytes:
        return b"".join(self._parts)


def _seal(number: int, part: _Range, signer: "cms.SignerInfo", content: "cms.SignedData", last: int) -> Seal:
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
    return Seal(
        number,
        signer["signature"].native,
        signed,
        name,
        tuple(_public_keys(content)),
        fits,
        part.added,
        last if part.added > 0 and last > number else 0,
    )


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
