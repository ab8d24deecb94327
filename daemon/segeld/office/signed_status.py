"""What an authority says of a certificate, and whether it is the authority that says it. Pure, the clock passed in.

OCSP is RFC 6960, without nonces: responders that sign in advance have none. CRLs are RFC 5280 section 5.
"""

import datetime as dt
import hashlib
from typing import Final

from asn1crypto import core, parser, pem
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

GOOD: Final = "good"
REVOKED: Final = "revoked"
UNKNOWN: Final = "unknown"
SKEW: Final = dt.timedelta(minutes=5)
"""How far the authority's clock may be ahead of ours."""
ALONE: Final = dt.timedelta(days=1)
"""How long an OCSP answer counts that does not say until when it does."""


class NoAnswer(Exception):
    """It says nothing that counts. The text says why."""


def ocsp_request(leaf: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """DER. With SHA-1 names, which every responder knows; nothing rests on their strength."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def of_ocsp(data: bytes, leaf: x509.Certificate, issuer: x509.Certificate, at: dt.datetime) -> str:
    """`GOOD` or `REVOKED`.

    :raises NoAnswer: for everything else.
    """
    try:
        single = _of_the_issuer(ocsp.load_der_ocsp_response(data), leaf, issuer, at)
        since, until, status = single.this_update_utc, single.next_update_utc, single.certificate_status
    except NoAnswer:
        raise
    except Exception as error:  # noqa: BLE001 # there is no class for all that may be wrong with it
        raise NoAnswer(f"the answer cannot be read ({error})") from None
    _require_fresh(since, until or since + ALONE, at)
    if status is ocsp.OCSPCertStatus.UNKNOWN:
        raise NoAnswer("the responder does not know the certificate")
    return REVOKED if status is ocsp.OCSPCertStatus.REVOKED else GOOD


def of_crl(data: bytes, leaf: x509.Certificate, issuer: x509.Certificate, at: dt.datetime) -> str:
    """`GOOD` or `REVOKED`.

    :raises NoAnswer: for everything else.
    """
    try:
        if data.startswith(b"-----BEGIN "):
            _, _, data = pem.unarmor(data)
        crl = x509.load_der_x509_crl(data)
        _require_issuers(crl, data, issuer)
        _require_whole(crl, leaf)
        since, until = crl.last_update_utc, crl.next_update_utc
        revoked = _is_on(crl, data, leaf.serial_number)
    except NoAnswer:
        raise
    except Exception as error:  # noqa: BLE001 # as above
        raise NoAnswer(f"the list cannot be read ({error})") from None
    if until is None:
        raise NoAnswer("the list does not say until when it counts")
    _require_fresh(since, until, at)
    return REVOKED if revoked else GOOD


def crl_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where lists are that it may be on (RFC 5280 section 4.2.1.13)."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        name.value
        for point in points
        if point.crl_issuer is None and point.reasons is None
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def _require_fresh(since: dt.datetime, until: dt.datetime, at: dt.datetime) -> None:
    if since > at + SKEW:
        raise NoAnswer(f"the answer is of a time to come: {since:%Y-%m-%d %H:%M} UTC")
    if until <= at:
        raise NoAnswer(f"the answer counted until {until:%Y-%m-%d %H:%M} UTC")


def _of_the_issuer(
    response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate, at: dt.datetime
) -> ocsp.OCSPSingleResponse:
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise NoAnswer(f"the responder refuses: {response.response_status.name}")
    _verify_ocsp(response, issuer, at)
    for each in response.responses:
        if _is_about(each, leaf, issuer):
            return each
    raise NoAnswer("the answer is about another certificate")


def _is_about(single: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, single.hash_algorithm).build()
    return (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) == (
        asked.serial_number,
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    )


def _verify_ocsp(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: dt.datetime) -> None:
    """By the issuer, or by whom the issuer itself has named for that (RFC 6960 section 4.2.2.2)."""
    delegates = [each for each in response.certificates if _may_answer(each, issuer, at)]
    for signer in (issuer, *delegates):
        try:
            _verify(signer, response)
        except InvalidSignature:
            continue
        return
    raise NoAnswer("the answer is signed neither by the issuer nor by a responder of its")


def _may_answer(certificate: x509.Certificate, issuer: x509.Certificate, at: dt.datetime) -> bool:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verify(signer: x509.Certificate, response: ocsp.OCSPResponse) -> None:
    """:raises InvalidSignature: also for a kind of key that is not known."""
    key, signed, digest = signer.public_key(), response.tbs_response_bytes, response.signature_hash_algorithm
    match key:
        case rsa.RSAPublicKey() if digest is not None:
            key.verify(response.signature, signed, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePublicKey() if digest is not None:
            key.verify(response.signature, signed, ec.ECDSA(digest))
        case ed25519.Ed25519PublicKey():
            key.verify(response.signature, signed)
        case _:
            raise InvalidSignature


def _is_on(crl: x509.CertificateRevocationList, data: bytes, serial: int) -> bool:
    """A list may have 16 MiB, and everything waits while `cryptography` looks through it: most often the number stands
    nowhere in its octets.
    """
    if core.Integer(serial).dump() not in data:
        return False
    return crl.get_revoked_certificate_by_serial_number(serial) is not None


def _require_issuers(crl: x509.CertificateRevocationList, data: bytes, issuer: x509.Certificate) -> None:
    if crl.issuer != issuer.subject:
        raise NoAnswer("the list is of another issuer")
    try:
        may = issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        may = True
    if not may:
        raise NoAnswer("the issuer's key is not for signing lists")
    try:
        _verify_crl(crl, _signed_part(data), issuer)
    except InvalidSignature:
        raise NoAnswer("the list is not signed by the issuer") from None


def _signed_part(data: bytes) -> bytes:
    """TBSCertList, as it stands there: `cryptography` would write it anew, and nothing else could be done meanwhile."""
    whole = parser.parse(data, strict=True)[4]
    return bytes(whole[: parser.peek(whole)])


def _verify_crl(crl: x509.CertificateRevocationList, signed: bytes, issuer: x509.Certificate) -> None:
    """:raises InvalidSignature: also for a kind of key that is not known."""
    key, made = issuer.public_key(), crl.signature_hash_algorithm
    if isinstance(key, ed25519.Ed25519PublicKey) and made is None:
        key.verify(crl.signature, signed)
        return
    if made is None:
        raise InvalidSignature
    digest = hashlib.new(made.name, signed).digest()  # lets others run
    how = crl.signature_algorithm_parameters
    match key:
        case rsa.RSAPublicKey() if isinstance(how, padding.PKCS1v15 | padding.PSS):
            key.verify(crl.signature, digest, how, Prehashed(made))
        case ec.EllipticCurvePublicKey():
            key.verify(crl.signature, digest, ec.ECDSA(Prehashed(made)))
        case _:
            raise InvalidSignature


def _require_whole(crl: x509.CertificateRevocationList, leaf: x509.Certificate) -> None:
    """A list of a part says nothing of who is not on it (RFC 5280 section 5.2.5)."""
    for extension in crl.extensions:
        part = extension.value
        if isinstance(part, x509.IssuingDistributionPoint):
            names = {name.value for name in part.full_name or () if hasattr(name, "value")}
            other = bool(part.full_name) and names.isdisjoint(crl_urls(leaf))
            if (
                other
                or part.only_contains_ca_certs
                or part.only_contains_attribute_certs
                or part.only_some_reasons
                or part.indirect_crl
                or part.relative_name
            ):
                raise NoAnswer("the list is of other certificates")
        elif extension.critical:
            raise NoAnswer(f"the list has an extension that is not known: {extension.oid.dotted_string}")
