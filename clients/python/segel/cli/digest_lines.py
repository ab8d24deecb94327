"""Reads what `sha256sum` and its kin write, or bare hexadecimal digests: one in each line."""

import re
from binascii import Error, unhexlify
from collections.abc import Iterable, Iterator
from typing import Final

from segel.cli.failures import UsageError

Named = tuple[str, bytes]
"""An id, empty if there is none, and a digest."""

MAX_ID: Final = 128
_BETWEEN: Final = (b"  ", b" *")
_HEX: Final = re.compile(rb"[0-9a-fA-F]*")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


def digest_lines(lines: Iterable[bytes], size: int, source: str) -> Iterator[Named]:
    """The digest of each line with the name that stands behind it, if that is short enough to be an id.

    :param size: octets of a digest.
    :param source: what the lines come from, for people.
    :raises UsageError: for a line that says something else, with its number.
    """
    digits = 2 * size
    for number, line in enumerate(lines, 1):
        text = line.rstrip(b"\r\n") if len(line) <= digits + 2 else line.removesuffix(b"\n")
        escaped = text[:1] == b"\\"
        if escaped:
            text = text[1:]
        name = text[digits + 2 :]
        try:
            digest = unhexlify(text[:digits])
        except Error:
            digest = b""
        bare = len(text) == digits
        if len(digest) != size or not (bare or (name and text[digits : digits + 2] in _BETWEEN)):
            raise UsageError(f"{source}: line {number}: {_wrong(text, digits)}")
        yield _id(_ESCAPED.sub(_unescaped, name) if escaped else name), digest


def item_id(name: str) -> str:
    """A file's name as an item's id; empty if it is too long for one."""
    return _id(name.encode(errors="surrogateescape"))


def _id(name: bytes) -> str:
    text = name.decode(errors="backslashreplace")
    return text if len(text.encode()) <= MAX_ID else ""


def _unescaped(found: re.Match[bytes]) -> bytes:
    return _PLAIN.get(found[1], found[0])


def _wrong(text: bytes, digits: int) -> str:
    found = _HEX.match(text)
    length = found.end() if found else 0
    if length != digits and length >= 32 and length % 2 == 0 and text[length : length + 1] in (b"", b" "):
        return f"a digest of {length // 2} octets; this key and algorithm want {digits // 2}"
    shown = text[:60].decode(errors="backslashreplace")
    return f"neither {digits} hexadecimal digits nor a line of sha256sum: {shown!r}"
