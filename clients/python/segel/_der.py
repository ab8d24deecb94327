"""Reads the few fields of a certificate that a diagnosis needs: dates, and who issued it to whom.

Only for saying what is wrong after a connection failed; nothing is trusted because of what is read here.
X.690 for the encoding, RFC 5280 section 4.1 for the order of the fields.
"""

import base64
import datetime as dt
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

_BLOCK: Final = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.+?)-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)
_SEQUENCE, _SET, _OID, _UTC_TIME, _VERSION = 0x30, 0x31, 0x06, 0x17, 0xA0
_COMMON_NAME: Final = bytes.fromhex("550403")


class CertificateFacts(NamedTuple):
    """What can be said about a certificate."""

    subject: str
    """The common name; empty if it has none."""
    issuer: str
    not_before: dt.datetime
    not_after: dt.datetime

    @classmethod
    def first_of(cls, pem: bytes) -> Self | None:
        """Those of the first certificate in a PEM file; None if it cannot be read."""
        block = _BLOCK.search(pem)
        try:
            return cls.of(base64.b64decode(block.group(1))) if block else None
        except (ValueError, IndexError, StopIteration, TypeError):
            return None

    @classmethod
    def of(cls, der: bytes) -> Self:
        certificate = next(_elements(der))
        to_be_signed = next(_elements(certificate.content))
        fields = _elements(to_be_signed.content)
        first = next(fields)
        if first.tag == _VERSION:
            next(fields)  # the serial number; without a version field it was the first
        next(fields)  # the signature algorithm
        issuer, validity, subject = next(fields), next(fields), next(fields)
        not_before, not_after = _elements(validity.content)
        return cls(_common_name(subject), _common_name(issuer), _time(not_before), _time(not_after))


class _Element(NamedTuple):
    tag: int
    content: bytes


def _elements(der: bytes) -> Iterator[_Element]:
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("the encoding ends too early")
        yield _Element(tag, der[at : at + length])
        at += length


def _common_name(name: _Element) -> str:
    for part in _elements(name.content):
        for attribute in _elements(part.content):
            kind, value = _elements(attribute.content)
            if kind.content == _COMMON_NAME:
                return value.content.decode("utf-8", "replace")
    return ""


def _time(element: _Element) -> dt.datetime:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:  # two digits of the year: RFC 5280 section 4.1.2.5.1
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return dt.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)
