"""Jobs, claims and signatures for tests of a store: small, recognisable, and no HSM anywhere."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from segeld.audit.leaf import Act, AnyLeaf, Commitments, decode
from segeld.jobqueue.claims import Claim, Part, Request
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import Failure, Items, JobSpec
from segeld.model.kind import Kind
from segeld.model.names import KeyName, TokenName
from segeld.model.priority import Priority

COMMITMENTS = Commitments(b"salt" * 8)
KEY = KeyName(b"k" * 32)
KIND = Kind(KEY, Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
ED25519 = Kind(KEY, Algorithm.ED25519, EcdsaEncoding.DER)
TOKEN = TokenName("payroll")
MANY = 1_000_000
HOUR = 3600.0
DAY = 24 * HOUR
FAILED = Failure(Reason.DEVICE_ERROR, "The token did not sign it.")


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def items(count: int, first: int = 0, *, ids: bool = False) -> Items:
    numbers = range(first, first + count)
    return Items(tuple(map(digest, numbers)), tuple(f"letter-{n}" for n in numbers) if ids else ())


def spec(request_id: str = "r", **changes) -> JobSpec:
    made = JobSpec("office", request_id, KIND, Priority.NORMAL, (), time.time() + 72 * HOUR, 30 * DAY)
    return replace(made, **changes)


async def leaf(store, index: int) -> AnyLeaf:
    (data,) = await store.leaves(index, 1)
    return decode(data)


async def acts(store) -> list[Act]:
    leaves = [decode(data) for data in await store.leaves(0, 1000)]
    return [leaf for leaf in leaves if isinstance(leaf, Act)]


def signature(number: int) -> bytes:
    return b"signature of %d" % number


def request(request_id: str = "q", count: int = 1, **changes) -> Request:
    made = Request("office", request_id, b"c" * 32, count, time.time() + DAY, told=False)
    return replace(made, **changes)


def part(work, first: int, count: int) -> Part:
    return Part(work, first, tuple(map(digest, range(first, first + count))))


def claim(*parts: Part, at: float | None = None) -> Claim:
    return Claim(time.time() if at is None else at, "office", KIND, TOKEN, parts)


async def refused(awaitable, reason: Reason) -> Fault:
    """The fault with which something is refused."""
    with pytest.raises(Fault) as caught:
        await awaitable
    assert caught.value.reason is reason
    return caught.value


def soon(awaitable) -> asyncio.Task:
    return asyncio.ensure_future(awaitable)


async def hold(store) -> Callable[[], None]:
    """Keeps the writer busy, so that what comes meanwhile queues; gives what lets it go on."""
    held, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(_):
        loop.call_soon_threadsafe(held.set)
        assert release.wait(10)

    holding = soon(store._writing.ask(wait))
    await held.wait()
    store.holding = holding
    return release.set


class Handy:
    """A store with what tests do over and over."""

    def __init__(self, store) -> None:
        self.store = store

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    async def sealed(self, count: int, request_id: str = "r", **changes):
        """A job that waits."""
        job, _ = await self.store.create_job(spec(request_id, **changes), items(count), seal=True)
        return job

    async def take(self, job, first: int, count: int, at: float | None = None) -> int:
        """Claims items of a job; gives the claim's id."""
        claimed = await self.store.claim(claim(part(job.id, first, count), at=at))
        return claimed.id

    async def bring(self, claim_id: int, *outcomes, attempts: int = 3, at: float | None = None):
        return await self.store.settle(
            claim_id, outcomes, attempts=attempts, at=time.time() if at is None else at
        )

    async def sign(self, job, first: int, count: int):
        """Claims and signs items of a job."""
        taken = await self.take(job, first, count)
        return await self.bring(taken, *(signature(n) for n in range(first, first + count)))

    async def all_results(self, job) -> list:
        found: list = []
        while True:
            results = await self.store.results("office", job.name, len(found))
            assert results.first == len(found)
            if not results.outcomes:
                return found
            found += results.outcomes
