"""Certificates in the state folder: private, whole, and there again after a restart."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from segeld.office.certificate_folder import FOLDER, CertificateFolder
from segeld.office.import_chain import key_of


@pytest.fixture
def certificate() -> x509.Certificate:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


def test_what_is_written_is_there_after_a_restart_and_private(tmp_path, certificate):
    key = key_of(certificate)
    path = CertificateFolder(tmp_path).write(key, (certificate,))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    again = CertificateFolder(tmp_path)
    again.load()
    assert again.chain(key) == (certificate.public_bytes(Encoding.DER),)
    again.remove(key)
    assert again.chain(key) == ()
    assert not path.exists()


def test_a_write_that_fails_leaves_what_was_there(tmp_path, certificate, monkeypatch):
    folder, key = CertificateFolder(tmp_path), key_of(certificate)
    path = folder.write(key, (certificate,))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.write(key, (certificate, certificate))
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_read_is_left_out(tmp_path, certificate):
    path = CertificateFolder(tmp_path).write(key_of(certificate), (certificate,))
    path.write_bytes(b"nothing")
    folder = CertificateFolder(tmp_path)
    folder.load()
    assert folder.all() == ()
    assert path.exists()
