"""The audit log for an auditor who is elsewhere: what is served, within which bounds, and what is made of it there."""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import threading
from dataclasses import replace
from unittest import mock

import grpc
import pytest
from audit_fakes import JOB, FakeSource, chunk, digest_of, fill, publish, signature_of
from rpc_daemon import Daemon

import segel
from segel import errors
from segel.v1 import audit_pb2, audit_pb2_grpc
from segeld.audit.archive import archive
from segeld.audit.identity import OwnLog, open_log
from segeld.audit.leaf import Act
from segeld.audit.proof import BadProof
from segeld.audit.tiles import LogUnreadable
from segeld.audit.words import when
from segeld.ctl import audit_remote, audit_stream
from segeld.ctl.audit_follow import Follower, Pace
from segeld.ctl.audit_stream import Stream
from segeld.rpc import audit
from segeld.rpc.audit import MOST_ARCHIVED, MOST_FOUND, MOST_LEAVES, LogState, audit_service
from segeld.rpc.service import OfficerService

LATER = 1_999_000_000_000
STATE = LogState("", witnessed=False, witness_age=-1.0)


def make_log(folder) -> tuple[OwnLog, FakeSource]:
    """841 leaves, and a letter that was signed 130 times."""
    folder.mkdir()
    log, source = open_log(folder), FakeSource()
    fill(source, log, 400)
    for _ in range(130):
        source.record(*chunk(log.commitments, 1_790_100_000_000, 41, 1, caller="court")(source.count))
    return log, source


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> OwnLog:
    own, source = make_log(tmp_path_factory.mktemp("log") / "state")
    publish(source, own)
    return own


@pytest.fixture
async def served(daemon, log):
    daemon.services = (audit_service(log.folder, log.commitments, lambda: STATE),)
    await daemon.start()
    return daemon


def stub(served, who="agus"):
    return audit_pb2_grpc.AuditStub(served.channel(who, officers=True))


@contextlib.contextmanager
def certificates(served, who="agus"):
    """The client reads its certificates before: the daemon's code, which a command shares, must not do that in a loop."""
    folder = served.authority.folder
    tls = segel.Tls(ca=served.authority.path, cert=folder / f"{who}.pem", key=folder / f"{who}.key")
    with mock.patch.object(segel.Tls, "read", return_value=tls.read()):
        yield tls


@contextlib.asynccontextmanager
async def officer(served, who="agus"):
    with certificates(served, who) as tls:
        async with segel.Officer.connect(f"localhost:{served.bound.officers}", tls=tls) as connected:
            yield connected


async def test_bounds_of_reading(served, refusal, log):
    calls = stub(served)
    for count in (0, MOST_LEAVES + 1, (1 << 32) - 1):
        call = calls.ReadEntries(audit_pb2.ReadEntriesRequest(first=0, count=count))
        refused = await refusal(call.read(), call)
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert f"between 1 and {MOST_LEAVES}" in refused.text
    most = [one async for one in calls.ReadEntries(audit_pb2.ReadEntriesRequest(first=0, count=MOST_LEAVES))]
    assert sum(len(one.leaves) for one in most) == 1101
    for first in (1101, 1 << 40, (1 << 64) - 1):
        request = audit_pb2.ReadEntriesRequest(first=first, count=10)
        assert [one async for one in calls.ReadEntries(request)] == []


