r"""A subject as openssl writes it on its command line, `/C=ID/O=Dinas+OU=Seal/CN=A\/B`: pure, both ways.

A backslash takes the next character as it is; `+` joins attributes of one RDN. Names and lengths are those of RFC 5280
(appendix A.1) and X.520; a country is two letters and a PrintableString, everything else UTF8String but for mail
addresses and domain components (IA5String).
"""

import re
from dataclasses import dataclass
from typing import Final

from asn1crypto import x509

MAX_SUBJECT: Final = 2048
"""Characters."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of attribute."""

    oid: str
    longest: int
    """Characters (RFC 5280 ub-…)."""
    form: str = "utf8_string"


KINDS: Final = {
    "C": Kind("2.5.4.6", 2, "printable_string"),
    "ST": Kind("2.5.4.8", 128),
    "L": Kind("2.5.4.7", 128),
    "street": Kind("2.5.4.9", 128),
    "O": Kind("2.5.4.10", 64),
    "OU": Kind("2.5.4.11", 64),
    "organizationIdentifier": Kind("2.5.4.97", 256),
    "CN": Kind("2.5.4.3", 64),
    "title": Kind("2.5.4.12", 64),
    "GN": Kind("2.5.4.42", 64),
    "SN": Kind("2.5.4.4", 64),
    "serialNumber": Kind("2.5.4.5", 64, "printable_string"),
    "pseudonym": Kind("2.5.4.65", 128),
    "DC": Kind("0.9.2342.19200300.100.1.25", 63, "ia5_string"),
    "UID": Kind("0.9.2342.19200300.100.1.1", 256),
    "emailAddress": Kind("1.2.840.113549.1.9.1", 255, "ia5_string"),
}
_LONG: Final = {
    "countryname": "C",
    "stateorprovincename": "ST",
    "s": "ST",
    "localityname": "L",
    "streetaddress": "street",
    "organizationname": "O",
    "organizationalunitname": "OU",
    "commonname": "CN",
    "givenname": "GN",
    "surname": "SN",
    "domaincomponent": "DC",
    "userid": "UID",
    "email": "emailAddress",
    **{name.lower(): name for name in KINDS},
}
_LABEL: Final = re.compile("[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""Of a domain name (RFC 1123, 2.1)."""
_PRINTABLE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
_SPECIAL: Final = "/+\\"

Rdn = tuple[tuple[str, str], ...]
"""Attributes of one RDN: name (a key of `KINDS`) and value."""


class BadSubject(ValueError):
    """A subject that cannot stand in a certificate. The text says where and why."""


def parse(text: str) -> tuple[Rdn, ...]:
    """:raises BadSubject: for the first fault."""
    if not text.startswith("/"):
        raise BadSubject("it begins with /, for example /C=ID/O=Dinas Kominfo/CN=Seal 2027")
    if len(text) > MAX_SUBJECT:
        raise BadSubject(f"it has {len(text)} characters; {MAX_SUBJECT} is the limit")
    return tuple(_rdn(part) for part in _split(text[1:], "/"))


def _rdn(text: str) -> Rdn:
    found = tuple(_attribute(part) for part in _split(text, "+"))
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise BadSubject(f"{name} stands twice between two slashes")
    return found


def _split(text: str, at: str) -> list[str]:
    """Parts between separators that are not escaped; escapes stay as they are."""
    parts, current, escaped = [], "", False
    for character in text:
        if escaped or character == "\\":
            current += character
            escaped = not escaped
        elif character == at:
            parts.append(current)
            current = ""
        else:
            current += character
    if escaped:
        raise BadSubject("it ends with a backslash, which takes the next character as it is")
    return [*parts, current]


def _attribute(text: str) -> tuple[str, str]:
    name, equals, raw = text.partition("=")
    if not equals:
        shown = text or "nothing"
        raise BadSubject(
            f"{shown!r} is no NAME=VALUE; write \\/ and \\+ where a value holds a slash or a plus"
        )
    kind = _LONG.get(name.strip().lower())
    if kind is None:
        raise BadSubject(f"{name!r} is no known attribute; there are {', '.join(KINDS)}")
    value, escaped = "", False
    for character in raw:
        if character == "\\" and not escaped:
            escaped = True
            continue
        value += character
        escaped = False
    _check(kind, value)
    return kind, value


def _check(name: str, value: str) -> None:
    kind = KINDS[name]
    if not value.strip():
        raise BadSubject(f"{name} is empty; leave it out")
    if value != value.strip():
        raise BadSubject(f"{name} begins or ends with a space")
    if not value.isprintable():
        raise BadSubject(f"{name} holds a character that cannot be printed")
    if len(value) > kind.longest:
        raise BadSubject(f"{name} has {len(value)} characters; {kind.longest} is the limit")
    if name == "C" and not (len(value) == 2 and value.isascii() and value.isalpha() and value.isupper()):
        raise BadSubject(f"C is a country of two capital letters (ISO 3166), such as ID, not {value!r}")
    if kind.form == "printable_string" and not _PRINTABLE.issuperset(value):
        raise BadSubject(f"{name} may hold A-Z a-z 0-9 space ' ( ) + , - . / : = ? only")
    if kind.form == "ia5_string" and not value.isascii():
        raise BadSubject(f"{name} may hold ASCII only")
    if name == "DC" and not _LABEL.fullmatch(value):
        raise BadSubject(f"DC is one label of a domain name (RFC 4519, 2.4), such as example, not {value!r}")
    if name == "emailAddress" and not _is_mail(value):
        raise BadSubject(f"{value!r} is no mail address")


def _is_mail(value: str) -> bool:
    mailbox, at, domain = value.rpartition("@")
    return bool(mailbox and at) and " " not in value and all(map(_LABEL.fullmatch, domain.split(".")))


def written(rdns: tuple[Rdn, ...]) -> str:
    """As `parse` reads it."""
    return "".join("/" + "+".join(f"{name}={_escaped(value)}" for name, value in rdn) for rdn in rdns)


def rfc4514(rdns: tuple[Rdn, ...]) -> str:
    """For people: the last RDN first."""
    return ",".join("+".join(f"{n}={_escaped_4514(v)}" for n, v in rdn) for rdn in reversed(rdns))


def _escaped_4514(value: str) -> str:
    return "".join(f"\\{character}" if character in '",+;<>\\' else character for character in value)


def _escaped(value: str) -> str:
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in value)


def to_name(rdns: tuple[Rdn, ...]) -> x509.Name:
    """As it stands in a request."""
    sets = [x509.RelativeDistinguishedName([_to_asn1(name, value) for name, value in rdn]) for rdn in rdns]
    return x509.Name(name="", value=x509.RDNSequence(sets))


def _to_asn1(name: str, value: str) -> x509.NameTypeAndValue:
    kind = KINDS[name]
    attribute = x509.NameTypeAndValue({"type": kind.oid})
    field_kind: type = attribute._oid_specs.get(  # noqa: SLF001 # which class the value of this type has
        attribute["type"].native, x509.DirectoryString
    )
    if issubclass(field_kind, x509.DirectoryString):
        attribute["value"] = x509.DirectoryString(name=kind.form, value=value)
    else:
        attribute["value"] = field_kind(value)
    return attribute
