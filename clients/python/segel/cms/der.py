"""Just enough DER (X.690) to write a SignedData and to take three fields out of a certificate."""

from datetime import UTC, datetime
from typing import Final

_LONG_FORM: Final = 0x80


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < _LONG_FORM:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + body


NULL: Final = _tlv(0x05)


def sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """DER sorts the members of a SET OF by their encoding."""
    return _tlv(0x31, *sorted(parts))


def octets(value: bytes) -> bytes:
    return _tlv(0x04, value)


def integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        body += bytes(reversed(groups))
    return _tlv(0x06, body)


def time(moment: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime from then on (RFC 5652, section 11.3)."""
    moment = moment.astimezone(UTC)
    if moment.year < 2050:
        return _tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return _tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def explicit(number: int, value: bytes) -> bytes:
    """A context tag around the whole value."""
    return _tlv(0xA0 | number, value)


def retagged(tag: int, encoded: bytes) -> bytes:
    """A context tag in place of the value's own."""
    return bytes((tag,)) + encoded[1:]


def children(encoded: bytes) -> list[bytes]:
    """The members of one constructed value, each with its tag and length.

    :raises ValueError: if the lengths do not add up.
    """
    start, end = _body(encoded, 0)
    if end != len(encoded):
        raise ValueError("octets after the end")
    members = []
    while start < end:
        _, stop = _body(encoded, start)
        members.append(encoded[start:stop])
        start = stop
    if start != end:
        raise ValueError("a member reaches beyond its end")
    return members


def _body(encoded: bytes, at: int) -> tuple[int, int]:
    """Where the contents of the value at this place begin and end."""
    head = encoded[at : at + 2]
    if len(head) < 2:
        raise ValueError("cut off")
    start = at + 2
    size = head[1]
    if size >= _LONG_FORM:
        count = size & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("no definite length")
        size = int.from_bytes(encoded[start : start + count], "big")
        start += count
    if start + size > len(encoded):
        raise ValueError("cut off")
    return start, start + size
