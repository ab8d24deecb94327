"""Twenty callers with weights from 1 to 8 who always have work waiting: whether each gets its share of the token."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import grpc
from load import channel
from own_daemon import Principal, own_daemon
from raw import raw_loops
from rows import Row
from setting import P256, WORKERS, Bench, digests

from segel.v1 import jobs_pb2, jobs_pb2_grpc, signing_pb2
from segel_softhsm import provision
from segeld.dispatch.fairness import CHUNK_SECONDS
from segeld.dispatch.speed import MAX_CHUNK
from segeld.model.priority import Priority

WEIGHTS: Final = tuple(itertools.islice(itertools.cycle(range(1, 9)), 20))
TOLERANCE: Final = 0.05
"""For how long a worker is given work at once."""
_ONE_MESSAGE: Final = 20_000


@dataclass
class Backlog:
    """One caller's job."""

    weight: int
    stub: jobs_pb2_grpc.JobsStub
    name: str = ""

    async def fill(self, count: int) -> None:
        wanted = jobs_pb2.CreateJobRequest(request_id="backlog", key=P256.name, algorithm=P256.algorithm)
        self.name = (await self.stub.CreateJob(wanted)).name
        for offset in range(0, count, _ONE_MESSAGE):
            items = [
                signing_pb2.SignInput(digest=digest)
                for digest in digests(min(_ONE_MESSAGE, count - offset), offset)
            ]
            await self.stub.AppendItems(
                jobs_pb2.AppendItemsRequest(name=self.name, offset=offset, items=items)
            )
        self._count = count

    async def seal(self) -> None:
        await self.stub.SealJob(jobs_pb2.SealJobRequest(name=self.name, item_count=self._count))

    async def signed(self) -> int:
        job = await self.stub.GetJob(jobs_pb2.GetJobRequest(name=self.name))
        if job.signed_count == job.item_count:
            raise RuntimeError("a caller ran out of work: the shares mean nothing")
        return job.signed_count


async def measure(bench: Bench) -> list[Row]:
    folder = bench.folder / "fairness"
    seconds = 3.0 if bench.quick else 10.0
    testbed = provision(folder, kinds=["p256"])
    with raw_loops(bench.program, testbed, P256, verify=True) as loops:
        a_second = await asyncio.to_thread(loops.rate, 1.0)
    with own_daemon(folder, WEIGHTS) as (target, principals):
        async with AsyncExitStack() as stack:
            lines = [await _backlog(stack, target, one) for one in principals]
            enough = a_second * (seconds + 3)
            for line in lines:
                await line.fill(round(enough * line.weight / sum(WEIGHTS)) + 2_000)
            await asyncio.gather(*(line.seal() for line in lines))
            await asyncio.sleep(1.0)
            before = await asyncio.gather(*(line.signed() for line in lines))
            await asyncio.sleep(seconds)
            after = await asyncio.gather(*(line.signed() for line in lines))
    return [_row([end - start for start, end in zip(before, after, strict=True)], seconds, a_second)]


async def _backlog(stack: AsyncExitStack, target: str, one: Principal) -> Backlog:
    opened: grpc.aio.Channel = await stack.enter_async_context(channel(target, one.tls))
    return Backlog(one.weight, jobs_pb2_grpc.JobsStub(opened))


def _row(signed: list[int], seconds: float, a_second: float) -> Row:
    total = sum(signed)
    chunk = min(MAX_CHUNK, max(total / seconds, a_second) / WORKERS * CHUNK_SECONDS[Priority.NORMAL])
    due = [total * weight / sum(WEIGHTS) for weight in WEIGHTS]
    off = [abs(got - one) / (TOLERANCE * one + chunk) for got, one in zip(signed, due, strict=True)]
    worst = off.index(max(off))
    return Row(
        f"fairness among {len(WEIGHTS)} callers, weights 1 to 8",
        "% off",
        [abs(signed[worst] / due[worst] - 1) * 100],
        [(TOLERANCE * due[worst] + chunk) / due[worst] * 100],
        f"Each caller seals a P-256 job of its own that does not end in time; after a second, digests signed of each in "
        f"{seconds:.0f} s. The value is how far the worst of them is from its weight's share. Reference: 5 % of that "
        "share and one chunk.",
        goal=1.0,
        at_most=True,
        facts={
            "signed": total,
            "chunk": round(chunk),
            "shares": [
                {"weight": weight, "signed": got, "of_its_share": round(got / one, 4)}
                for weight, got, one in zip(WEIGHTS, signed, due, strict=True)
            ],
        },
    )
