"""One round of the crash loop: clients at work, a killer, and then everything that was promised is looked at."""

import asyncio
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import crash_log
from crash_calls import Caller
from crash_jobs import JobMaker, LibraryJobs
from crash_journal import Asked, Journal, Story
from crash_killer import Killer
from crash_requests import Requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from served import CALLERS, Served, wait_until

import segel

_P256 = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
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
        self._jobs = [JobMaker(*rest(number, "job")) for number in range(3)]
        self._jobs.append(LibraryJobs(client, *rest(0, "library")))
        calls = [Requests(*rest(number, "call")).run_calls(stop) for number in range(4)]
        streams = [Requests(*rest(number, "stream")).run_streams(stop) for number in range(2)]
        return [maker.run(stop) for maker in self._jobs] + calls + streams

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
        done = subprocess.run(
            [sys.executable, "-m", "segeld.ctl", "audit", "verify", "--dir", folder, "--key", self.vkey],
            capture_output=True,
            text=True,
            check=False,
            env=self.served.environment,
        )
        if done.returncode:
            self.journal.say(f"segelctl audit verify: {done.stdout}{done.stderr}")
        self.log = crash_log.Log.read(folder, self.vkey)
        crash_log.check_prefixes(folder, self.checkpoints, self.vkey)
        crash_log.check_journal(self.log, self.journal)
        self._check_ends()
        self._check_signatures()

    def _check_ends(self) -> None:
        for asked in self.journal.asked:
            if not asked.answered:
                self.journal.say(f"{asked.request_id} was never answered in full")
        for story in self.journal.stories:
            missing = [place for place in range(len(story.digests)) if place not in story.got]
            if missing or not story.state:
                self.journal.say(f"{story.name} has no result for {missing[:9]}; it is {story.state}")
            reasons = {told for told in story.got.values() if isinstance(told, str)}
            allowed = {"WORKER_LOST", "CANCELLED"} if story.cancelled else {"WORKER_LOST"}
            if not reasons <= allowed:
                self.journal.say(f"{story.name} was not signed, but {reasons}; it is {story.state}")

    def _check_signatures(self) -> None:
        key = serialization.load_pem_public_key(self.served.key.public_key.read_bytes())
        for what, digest, value in released(self.journal):
            try:
                key.verify(value, digest, _P256)
            except InvalidSignature:
                self.journal.say(f"{what}: {hashlib.sha256(value).hexdigest()} is no signature of its digest")

    def figures(self) -> str:
        values = list(released(self.journal))
        lost = sum(told == "WORKER_LOST" for story in self.journal.stories for told in story.got.values())
        return (
            f"{self.killer.done.total()} kills in {self.minutes:.1f} min {dict(self.killer.done)}; {len(self.journal.stories)} jobs, "
            f"{len(self.journal.asked)} requests, {self.journal.resent} sent again, {self.journal.repeated} asked "
            f"again; {len(values)} signatures released, {lost} items lost three times; "
            f"{len(self.log.leaves)} leaves, {len(self.checkpoints)} checkpoints"
        )


def released(journal: Journal) -> Iterator[tuple[str, bytes, bytes]]:
    """Every signature that a client has: of what, the digest, the octets."""
    work: Asked | Story
    for work in (*journal.asked, *journal.stories):
        for position, told in work.got.items():
            if isinstance(told, tuple):
                yield f"{work.request_id}[{position}]", work.digests[position], told[0]


@contextmanager
def served_in(folder: Path, bed, **options) -> Iterator[Served]:
    """A daemon's place; nothing of it is left running."""
    served = Served(folder, bed, **options)
    try:
        yield served
    finally:
        served.end()
