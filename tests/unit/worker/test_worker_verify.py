"""Checks of signatures: good ones come out in the encoding asked for, all others come out as None."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.worker.verify import check_for, der_of

DIGEST = hashlib.sha256(b"surat").digest()


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1))
def test_der_holds_r_and_s(r: int, s: int) -> None:
    assert decode_dss_signature(der_of(r.to_bytes(32) + s.to_bytes(32))) == (r, s)


@given(st.integers(1, 2**521 - 1), st.integers(1, 2**521 - 1))
def test_der_of_the_longest_curve(r: int, s: int) -> None:
    assert decode_dss_signature(der_of(r.to_bytes(66) + s.to_bytes(66))) == (r, s)


@pytest.mark.parametrize(
    ("curve", "algorithm", "used"),
    [
        (ec.SECP256R1(), Algorithm.ECDSA_P256_SHA256, hashes.SHA256()),
        (ec.SECP384R1(), Algorithm.ECDSA_P384_SHA384, hashes.SHA384()),
        (ec.SECP521R1(), Algorithm.ECDSA_P521_SHA512, hashes.SHA512()),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_ecdsa_in_both_encodings(
    curve: ec.EllipticCurve, algorithm: Algorithm, used: hashes.HashAlgorithm
) -> None:
    key = ec.generate_private_key(curve)
    digest = hashlib.new(algorithm.hash_name, b"surat").digest()
    der = key.sign(digest, ec.ECDSA(Prehashed(used)))
    half = (curve.key_size + 7) // 8
    raw = b"".join(number.to_bytes(half) for number in decode_dss_signature(der))
    assert check_for(key.public_key(), algorithm, EcdsaEncoding.DER)(raw, digest) == der
    assert check_for(key.public_key(), algorithm, EcdsaEncoding.P1363)(raw, digest) == raw


def test_ecdsa_of_another_length_is_no_signature() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.sign(DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    check = check_for(key.public_key(), Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
    assert check(der, DIGEST) is None
    assert check(b"", DIGEST) is None
    assert check(bytes(64), DIGEST) is None
    assert check(b"\xff" * 64, DIGEST) is None


def test_rsa_is_checked_under_the_declared_hash_and_padding() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pkcs1 = key.sign(DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    pss = key.sign(DIGEST, padding.PSS(padding.MGF1(hashes.SHA256()), 32), Prehashed(hashes.SHA256()))
    short = key.sign(DIGEST, padding.PSS(padding.MGF1(hashes.SHA256()), 20), Prehashed(hashes.SHA256()))
    check_pkcs1 = check_for(key.public_key(), Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)
    check_pss = check_for(key.public_key(), Algorithm.RSA_PSS_SHA256, EcdsaEncoding.DER)
    assert check_pkcs1(pkcs1, DIGEST) == pkcs1
    assert check_pss(pss, DIGEST) == pss
    assert check_pkcs1(pss, DIGEST) is None
    assert check_pss(pkcs1, DIGEST) is None
    assert check_pss(short, DIGEST) is None
    assert check_pkcs1(b"", DIGEST) is None


def test_ed25519_is_over_the_message_itself() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    check = check_for(key.public_key(), Algorithm.ED25519, EcdsaEncoding.DER)
    signature = key.sign(b"surat")
    assert check(signature, b"surat") == signature
    assert check(signature, b"Surat") is None
    assert check(b"", b"surat") is None


def test_an_algorithm_of_another_kind_is_a_mistake() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    with pytest.raises(TypeError):
        check_for(key, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)
