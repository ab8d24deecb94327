"""A real worker signs with each kind of key and each algorithm; others than the worker verify."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind, algorithms_for
from segeld.model.faults import Reason

HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
KEYS = {
    "01": "rsa:2048",
    "02": "rsa:3072",
    "03": "EC:prime256v1",
    "04": "EC:secp384r1",
    "05": "EC:secp521r1",
    "06": "EC:edwards25519",
}


@pytest.fixture(scope="module")
def token(box) -> str:
    box.token("all-kinds")
    for cka_id, kind in KEYS.items():
        box.keypair("all-kinds", kind, cka_id, label=f"key {kind}")
    return "all-kinds"


def verify(public_key: bytes, algorithm: Algorithm, signature: bytes, data: bytes) -> None:
    key = load_der_public_key(public_key)
    used = HASHES.get(algorithm.hash_name or "")
    match algorithm.scheme:
        case "ed25519":
            assert isinstance(key, ed25519.Ed25519PublicKey)
            key.verify(signature, data)
        case "ecdsa":
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, data, ec.ECDSA(Prehashed(used)))
        case "rsa-pkcs1":
            assert isinstance(key, rsa.RSAPublicKey)
            key.verify(signature, data, padding.PKCS1v15(), Prehashed(used))
        case "rsa-pss":
            assert isinstance(key, rsa.RSAPublicKey)
            pss = padding.PSS(padding.MGF1(used), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, data, pss, Prehashed(used))


def some_inputs(algorithm: Algorithm, count: int = 4) -> tuple[bytes, ...]:
    return tuple(os.urandom(algorithm.digest_size or 100) for _ in range(count))


def test_every_kind_and_every_algorithm(worker, token: str) -> None:
    keys = worker.activate(token)
    assert {key.kind for key in keys} == set(KeyKind) - {KeyKind.RSA_4096}
    tried = set()
    for key in keys:
        assert (key.unusable, key.trouble, key.always_authenticate) == (None, "", False)
        for algorithm in algorithms_for(key.kind):
            inputs = some_inputs(algorithm)
            signed = worker.ask(worker.sign_request(key.public_key, algorithm, inputs))
            assert isinstance(signed, wire.Signed)
            assert signed.device_ns > 0
            for data, signature in zip(inputs, signed.outcomes, strict=True):
                assert isinstance(signature, bytes), signature
                verify(key.public_key, algorithm, signature, data)
            tried.add(algorithm)
    assert tried == set(Algorithm)


def test_p1363_is_r_and_s_side_by_side(worker, token: str) -> None:
    key = next(key for key in worker.activate(token) if key.kind is KeyKind.P_521)
    inputs = some_inputs(Algorithm.ECDSA_P521_SHA512)
    request = worker.sign_request(
        key.public_key, Algorithm.ECDSA_P521_SHA512, inputs, encoding=EcdsaEncoding.P1363
    )
    for data, raw in zip(inputs, worker.ask(request).outcomes, strict=True):
        assert len(raw) == 132
        der = encode_dss_signature(int.from_bytes(raw[:66]), int.from_bytes(raw[66:]))
        verify(key.public_key, Algorithm.ECDSA_P521_SHA512, der, data)


def test_openssl_verifies_a_file(worker, token: str, tmp_path: Path) -> None:
    key = next(key for key in worker.activate(token) if key.kind is KeyKind.RSA_2048)
    letter = tmp_path / "letter"
    letter.write_bytes(b"surat keputusan nomor 17")
    digest = hashlib.sha256(letter.read_bytes()).digest()
    signed = worker.ask(worker.sign_request(key.public_key, Algorithm.RSA_PKCS1_SHA256, (digest,)))
    (tmp_path / "signature").write_bytes(signed.outcomes[0])
    pem = load_der_public_key(key.public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    command = ("openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "letter")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "Verified OK\n", done.stderr


def test_what_cannot_be_signed_is_an_answer_for_each_item(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token)}
    rsa_key, ec_key = keys[KeyKind.RSA_2048].public_key, keys[KeyKind.P_256].public_key
    pkcs1, ecdsa = Algorithm.RSA_PKCS1_SHA256, Algorithm.ECDSA_P256_SHA256
    digest, short = bytes(32), bytes(20)
    late = worker.sign_request(ec_key, ecdsa, (digest, digest), deadline=1)
    unknown = worker.sign_request(b"no key", ecdsa, (digest,))
    number = wire.Sign(worker.number(), late.key, 99, EcdsaEncoding.DER, False, (1,), (digest,))
    for request, reason in (
        (worker.sign_request(rsa_key, ecdsa, (digest, digest)), Reason.ALGORITHM_NOT_SUPPORTED),
        (worker.sign_request(rsa_key, pkcs1, (short,)), Reason.DIGEST_LENGTH),
        (late, Reason.DEADLINE_PASSED),
        (unknown, Reason.KEY_NOT_FOUND),
        (number, Reason.ALGORITHM_UNKNOWN),
    ):
        expected = wire.ItemFailed(reason, 0, wire.Remedy.ITEM, certain=True)
        assert worker.ask(request).outcomes == (expected,) * len(request.inputs)
    assert isinstance(worker.ask(worker.sign_request(ec_key, ecdsa, (digest,))).outcomes[0], bytes)


def test_an_urgent_frame_overtakes_a_bulk_chunk(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token)}
    bulk = worker.sign_request(
        keys[KeyKind.RSA_2048].public_key, Algorithm.RSA_PKCS1_SHA256, (bytes(32),) * 250
    )
    more = worker.sign_request(
        keys[KeyKind.RSA_2048].public_key, Algorithm.RSA_PKCS1_SHA256, (bytes(32),) * 2
    )
    urgent = worker.sign_request(
        keys[KeyKind.P_256].public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),), urgent=True
    )
    for request in (bulk, more, urgent):
        worker.tell(request)
    answers = [worker.hear() for _ in range(3)]
    assert [answer.id for answer in answers] == [urgent.id, bulk.id, more.id]
    assert all(isinstance(outcome, bytes) for answer in answers for outcome in answer.outcomes)


def test_two_sessions_share_the_work_and_every_signature_verifies(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token, sessions=2)}
    requests = {}
    for turn in range(16):
        kind = (KeyKind.RSA_2048, KeyKind.P_256, KeyKind.ED25519, KeyKind.P_384)[turn % 4]
        algorithm = algorithms_for(kind)[0]
        inputs = some_inputs(algorithm, 40)
        request = worker.sign_request(keys[kind].public_key, algorithm, inputs, urgent=turn % 5 == 0)
        requests[request.id] = (request, keys[kind].public_key, algorithm)
        worker.tell(request)
    for _ in range(len(requests)):
        answer = worker.hear()
        request, public_key, algorithm = requests.pop(answer.id)
        for data, signature in zip(request.inputs, answer.outcomes, strict=True):
            assert isinstance(signature, bytes), signature
            verify(public_key, algorithm, signature, data)
    assert not requests


def test_keys_can_be_looked_for_again_in_the_middle_of_a_chunk(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token)}
    bulk = worker.sign_request(
        keys[KeyKind.RSA_2048].public_key, Algorithm.RSA_PKCS1_SHA256, (bytes(32),) * 100
    )
    find = wire.FindKeys(worker.number())
    worker.tell(bulk)
    worker.tell(find)
    first, second = worker.hear(), worker.hear()
    assert (first.id, second.id) == (find.id, bulk.id)
    assert len(first.keys) == len(KEYS)
    assert all(isinstance(outcome, bytes) for outcome in second.outcomes)
