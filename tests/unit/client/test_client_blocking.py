"""The client without await: the same names, from any thread, and gone when it should be."""

import asyncio
import hashlib
import inspect
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import segel
from segel import blocking, blocking_jobs, errors
from segel.client import Client
from segel.job import JobHandle
from segel.jobs import Jobs
from segel.officer import Officer
from segel.signer import Signer

DIGEST = hashlib.sha256(b"letter").digest()
PAIRS = [
    (Client, blocking.BlockingClient),
    (Officer, blocking.BlockingOfficer),
    (Signer, blocking.BlockingSigner),
    (Jobs, blocking_jobs.BlockingJobs),
    (JobHandle, blocking_jobs.BlockingJobHandle),
]
TWIN = {Signer: blocking.BlockingSigner, JobHandle: "BlockingJobHandle"}
BODIES = (
    "return self._portal.run(self._inner.",
    "return self._portal.each(self._inner.",
    "return self._inner.",
)
MAKERS = {"__enter__", "__exit__", "close", "signer", "create", "open"}
ASYNC_ALONE = {Officer: {"changes", "jobs", "keys", "policy", "log"}}
"""Areas that only the async client has; its docstring says so."""
RENAMED = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def public(kind):
    return {
        RENAMED.get(name, name): member
        for one in reversed(kind.__mro__[:-1])  # what a class shares with its twins counts as its own
        for name, member in vars(one).items()
        if not name.startswith("_") or name in {"__aenter__", "__aexit__", "__enter__", "__exit__"}
    }


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_names_and_signatures_are_those_of_the_async_client(kind, twin):
    ours, theirs = public(kind), public(twin)
    assert set(ours) - ASYNC_ALONE.get(kind, set()) == set(theirs)
    for name, member in theirs.items():
        if isinstance(member, property):
            continue
        mine, its = (
            inspect.signature(getattr(one, "__func__", one), eval_str=True) for one in (ours[name], member)
        )
        assert list(mine.parameters) == list(its.parameters), name
        for parameter in its.parameters.values():
            wanted = mine.parameters[parameter.name]
            assert (parameter.kind, parameter.default) == (wanted.kind, wanted.default), name
            # Async iterables make no sense where nobody awaits.
            assert str(parameter.annotation) in str(wanted.annotation), name
        wanted = TWIN.get(mine.return_annotation, mine.return_annotation)
        if isinstance(wanted, str):
            assert its.return_annotation.__name__ == wanted
        else:
            assert str(its.return_annotation) == str(wanted).replace("AsyncIterator", "Iterator"), name
        assert not inspect.iscoroutinefunction(member)


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_bodies_are_one_line(kind, twin):
    """What is done is written once, in the async class."""
    for name, member in public(twin).items():
        if inspect.isfunction(member) and name not in MAKERS:
            body = inspect.getsource(member).rstrip().partition('"""\n')[2].strip()
            body = "".join(line.strip() for line in body.splitlines())
            assert body.startswith(BODIES), name


async def test_it_signs_and_lists(daemon, tls):
    def use():
        with segel.BlockingClient.connect(daemon.target, tls=tls) as client:
            assert client.whoami().caller == "backoffice"
            assert len(client.keys()) == 2
            assert client.key("keys/seal").aliases == ("keys/seal",)
            signer = client.signer("keys/seal")
            assert signer.key.certificate_chain == signer.certificate_chain
            assert signer.sign_digest(DIGEST) == b"sig:" + DIGEST
            assert signer.sign_message(b"letter") == b"sig:" + DIGEST
            assert signer.sign_digests([DIGEST]) == [segel.Signature(b"sig:" + DIGEST)]
            with pytest.raises(errors.BadRequest):
                signer.sign_digest(b"short")

    await asyncio.to_thread(use)


async def test_concurrent_calls_from_threads_are_gathered(daemon, tls, kit):
    """The daemon holds the first message back until eight threads have had their say."""
    daemon.limits = (1, 1)
    waiting = threading.Barrier(8)
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return kit.signed(request)

    daemon.answer = answer

    def use(signer):
        waiting.wait(10)
        return [signer.sign_message(bytes([number])) for number in range(20)]

    client = await asyncio.to_thread(segel.BlockingClient.connect, daemon.target, tls=tls)
    try:
        signer = await asyncio.to_thread(client.signer, "keys/seal")
        with ThreadPoolExecutor(8) as threads:
            calls = [asyncio.wrap_future(threads.submit(use, signer)) for _ in range(8)]
            await daemon.has_batches(1)
            daemon.limits = (4096, 1024)
            release.set()
            results = await asyncio.gather(*calls)
    finally:
        await asyncio.to_thread(client.close)
    assert results == [[b"sig:" + hashlib.sha256(bytes([number])).digest() for number in range(20)]] * 8
    assert daemon.streams == 1


async def test_closing_ends_calls_of_other_threads_and_the_thread(daemon, tls):
    async def never(request):
        return None

    daemon.answer = never
    client = await asyncio.to_thread(segel.BlockingClient.connect, daemon.target, tls=tls)
    signer = await asyncio.to_thread(client.signer, "keys/seal")
    call = asyncio.create_task(asyncio.to_thread(signer.sign_digest, DIGEST))
    await daemon.has_batches(1)
    await asyncio.to_thread(client.close)
    with pytest.raises(errors.ClientClosed):
        await call
    with pytest.raises(errors.ClientClosed):
        signer.sign_digest(DIGEST)
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("segel")]


def test_a_wrong_argument_leaves_no_thread(tls):
    with pytest.raises(errors.SettingsInvalid):
        segel.BlockingClient.connect("nonsense", tls=tls)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("segel")]


async def test_the_interpreter_exits_with_a_client_left_open(daemon, tls):
    program = (
        "import segel, sys\n"
        f"client = segel.BlockingClient.connect({daemon.target!r}, tls=segel.Tls(*sys.argv[1:]))\n"
        "signer = client.signer('keys/seal')\n"
        "print(signer.sign_message(b'text')[:4].decode())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", program, str(tls.ca), str(tls.cert), str(tls.key),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"sig:\n", b"")
