"""Single digests of many callers at once, which the client gathers on one stream."""

import asyncio
import itertools
from typing import Final

from load import rate
from raw import raw_loops
from rows import Row
from setting import P256, Bench, digests

CALLERS: Final = 64


async def measure(bench: Bench) -> list[Row]:
    rates, references = [], []
    with bench.daemon() as daemon, raw_loops(bench.program, bench.testbed, P256, verify=True) as loops:
        async with daemon.async_client() as client:
            signer = await client.signer(P256.name)
            ready = list(digests(4096))
            numbers = itertools.count()

            async def one() -> int:
                await signer.sign_digest(ready[next(numbers) % len(ready)])
                return 1

            for number in range(bench.rounds + 1):
                reference = await asyncio.to_thread(loops.rate, bench.seconds)
                made = await rate(one, CALLERS, bench.seconds)
                if number:
                    rates.append(made)
                    references.append(reference)
    how = (
        f"{CALLERS} asyncio tasks on one client, each calling signer.sign_digest in a loop: gathered into batches by the "
        "client, each with a request_id of its own. Reference: two processes that sign and verify, as for jobs."
    )
    name = f"SignStream, {CALLERS} callers' single digests, P-256"
    return [Row(name, "signatures/s", rates, references, how, goal=0.60)]
