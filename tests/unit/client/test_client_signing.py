"""Signing over one stream, when nothing is in the way."""

import asyncio
import hashlib

import pytest

import segel
from segel import errors
from segel.v1 import resources_pb2


def digests(count):
    return [hashlib.sha256(str(number).encode()).digest() for number in range(count)]


async def test_whoami(client):
    me = await client.whoami()
    assert (me.caller, me.role, me.daemon_version) == ("backoffice", "caller", "1.2.3")
    assert me.identity == "uri:spiffe://test/backoffice"


async def test_keys_follows_pages(client, daemon, kit):
    for number in range(5):
        daemon.keys[f"keys/k{number}"] = kit.a_key(f"keys/k{number}")
    keys = await client.keys()
    assert [key.name for key in keys][2:] == [f"keys/k{number}" for number in range(5)]
    assert daemon.calls.count("ListKeys") == 4


async def test_a_missing_key_says_its_name_in_the_facts(client):
    with pytest.raises(errors.KeyNotFound) as caught:
        await client.key("keys/none")
    assert caught.value.reason == "KEY_NOT_FOUND"
    assert caught.value.facts == {"key": "keys/none"}


async def test_a_signer_keeps_to_the_immutable_key(signer, daemon, kit):
    assert signer.key.name == kit.NAME
    assert signer.certificate_chain == (b"leaf", b"root")
    assert signer.algorithm is segel.Algorithm.ECDSA_P256_SHA256
    digest = digests(1)[0]
    assert await signer.sign_digest(digest) == b"sig:" + digest
    assert daemon.batches[0].batch.key == kit.NAME
    assert daemon.batches[0].batch.ecdsa_encoding == resources_pb2.ECDSA_ENCODING_DER


async def test_a_signer_takes_names_of_jose_and_another_encoding(client, daemon):
    signer = await client.signer("keys/seal", algorithm="ES256", ecdsa="p1363")
    await signer.sign_message(b"text")
    assert daemon.batches[0].batch.ecdsa_encoding == resources_pb2.ECDSA_ENCODING_P1363


async def test_a_signer_refuses_what_the_key_cannot(client, daemon, kit):
    with pytest.raises(errors.BadRequest, match="offers ECDSA_P256_SHA256"):
        await client.signer("keys/seal", algorithm="RS256")
    with pytest.raises(ValueError, match="no algorithm"):
        await client.signer("keys/seal", algorithm="MD5")
    with pytest.raises(ValueError, match="p1363"):
        await client.signer("keys/seal", ecdsa="hex")
    with pytest.raises(errors.SettingsInvalid, match="SEGEL_KEY"):
        await client.signer()
    dead = kit.a_key("keys/dead")
    dead.ClearField("algorithms")
    dead.state_reason = "Two objects have this key. Ask an officer."
    daemon.keys["keys/dead"] = dead
    with pytest.raises(errors.KeyNotUsable, match="Two objects"):
        await client.signer("keys/dead")


async def test_concurrent_singles_share_few_messages_and_keep_their_order(signer, daemon):
    wanted = digests(64)
    signatures = await asyncio.gather(*map(signer.sign_digest, wanted))
    assert signatures == [b"sig:" + digest for digest in wanted]
    assert len(daemon.batches) == 1
    assert daemon.streams == 1


async def test_what_queues_while_the_daemon_is_busy_goes_out_together(signer, daemon, kit):
    """With room for one input, the second message holds what waited meanwhile."""
    daemon.limits = (8, 1024)
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return kit.signed(request)

    daemon.answer = answer
    wanted = digests(20)
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(signer.sign_digest(digest)) for digest in wanted]
        await daemon.has_batches(1)
        release.set()
    assert [call.result() for call in calls] == [b"sig:" + digest for digest in wanted]
    assert [len(batch.batch.inputs) for batch in daemon.batches] == [8, 8, 4]


