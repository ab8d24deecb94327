"""A root and an issuing authority of a test, which answers requests for certificates."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

DAY = dt.timedelta(days=1)


class Ca:
    """A root and an issuing authority of this test."""

    def __init__(self) -> None:
        self.keys = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = self._authority("Test Root", self.keys[0], "Test Root", self.keys[0])
        self.issuing = self._authority("Test Issuing", self.keys[1], "Test Root", self.keys[0])

    def _authority(self, name, key, issuer, issuer_key) -> x509.Certificate:
        builder = self._builder(common_name(name), key.public_key(), common_name(issuer))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True).sign(
            issuer_key, hashes.SHA256()
        )

    @staticmethod
    def _builder(subject, public_key, issuer, days: int = 365) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 400 * DAY if days < 0 else now - DAY)
            .not_valid_after(now + days * DAY)
        )

    def answer(self, request: bytes, *, days: int = 365) -> x509.Certificate:
        csr = x509.load_pem_x509_csr(request)
        assert csr.is_signature_valid
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.test/issuing.cer"),
        )
        return (
            self._builder(csr.subject, csr.public_key(), common_name("Test Issuing"), days)
            .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .add_extension(_usage("digital_signature", "content_commitment"), critical=True)
            .sign(self.keys[1], hashes.SHA256())
        )


def _usage(*names: str) -> x509.KeyUsage:
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    )
    known += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{each: each in names for each in known})


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def der(*certificates: x509.Certificate) -> tuple[bytes, ...]:
    return tuple(each.public_bytes(serialization.Encoding.DER) for each in certificates)
