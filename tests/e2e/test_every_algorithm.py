"""Every key with every algorithm it has, verified by cryptography and by the command openssl."""

import hashlib
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

KEYS = ["rsa2048", "rsa3072", "p256", "p384", "ed25519"]
MESSAGE = b"Surat keputusan nomor 188/77/HK/2026"


def verify(public_key, algorithm: str, signature: bytes) -> None:
    if algorithm == "ED25519":
        public_key.verify(signature, MESSAGE)
        return
    scheme, hash_name = algorithm.rsplit("_", 1)
    digest_of = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}[hash_name]
    if scheme.startswith("ECDSA"):
        public_key.verify(signature, MESSAGE, ec.ECDSA(digest_of))
    elif scheme == "RSA_PKCS1":
        public_key.verify(signature, MESSAGE, padding.PKCS1v15(), digest_of)
    else:
        pss = padding.PSS(padding.MGF1(digest_of), salt_length=digest_of.digest_size)
        public_key.verify(signature, MESSAGE, pss, digest_of)


@pytest.mark.parametrize("kind", KEYS)
def test_each_algorithm_of_a_key_verifies(client, kind) -> None:
    key = client.key(f"keys/seal-{kind}")
    public_key = serialization.load_der_public_key(key.public_key)
    assert key.algorithms
    for algorithm in key.algorithms:
        signature = client.signer(key.name, algorithm=algorithm).sign_message(MESSAGE)
        verify(public_key, str(algorithm.name if hasattr(algorithm, "name") else algorithm), signature)


@pytest.mark.parametrize("kind", KEYS)
def test_the_command_openssl_agrees(client, kind, tmp_path) -> None:
    key = client.key(f"keys/seal-{kind}")
    signature = client.signer(key.name).sign_message(MESSAGE)
    public_key = serialization.load_der_public_key(key.public_key)
    pem = public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "message").write_bytes(MESSAGE)
    digest = {"p384": "sha384"}.get(kind, "sha256")
    options = ["-rawin"] if kind == "ed25519" else ["-rawin", "-digest", digest]
    subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", *options]  # noqa: RUF005  # two lines, two thoughts
        + ["-inkey", tmp_path / "key.pem", "-sigfile", tmp_path / "signature", "-in", tmp_path / "message"],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(("kind", "half"), [("p256", 32), ("p384", 48)])
def test_p1363_is_r_and_s_side_by_side(client, kind, half) -> None:
    key = client.key(f"keys/seal-{kind}")
    digest = hashlib.new({"p256": "sha256", "p384": "sha384"}[kind], MESSAGE).digest()
    raw = client.signer(key.name, ecdsa="p1363").sign_digest(digest)
    assert len(raw) == 2 * half
    der = utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
    verify(serialization.load_der_public_key(key.public_key), str(key.algorithms[0].name), der)


def test_a_key_on_two_names_is_one_key(client) -> None:
    by_alias = client.key("keys/seal-p256")
    assert client.key(by_alias.name).name == by_alias.name
    assert "keys/seal-p256" in by_alias.aliases
    assert len(by_alias.certificate_chain) >= 1


def test_ten_thousand_digests_come_back_in_order(client) -> None:
    signer = client.signer("keys/seal-p256")
    digests = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(10_000)]
    results = signer.sign_digests(digests)
    public_key = serialization.load_der_public_key(signer.key.public_key)
    assert len(results) == len(digests)
    for digest, result in list(zip(digests, results, strict=True))[::97]:
        public_key.verify(result.value, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
