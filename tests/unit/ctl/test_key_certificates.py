"""What is said of keys' certificates, and what never leaves the machine of whoever types the command."""

import pytest

from segel import errors
from segel.models_keys import Csr, Imported

KEY = "keys/sha256-" + "ab" * 32
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
PRIVATE = b"-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"


@pytest.fixture
def keys(officer, monkeypatch, new_managed):
    """The fake officer's keys; what is sent is kept in `sent`."""
    fake = officer.keys
    fake.there, fake.beside, fake.sent = (new_managed(),), (), []

    async def look():
        return fake.there, fake.beside

    async def import_certificate(data, key="", *, dry_run=False):
        fake.sent.append(data)
        return Imported(fake.there[0], ("tokens/main",), ("It ends\nsoon.",))

    async def csr(key, subject="", *, like=b""):
        fake.sent.append(like)
        return Csr("PEM\n", "CN=x")

    for function in (look, import_certificate, csr):
        monkeypatch.setattr(fake, function.__name__, function, raising=False)
    return fake


def test_status_says_what_an_officer_should_know_of_certificates(run, keys, new_managed):
    keys.there = (
        new_managed("Its certificate ends in 10 days, on 2026-12-04.", "Its certificate was revoked."),
    )
    keys.beside = ("The certificate of backoffice ends today, on 2026-11-24.",)
    told = run("status").stderr
    assert "Note: keys/seal: Its certificate ends in 10 days, on 2026-12-04." in told
    assert "Note: keys/seal: Its certificate was revoked." in told
    assert "Note: The certificate of backoffice ends today" in told


def test_status_says_nothing_of_keys_that_never_had_one(run, keys, new_managed):
    """A new key, or one that signs receipts, is no reason to look twice at status."""
    keys.there = (new_managed("It has no certificate.", certified=False),)
    assert "no certificate" not in run("status").stderr


@pytest.mark.parametrize("said", ["good", "unknown", "revoked"])
def test_a_key_is_shown_with_what_its_authority_said(run, keys, new_managed, said):
    keys.there = (new_managed(revocation=said),)
    shown = run("key", "show", "seal").stdout
    assert f"revocation\t{said}" in shown
    assert "CSR made 3 days ago." in shown
    assert "\x1b" not in shown


def test_a_certificate_is_sent_as_it_is(run, keys, tmp_path):
    file = tmp_path / "answer.pem"
    file.write_bytes(CERTIFICATE)
    answer = run("key", "import-cert", file)
    assert answer.exit_code == 0, answer.stderr
    assert keys.sent == [CERTIFICATE]
    assert "kept on tokens/main" in answer.stdout
    assert "Note: It ends soon." in answer.stderr
    assert "\x1b" not in answer.stdout


@pytest.mark.parametrize("data", [PRIVATE, CERTIFICATE + PRIVATE, PRIVATE[:40] + CERTIFICATE])
@pytest.mark.parametrize("command", [("import-cert",), ("csr", "seal", "--like")])
def test_a_private_key_is_not_sent_to_anybody(run, keys, tmp_path, data, command):
    file = tmp_path / "all.pem"
    file.write_bytes(data)
    answer = run("key", *command, file)
    assert answer.exit_code == 2
    assert f"{file}: it holds a private key, and was not sent" in answer.stderr
    assert keys.sent == []


@pytest.mark.parametrize("command", [("import-cert",), ("csr", "seal", "--like")])
def test_what_is_too_large_for_a_certificate_is_not_read_to_its_end(run, keys, tmp_path, command):
    file = tmp_path / "huge"
    with file.open("wb") as out:
        out.truncate(1 << 40)  # all of it would not fit into memory
    answer = run("key", *command, file)
    assert answer.exit_code == 2
    assert "more than 262144 octets; that is no certificate" in answer.stderr
    assert keys.sent == []


def test_a_file_that_is_not_there_is_named(run, keys, tmp_path):
    answer = run("key", "import-cert", tmp_path / "none.pem")
    assert answer.exit_code == 2
    assert "none.pem: No such file" in answer.stderr


def test_a_request_goes_into_a_new_file(run, keys, tmp_path):
    file = tmp_path / "seal.csr"
    answer = run("key", "csr", "seal", "--subject", "/CN=x", "--output", file)
    assert answer.exit_code == 0, answer.stderr
    assert file.read_text() == "PEM\n"
    answer = run("key", "csr", "seal", "--subject", "/CN=x", "--output", file)
    assert (answer.exit_code, len(keys.sent)) == (2, 1)
    assert "seal.csr is there already; nothing was done" in answer.stderr


def test_no_request_is_signed_that_cannot_be_written(run, keys, tmp_path):
    answer = run("key", "csr", "seal", "--subject", "/CN=x", "--output", tmp_path / "none" / "seal.csr")
    assert (answer.exit_code, keys.sent) == (2, [])
    assert "cannot be made: No such file or directory; nothing was done" in answer.stderr


def test_a_request_that_is_refused_leaves_no_file(run, keys, tmp_path, monkeypatch):
    async def refused(key, subject="", *, like=b""):
        raise errors.BadRequest("no such subject", reason="FIELD_INVALID", code="INVALID_ARGUMENT")

    monkeypatch.setattr(keys, "csr", refused)
    answer = run("key", "csr", "seal", "--subject", "x", "--output", tmp_path / "seal.csr")
    assert answer.exit_code == 2
    assert not (tmp_path / "seal.csr").exists()
