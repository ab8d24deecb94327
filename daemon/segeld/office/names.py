"""Names of certificates for people. Pure."""

from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

MAX_NAME: Final = 500
"""Characters: whoever makes a certificate may write books into it, and they would be in every text and leaf about it."""


def subject_text(certificate: x509.Certificate) -> str:
    return name_text(certificate.subject)


def issuer_text(certificate: x509.Certificate) -> str:
    return name_text(certificate.issuer)


def name_text(name: x509.Name) -> str:
    """RFC 4514, in one line of which nothing moves: what cannot be printed is written as the hex of its octets, as
    section 2.4 allows. Line ends and the marks that turn the direction of writing are such.
    """
    text = name.rfc4514_string()
    cut = text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}…"
    return "".join(each if each.isprintable() else _hex(each) for each in cut)


def _hex(character: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in character.encode(errors="surrogatepass"))


def issuer_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where its issuer's certificate can be had (RFC 5280 section 4.2.2.1)."""
    return _access_urls(certificate, AuthorityInformationAccessOID.CA_ISSUERS)


def ocsp_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where its status can be asked for."""
    return _access_urls(certificate, AuthorityInformationAccessOID.OCSP)


def _access_urls(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        each.access_location.value
        for each in access
        if each.access_method == method and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )
