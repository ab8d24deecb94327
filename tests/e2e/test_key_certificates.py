"""From a key to its certificate and back: requests that openssl accepts, answers in every form they come in, and seals that
readers accept who trust the root alone.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from issuing_ca import Ca, common_name, der, pem
from key_daemon import Bed, as_officer, both_agree, key_of_kind, officer_of, point, segel_command, segelctl
from reportlab.pdfgen import canvas

import segel
import segel.cli.app
from segel.models_changes import EnableKey
from segel.testing import DevDaemon
from segel_softhsm import Testbed

SUBJECT = "/C=ID/O=Dinas Komunikasi \\/ Informatika/OU=Seal+CN=Segel 2027"
KINDS = ("RSA_PKCS1_SHA256", "ECDSA_P256_SHA256", "ECDSA_P384_SHA384", "ECDSA_P521_SHA512", "ED25519")


@pytest.fixture(autouse=True)
def _no_blocking_call_in_the_daemons_event_loop() -> None:
    """The daemon's is in another process; commands may block in theirs."""


@pytest.fixture(scope="module")
def bed(tmp_path_factory) -> Iterator[Bed]:
    bed = Bed(tmp_path_factory.mktemp("certificates") / "dev")
    yield bed
    bed.close()


@pytest.fixture
def daemon(bed) -> DevDaemon:
    return bed.daemon


def openssl(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_openssl_accepts_a_request_of_every_kind_of_key(daemon, tmp_path):
    async def requests(keys):
        return {name: (await keys.csr(name, SUBJECT)).pem for name in names}

    names = [key_of_kind(daemon, kind) for kind in KINDS]
    made = as_officer(daemon, requests)
    for name, text in made.items():
        file = tmp_path / "seal.csr"
        file.write_text(text)
        checked = openssl("req", "-verify", "-noout", "-in", file)
        assert (checked.returncode, "verify OK" in checked.stderr) == (0, True), checked.stderr
        request = x509.load_pem_x509_csr(text.encode())
        assert [each.value for each in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
            "Dinas Komunikasi / Informatika"
        ]
        assert name == key_name(request.public_key())


def key_name(key) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(serialization.Encoding.DER, form))
    return f"keys/sha256-{digest.finalize().hex()}"


def test_from_request_to_seals_that_readers_accept(daemon, tmp_path):
    ca, key = Ca(), key_of_kind(daemon, "ECDSA_P256_SHA256")
    request = tmp_path / "seal.csr"
    made = segelctl(daemon, "key", "csr", key, "--subject", SUBJECT, "--output", request)
    assert made.exit_code == 0, made.stderr
    assert "CSR made today" in segelctl(daemon, "key", "show", key).stdout
    leaf = ca.answer(request.read_bytes())

    gap = tmp_path / "leaf.pem"
    gap.write_bytes(pem(leaf))
    dry = segelctl(daemon, "key", "import-cert", gap, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "nothing was stored" in dry.stdout
    assert "CN=Test Issuing is missing" in dry.stderr
    assert "http://ca.test/issuing.cer" in dry.stderr
    assert "CSR made today" in segelctl(daemon, "key", "show", key).stdout

    answer, root = tmp_path / "answer.p7b", tmp_path / "root.pem"
    (tmp_path / "all.pem").write_bytes(pem(ca.issuing, leaf))
    root.write_bytes(pem(ca.root))
    bag = ("crl2pkcs7", "-nocrl", "-certfile", tmp_path / "all.pem", "-outform", "DER", "-out", answer)
    assert openssl(*bag).returncode == 0
    taken = segelctl(daemon, "key", "import-cert", answer, "--key", key)
    assert taken.exit_code == 0, taken.stderr
    assert "a chain of 2" in taken.stdout
    assert "CN=Test Root is missing" in taken.stderr
    shown = json.loads(segelctl(daemon, "--json", "key", "show", key).stdout)
    assert shown["csr_time"] is None
    assert shown["issuer"] == "CN=Test Issuing"
    assert "Segel 2027" in shown["subject"]
    with daemon.client() as client:
        assert client.key(key).certificate_chain == der(leaf, ca.issuing)
        signature = client.signer(key).sign_digest(bytes(32))
    leaf.public_key().verify(bytes(signature), bytes(32), ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    cms_is_accepted(daemon, key, root, tmp_path)
    pdf_is_accepted(daemon, key, root, tmp_path)


def cms_is_accepted(daemon, key: str, root: Path, folder: Path) -> None:
    file = folder / "letter.txt"
    file.write_text("isi\n")
    signed = segel_command(daemon, "sign", "--key", key, "--format", "cms", file)
    assert signed.exit_code == 0, signed.stderr
    p7s = file.with_suffix(".txt.p7s")
    assert verifies(p7s, file, root)
    stranger = folder / "stranger.pem"
    stranger.write_bytes(pem(Ca().root))
    assert not verifies(p7s, file, stranger)


def verifies(p7s: Path, content: Path, root: Path) -> bool:
    """Whether openssl accepts it that knows the root alone: what lies between must come with the signature."""
    trust = ("-CAfile", root, "-no-CApath", "-no-CAstore", "-purpose", "any")
    form = ("-inform", "DER", "-in", p7s, "-content", content, "-binary", "-out", os.devnull)
    return openssl("cms", "-verify", *form, *trust).returncode == 0


def pdf_is_accepted(daemon, key: str, root: Path, folder: Path) -> None:
    letter, signed = folder / "surat.pdf", folder / "out" / "surat.pdf"
    page = canvas.Canvas(str(letter))
    page.drawString(72, 720, "Surat")
    page.save()
    done = segel_command(daemon, "pdf", "sign", "--key", key, letter, "--out-dir", signed.parent)
    assert done.exit_code == 0, done.stderr
    said = subprocess.run(["pdfsig", signed], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid." in said
    assert "Total document signed" in said
    checked = segel_command(daemon, "pdf", "verify", "--trust", root, signed)
    assert checked.exit_code == 0, checked.stdout
    octets = signed.read_bytes()
    where = re.search(rb"/ByteRange ?\[ ?(\d+) (\d+) (\d+) (\d+) ?\]", octets)
    assert where is not None
    first, length, second, rest = map(int, where.groups())
    content, p7s = folder / "content", folder / "surat.p7s"
    content.write_bytes(octets[first : first + length] + octets[second : second + rest])
    p7s.write_bytes(bytes.fromhex(octets[first + length + 1 : second - 1].decode()))
    assert verifies(p7s, content, root)


def bad_files(ca: Ca, request: bytes) -> dict[str, tuple[bytes, str]]:
    other = ec.generate_private_key(ec.SECP256R1())
    stranger = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(common_name("other"))
        .sign(other, hashes.SHA256())
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
        "a private key behind a certificate": (
            pem(ca.answer(request))
            + other.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            ),
            "private key",
        ),
        "nothing": (b"", "no certificate"),
    }


def test_what_does_not_fit_is_refused_and_changes_nothing(daemon):
    ca, key = Ca(), key_of_kind(daemon, "ED25519")

    async def refused(keys):
        request = (await keys.csr(key, "/CN=x")).pem.encode()
        before = await keys.list()
        for what, (data, expected) in bad_files(ca, request).items():
            with pytest.raises(segel.SegelError) as failure:
                await keys.import_certificate(data)
            assert failure.value.reason == "CERTIFICATE_INVALID"
            assert expected in str(failure.value), what
        with pytest.raises(segel.SegelError) as failure:
            await keys.csr(key, "/C=IDN/CN=x")
        assert failure.value.reason == "FIELD_INVALID"
        assert "C has 3 characters; 2 is the limit" in str(failure.value)
        assert await keys.list() == before

    as_officer(daemon, refused)


def test_a_disabled_key_signs_nothing_and_comes_back_by_two(daemon):
    key = key_of_kind(daemon, "ECDSA_P384_SHA384")

    def sign(client):
        return client.signer(key).sign_digest(bytes(48))

    with daemon.client() as client:
        unsure = segelctl(daemon, "key", "disable", key, "--reason", "a test")
        assert unsure.exit_code != 0
        assert "backoffice" in unsure.stderr
        assert sign(client)
        disabled = segelctl(daemon, "key", "disable", key, "--reason", "a test", "--yes")
        assert disabled.exit_code == 0, disabled.stderr
        with pytest.raises(segel.SegelError) as refused:
            sign(client)
        assert refused.value.reason == "KEY_DISABLED"
        # Nothing is signed with it: no request for a certificate either.
        assert segelctl(daemon, "key", "csr", key, "--subject", "/CN=x").exit_code != 0
        early = segelctl(daemon, "key", "destroy", key, "--dry-run")
        assert early.exit_code != 0
        assert "30 days" in early.stderr
        asked = segelctl(daemon, "--json", "key", "enable", key, "--yes")
        assert asked.exit_code == 0, asked.stderr
        number = json.loads(asked.stdout)["name"].removeprefix("changes/")
        approved = segelctl(daemon, "change", "approve", number, "--yes", who="made")
        assert approved.exit_code == 0, approved.stderr
        with pytest.raises(segel.SegelError):
            sign(client)
        done = segelctl(daemon, "change", "run", number)
        assert done.exit_code == 0, done.stderr
        assert sign(client)


async def test_a_signer_keeps_its_key_until_it_is_fetched_anew(daemon):
    async with officer_of(daemon) as officer:
        keys = await officer.keys.list()
    old, new = (
        next(each.key.name for each in keys if kind in each.key.algorithms)
        for kind in ("ECDSA_P521_SHA512", "ED25519")
    )
    await point(daemon, "rotating", old)
    async with daemon.async_client() as client:
        held = await client.signer("keys/rotating")
        assert held.key.name == old
        await point(daemon, "rotating", new)
        fresh = await client.signer("keys/rotating")
        assert fresh.key.name == new
        assert held.key.name == old
        signature = await held.sign_digest(bytes(64))
        public = serialization.load_der_public_key(held.key.public_key)
        public.verify(bytes(signature), bytes(64), ec.ECDSA(utils.Prehashed(hashes.SHA512())))

        async with officer_of(daemon) as officer:
            await officer.keys.disable(old, "a test")
        with pytest.raises(segel.errors.KeyNotUsable) as refused:
            await held.sign_digest(bytes(64))
        assert refused.value.reason == "KEY_DISABLED"
        assert "disabled by an officer" in str(refused.value)
        assert "alias" in str(refused.value)
        await point(daemon, "rotating", old, new)
        assert (await client.signer("keys/rotating")).key.name == new  # the first that can sign
        assert await (await client.signer("keys/rotating")).sign_message(b"surat")
        await both_agree(daemon, EnableKey(old))
        assert await held.sign_digest(bytes(64))


def test_a_certificate_is_on_the_token_and_served_after_a_restart(bed):
    ca, daemon = Ca(), bed.daemon
    key = key_of_kind(daemon, "RSA_PKCS1_SHA256")

    async def certify(keys):
        leaf = ca.answer((await keys.csr(key, "/CN=on the token")).pem.encode())
        return leaf, await keys.import_certificate(pem(leaf, ca.issuing, ca.root))

    leaf, taken = as_officer(daemon, certify)
    assert taken.stored[0].startswith("tokens/")
    assert not list(daemon.directory.rglob("state/certificates/*.pem"))
    bed.kill()
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
    bed.start()
    with bed.daemon.client() as client:
        assert client.key(key).certificate_chain == der(leaf, ca.issuing, ca.root)