async def test_two_signers_of_a_client_share_a_stream_but_no_batch(client, daemon):
    der = await client.signer("keys/seal")
    jose = await client.signer("keys/seal", ecdsa="p1363")
    digest = digests(1)[0]
    await asyncio.gather(*(one.sign_digest(digest) for one in (der, jose, der, jose)))
    assert daemon.streams == 1
    assert [len(batch.batch.inputs) for batch in daemon.batches] == [2, 2]


async def test_the_timeout_travels_with_the_batch(signer, daemon):
    await signer.sign_digest(digests(1)[0], timeout=5)
    timeout = daemon.batches[0].timeout
    assert 4.5 < timeout.seconds + timeout.nanos / 1e9 < 5


async def test_messages_are_hashed_here(signer, daemon):
    for message in (b"short", b"x" * 1_000_000):
        digest = hashlib.sha256(message).digest()
        assert await signer.sign_message(message) == b"sig:" + digest
        assert daemon.batches[-1].batch.inputs[0].digest == digest


async def test_ed25519_sends_the_message(client, daemon, kit):
    daemon.keys["keys/ed"] = kit.a_key("keys/ed", resources_pb2.SIGNATURE_ALGORITHM_ED25519)
    signer = await client.signer("keys/ed")
    assert await signer.sign_message(b"text") == b"sig:text"
    assert daemon.batches[0].batch.inputs[0].message == b"text"
    with pytest.raises(errors.BadRequest, match=r"Use sign_message\."):
        await signer.sign_digest(digests(1)[0])
    with pytest.raises(errors.BadRequest) as caught:
        await signer.sign_message(b"x" * 65_537)
    assert caught.value.reason == "MESSAGE_TOO_LONG"
    [failure] = await signer.sign_digests(digests(1))
    assert failure.error.reason == "INPUT_KIND"


async def test_long_messages_are_cut_and_held_back_by_their_size(client, daemon, kit):
    daemon.keys["keys/ed"] = kit.a_key("keys/ed", resources_pb2.SIGNATURE_ALGORITHM_ED25519)
    signer = await client.signer("keys/ed")
    octets = most = 0
    full = asyncio.Event()

    async def answer(request):
        nonlocal octets, most
        octets += request.ByteSize()
        most = max(most, octets)
        if octets > 5_000_000:
            full.set()
        await full.wait()
        octets -= request.ByteSize()
        return kit.signed(request)

    daemon.answer = answer
    await asyncio.gather(*(signer.sign_message(bytes([number]) * 65_536) for number in range(150)))
    assert max(batch.ByteSize() for batch in daemon.batches) < 900_000
    assert most < 8 * 1024 * 1024


async def test_a_digest_of_the_wrong_length_is_not_sent(signer, daemon):
    with pytest.raises(errors.BadRequest, match="31 octets") as caught:
        await signer.sign_digest(b"x" * 31)
    assert caught.value.reason == "DIGEST_LENGTH"
    assert not daemon.batches


async def test_many_digests_come_back_in_order(signer, daemon):
    wanted = digests(5_500)
    results = await signer.sign_digests(iter(wanted))
    assert results == [segel.Signature(b"sig:" + digest) for digest in wanted]
    assert len(daemon.batches) == 6
    assert bytes(results[0]) == results[0].value


async def test_no_digests_are_no_message(signer, daemon):
    assert await signer.sign_digests([]) == []
    assert daemon.streams == 0


async def test_ids_come_back_with_what_became_of_them(signer, daemon):
    one, two = digests(2)

    async def items():
        yield "letter-1", one
        yield b"short"
        yield "letter-2", two

    first, wrong, second = await signer.sign_digests(items())
    assert (first, second) == (
        segel.Signature(b"sig:" + one, "letter-1"),
        segel.Signature(b"sig:" + two, "letter-2"),
    )
    assert isinstance(wrong, segel.Failure)
    assert wrong.error.reason == "DIGEST_LENGTH"
    assert [item.id for item in daemon.batches[0].batch.inputs] == ["letter-1", "letter-2"]


