"""A test authority, keys of every kind behind fake signers, and letters made with reportlab."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from reportlab.pdfgen import canvas
from typer.testing import CliRunner, Result

import segel
from segel import Algorithm
from segel.cli.app import app

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

HASHES = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}
KIND_OF = {
    "RSA_PKCS1_SHA256": "rsa",
    "RSA_PKCS1_SHA384": "rsa",
    "RSA_PKCS1_SHA512": "rsa",
    "RSA_PSS_SHA256": "rsa",
    "RSA_PSS_SHA384": "rsa",
    "RSA_PSS_SHA512": "rsa",
    "ECDSA_P256_SHA256": "p256",
    "ECDSA_P384_SHA384": "p384",
    "ECDSA_P521_SHA512": "p521",
    "ED25519": "ed25519",
}


@dataclass(frozen=True)
class FakeKey:
    name: str
    public_key: bytes
    certificate_chain: tuple[bytes, ...]


@dataclass
class FakeSigner:
    """Signs in this process what the daemon would sign, and remembers what it was asked."""

    key: FakeKey
    algorithm: Algorithm
    private_key: PrivateKey
    asked: list[bytes] = field(default_factory=list)

    async def sign_digest(self, digest: bytes) -> bytes:
        self.asked.append(digest)
        chosen = HASHES[self.algorithm.rsplit("_", 1)[1]]
        assert len(digest) == chosen.digest_size
        hashed = utils.Prehashed(chosen)
        if isinstance(self.private_key, ec.EllipticCurvePrivateKey):
            return self.private_key.sign(digest, ec.ECDSA(hashed))
        assert isinstance(self.private_key, rsa.RSAPrivateKey)
        if "PSS" in self.algorithm:
            return self.private_key.sign(
                digest, padding.PSS(padding.MGF1(chosen), chosen.digest_size), hashed
            )
        return self.private_key.sign(digest, padding.PKCS1v15(), hashed)

    async def sign_message(self, message: bytes) -> bytes:
        self.asked.append(message)
        assert isinstance(self.private_key, ed25519.Ed25519PrivateKey)
        return self.private_key.sign(message)


class Authority:
    """A root, an issuing CA and certificates below it."""

    def __init__(self, name: str = "Test Root") -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._issue(name, self.root_key, name, self.root_key, ca=True)
        self.ca_key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._issue(f"{name} CA", self.ca_key, name, self.root_key, ca=True)

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def certify(self, name: str, key: PrivateKey) -> x509.Certificate:
        return self._issue(name, key, self.ca.subject, self.ca_key, ca=False)

    @staticmethod
    def _issue(
        subject: str, key: PrivateKey, issuer: str | x509.Name, by: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> x509.Certificate:
        def named(common_name: str) -> x509.Name:
            return x509.Name(
                [
                    x509.NameAttribute(NameOID.COUNTRY_NAME, "ID"),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Pemerintah Provinsi"),
                    x509.NameAttribute(NameOID.COMMON_NAME, common_name),
                ]
            )

        now = datetime.now(UTC)
        words = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        usage = dict.fromkeys(
            [*words.split(), "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False
        )
        usage |= {"key_cert_sign": True, "crl_sign": True} if ca else {"digital_signature": True}
        usage |= {} if ca else {"content_commitment": True}
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(issuer if isinstance(issuer, x509.Name) else named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
            )
            .sign(by, hashes.SHA256())
        )


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def other_authority() -> Authority:
    return Authority("Other Root")


@pytest.fixture(scope="session")
def private_keys() -> dict[str, PrivateKey]:
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


@pytest.fixture(scope="session")
def signer_for(authority: Authority, private_keys: dict[str, PrivateKey]) -> Callable[..., FakeSigner]:
    """A fake signer for an algorithm; `chain=()` makes one without certificate."""
    certificates = {kind: authority.certify("Segel Dinas Contoh", key) for kind, key in private_keys.items()}

    def make(algorithm: str, chain: Sequence[x509.Certificate] | None = None) -> FakeSigner:
        kind = KIND_OF[algorithm]
        if chain is None:
            chain = (certificates[kind], authority.ca)
        public = private_keys[kind].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ders = tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
        return FakeSigner(
            FakeKey(f"keys/sha256-{kind}", public, ders), Algorithm(algorithm), private_keys[kind]
        )

    return make


@pytest.fixture
def signer(signer_for: Callable[..., FakeSigner]) -> FakeSigner:
    return signer_for("ECDSA_P256_SHA256")


def _letter(pages: int = 2) -> bytes:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, invariant=1)
    for number in range(pages):
        page.drawString(72, 720, f"Surat Keputusan, halaman {number + 1}")
        page.showPage()
    page.save()
    return buffer.getvalue()


@pytest.fixture(scope="session")
def letter_bytes() -> bytes:
    return _letter()


@pytest.fixture
def letter(tmp_path: Path, letter_bytes: bytes) -> Path:
    path = tmp_path / "surat.pdf"
    path.write_bytes(letter_bytes)
    return path


@pytest.fixture
def root_pem(tmp_path: Path, authority: Authority) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(authority.root_pem)
    return path


class FakeClient:
    """The client that the command line connects: hands out `signer`, and remembers how it was asked for."""

    def __init__(self, signer: FakeSigner) -> None:
        self.signer_there = signer
        self.asked: list[dict[str, object]] = []
        self.settings: list[segel.Settings] = []

    def from_settings(self, settings: segel.Settings) -> "FakeClient":
        self.settings.append(settings)
        return self

    async def __aenter__(self) -> "FakeClient":  # noqa: PYI034  # a fake
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def keys(self) -> tuple[segel.Key, ...]:
        """Asked for beginnings of names alone, and none is given."""
        raise AssertionError("a whole name is not looked for")

    async def signer(self, key: str | None = None, **how: object) -> FakeSigner:
        self.asked.append(how)
        return self.signer_there


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, signer: FakeSigner) -> FakeClient:
    for name in ("TARGET", "TLS_CA", "TLS_CERT", "TLS_KEY"):
        monkeypatch.setenv(f"SEGEL_{name}", "localhost:7443")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("SEGEL_KEY", "keys/seal")
    monkeypatch.chdir(tmp_path)
    fake = FakeClient(signer)
    monkeypatch.setattr(segel, "Client", fake)
    return fake


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs `segel`; `given` is its standard input."""

    def invoke(*arguments: object, given: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)

    return invoke
