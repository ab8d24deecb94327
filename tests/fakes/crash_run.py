"""One round of the crash loop: clients at work, a killer, and then everything that was promised is looked at."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import crash_log
from crash_calls import Caller
from crash_jobs import JobMaker, LibraryJobs
from crash_journal import Journal
from crash_killer import Killer
from crash_promises import check_ends, check_signatures, check_with_segelctl, released
from crash_requests import Requests
from served import Served, wait_until
from served_files import CALLERS

import segel

END_WITHIN = 90.0


class Round:
    """Made on a folder where nothing is yet; `run`, then `check`."""

    def __init__(self, served: Served, seed: str) -> None:
        self.served = served
        self.journal = Journal()
        self.chance = random.Random(seed)
        self.killer = Killer(served, random.Random(f"{seed} killer"))
        self.checkpoints: set[bytes] = set()
        self.vkey = ""
        self.minutes = 0.0
        self.log: crash_log.Log | None = None
        self._jobs: list[JobMaker] = []

    async def run(self, cycles: int) -> None:
        await asyncio.to_thread(self._begin)
        began = time.monotonic()
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            actors = [asyncio.create_task(actor) for actor in await self._actors(stack, stop)]
            killing = asyncio.create_task(self.killer.run(cycles))
            watching = asyncio.create_task(self._watch())
            try:
                done, _ = await asyncio.wait({killing, *actors}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # an actor ends before the killer only if it failed
                stop.set()
                self.minutes = (time.monotonic() - began) / 60
                async with asyncio.timeout(END_WITHIN):
                    await asyncio.gather(*actors)
                    await self._again()
            finally:
                for task in (killing, watching, *actors):
                    task.cancel()
                await asyncio.gather(killing, watching, *actors, return_exceptions=True)
        assert await asyncio.to_thread(self.served.stop) == 0, self.served.tail()

    def _begin(self) -> None:
        self.served.start()
        self.served.wait_ready()
        key = self.served.state / "audit" / "key.pub"
        wait_until(key.exists)
        self.vkey = key.read_text().strip()

    async def _actors(self, stack: AsyncExitStack, stop: asyncio.Event) -> list:
        def caller(number: int) -> Caller:
            name = CALLERS[number % len(CALLERS)]
            made = Caller(name, self.served.target, self.served.tls(name))
            stack.push_async_callback(made.channel.close)
            return made

        def rest(number: int, name: str) -> tuple:
            chance = random.Random(self.chance.random())
            return caller(number), self.served.key_name, self.journal, chance, f"{name}-{number}"

        client = await stack.enter_async_context(
            segel.Client.connect(self.served.target, tls=self.served.tls(CALLERS[0]))
        )
        await client.whoami()
        self._jobs = [JobMaker(*rest(number, "job")) for number in range(2)]
        self._jobs.append(LibraryJobs(client, *rest(0, "library")))
        calls = [Requests(*rest(number, "call")).run_calls(stop) for number in range(2)]
        stream = Requests(*rest(0, "stream")).run_streams(stop)
        return [*(maker.run(stop) for maker in self._jobs), *calls, stream]

    async def _watch(self) -> None:
        """Every checkpoint that can be seen is kept."""
        file = self.served.state / "audit" / "checkpoint"
        while True:
            if file.exists():
                self.checkpoints.add(file.read_bytes())
            await asyncio.sleep(0.05)

    async def _again(self) -> None:
        """After the last restart everything is read once more."""
        await asyncio.gather(*map(self._reread, self._jobs))

    async def _reread(self, maker: JobMaker) -> None:
        for story in self.journal.stories:
            if story.request_id.startswith(f"{maker.name}-") and not story.deleted:
                await JobMaker.read(maker, story)
                await maker.see(story)

    def check(self) -> None:
        """Everything that was promised. What does not hold is in `journal.wrong`."""
        folder = self.served.state / "audit"
        check_with_segelctl(self.journal, self.served, folder, self.vkey)
        self.log = crash_log.Log.read(folder, self.vkey)
        crash_log.check_prefixes(folder, self.checkpoints, self.vkey)
        crash_log.check_journal(self.log, self.journal)
        check_ends(self.journal)
        check_signatures(self.journal, self.served.key.public_key)

    def figures(self) -> str:
        values = list(released(self.journal))
        lost = sum(told == "WORKER_LOST" for story in self.journal.stories for told in story.got.values())
        given_up = sum(asked.lost for asked in self.journal.asked)
        return (
            f"{self.killer.done.total()} kills in {self.minutes:.1f} min {dict(self.killer.done)}; {len(self.journal.stories)} jobs, "
            f"{len(self.journal.asked)} requests, {self.journal.resent} sent again, {self.journal.repeated} asked "
            f"again; {len(values)} signatures released, {lost} items and {given_up} requests lost three times; "
            f"{len(self.log.leaves)} leaves, {len(self.checkpoints)} checkpoints"
        )


@contextmanager
def served_in(folder: Path, bed, **options) -> Iterator[Served]:
    """A daemon's place; nothing of it is left running."""
    served = Served(folder, bed, **options)
    try:
        yield served
    finally:
        served.end()
