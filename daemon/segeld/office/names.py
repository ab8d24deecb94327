"""Names of certificates for people. Pure."""

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID


def subject_text(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def issuer_text(certificate: x509.Certificate) -> str:
    return certificate.issuer.rfc4514_string()


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