async def test_a_message_of_leaves_is_bounded(served, monkeypatch):
    monkeypatch.setattr(audit, "_OCTETS", 1000)
    request = audit_pb2.ReadEntriesRequest(first=200, count=200)
    parts = [one async for one in stub(served).ReadEntries(request)]
    assert [index for one in parts for index in range(one.first, one.first + len(one.leaves))] == list(
        range(200, 400)
    )
    assert all(sum(map(len, one.leaves)) <= 1000 or len(one.leaves) == 1 for one in parts)
    assert len(parts) > 20


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "is missing"),
        ({"digest": b""}, "has not between 1 and 65536 octets"),
        ({"digest": bytes(65_537)}, "has not between 1 and 65536 octets"),
        ({"signature_sha256": bytes(31)}, "has not 32 octets"),
        ({"signature_sha256": bytes(33)}, "has not 32 octets"),
        ({"job": "jobs/x"}, "is no job name"),
        ({"job": "jobs/" + "0" * 5000}, "job"),
    ],
)
async def test_bounds_of_finding(served, refusal, wanted, text):
    refused = await refusal(stub(served).FindEntries(audit_pb2.FindEntriesRequest(**wanted)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert text in refused.text


async def test_the_longest_digest_is_looked_for(served):
    found = await stub(served).FindEntries(audit_pb2.FindEntriesRequest(digest=bytes(65_536)))
    assert (list(found.entries), found.more, found.size) == ([], False, 1101)


@pytest.mark.parametrize("wanted", [{"digest": digest_of(41)}, {"job": f"jobs/{JOB.hex()}"}])
async def test_not_more_than_so_many_are_found(served, wanted):
    found = await stub(served).FindEntries(audit_pb2.FindEntriesRequest(**wanted))
    assert (len(found.entries), found.more) == (MOST_FOUND, True)


async def test_a_leaf_that_is_not_there_is_not_proven(served, refusal):
    for leaf in (1101, (1 << 64) - 1):
        refused = await refusal(stub(served).ProveInclusion(audit_pb2.ProveInclusionRequest(leaf=leaf)))
        assert (refused.code, "is not below 1101" in refused.text) == (grpc.StatusCode.INVALID_ARGUMENT, True)


async def test_readings_at_once_are_bounded(served, monkeypatch):
    """What comes beside them waits; it is not refused."""
    running, most = 0, 0
    real = audit.open_log_folder
    lock, together = threading.Lock(), threading.Barrier(audit.AT_ONCE)

    def slowly(*given):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)  # until as many as may be are there
        try:
            return real(*given)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(audit, "open_log_folder", slowly)
    calls = stub(served)
    await asyncio.gather(
        *(calls.FindEntries(audit_pb2.FindEntriesRequest(digest=bytes(32))) for _ in range(20))
    )
    assert most == audit.AT_ONCE


@pytest.mark.parametrize("who", ["backoffice", "dewi"])
async def test_who_may_not(served, refusal, who):
    calls = stub(served, who)
    for waiting in (
        calls.GetCheckpoint(audit_pb2.GetCheckpointRequest()),
        calls.FindEntries(audit_pb2.FindEntriesRequest(digest=bytes(32))),
        calls.ProveInclusion(audit_pb2.ProveInclusionRequest(leaf=0)),
    ):
        assert (await refusal(waiting)).code is grpc.StatusCode.PERMISSION_DENIED
    call = calls.ReadEntries(audit_pb2.ReadEntriesRequest(first=0, count=10))
    assert (await refusal(call.read(), call)).code is grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def growing(tmp_path):
    """A log of this test alone, and what it is made of."""
    own, source = make_log(tmp_path / "state")
    publish(source, own)
    return own, source


@pytest.fixture
def damaged(growing) -> OwnLog:
    (growing[0].folder / "tile/0/001").write_bytes(bytes(8192))
    return growing[0]


async def test_a_log_that_was_damaged_is_not_served(daemon, damaged, refusal):
    own = damaged
    daemon.services = (audit_service(own.folder, own.commitments, lambda: STATE),)
    await daemon.start()
    refused = await refusal(stub(daemon).ProveInclusion(audit_pb2.ProveInclusionRequest(leaf=300)))
    assert refused.reason == "STORAGE_UNAVAILABLE"
    assert "is not in the tree" in refused.text


@pytest.fixture
def archived(growing, tmp_path) -> OwnLog:
    """A log of which the first three bundles are in an archive."""
    own, _ = growing
    (tmp_path / "elsewhere").mkdir()
    archive(own.folder, tmp_path / "elsewhere", 1_790_050_000_000, own.signer)
    return own


@pytest.fixture
async def away(daemon, archived):
    own = archived
    daemon.services = (audit_service(own.folder, own.commitments, lambda: STATE),)
    await daemon.start()
    return daemon


async def test_what_was_archived_is_said(away, refusal):
    async with officer(away) as connected:
        wanted = hashlib.sha256(signature_of(100)).digest()
        found = await connected.log.find(signature_sha256=wanted)
        assert (found.entries, found.archived) == ((), (0,))
        recent = await connected.log.find(signature_sha256=hashlib.sha256(signature_of(41)).digest())
        assert (len(recent.entries), recent.more) == (MOST_FOUND, True)
        with pytest.raises(errors.BadRequest, match="tile/entries/000, which was archived"):
            await connected.log.prove(5)
        with pytest.raises(errors.BadRequest, match="tile/entries/000, which was archived"):
            [one async for one in connected.log.entries(0, 1000)]
        assert len([one async for one in connected.log.entries(768, 1000)]) == 1101 - 768


async def test_not_more_than_so_many_archived_bundles_are_named(away, monkeypatch):
    assert MOST_ARCHIVED == 1000
    monkeypatch.setattr(audit, "MOST_ARCHIVED", 1)
    request = audit_pb2.FindEntriesRequest(digest=bytes(32), everything=True)
    assert list((await stub(away).FindEntries(request)).archived) == [0]


async def verified(served, log, **more):
    async with officer(served) as connected:
        return await audit_remote.streamed(connected.log, log.signer.verifier, lambda *_: None)


async def test_verified_from_elsewhere(served, log):
    report = await verified(served, log)
    assert (report.problems, report.size, report.signatures) == ([], 1101, 1143 + 130)
    assert (report.intents, report.outcomes) == (530, 530)


class Lying(audit.Audit):
    """A daemon that gives other things than its log has."""

    change = staticmethod(lambda first, leaves: leaves)
    cut_after = 1 << 40

    async def ReadEntries(  # noqa: N802  # as the service has it
        self, request, context
    ):
        async for part in super().ReadEntries(request, context):
            if part.first >= self.cut_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the line is dead")
            leaves = self.change(part.first, list(part.leaves))
            yield audit_pb2.ReadEntriesResponse(first=part.first, leaves=leaves)


@pytest.fixture
async def lying(daemon, log):
    servicer = Lying(log.folder, log.commitments, lambda: STATE)
    daemon.services = (OfficerService(audit.NAME, servicer, audit_pb2_grpc.add_AuditServicer_to_server),)
    await daemon.start()
    daemon.liar = servicer
    return daemon


async def test_leaves_that_were_changed_on_the_way(lying, log):
    lying.liar.change = lambda first, leaves: leaves if first else [*leaves[:9], leaves[8], *leaves[10:]]
    report = await verified(lying, log)
    assert any("have not the root" in str(one) for one in report.problems)


async def test_leaves_that_are_kept_back(lying, log):
    lying.liar.change = lambda first, leaves: leaves if first < 512 else []
    report = await verified(lying, log)
    assert "the daemon gave 512 leaves of 1101" in str(report.problems[-1])


async def test_leaves_out_of_order(lying, log):
    lying.liar.change = lambda first, leaves: leaves if first != 256 else leaves[:-1]
    with pytest.raises(LogUnreadable, match="gave leaf 512 where 511 is the next"):
        await verified(lying, log)


async def test_what_was_archived_is_verified_by_its_hashes(away, archived):
    report = await verified(away, archived)
    assert (report.problems, report.size, report.away) == ([], 1101, [(0, 767)])
    assert 0 < report.outcomes < 530
    code, _, said = await segelctl(away, "verify", "--key", archived.signer.verifier)
    assert (code, "leaves 0 to 767 were archived and not read" in said) == (0, True)


async def test_a_checkpoint_of_another_key(served, growing):
    report = await verified(served, growing[0])
    assert "the checkpoint that the daemon gives" in str(report.problems[0])
    assert report.size == 0


async def test_a_stream_that_is_cut(lying, log):
    lying.liar.cut_after = 512
    with pytest.raises(errors.SegelError, match=r"the line is dead|No connection|broke"):
        await verified(lying, log)
    shown = []
    async with officer(lying) as connected:
        with pytest.raises(errors.SegelError):
            await Follower(lambda index, _: shown.append(index), shown.append).last(connected.log, 1000)
    assert shown == list(range(101, 512)), "what had come was not shown"


async def streamed(served, verifier, leaves=None) -> tuple[Stream, list]:
    leaves = [] if leaves is None else leaves
    async with officer(served) as connected:
        stream = Stream(connected.log, (await connected.log.state()).checkpoint, verifier)
        async for part in stream.leaves():
            leaves += part
    return stream, leaves


@pytest.mark.parametrize("portion", [1024, 100, 256])
async def test_all_leaves_are_proven_as_they_come(served, log, monkeypatch, portion):
    monkeypatch.setattr(audit_stream, "AT_ONCE", portion)
    for verifier in (log.signer.verifier, None):
        stream, leaves = await streamed(served, verifier)
        assert [index for index, _ in leaves] == list(range(1101))
        assert (stream.first, stream.checkpoint.size) == (0, 1101)


async def test_nothing_that_is_not_proven_is_handed_on(lying, log, monkeypatch):
    monkeypatch.setattr(audit_stream, "AT_ONCE", 256)
    lying.liar.change = lambda first, leaves: leaves if first != 512 else [leaves[1], leaves[0], *leaves[2:]]
    handed = []
    with pytest.raises(BadProof, match="up to 767, are not those of the tree"):
        await streamed(lying, log.signer.verifier, handed)
    assert len(handed) == 512


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda first, leaves: leaves if first < 512 else [], "gave 512 leaves of 1101"),
        (
            lambda first, leaves: leaves if first != 256 else leaves[:-1],
            "gave leaf 512 where 511 is the next",
        ),
        (
            lambda first, leaves: leaves if first != 1024 else [*leaves[:-1], leaves[0]],
            "not those of the tree",
        ),
    ],
)
async def test_nothing_can_be_kept_back_of_all_leaves(lying, log, change, text):
    lying.liar.change = change
    with pytest.raises(BadProof, match=text):
        await streamed(lying, log.signer.verifier)


