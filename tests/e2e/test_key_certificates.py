"""From a key to its certificate and back: a request that openssl accepts, and answers in every form they come in."""

import asyncio
import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

import segel
from segel.testing import dev_daemon
from segel_softhsm import Testbed

DAY = dt.timedelta(days=1)
SUBJECT = "/C=ID/O=Dinas Komunikasi \\/ Informatika/OU=Seal+CN=Segel 2027"


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    """One daemon; each test that changes a key has its own."""
    folder = tmp_path_factory.mktemp("certificates") / "dev"
    with dev_daemon("--keys", "p256,p384,rsa2048,ed25519", "--workers", "1", directory=folder) as running:
        yield running


def segelctl(daemon, *arguments: str, who: str = "wayan") -> "subprocess.CompletedProcess[str]":
    pki = daemon.directory / "pki"
    person = {
        "SEGELCTL_TLS_CERT": str(pki / f"client-{who}.chain.pem"),
        "SEGELCTL_TLS_KEY": str(pki / "private" / f"client-{who}.key.pem"),
    }
    return subprocess.run(
        [sys.executable, "-m", "segeld.ctl", *arguments],
        env={**os.environ, **daemon.environment, **person},
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


def as_officer(daemon, work):
    """The outcome of a coroutine function that is given the keys of an officer's connection."""

    async def connected():
        target = daemon.environment["SEGELCTL_TARGET"]
        async with segel.Officer.connect(target, tls=daemon.tls("wayan")) as officer:
            return await work(officer.keys)

    return asyncio.run(connected())


def key_of_kind(daemon, algorithm: str) -> str:
    async def find(keys):
        return next(each.key.name for each in await keys.list() if algorithm in each.key.algorithms)

    return as_officer(daemon, find)


@pytest.mark.parametrize(
    "algorithm", ["RSA_PKCS1_SHA256", "ECDSA_P256_SHA256", "ECDSA_P384_SHA384", "ED25519"]
)
def test_openssl_accepts_a_request_of_every_kind_of_key(bed, tmp_path, algorithm):
    key = key_of_kind(bed, algorithm)
    out = tmp_path / "seal.csr"
    made = segelctl(bed, "key", "csr", key, "--subject", SUBJECT, "--output", str(out))
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
    assert "CSR made today" in segelctl(bed, "key", "show", key).stdout


def test_from_request_to_seal(bed, tmp_path):
    daemon, ca = bed, Ca()
    key = key_of_kind(daemon, "ECDSA_P256_SHA256")
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


def test_what_does_not_fit_is_refused_and_named(bed, tmp_path):
    ca, key = Ca(), key_of_kind(bed, "ED25519")

    async def refused(keys):
        request = (await keys.csr(key, "/CN=x")).pem.encode()
        before = await keys.list()
        for what, (data, expected) in bad_files(ca, request, tmp_path).items():
            if what == "huge":
                continue  # refused by the command
            with pytest.raises(segel.SegelError) as failure:
                await keys.import_certificate(data)
            assert expected in str(failure.value), what
        assert await keys.list() == before

    as_officer(bed, refused)
    file = tmp_path / "huge"
    file.write_bytes(bytes(262_145))
    assert "more than" in segelctl(bed, "key", "import-cert", str(file)).stderr


SUBJECTS = {
    "CN=x": "begins with /",
    "/C=Indonesia": "2 is the limit",
    "/C=id/CN=x": "two capital letters",
    "/ZZ=x": "no known attribute",
    "/CN=" + "x" * 65: "64 is the limit",
    "/CN=": "CN is empty",
    "/CN=x\\": "ends with a backslash",
    "/O=a/b": "no NAME=VALUE",
}


def test_a_subject_that_is_not_valid_is_refused(bed):
    key = key_of_kind(bed, "ED25519")

    async def refused(keys):
        for subject, expected in SUBJECTS.items():
            with pytest.raises(segel.SegelError) as failure:
                await keys.csr(key, subject)
            assert expected in str(failure.value), subject
            assert failure.value.reason == "FIELD_INVALID"

    as_officer(bed, refused)


def test_a_disabled_key_signs_nothing_and_comes_back_by_two(bed):
    key = key_of_kind(bed, "ECDSA_P384_SHA384")
    with bed.client() as client:
        signer = client.signer(key)
        signer.sign_digest(bytes(48))
        unsure = segelctl(bed, "key", "disable", key, "--reason", "a test")
        assert unsure.returncode != 0
        assert "backoffice" in unsure.stderr
        signer.sign_digest(bytes(48))
        disabled = segelctl(bed, "key", "disable", key, "--reason", "a test", "--yes")
        assert disabled.returncode == 0, disabled.stderr
        with pytest.raises(segel.SegelError) as refused:
            signer.sign_digest(bytes(48))
        assert refused.value.reason == "KEY_DISABLED"
        # Nothing is signed with it: no request for a certificate either.
        assert segelctl(bed, "key", "csr", key, "--subject", "/CN=x").returncode != 0
        early = segelctl(bed, "key", "destroy", key, "--dry-run")
        assert early.returncode != 0
        assert "30 days" in early.stderr
        asked = segelctl(bed, "--json", "key", "enable", key, "--yes")
        assert asked.returncode == 0, asked.stderr
        number = json.loads(asked.stdout)["name"].removeprefix("changes/")
        approved = segelctl(bed, "change", "approve", number, "--yes", who="made")
        assert approved.returncode == 0, approved.stderr
        with pytest.raises(segel.SegelError):
            signer.sign_digest(bytes(48))
        done = segelctl(bed, "change", "run", number)
        assert done.returncode == 0, done.stderr
        assert signer.sign_digest(bytes(48))


def test_a_certificate_is_on_the_token_and_served_after_a_restart(own_daemon):
    options, ca = ("--keys", "p256", "--workers", "1"), Ca()
    daemon = own_daemon(*options)
    key = key_of_kind(daemon, "ECDSA_P256_SHA256")

    async def certify(keys):
        leaf = ca.answer((await keys.csr(key, "/CN=on the token")).pem.encode())
        return leaf, await keys.import_certificate(pem(leaf, ca.issuing, ca.root))

    leaf, taken = as_officer(daemon, certify)
    assert taken.stored[0].startswith("tokens/")
    assert not list(daemon.directory.rglob("state/certificates/*.pem"))
    os.kill(daemon.pid, signal.SIGKILL)
    testbed = Testbed.load(daemon.directory)
    label = taken.stored[0].removeprefix("tokens/")
    listed = subprocess.run(
        ["pkcs11-tool", "--module", testbed.module, "--token-label", label, "-O", "--type", "cert"],
        env={**os.environ, **testbed.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "on the token" in listed.stdout
    with own_daemon(*options).client() as client:
        chain = client.key(key).certificate_chain
    assert chain == tuple(
        each.public_bytes(serialization.Encoding.DER) for each in (leaf, ca.issuing, ca.root)
    )
