"""Which public key belongs to which private key, on real tokens."""

import datetime as dt
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import NameOID

from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, KeyKind
from segeld.model.faults import Reason

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def token(box, request: pytest.FixtureRequest) -> str:
    label = request.node.name[-32:]
    box.token(label)
    return label


def write_private(key: Key, path: Path) -> Path:
    path.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return path


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(name: str, key, issuer: str, issuer_key: Key, *, ca: bool = False) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def write_certificate(made: x509.Certificate, path: Path) -> Path:
    path.write_bytes(made.public_bytes(Encoding.DER))
    return path


def signs(worker, key: wire.FoundKey) -> bool:
    algorithm = Algorithm.RSA_PKCS1_SHA256 if key.kind is KeyKind.RSA_2048 else Algorithm.ECDSA_P256_SHA256
    (outcome,) = worker.ask(worker.sign_request(key.public_key, algorithm, (bytes(32),))).outcomes
    return isinstance(outcome, bytes)


def test_same_id_twice(worker, box, token: str) -> None:
    box.keypair(token, "EC:prime256v1", "01", "one")
    box.keypair(token, "EC:prime256v1", "01", "two")
    box.keypair(token, "EC:prime256v1", "02", "three")
    keys = {key.label: key for key in worker.activate(token)}
    assert keys["one"].unusable is keys["two"].unusable is Reason.KEY_AMBIGUOUS
    assert "same CKA_ID" in keys["one"].trouble
    assert keys["three"].unusable is None
    assert signs(worker, keys["three"])