async def test_all_leaves_of_a_log_of_another_key(served, growing):
    with pytest.raises(BadProof, match="the checkpoint that the daemon gives"):
        await streamed(served, growing[0].signer.verifier)


async def test_all_leaves_but_those_that_were_archived(away, archived):
    stream, leaves = await streamed(away, archived.signer.verifier)
    assert stream.first == 768
    assert [index for index, _ in leaves] == list(range(768, 1101))
    key = archived.signer.verifier
    found, early, late = await asyncio.gather(
        segelctl(away, "find", "--caller", "court", "--key", key),
        segelctl(away, "export", "--from", "2026-01-01", "--key", key),
        segelctl(away, "export", "--from", "2026-09-23T00:00", "--key", key),
    )
    assert len(found[1].splitlines()) == 130
    for one in (found, early, late):
        assert "leaves 0 to 767 (tile/entries/000 to tile/entries/002) may say more" in one[2]
    ends = [json.loads(one[1].splitlines()[-1]) for one in (early, late)]
    assert [one[0] for one in (early, late)] == [1, 1]
    assert all(end["archived_unread"] == [[0, 255], [256, 511], [512, 767]] for end in ends)


async def test_what_was_archived_before_that_time_is_not_missed(daemon, growing, tmp_path):
    """The act that says so is one of the leaves, and proven."""
    own, source = growing
    (tmp_path / "elsewhere").mkdir()
    await asyncio.to_thread(archive, own.folder, tmp_path / "elsewhere", 1_790_050_000_000, own.signer)
    facts = {"all before": when(1_790_050_000_000)}
    source.record(Act(1_790_200_000_000, "log archived", "agus", own.origin, facts))
    await asyncio.to_thread(publish, source, own)
    daemon.services = (audit_service(own.folder, own.commitments, lambda: STATE),)
    await daemon.start()
    key, before, after = own.signer.verifier, "2026-09-22T04:06:39", "2026-09-22T04:06:40"
    early, late = await asyncio.gather(
        segelctl(daemon, "export", "--from", before, "--key", key),
        segelctl(daemon, "export", "--from", after, "--key", key),
    )
    assert early[0] == 1
    assert (late[0], late[2]) == (0, "")


