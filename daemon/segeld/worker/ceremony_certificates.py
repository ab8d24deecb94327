"""Putting a key's certificate, and its issuers, on the token beside it."""

from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Session, exceptions
from pkcs11.constants import Attribute, CertificateType, ObjectClass

from segeld.ipc import ceremony_wire as wire
from segeld.ipc.worker_wire import Remedy
from segeld.model.faults import Reason
from segeld.worker import ceremony_faults, objects, pairing, public_keys
from segeld.worker.failure import Failure


def store(session: Session, request: wire.StoreCertificates) -> wire.CertificatesStored:
    """All or none: what was stored before it failed is taken away again, if the token lets us.

    :raises Failure: KEY_NOT_FOUND, TOKEN_NO_ROOM, what else the token says.
    """
    found = objects.read(session)
    configured = [public_keys.from_spki(der) for der in request.configured]
    paired = pairing.pair(found, configured)
    key = next((one for one in paired if one.found.public_key == request.public_key), None)
    if key is None:
        raise Failure(
            Reason.KEY_NOT_FOUND, Remedy.ITEM, "The token does not hold the key of this certificate."
        )
    there = {one.certificate.public_bytes(Encoding.DER) for one in found.certificates}
    made = []
    try:
        for place, der in enumerate(request.chain):
            if der in there:
                continue
            own = (key.found.label, key.found.cka_id) if place == 0 else None
            made.append(session.create_object(_template(x509.load_der_x509_certificate(der), der, own)))
    except exceptions.PKCS11Error as error:
        for one in made:
            with suppress(exceptions.PKCS11Error):
                one.destroy()
        raise ceremony_faults.raised(error, "C_CreateObject of a certificate", changing=True) from None
    return wire.CertificatesStored(request.id, len(made))


def _template(
    certificate: x509.Certificate, der: bytes, own: tuple[str, bytes] | None
) -> dict[Attribute, object]:
    """As PKCS #11 v2.40 section 4.6.3 wants it: serial number and names as DER.

    :param own: label and CKA_ID of the key that it is for; None for an issuer, which has no key here.
    """
    label, cka_id = own if own is not None else (_name(certificate), _identifier(certificate))
    return {
        Attribute.CLASS: ObjectClass.CERTIFICATE,
        Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: False,
        Attribute.LABEL: label,
        Attribute.ID: cka_id,
        Attribute.SUBJECT: certificate.subject.public_bytes(),
        Attribute.ISSUER: certificate.issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: _integer(certificate.serial_number),
        Attribute.VALUE: der,
    }


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value)[:64] if names else "issuer"


def _identifier(certificate: x509.Certificate) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _integer(number: int) -> bytes:
    """DER INTEGER (X.690, section 8.3) of a number of at most 20 octets (RFC 5280, section 4.1.2.2)."""
    value = number.to_bytes(number.bit_length() // 8 + 1, signed=True)
    return bytes([0x02, len(value)]) + value