def test_same_key_twice(worker, box, token: str, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    path = write_private(key, tmp_path / "key")
    box.import_object(token, "privkey", path, "01", "one")
    box.import_object(token, "privkey", path, "02", "two")
    keys = worker.activate(token)
    assert [one.unusable for one in keys] == [Reason.KEY_AMBIGUOUS] * 2
    assert "same public key" in keys[0].trouble
    assert not signs(worker, keys[0])


def test_a_key_without_public_object_has_its_sentence(worker, box, token: str) -> None:
    box.keypair(token, "EC:prime256v1", "01")
    box.remove_public(token, "01")
    (key,) = worker.activate(token)
    assert (key.unusable, key.public_key, key.kind) == (Reason.KEY_UNUSABLE, None, KeyKind.P_256)
    assert "name its public key in the configuration" in key.trouble


def test_an_rsa_key_shows_its_own_public_half(worker, box, token: str) -> None:
    box.keypair(token, "rsa:2048", "01")
    box.remove_public(token, "01")
    (key,) = worker.activate(token)
    assert key.unusable is None
    assert signs(worker, key)


def test_a_configured_key_for_the_only_one_without(worker, box, token: str, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    other = ec.generate_private_key(ec.SECP384R1())
    box.import_object(token, "privkey", write_private(key, tmp_path / "key"), "01", "imported")
    box.keypair(token, "EC:prime256v1", "02", "complete")
    worker.activate(token)
    keys = {one.label: one for one in worker.find(spki(key), spki(other))}
    assert keys["imported"].public_key == spki(key)
    assert keys["imported"].unusable is None
    assert signs(worker, keys["imported"])


def test_a_wrong_configured_key_gives_out_no_signature(worker, box, token: str) -> None:
    box.keypair(token, "EC:prime256v1", "01")
    box.remove_public(token, "01")
    worker.activate(token)
    (key,) = worker.find(spki(ec.generate_private_key(ec.SECP256R1())))
    assert not signs(worker, key)


def test_two_configured_keys_for_one_are_not_guessed_at(worker, box, token: str) -> None:
    box.keypair(token, "EC:prime256v1", "01")
    box.remove_public(token, "01")
    worker.activate(token)
    (key,) = worker.find(*(spki(ec.generate_private_key(ec.SECP256R1())) for _ in range(2)))
    assert (key.unusable, key.public_key) == (Reason.KEY_AMBIGUOUS, None)


def test_a_configured_key_that_is_none(worker, box, token: str) -> None:
    worker.activate(token)
    failed = worker.ask(wire.FindKeys(worker.number(), (b"no key",)))
    assert isinstance(failed, wire.Failed)
    assert failed.reason is Reason.FIELD_INVALID


def test_certificates_give_the_key_and_its_chain(start, box, token: str, tmp_path: Path) -> None:
    root, middle = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    box.keypair(token, "EC:prime256v1", "01", "seal")
    first = start()
    (before,) = first.activate(token)
    public = load_der_public_key(before.public_key)
    made = {
        "seal": certificate("seal", public, "middle", middle),
        "middle": certificate("middle", middle.public_key(), "root", root, ca=True),
        "root": certificate("root", root.public_key(), "root", root, ca=True),
        "stranger": certificate("root", middle.public_key(), "root", middle, ca=True),
    }
    for number, (name, one) in enumerate(made.items(), start=1):
        cka_id = f"{number:02x}"
        box.import_object(token, "cert", write_certificate(one, tmp_path / name), cka_id, name)
    box.remove_public(token, "01")
    worker = start()
    worker.load()
    worker.open(token)
    (shown,) = worker.find()  # nobody is logged in: the certificate shows the key, issuers are no keys
    assert (shown.label, shown.public_key, shown.unusable) == ("seal", before.public_key, None)
    worker.login()
    (key,) = worker.find()
    assert key.public_key == before.public_key
    assert key.certificates == tuple(
        made[name].public_bytes(Encoding.DER) for name in ("seal", "middle", "root")
    )
    assert signs(worker, key)


def test_odd_certificates_are_left_out_and_said(
    worker, box, token: str, odd_certificates: dict[str, bytes]
) -> None:
    write = """
import sys, pkcs11
from pkcs11.constants import Attribute
session = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2]).open(rw=True, user_pin="1234")
for label, value in zip(sys.argv[3::2], sys.argv[4::2]):
    session.create_object({
        Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE, Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
        Attribute.TOKEN: True, Attribute.PRIVATE: False, Attribute.LABEL: label, Attribute.ID: b"1",
        Attribute.SUBJECT: b"", Attribute.VALUE: bytes.fromhex(value),
    })
"""
    box.keypair(token, "EC:prime256v1", "01", "seal")
    odd = {what: der.hex() for what, der in odd_certificates.items()}
    box.python(write, box.module, token, *(word for pair in odd.items() for word in pair))
    worker.load()
    worker.open(token)
    assert [key.label for key in worker.find()] == ["seal"]
    worker.login()
    (key,) = worker.find()
    assert (key.unusable, key.certificates) == (None, ())
    assert signs(worker, key)
    worker.control.close()
    code, _, err = worker.ended()
    said = [json.loads(line) for line in err.splitlines()]
    assert (code, {line["event"] for line in said}) == (wire.Exit.DONE, {"certificate left out"})
    assert {line["label"] for line in said} == set(odd)
    assert all(line["why"] and line["cka_id"] == "31" for line in said)


def test_a_key_that_may_not_sign(worker, box, token: str) -> None:
    decrypt_only = """
import sys, pkcs11
from pkcs11.constants import Attribute
session = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2]).open(rw=True, user_pin="1234")
template = {Attribute.SIGN: False, Attribute.DECRYPT: True}
session.generate_keypair(pkcs11.KeyType.RSA, 2048, store=True, id=b"1", private_template=template)
"""
    box.python(decrypt_only, box.module, token)
    (key,) = worker.activate(token)
    assert key.unusable is Reason.KEY_UNUSABLE
    assert "CKA_SIGN" in key.trouble


def test_a_key_of_a_size_segel_does_not_use(worker, box, token: str) -> None:
    box.keypair(token, "rsa:1024", "01")
    (key,) = worker.activate(token)
    assert (key.unusable, key.kind) == (Reason.KEY_UNUSABLE, None)


def test_a_key_that_wants_its_pin_each_time_is_reported_and_asks_for_it(worker, box, token: str) -> None:
    box.tool(
        token,
        *("--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "careful", "--always-auth"),
    )
    (key,) = worker.activate(token)
    assert key.always_authenticate
    request = worker.sign_request(key.public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),))
    worker.tell(request)
    worker.hear_reaffirm()
    worker.deny()
    assert worker.hear().outcomes == (
        wire.ItemFailed(Reason.TOKEN_NOT_ACTIVE, 0, wire.Remedy.LOCK, certain=True),
    )
