"""From a key to its certificate and back: a request that openssl accepts, and answers in every form they come in."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

DAY = dt.timedelta(days=1)
SUBJECT = "/C=ID/O=Dinas Komunikasi \\/ Informatika/OU=Seal+CN=Segel 2027"


def segelctl(daemon, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "segeld.ctl", *arguments],
        env={**os.environ, **daemon.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Ca:
    """A root and an issuing authority of this test."""

    def __init__(self) -> None:
        self.keys = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = self._authority("Test Root", self.keys[0], "Test Root", self.keys[0])
        self.issuing = self._authority("Test Issuing", self.keys[1], "Test Root", self.keys[0])

    def _authority(self, name, key, issuer, issuer_key) -> x509.Certificate:
        builder = self._builder(_name(name), key.public_key(), _name(issuer))
        return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
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
            self._builder(csr.subject, csr.public_key(), _name("Test Issuing"), days)
            .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .sign(self.keys[1], hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def key_of_kind(daemon, algorithm: str) -> dict[str, object]:
    listed = segelctl(daemon, "--json", "key", "list")
    assert listed.returncode == 0, listed.stderr
    keys = [json.loads(line) for line in listed.stdout.splitlines()]
    return next(key for key in keys if algorithm in key["algorithms"])


@pytest.mark.parametrize(
    "algorithm", ["RSA_PKCS1_SHA256", "ECDSA_P256_SHA256", "ECDSA_P384_SHA384", "ED25519"]
)
def test_openssl_accepts_a_request_of_every_kind_of_key(daemon, tmp_path, algorithm):
    key = key_of_kind(daemon, algorithm)["name"]
    out = tmp_path / "seal.csr"
    made = segelctl(daemon, "key", "csr", key, "--subject", SUBJECT, "--output", str(out))
    assert made.returncode == 0, made.stderr
    checked = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-in", out], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "verify OK" in checked.stderr
    subject = x509.load_pem_x509_csr(out.read_bytes()).subject
    assert [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "Dinas Komunikasi / Informatika"
    ]
    assert "CSR made today" in segelctl(daemon, "key", "show", key).stdout


def test_from_request_to_seal(own_daemon, tmp_path):
    daemon, ca = own_daemon("--keys", "p256"), Ca()
    key = str(key_of_kind(daemon, "ECDSA_P256_SHA256")["name"])
    request = segelctl(daemon, "key", "csr", key, "--subject", SUBJECT)
    assert request.returncode == 0, request.stderr
    leaf = ca.answer(request.stdout.encode())

    gap = tmp_path / "leaf.pem"
    gap.write_bytes(pem(leaf))
    dry = segelctl(daemon, "key", "import-cert", str(gap), "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "nothing was stored" in dry.stdout
    assert "CN=Test Issuing is missing" in dry.stderr
    assert "http://ca.test/issuing.cer" in dry.stderr
    assert "CSR made today" in segelctl(daemon, "key", "show", key).stdout

    whole = tmp_path / "answer.p7b"
    (tmp_path / "all.pem").write_bytes(pem(ca.root, leaf, ca.issuing))
    subprocess.run(
        [
            "openssl",
            "crl2pkcs7",
            "-nocrl",
            "-certfile",
            tmp_path / "all.pem",
            "-outform",
            "DER",
            "-out",
            whole,
        ],
        check=True,
    )
    taken = segelctl(daemon, "key", "import-cert", str(whole), "--key", key)
    assert taken.returncode == 0, taken.stderr
    assert "a chain of 3" in taken.stdout
    shown = json.loads(segelctl(daemon, "--json", "key", "show", key).stdout)
    assert shown["csr_time"] is None
    assert shown["issuer"] == "CN=Test Issuing"
    assert "Segel 2027" in shown["subject"]

    with daemon.client() as client:
        chain = client.key(key).certificate_chain
        assert chain == tuple(
            each.public_bytes(serialization.Encoding.DER) for each in (leaf, ca.issuing, ca.root)
        )
        digest = bytes(32)
        signature = client.signer(key).sign_digest(digest)
    from cryptography.hazmat.primitives.asymmetric import utils

    leaf.public_key().verify(bytes(signature), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def bad_files(ca: Ca, request: bytes, folder: Path) -> dict[str, tuple[bytes, str]]:
    other = ec.generate_private_key(ec.SECP256R1())
    stranger = (
        x509.CertificateSigningRequestBuilder().subject_name(_name("other")).sign(other, hashes.SHA256())
    )
    return {
        "another key": (
            pem(ca.answer(stranger.public_bytes(serialization.Encoding.PEM))),
            "for no key of the tokens",
        ),
        "expired": (pem(ca.answer(request, days=-1)), "expired on"),
        "not a certificate": (b"\x30\x03\x02\x01\x01", "no certificate in PEM, DER or PKCS #7"),
        "cut short": (pem(ca.root)[:200], "cut short"),
        "a private key": (
            other.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            "private key",
        ),
        "nothing": (b"", "no certificate"),
        "huge": (b"x" * 262_145, "more than"),
    }


def test_what_does_not_fit_is_refused_and_named(daemon, tmp_path):
    ca = Ca()
    key = str(key_of_kind(daemon, "ECDSA_P256_SHA256")["name"])
    request = segelctl(daemon, "key", "csr", key, "--subject", "/CN=x").stdout.encode()
    before = segelctl(daemon, "--json", "key", "show", key).stdout
    for what, (data, expected) in bad_files(ca, request, tmp_path).items():
        file = tmp_path / "bad"
        file.write_bytes(data)
        refused = segelctl(daemon, "key", "import-cert", str(file))
        assert refused.returncode != 0, what
        assert expected in refused.stderr.replace("\n", " "), (what, refused.stderr)
    assert segelctl(daemon, "--json", "key", "show", key).stdout == before


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("CN=x", "begins with /"),
        ("/C=Indonesia", "2 is the limit"),
        ("/C=id/CN=x", "two capital letters"),
        ("/ZZ=x", "no known attribute"),
        ("/CN=" + "x" * 65, "64 is the limit"),
        ("/CN=", "CN is empty"),
        ("/CN=x\\", "ends with a backslash"),
        ("/O=a/b", "no NAME=VALUE"),
    ],
)
def test_a_subject_that_is_not_valid_is_refused(daemon, subject, expected):
    key = str(key_of_kind(daemon, "ECDSA_P256_SHA256")["name"])
    refused = segelctl(daemon, "key", "csr", key, "--subject", subject)
    assert refused.returncode != 0
    assert expected in refused.stderr


def test_a_disabled_key_signs_nothing_and_comes_back_by_two(own_daemon):
    from segel import errors

    daemon = own_daemon("--keys", "p256")
    key = str(key_of_kind(daemon, "ECDSA_P256_SHA256")["name"])
    with daemon.client() as client:
        signer = client.signer(key)
        signer.sign_digest(bytes(32))
        disabled = segelctl(daemon, "key", "disable", key, "--reason", "a test")
        assert disabled.returncode == 0, disabled.stderr
        with pytest.raises(errors.SegelError) as refused:
            signer.sign_digest(bytes(32))
        assert refused.value.reason == "KEY_DISABLED"
        assert "disabled" in segelctl(daemon, "key", "list").stdout
        # Nothing is signed with it: no request for a certificate either.
        assert segelctl(daemon, "key", "csr", key, "--subject", "/CN=x").returncode != 0
        early = segelctl(daemon, "key", "destroy", key, "--dry-run")
        assert early.returncode != 0
        assert "30 days" in early.stderr
        asked = segelctl(daemon, "key", "enable", key, "--yes")
        assert asked.returncode == 0, asked.stderr
