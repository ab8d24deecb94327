"""Uploads: whatever breaks, the daemon has exactly the items that were given, once."""

import asyncio
import hashlib

import pytest
from fake_jobs import hang_up, refusal, refuse

import segel
from segel import errors
from segel._source import ROOM, Source
from segel.v1 import jobs_pb2

KEY = "keys/seal"


@pytest.fixture(autouse=True)
def small_pieces(request, monkeypatch):
    """Two blocks in a message, so that few items are many appends."""
    if "full_size" not in request.keywords:
        monkeypatch.setattr("segel._source.ROOM", 2 * 256 * 36)


def digests(count: int, salt: str = "") -> list[bytes]:
    return [hashlib.sha256(f"{salt}{at}".encode()).digest() for at in range(count)]


def there(daemon) -> list[bytes]:
    return [item.digest for item in daemon.jobs.only.items]


async def asynchronous(items):
    for item in items:
        yield item


@pytest.mark.parametrize("count", [1, 255, 256, 512, 513, 2000])
@pytest.mark.parametrize("kind", [list, iter, asynchronous])
async def test_any_row_arrives_in_order(count, kind, daemon, client):
    seen = []
    job = await client.jobs.create(KEY, kind(digests(count)), progress=seen.append)
    assert there(daemon) == digests(count)
    assert job.info.state is segel.JobState.SUCCEEDED
    assert job.info.key == "keys/sha256-" + "ab" * 32
    assert seen == sorted(seen)
    assert seen[-1] == count
    assert all(size <= 1024 * 1024 for size in daemon.jobs.sizes)


async def test_a_small_job_is_one_call(daemon, client):
    await client.jobs.create(KEY, digests(5))
    assert daemon.jobs.calls == ["CreateJob"]


async def test_everything_that_was_said_of_it(daemon, client):
    import datetime as dt

    job = await client.jobs.create(
        KEY,
        digests(2),
        request_id="r-1",
        priority="low",
        ecdsa="p1363",
        labels={"batch": "july"},
        deadline=dt.datetime(2030, 1, 2, tzinfo=dt.UTC),
        retention=dt.timedelta(days=2),
        ids=["a", "b"],
    )
    info = job.info
    assert (info.request_id, info.priority, info.ecdsa, info.labels) == (
        "r-1",
        "low",
        "p1363",
        {"batch": "july"},
    )
    assert info.deadline == dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
    assert daemon.jobs.only.create.retention.seconds == 2 * 86400
    assert [item.id for item in daemon.jobs.only.items] == ["a", "b"]


@pytest.mark.parametrize("broken", range(1, 6))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_append_that_breaks_is_sent_again(broken, when, daemon, client):
    async def hook(name, count, context):
        if name == "AppendItems" and count == broken:
            await hang_up(context)

    setattr(daemon.jobs, when, hook)
    await client.jobs.create(KEY, iter(digests(2100)))
    assert there(daemon) == digests(2100)


@pytest.mark.parametrize("name", ["CreateJob", "SealJob"])
async def test_a_lost_answer_makes_no_second_job(name, daemon, client):
    async def hook(called, count, context):
        if called == name and count == 1:
            await hang_up(context)

    daemon.jobs.after = hook
    await client.jobs.create(KEY, digests(600))
    assert there(daemon) == digests(600)


async def test_the_daemon_is_restarted(daemon, client):
    async def hook(name, count, context):
        if name == "AppendItems" and count == 2:
            daemon.jobs.after = None
            restarting.append(asyncio.create_task(restart()))
            await asyncio.Event().wait()

    async def restart():
        await daemon.stop()
        daemon.jobs.after = nothing
        await daemon.start()

    nothing = daemon.jobs.after
    restarting = []
    daemon.jobs.after = hook
    await client.jobs.create(KEY, digests(2100))
    assert there(daemon) == digests(2100)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RESOURCE_EXHAUSTED", "CALLER_QUOTA"),
        ("UNAVAILABLE", "STORAGE_FULL"),
        ("UNAVAILABLE", "DAEMON_STOPPING"),
    ],
)
async def test_back_pressure_is_waited_out(code, reason, daemon, client):
    async def hook(name, count, context):
        if name == "AppendItems" and count in (2, 3):
            await refuse(context, refusal(code, reason, retry_after=0.01))

    daemon.jobs.before = hook
    await client.jobs.create(KEY, digests(1100))
    assert there(daemon) == digests(1100)


async def test_patience_ends(daemon, client, monkeypatch):
    monkeypatch.setattr("segel._upload.PATIENCE", 0.05)

    async def hook(name, _count, context):
        if name == "AppendItems":
            await refuse(context, refusal("RESOURCE_EXHAUSTED", "QUEUE_FULL", retry_after=1.0))

    daemon.jobs.before = hook
    with pytest.raises(errors.Overloaded):
        await client.jobs.create(KEY, digests(1100))


@pytest.mark.parametrize("killed", range(1, 6))
async def test_killed_and_repeated(killed, daemon, client, tls):
    """The second client goes on where the first one stopped, and sends little of what is there."""
    stopped = asyncio.Event()

    async def hook(name, count, _context):
        if name == "AppendItems" and count == killed:
            stopped.set()
            await asyncio.Event().wait()

    daemon.jobs.before = hook
    first = asyncio.create_task(client.jobs.create(KEY, digests(2100), request_id="r"))
    await stopped.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    daemon.jobs.appends.clear()
    async with segel.Client.connect(daemon.target, tls=tls) as other:
        job = await other.jobs.create(KEY, iter(digests(2100)), request_id="r")
    assert there(daemon) == digests(2100)
    assert job.info.is_sealed
    assert sum(count for _, count in daemon.jobs.appends) <= 2100 - (killed - 1) * 512 + 2 * 512 + 256


async def test_the_same_again_is_the_same_job(daemon, client):
    for count in (5, 1300):
        daemon.jobs.records.clear()
        one = await client.jobs.create(KEY, digests(count), request_id="r")
        two = await client.jobs.create(KEY, digests(count), request_id="r")
        assert one.name == two.name
        assert there(daemon) == digests(count)


@pytest.mark.parametrize("count", [10, 2000])
@pytest.mark.parametrize("closed", [True, False])
async def test_two_at_once_make_one_job(count, closed, daemon, client, tls):
    """They take turns, in whatever order."""
    async with segel.Client.connect(daemon.target, tls=tls) as other:
        jobs = await asyncio.gather(
            client.jobs.create(KEY, digests(count), request_id="r"),
            other.jobs.create(KEY, asynchronous(digests(count)), request_id="r"),
        )
    assert jobs[0].name == jobs[1].name
    assert there(daemon) == digests(count)


async def test_another_process_cut_it_otherwise(daemon, client, monkeypatch):
    """What is there ends in the middle of a piece."""

    async def hook(name, count, context):
        if name == "AppendItems" and count == 2:
            await refuse(context, refusal("INVALID_ARGUMENT", "FIELD_INVALID"))

    monkeypatch.setattr("segel._source.ROOM", 3 * 256 * 36)
    daemon.jobs.before = hook
    with pytest.raises(errors.BadRequest):
        await client.jobs.create(KEY, digests(2100), request_id="r")
    assert len(there(daemon)) == 768
    monkeypatch.setattr("segel._source.ROOM", 2 * 256 * 36)
    await client.jobs.create(KEY, digests(2100), request_id="r")
    assert there(daemon) == digests(2100)


@pytest.mark.parametrize(
    "other",
    [digests(2000, "x"), digests(1999), digests(2001), digests(1990) + digests(10, "x"), digests(3)],
    ids=["all", "fewer", "more", "tail", "few"],
)
async def test_another_content_under_the_same_request_id(other, daemon, client):
    await client.jobs.create(KEY, digests(2000), request_id="r")
    with pytest.raises(errors.IdempotencyMismatch) as caught:
        await client.jobs.create(KEY, other, request_id="r")
    assert caught.value.reason == "IDEMPOTENCY_MISMATCH"
    assert there(daemon) == digests(2000)


async def test_an_alias_that_moved_on_keeps_to_the_key_of_the_first_try(daemon, client, kit):
    await client.jobs.create(KEY, digests(3), request_id="r")
    daemon.keys["keys/sha256-" + "cd" * 32] = daemon.keys[KEY] = kit.a_key("keys/sha256-" + "cd" * 32)
    await client.jobs.create(KEY, digests(3), request_id="r")
    assert daemon.jobs.only.job.key == kit.NAME
    daemon.keys[kit.NAME].ClearField("aliases")
    with pytest.raises(errors.IdempotencyMismatch):
        await client.jobs.create(KEY, digests(3), request_id="r")


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([b"short"], errors.BadRequest),
        ([*digests(1300), b"short"], errors.BadRequest),
        ([*digests(1300), "text"], TypeError),
        ([*digests(1300), ("i" * 129, b"d" * 32)], ValueError),
        ([], errors.BadRequest),
    ],
)
async def test_wrong_items_leave_nothing_behind(items, kind, daemon, client):
    with pytest.raises(kind) as caught:
        await client.jobs.create(KEY, items)
    assert daemon.jobs.records == {}
    if isinstance(caught.value, errors.BadRequest) and len(items) > 1:
        assert caught.value.facts["index"] == "1300"


@pytest.mark.parametrize("kind", [list, asynchronous])
@pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]])
async def test_ids_are_as_many_as_items(kind, ids, daemon, client):
    with pytest.raises(ValueError):
        await client.jobs.create(KEY, kind(digests(2)), ids=ids)
    assert daemon.jobs.records == {}


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 16383, 16384, 65536])
async def test_messages_of_any_length(size, daemon, client, kit, monkeypatch):
    from segel.v1 import resources_pb2

    monkeypatch.setattr("segel._source.ROOM", ROOM)
    daemon.keys[KEY] = kit.a_key(kit.NAME, resources_pb2.SIGNATURE_ALGORITHM_ED25519)
    messages = [bytes([at]) * size for at in range(40)]
    await client.jobs.create(KEY, zip("i" * 40, messages, strict=True))
    assert [item.message for item in daemon.jobs.only.items] == messages
    assert {item.id for item in daemon.jobs.only.items} == {"i"}
    with pytest.raises(errors.BadRequest, match="65536"):
        await client.jobs.create(KEY, [bytes(65_537)])


@pytest.mark.parametrize("size", [32, 48, 64])
async def test_ids_of_any_length(size, monkeypatch):
    monkeypatch.setattr("segel._source.ROOM", ROOM)
    items = [("é" * (length // 2) + "x" * (length % 2), bytes([length]) * size) for length in range(129)]
    piece = await Source(items, size).take()
    message = jobs_pb2.AppendItemsRequest.FromString(piece.body)
    assert [(item.id, item.digest) for item in message.items] == items
    assert message.SerializeToString() == piece.body


async def test_a_cancelled_upload_can_not_be_gone_on_with(daemon, client):
    async def hook(name, count, context):
        if name == "AppendItems" and count == 2:
            (record,) = daemon.jobs.records.values()
            record.job.state = record.job.STATE_CANCELLED

    daemon.jobs.before = hook
    with pytest.raises(errors.JobStateError):
        await client.jobs.create(KEY, digests(2000), request_id="r")


async def test_pieces_are_whole_blocks_and_fit(monkeypatch):
    monkeypatch.setattr("segel._source.ROOM", ROOM)
    for name in (None, "x" * 128):
        items = digests(40_000)
        source = Source(items if name is None else [(name, item) for item in items], 32)
        sizes = []
        while (piece := await source.take()).parts:
            assert len(piece.body) <= ROOM
            sizes.append(piece.size)
        assert sum(sizes) == 40_000
        assert all(size % 256 == 0 for size in sizes[:-1])
    assert await Source(digests(10), 32).skip(20) == 10