async def test_no_connection(served, log):
    async with officer(served) as connected:
        await served.aclose()
        with pytest.raises(errors.ConnectionFailed):
            await Follower(lambda *_: None, print).last(connected.log, 10)


async def test_the_last_leaves_and_those_that_come(daemon, growing, authority, short_path):
    """Across a restart of the daemon, at another port here."""
    own, source = growing
    services = (audit_service(own.folder, own.commitments, lambda: STATE),)
    daemon.services = services
    await daemon.start()
    serving, shown, said = daemon, [], []
    seen, lost = asyncio.Event(), asyncio.Event()

    def show(index: int, _leaf: bytes) -> None:
        shown.append(index)
        if index == source.count - 1:
            seen.set()

    def say(text: str) -> None:
        said.append(text)
        lost.set()

    async def waited(event: asyncio.Event) -> None:
        done = asyncio.create_task(event.wait())
        await asyncio.wait((done, following), timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert done.done(), following
        event.clear()

    def connect():
        return segel.Officer.connect(f"localhost:{serving.bound.officers}", tls=tls)

    with certificates(daemon) as tls:
        follower = Follower(show, say, Pace(0.01, 0.01, 0.05))
        following = asyncio.create_task(follower.follow(connect, 3))
        await waited(seen)
        source.record(Act(1_790_200_000_000, "token activated", "siti", "tokens/seal"))
        await asyncio.to_thread(publish, source, own)
        await waited(seen)
        await daemon.aclose()
        await waited(lost)
        source.record(Act(1_790_200_000_001, "token deactivated", "siti", "tokens/seal"))
        await asyncio.to_thread(publish, source, own)
        async with contextlib.aclosing(Daemon(authority, short_path)) as again:
            again.services = services
            await again.start()
            serving = again
            await waited(seen)
            following.cancel()
            await asyncio.wait((following,))
    assert shown == list(range(1098, 1103))
    assert "trying again until it is back" in said[0]
    assert said[1:] == ["connected again, and going on with leaf 1102"]


async def segelctl(served, *words, who="agus", port=None) -> tuple[int, str, str]:
    """As on a machine that has no log."""
    folder = served.authority.folder
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEGEL")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "segeld.ctl",
        "audit",
        *map(str, words),
        env=environment
        | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "SEGELCTL_TARGET": f"localhost:{port or served.bound.officers}",
            "SEGELCTL_TLS_CA": str(served.authority.path),
            "SEGELCTL_TLS_CERT": str(folder / f"{who}.pem"),
            "SEGELCTL_TLS_KEY": str(folder / f"{who}.key"),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


async def test_the_commands(served, log):
    key = log.signer.verifier
    value = hashlib.sha256(signature_of(100)).hexdigest()
    since = ("2026-09-22T00:00", "2026-09-24")
    here = ["export", "--dir", log.folder, "--key", key, "--from", since[0], "--to", since[1]]
    lines_here = [json.loads(line) for line in (await segelctl(served, *here))[1].splitlines()]
    assert len(lines_here) > 200
    (
        find,
        nothing,
        more,
        verify,
        tail,
        by_caller,
        nobody,
        export,
        archives,
        forbidden,
        unreachable,
    ) = await asyncio.gather(
        segelctl(served, "find", "--signature", value),
        segelctl(served, "find", "--digest", "00" * 32, "--key", key),
        segelctl(served, "find", "--digest", digest_of(41).hex(), "--key", key),
        segelctl(served, "verify", "--key", key, "--json"),
        segelctl(served, "tail", "-n", 3),
        segelctl(served, "find", "--caller", "court", "--key", key),
        segelctl(served, "find", "--caller", "nobody", "--since", "2026-01-01", "--key", key),
        segelctl(served, "export", "--key", key, "--from", since[0], "--to", since[1]),
        segelctl(served, "find", "--caller", "court", "--archive", log.folder),
        segelctl(served, "tail", who="backoffice"),
        segelctl(served, "find", "--signature", value, port=1),
    )
    assert find[0] == 0
    assert find[1].startswith("signed for tax\t")
    assert find[1].endswith("\tleaf 2\tproven; not checked who signed the tree: give --key\n")
    assert nothing == (8, "", "error: nothing of that is in this log of 1101 leaves\n")
    assert (more[0], len(more[1].splitlines())) == (0, MOST_FOUND)
    assert "there are more: the daemon shows the first 100" in more[2]
    assert verify[0] == 0
    assert json.loads(verify[1])["signatures"] == 1273
    assert [line.split("\t")[0] for line in tail[1].splitlines()] == ["1098", "1099", "1100"]
    assert by_caller[0] == 0
    assert len(by_caller[1].splitlines()) == 130
    assert all("court has 1 input signed" in line for line in by_caller[1].splitlines())
    assert nobody == (8, "", "error: nothing of that is in this log of 1101 leaves\n")
    lines = [json.loads(line) for line in export[1].splitlines()]
    assert (export[0], lines.pop()) == (0, lines_here[-1])
    assert lines == lines_here[:-1]
    assert (archives[0], archives[1]) == (2, "")
    assert archives[2].startswith("error: --archive needs the log's folder")
    assert (forbidden[0], forbidden[1]) == (4, "")
    assert (unreachable[0], unreachable[1]) == (3, "")
    assert unreachable[2].startswith("error: ")


async def test_what_the_daemon_answers_is_not_believed(served, log):
    """It proves another letter than the one that was asked for."""
    async with officer(served) as connected:
        findings = await connected.log.find(signature_sha256=hashlib.sha256(signature_of(100)).digest())
        (found,) = findings.entries
        wanted = {"signature_sha256": hashlib.sha256(signature_of(101)).digest()}
        with pytest.raises(BadProof):
            audit_remote.check_asked(found, wanted)
        with pytest.raises(BadProof):
            audit_remote.item(replace(found, intent=found.outcome), None)
        other = await connected.log.prove(7)
        with pytest.raises(BadProof):
            audit_remote.item(replace(found, intent=other), None)
