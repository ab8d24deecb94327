"""A certificate authority of a test, and keys and certificates in files."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from segeld.config.schema import Tls


class Authority:
    """A certificate authority of a test."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, [], ca=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.pem)

    def issue(self, name: str, sans=(), days: int = 1) -> tuple[bytes, bytes]:
        """A key and a certificate, PEM, also written to `{name}.key` and `{name}.pem`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, [_general(san) for san in sans], days=days)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (self.folder / f"{name}.pem").write_bytes(pem)
        path = self.folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(key_pem)
        return key_pem, pem

    def tls(self, name: str) -> Tls:
        return Tls(
            certificate=self.folder / f"{name}.pem", key=self.folder / f"{name}.key", client_ca=self.path
        )

    def _sign(self, subject, key, sans, *, ca: bool = False, days: int = 1):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=10))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general(san: str) -> x509.GeneralName:
    kind, _, value = san.partition(":")
    match kind:
        case "uri":
            return x509.UniformResourceIdentifier(value)
        case "dns":
            return x509.DNSName(value)
        case "email":
            return x509.RFC822Name(value)
        case _:
            return x509.IPAddress(ipaddress.ip_address(value))
