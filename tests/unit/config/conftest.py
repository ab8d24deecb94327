"""A folder in which a configuration has nothing to complain about."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MINIMAL = """
state_dir = "state"
runtime_dir = "run"
[listen]
address = "127.0.0.1:0"
tls = { certificate = "server.pem", key = "server.key", client_ca = "server.pem" }
[modules.vendor]
path = "vendor.so"
[tokens.payroll]
module = "vendor"
label = "Payroll"
"""


def write_pair(
    folder: Path, name: str, *, first_day: int = -10, last_day: int = 10, password: bytes | None = None
):
    """A key and a self-signed certificate that is valid from and to so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=first_day))
        .not_valid_after(now + dt.timedelta(days=last_day))
        .sign(key, hashes.SHA256())
    )
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path = folder / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{name}.pub").write_bytes(public)


@pytest.fixture
def pair():
    return write_pair


@pytest.fixture
def folder(tmp_path):
    write_pair(tmp_path, "server")
    (tmp_path / "vendor.so").touch()
    (tmp_path / "policy.toml").touch()
    return tmp_path


@pytest.fixture
def minimal():
    return MINIMAL


@pytest.fixture
def write(folder):
    """Writes a configuration and gives its path. Keyword arguments replace a piece of the minimal one."""

    def write(text: str = MINIMAL, **replacements: str) -> Path:
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        path = folder / "segeld.toml"
        path.write_text(text)
        return path

    return write