async def test_what_is_no_digest_is_refused_loudly(signer):
    with pytest.raises(TypeError, match="str"):
        await signer.sign_digests(["text"])
    with pytest.raises(ValueError, match="128"):
        await signer.sign_digests([("x" * 129, digests(1)[0])])


async def test_items_fail_alone(signer, daemon, kit):
    wanted = digests(3)

    async def answer(request):
        answer = kit.signed(request)
        answer.response.results[1].error.CopyFrom(
            kit.status("FAILED_PRECONDITION", "TOKEN_LOCKED", "The token is locked", token="tokens/seal")
        )
        return answer

    daemon.answer = answer
    results = await signer.sign_digests(wanted)
    assert isinstance(results[0], segel.Signature)
    assert isinstance(results[2], segel.Signature)
    assert isinstance(results[1].error, errors.TokenLocked)
    singles = await asyncio.gather(*map(signer.sign_digest, wanted), return_exceptions=True)
    assert [type(one) for one in singles] == [bytes, errors.TokenLocked, bytes]
    assert singles[1].facts == {"token": "tokens/seal"}


async def test_limits_of_the_daemon_are_kept(signer, daemon, kit):
    daemon.limits = (100, 30)
    in_flight = most = 0

    async def answer(request):
        nonlocal in_flight, most
        in_flight += len(request.inputs)
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= len(request.inputs)
        return kit.signed(request)

    daemon.answer = answer
    wanted = digests(500)
    results, *singles = await asyncio.gather(
        signer.sign_digests(wanted), *map(signer.sign_digest, wanted[:70])
    )
    assert [one.value for one in results] == [b"sig:" + digest for digest in wanted]
    assert singles == [b"sig:" + digest for digest in wanted[:70]]
    assert most <= 100
    assert max(len(batch.batch.inputs) for batch in daemon.batches) == 30


async def test_a_single_call_does_not_wait_behind_bulk(signer, daemon, kit):
    """Bulk has filled what it may, and the daemon answers none of it: a single call still goes through."""
    daemon.limits = (100, 1024)
    release = asyncio.Event()

    async def answer(request):
        if len(request.inputs) > 1:
            await release.wait()
        return kit.signed(request)

    daemon.answer = answer
    wanted = digests(300)
    async with asyncio.TaskGroup() as tasks:
        bulk = tasks.create_task(signer.sign_digests(wanted))
        await daemon.has_batches(2)
        assert await signer.sign_digest(wanted[0]) == b"sig:" + wanted[0]
        assert not bulk.done()
        release.set()
    assert len(bulk.result()) == 300


async def test_a_batch_with_too_few_results_is_the_daemons_fault(signer, daemon, kit):
    async def answer(request):
        answer = kit.signed(request)
        del answer.response.results[0]
        return answer

    daemon.answer = answer
    with pytest.raises(errors.DaemonError, match="0 results for 1"):
        await signer.sign_digest(digests(1)[0])


async def test_the_text_of_a_digest_is_no_digest(signer):
    text = "a" * signer.algorithm.digest_size
    for call in (signer.sign_digest, signer.sign_message):
        with pytest.raises(TypeError, match="is bytes, not str"):
            await call(text)
    for digests in (text, [text], [("id", text)]):
        with pytest.raises(TypeError, match="a digest is bytes, not str"):
            await signer.sign_digests(digests)
    with pytest.raises(TypeError, match="an id is a str, not int"):
        await signer.sign_digests([(1, bytes(32))])
    with pytest.raises(TypeError, match="a message is bytes, not str"):
        signer.digest(text)


async def test_algorithms_are_named_by_text(client):
    with pytest.raises(TypeError, match="named by a str, not int"):
        await client.signer("keys/seal", algorithm=256)
    with pytest.raises(ValueError, match="'XX' is no algorithm"):
        await client.signer("keys/seal", algorithm="XX")
