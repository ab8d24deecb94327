"""The signatures in a sealed PDF, as the log knows them: by the SHA-256 of the signature value in each CMS."""

import hashlib
import re
from pathlib import Path
from typing import Final

_RANGE: Final = re.compile(rb"/ByteRange\s*\[\s*(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")
_LARGEST: Final = 1 << 30
_MOST: Final = 1000


def is_pdf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"%PDF-" in file.read(1024)
    except OSError:
        return False


def seal_hashes(path: Path) -> tuple[bytes, ...]:
    """SHA-256 of each signature value, in the order in which they were added; none if there is no seal.

    The gap that /ByteRange leaves holds the CMS in hexadecimal (ISO 32000-2, 12.8.1). Nothing is verified here.
    """
    if path.stat().st_size > _LARGEST:
        return ()
    data = path.read_bytes()
    found: dict[bytes, None] = {}
    for match in list(_RANGE.finditer(data))[:_MOST]:
        first, length, second, _ = map(int, match.groups())
        for value in _signature_values(data[first + length : second].strip()):
            found[hashlib.sha256(value).digest()] = None
    return tuple(found)


def _signature_values(contents: bytes) -> list[bytes]:
    from asn1crypto import cms

    if not (contents.startswith(b"<") and contents.endswith(b">")):
        return []
    try:
        info = cms.ContentInfo.load(bytes.fromhex(contents[1:-1].decode("ascii")))
        return [signer["signature"].native for signer in info["content"]["signer_infos"]]
    except (ValueError, TypeError, KeyError):
        return []
