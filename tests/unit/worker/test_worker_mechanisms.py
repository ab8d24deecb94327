"""What the token is given to sign is what `cryptography` expects of that algorithm."""

import ctypes
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from segeld.model.algorithm import Algorithm, KeyKind
from segeld.worker import mechanisms
from segeld.worker.cryptoki import PssParams

PKCS1 = [algorithm for algorithm in Algorithm if algorithm.scheme == "rsa-pkcs1"]
PSS = [algorithm for algorithm in Algorithm if algorithm.scheme == "rsa-pss"]
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("algorithm", PKCS1, ids=lambda algorithm: algorithm.name)
def test_digest_info_verifies_under_the_declared_hash(
    algorithm: Algorithm, rsa_key: rsa.RSAPrivateKey
) -> None:
    """CKM_RSA_PKCS pads what it gets and exponentiates; done by hand here, with our DigestInfo."""
    message = b"surat keputusan"
    info = mechanisms.prefix(algorithm) + hashlib.new(algorithm.hash_name, message).digest()
    numbers = rsa_key.private_numbers()
    size = 256
    block = b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
    signature = pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(size)
    rsa_key.public_key().verify(signature, message, padding.PKCS1v15(), HASHES[algorithm.hash_name])


@pytest.mark.parametrize("algorithm", [a for a in Algorithm if a not in PKCS1], ids=lambda a: a.name)
def test_only_pkcs1_puts_octets_before_the_digest(algorithm: Algorithm) -> None:
    assert mechanisms.prefix(algorithm) == b""


@pytest.mark.parametrize("algorithm", PSS, ids=lambda algorithm: algorithm.name)
def test_pss_salt_is_as_long_as_the_digest(algorithm: Algorithm) -> None:
    made = mechanisms.mechanism(algorithm)
    parameters = PssParams.from_address(made.parameter)
    assert made.parameter_length == ctypes.sizeof(PssParams) == 3 * ctypes.sizeof(ctypes.c_ulong)
    assert parameters.salt_length == algorithm.digest_size


@pytest.mark.parametrize("algorithm", list(Algorithm), ids=lambda algorithm: algorithm.name)
def test_no_mechanism_hashes_on_the_token_or_signs_unpadded(algorithm: Algorithm) -> None:
    assert mechanisms.mechanism(algorithm).type in {0x1, 0xD, 0x1041, 0x1057}


@pytest.mark.parametrize("kind", list(KeyKind))
def test_every_kind_has_a_signature_size(kind: KeyKind) -> None:
    assert 64 <= mechanisms.signature_size(kind) <= 512
