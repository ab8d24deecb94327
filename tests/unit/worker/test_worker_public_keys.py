"""From the forms in which tokens keep public keys to one SubjectPublicKeyInfo."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from segeld.model.algorithm import KeyKind
from segeld.worker import public_keys
from segeld.worker.public_keys import NotAKey, PublicKey

P256 = bytes.fromhex("06082a8648ce3d030107")
CURVES = {
    KeyKind.P_256: (ec.SECP256R1(), P256),
    KeyKind.P_384: (ec.SECP384R1(), bytes.fromhex("06052b81040022")),
    KeyKind.P_521: (ec.SECP521R1(), bytes.fromhex("06052b81040023")),
}


def spki(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def der(tag: int, content: bytes) -> bytes:
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


@pytest.mark.parametrize("kind", list(CURVES))
def test_points_in_every_wrapping_give_one_key(kind: KeyKind) -> None:
    curve, parameters = CURVES[kind]
    key = ec.generate_private_key(curve).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    for encoded in (point, der(4, point), der(3, b"\0" + point)):
        assert public_keys.to_spki(public_keys.from_point(kind, encoded)) == spki(key)
    assert public_keys.kind_of_parameters(public_keys.CKK_EC, parameters) is kind
    assert public_keys.kind_of(key) is kind
    assert public_keys.key_type(key) == public_keys.CKK_EC


@pytest.mark.parametrize(
    "parameters", [bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519"], ids=["oid", "name"]
)
def test_ed25519_in_both_forms(parameters: bytes) -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    point = key.public_bytes_raw()
    kind = public_keys.kind_of_parameters(public_keys.CKK_EC_EDWARDS, parameters)
    assert kind is KeyKind.ED25519
    for encoded in (point, der(4, point)):
        assert public_keys.to_spki(public_keys.from_point(kind, encoded)) == spki(key)


def test_a_curve_under_the_wrong_key_type_is_not_known() -> None:
    assert public_keys.kind_of_parameters(public_keys.CKK_EC_EDWARDS, P256) is None
    assert public_keys.kind_of_parameters(public_keys.CKK_EC, b"\x13\x0cedwards25519") is None
    assert public_keys.kind_of_parameters(public_keys.CKK_EC, b"") is None


@pytest.mark.parametrize("padding", [b"", b"\0"], ids=["bare", "signed"])
def test_rsa_numbers(padding: bytes) -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    modulus = padding + key.public_numbers().n.to_bytes(256)
    assert public_keys.to_spki(public_keys.from_rsa(modulus, b"\1\0\1")) == spki(key)
    assert public_keys.kind_of_modulus(modulus) is KeyKind.RSA_2048
    assert public_keys.key_type(key) == public_keys.CKK_RSA


def test_a_size_that_segel_does_not_sign_with_has_no_kind() -> None:
    key = rsa.generate_private_key(65537, 1024).public_key()
    assert public_keys.kind_of(key) is None
    assert public_keys.kind_of_modulus(key.public_numbers().n.to_bytes(128)) is None
    assert public_keys.kind_of(ec.generate_private_key(ec.SECP256K1()).public_key()) is None


@given(st.binary(max_size=200), st.sampled_from(list(CURVES)))
def test_octets_that_are_no_point_are_refused(octets: bytes, kind: KeyKind) -> None:
    with pytest.raises(NotAKey):
        public_keys.from_point(kind, octets)


@given(st.binary(max_size=100))
def test_octets_that_are_no_spki_are_refused(octets: bytes) -> None:
    with pytest.raises(NotAKey):
        public_keys.from_spki(octets)


def test_empty_rsa_attributes_are_refused() -> None:
    with pytest.raises(NotAKey):
        public_keys.from_rsa(b"", b"")


def test_a_key_of_another_kind_is_refused() -> None:
    key = dsa.generate_private_key(2048).public_key()
    with pytest.raises(NotAKey, match="another kind"):
        public_keys.from_spki(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
