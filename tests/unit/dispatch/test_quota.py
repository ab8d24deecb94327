"""A caller's quota, however many ask at the same moment, and whoever gives up meanwhile."""

import asyncio
import random

import pytest

from segeld.dispatch.quota import Quota
from segeld.model.faults import Fault, Reason


class Kept:
    """What is written: open jobs and items. Each step waits for the loop some rounds, as a database does."""

    def __init__(self, rounds=lambda: 1) -> None:
        self.jobs = self.items = 0
        self.rounds = rounds

    async def usage(self, caller):
        await self.pause()
        found = (self.jobs, self.items)
        await self.pause()
        return found

    async def pause(self):
        for _ in range(self.rounds()):
            await asyncio.sleep(0)

    def write(self, items, *, fails=False):
        async def write():
            await self.pause()
            if fails:
                raise OSError
            self.jobs += 1
            self.items += items
            await self.pause()
            return self.jobs

        return write


@pytest.mark.parametrize("seed", range(50))
async def test_as_many_as_are_allowed_whoever_asks_together(seed):
    chance = random.Random(seed)
    kept = Kept(lambda: chance.randrange(6))
    quota = Quota(kept.usage, jobs=7, items=100)
    asked = (quota.admit("a", kept.write(10), jobs=1, items=10) for _ in range(40))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    faults = [one for one in answers if isinstance(one, Fault)]
    assert (kept.jobs, len(faults)) == (7, 33)
    assert {fault.reason for fault in faults} == {Reason.CALLER_QUOTA}


@pytest.mark.parametrize("seed", range(50))
async def test_items_of_all_that_ask_together(seed):
    chance = random.Random(seed)
    kept = Kept(lambda: chance.randrange(6))
    quota = Quota(kept.usage, jobs=1000, items=100)
    sizes = [chance.randrange(1, 30) for _ in range(40)]
    asked = (quota.admit("a", kept.write(size), jobs=1, items=size) for size in sizes)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert kept.items <= 100
    left = 100 - kept.items
    refused = [size for size, answer in zip(sizes, answers, strict=True) if isinstance(answer, Fault)]
    assert all(size > left for size in refused), "what would have fitted was refused"


async def test_what_fails_leaves_its_room_to_others():
    kept = Kept()
    quota = Quota(kept.usage, jobs=1, items=10)
    bad, good = await asyncio.gather(
        quota.admit("a", kept.write(1, fails=True), jobs=1, items=1),
        quota.admit("a", kept.write(1), jobs=1, items=1),
        return_exceptions=True,
    )
    assert isinstance(bad, OSError)
    assert good == 1


@pytest.mark.parametrize("rounds", range(12))
async def test_whoever_gives_up_is_counted_until_it_is_known_what_came_of_it(rounds):
    kept = Kept(lambda: 3)
    quota = Quota(kept.usage, jobs=1, items=10)
    first = asyncio.create_task(quota.admit("a", kept.write(1), jobs=1, items=1))
    for _ in range(rounds):
        await asyncio.sleep(0)
    first.cancel()
    second = await asyncio.gather(quota.admit("a", kept.write(1), jobs=1, items=1), return_exceptions=True)
    await asyncio.gather(first, return_exceptions=True)
    assert kept.jobs == 1
    assert isinstance(second[0], Fault) or second == [1]


async def test_callers_do_not_wait_for_each_other():
    stuck = asyncio.Event()
    quota = Quota(Kept().usage, jobs=1, items=10)

    async def wait():
        await stuck.wait()

    first = asyncio.create_task(quota.admit("a", wait, jobs=1, items=1))
    await quota.admit("b", Kept().write(1), jobs=1, items=1)
    stuck.set()
    await first
