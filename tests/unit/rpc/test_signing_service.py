"""What callers are answered."""

import hashlib

from segel.v1 import resources_pb2, signing_pb2

P256 = resources_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
DIGEST = hashlib.sha256(b"letter").digest()


def request(key, *digests, **fields):
    fields.setdefault("algorithm", P256)
    inputs = [signing_pb2.SignInput(id=f"n{n}", digest=d) for n, d in enumerate(digests)]
    return signing_pb2.SignRequest(key=str(key), inputs=inputs, **fields)


async def test_a_caller_learns_who_it_is(daemon):
    await daemon.start()
    answer = await daemon.signing().WhoAmI(signing_pb2.WhoAmIRequest())
    assert (answer.caller, answer.role, answer.identity) == (
        "backoffice",
        "caller",
        "uri:spiffe://example/backoffice",
    )


async def test_digests_are_signed_in_order(daemon):
    await daemon.start()
    answer = await daemon.signing().Sign(request(daemon.mine.name, DIGEST, DIGEST[::-1]))
    assert answer.key == str(daemon.mine.name)
    assert [r.id for r in answer.results] == ["n0", "n1"]
    assert [r.signature for r in answer.results] == [
        hashlib.sha256(d).digest() for d in (DIGEST, DIGEST[::-1])
    ]
