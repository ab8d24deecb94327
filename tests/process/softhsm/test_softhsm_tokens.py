"""The tokens and keys, seen and used through pkcs11-tool, which is not ours."""

import hashlib
import os
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from segel_softhsm import KINDS, Testbed, TestbedError, add_token, oddities, provision

HASHED = {
    "rsa2048": ["-m", "SHA256-RSA-PKCS"],
    "rsa3072": ["-m", "SHA256-RSA-PKCS"],
    "p256": ["-m", "ECDSA", "--signature-format", "openssl"],
    "p384": ["-m", "ECDSA", "--signature-format", "openssl"],
}


def tool(testbed, token, *arguments):
    """Run pkcs11-tool, logged in; the PIN goes through the environment."""
    return subprocess.run(
        [
            *("pkcs11-tool", "--module", testbed.module, "--token-label", token.label),
            *("--login", "--pin", "env:TEST_PIN", *arguments),
        ],
        env={**os.environ, **testbed.environment, "TEST_PIN": token.read_pin()},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def objects(testbed, token):
    """Return (class, label, id) → the text of each object."""
    found = {}
    listing = tool(testbed, token, "--list-objects")
    for block in re.split(r"(?m)^(?=\S)", listing):
        if block.strip():
            kind = block.split(" ", 1)[0]
            label, key_id = (re.search(rf"{word}: +(\S+)", block).group(1) for word in ("label", r"(?i:ID)"))
            found[kind, label, key_id] = block
    return found


def spki_sha256(public):
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A testbed with every odd case on it, and what the helpers returned."""
    testbed = provision(tmp_path_factory.mktemp("odd") / "bed", kinds=["p256"])
    cases = {
        "twin": oddities.add_key_with_same_id(testbed, "segel-a", "seal-p256", "twin"),
        "bare": oddities.add_bare_private_key(testbed, "segel-a", "bare"),
        "lone": oddities.add_lone_certificate(testbed, "segel-b", "lone"),
    }
    for kind in KINDS:
        label = f"replica-{kind}"
        cases[label] = oddities.add_replicated_key(testbed, ["segel-a", "segel-b"], label, kind)
    return Testbed.load(testbed.directory), cases


def test_the_tokens_hold_the_keys_they_should(shared_testbed):
    kinds = {token.label: [key.kind for key in token.keys] for token in shared_testbed.tokens}
    assert kinds == {"segel-a": list(KINDS), "segel-b": ["rsa2048", "p256"]}
    for token in shared_testbed.tokens:
        expected = {
            (kind, key.label, key.cka_id)
            for key in token.keys
            for kind in ("Private", "Public", "Certificate")
        }
        assert set(objects(shared_testbed, token)) == expected


def test_cka_ids_and_pins_differ(shared_testbed):
    keys = [key.cka_id for token in shared_testbed.tokens for key in token.keys]
    pins = [pin for token in shared_testbed.tokens for pin in (token.read_pin(), token.read_so_pin())]
    assert len(set(keys)) == len(keys)
    assert len(set(pins)) == len(pins)


def test_private_keys_were_born_on_the_token_and_cannot_leave(shared_testbed):
    for token in shared_testbed.tokens:
        for (kind, label, _), text in objects(shared_testbed, token).items():
            if kind == "Private":
                access = re.search(r"Access: +(.*)", text).group(1)
                assert access == "sensitive, always sensitive, never extractable, local", label
                assert re.search(r"Usage: +(.*)", text).group(1) == "sign", label


def test_private_keys_are_hidden_before_login(shared_testbed):
    listing = subprocess.run(
        ["pkcs11-tool", "--module", shared_testbed.module, "--token-label", "segel-a", "--list-objects"],
        env={**os.environ, **shared_testbed.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Private Key Object" not in listing
    assert "Public Key Object" in listing


def test_the_certificate_on_the_token_is_the_one_in_the_folder(shared_testbed, tmp_path):
    for token in shared_testbed.tokens:
        for key in token.keys:
            out = tmp_path / f"{token.label}-{key.label}.der"
            read = ["--read-object", "--type", "cert", "--id", key.cka_id, "--output-file", out]
            tool(shared_testbed, token, *read)
            on_token = x509.load_der_x509_certificate(out.read_bytes())
            assert on_token == x509.load_pem_x509_certificate(key.certificate.read_bytes())


def test_the_public_key_file_its_hash_and_the_certificate_agree(shared_testbed):
    for token in shared_testbed.tokens:
        for key in token.keys:
            public = load_pem_public_key(key.public_key.read_bytes())
            certificate = x509.load_pem_x509_certificate(key.certificate.read_bytes())
            assert spki_sha256(public) == spki_sha256(certificate.public_key()) == key.spki_sha256


@pytest.mark.parametrize("kind", HASHED)
def test_a_signature_verifies_with_openssl_under_the_certificate(shared_testbed, tmp_path, kind):
    token = shared_testbed.token("segel-a")
    _sign_and_verify(shared_testbed, token, token.key(f"seal-{kind}"), tmp_path)


def _sign_and_verify(testbed, token, key, folder):
    letter, given, signature = (folder / name for name in ("letter", "given", "signature"))
    letter.write_bytes(b"Surat keputusan")
    given.write_bytes(
        letter.read_bytes() if key.kind.startswith("rsa") else hashlib.sha256(letter.read_bytes()).digest()
    )
    files = ["--input-file", given, "--output-file", signature]
    tool(testbed, token, "--sign", *HASHED[key.kind], "--id", key.cka_id, *files)
    public = folder / "public.pem"
    public.write_bytes(
        subprocess.run(
            ["openssl", "x509", "-in", key.certificate, "-noout", "-pubkey"], check=True, capture_output=True
        ).stdout
    )
    checked = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, letter],
        check=True,
        capture_output=True,
    )
    assert checked.stdout == b"Verified OK\n"


def test_an_ed25519_signature_verifies_with_openssl(shared_testbed, tmp_path):
    token = shared_testbed.token("segel-a")
    key = token.key("seal-ed25519")
    letter, signature = tmp_path / "letter", tmp_path / "signature"
    letter.write_bytes(b"Surat keputusan")
    files = ["--input-file", letter, "--output-file", signature]
    tool(shared_testbed, token, "--sign", "-m", "EDDSA", "--id", key.cka_id, *files)
    verify = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key.public_key]
    subprocess.run([*verify, "-in", letter, "-sigfile", signature], check=True, capture_output=True)


def test_the_so_pin_may_set_the_user_pin(shared_testbed):
    token = shared_testbed.token("segel-b")
    subprocess.run(
        [
            *("pkcs11-tool", "--module", shared_testbed.module, "--token-label", token.label),
            *("--login", "--login-type", "so", "--so-pin", "env:TEST_SO_PIN"),
            *("--init-pin", "--new-pin", "env:TEST_PIN"),  # to what it was
        ],
        env={
            **os.environ,
            **shared_testbed.environment,
            "TEST_SO_PIN": token.read_so_pin(),
            "TEST_PIN": token.read_pin(),
        },
        check=True,
        capture_output=True,
    )
    assert objects(shared_testbed, token)


def test_a_token_can_be_added_and_is_remembered(odd, tmp_path):
    testbed, _ = odd
    token = add_token(testbed, "extra", ["p256", "p256", "ed25519"])
    again = Testbed.load(testbed.directory)
    assert again.token("extra") == token
    assert [key.label for key in token.keys] == ["seal-p256", "seal-p256-2", "seal-ed25519"]
    assert {key.label for key in token.keys} == {label for _, label, _ in objects(again, token)}
    _sign_and_verify(again, token, token.keys[1], tmp_path)
    with pytest.raises(TestbedError, match="there is a token extra already"):
        add_token(testbed, "extra", ["p256"])
    assert provision(testbed.directory) == again


def test_a_twin_has_the_same_id_and_another_key(odd):
    testbed, cases = odd
    original = testbed.token("segel-a").key("seal-p256")
    assert cases["twin"].cka_id == original.cka_id
    assert cases["twin"].spki_sha256 != original.spki_sha256
    private = [key for key in objects(testbed, testbed.token("segel-a")) if key[0] == "Private"]
    assert sum(key_id == original.cka_id for _, _, key_id in private) == 2


def test_a_bare_key_has_neither_public_object_nor_certificate(odd):
    testbed, cases = odd
    there = [kind for kind, label, _ in objects(testbed, testbed.token("segel-a")) if label == "bare"]
    assert there == ["Private"]
    public = load_pem_public_key(cases["bare"].public_key.read_bytes())
    assert spki_sha256(public) == cases["bare"].spki_sha256


def test_a_lone_certificate_has_no_key(odd):
    testbed, cases = odd
    there = [kind for kind, label, _ in objects(testbed, testbed.token("segel-b")) if label == "lone"]
    assert there == ["Certificate"]
    assert cases["lone"].certificate.exists()
    with pytest.raises(KeyError):
        testbed.token("segel-b").key("lone")


@pytest.mark.parametrize("kind", HASHED)
def test_a_replica_is_one_key_on_two_tokens(odd, tmp_path, kind):
    testbed, cases = odd
    first, second = cases[f"replica-{kind}"]
    assert first.spki_sha256 == second.spki_sha256
    assert first.cka_id != second.cka_id
    for label, key in (("segel-a", first), ("segel-b", second)):
        token = testbed.token(label)
        assert token.key(key.label) == key
        _sign_and_verify(testbed, token, key, tmp_path)
        text = objects(testbed, token)["Private", key.label, key.cka_id]
        assert re.search(r"Access: +(.*)", text).group(1) == "sensitive"


def test_a_label_is_given_once(odd):
    testbed, _ = odd
    with pytest.raises(TestbedError, match="has a key or certificate bare already"):
        oddities.add_bare_private_key(testbed, "segel-a", "bare")
