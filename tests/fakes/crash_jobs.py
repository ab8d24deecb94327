"""Clients that hand over jobs in pieces, seal, sometimes cancel, read results while they come, read again, delete."""

import asyncio
import random

import grpc.aio
from crash_calls import PASSES, PAUSE, Caller, Refused, reason_of, reason_of_call
from crash_journal import Journal, Story, digests_of
from crash_requests import P256

import segel
from segel.v1 import jobs_pb2 as messages
from segel.v1 import signing_pb2 as signing

CALL = 10.0
ENDED = frozenset({"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED"})


class JobMaker:
    """`run` makes job after job until `stop` is set, and ends with the last."""

    def __init__(self, caller: Caller, key: str, journal: Journal, chance: random.Random, name: str) -> None:
        self.caller, self.key, self.journal, self.chance, self.name = caller, key, journal, chance, name
        self.made = 0
        self.sizes = (1, 3, 60, 256, 257, 400)

    def new(self) -> Story:
        request_id = f"{self.name}-{self.made}"
        self.made += 1
        count = self.chance.choice(self.sizes)
        story = Story(self.caller.name, request_id, digests_of(request_id, count))
        self.journal.stories.append(story)
        return story

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            story = self.new()
            await self.upload(story)
            reading = asyncio.create_task(self.read(story))
            if self.chance.random() < 0.2:
                await asyncio.sleep(self.chance.random() * 0.5)
                await self.cancel(story)
            await reading
            await self.see(story)
            if self.chance.random() < 0.3:
                await self.read(story)
            if self.chance.random() < 0.2:
                await self.delete(story)

    async def upload(self, story: Story) -> None:
        """Each piece is sent until it is acknowledged; what was acknowledged is there ever after."""
        jobs, count = self.caller.jobs, len(story.digests)
        first = min(self.chance.randint(1, 150), count)
        create = messages.CreateJobRequest(
            request_id=story.request_id,
            key=self.key,
            algorithm=P256,
            items=_items(story, 0, first),
            seal=first == count,
        )
        job = await self.caller.insist(lambda: jobs.CreateJob(create, timeout=CALL))
        story.name = job.name
        self.journal.committed(story, job.item_count)
        while story.committed < count:
            size = min(self.chance.randint(40, 200), count - story.committed)
            append = messages.AppendItemsRequest(
                name=story.name,
                offset=story.committed,
                items=_items(story, story.committed, story.committed + size),
            )
            answer = await self.caller.insist(lambda append=append: jobs.AppendItems(append, timeout=CALL))
            self.journal.committed(story, answer.committed)
            if self.chance.random() < 0.2:
                job = await self.look(story)
                self.journal.committed(story, job.item_count)
        seal = messages.SealJobRequest(name=story.name, item_count=count)
        job = await self.caller.insist(lambda: jobs.SealJob(seal, timeout=CALL))
        self.journal.committed(story, job.item_count)
        story.sealed = True

    async def look(self, story: Story) -> messages.Job:
        return await self.caller.insist(
            lambda: self.caller.jobs.GetJob(messages.GetJobRequest(name=story.name), timeout=CALL)
        )

    async def see(self, story: Story) -> None:
        """How it ended, which never changes."""
        job = await self.look(story)
        state = (
            f"{messages.Job.State.Name(job.state)} {job.signed_count}+{job.failed_count} of {job.item_count}"
        )
        if story.state not in ("", state):
            self.journal.say(f"{story.name} was {story.state}, and is {state}")
        if state.split(maxsplit=1)[0] not in ENDED:
            self.journal.say(f"{story.name} had given all of its results, and is {state}")
        story.state = state

    async def cancel(self, story: Story) -> None:
        request = messages.CancelJobRequest(name=story.name)
        try:
            await self.caller.insist(lambda: self.caller.jobs.CancelJob(request, timeout=CALL))
        except Refused as refused:
            if refused.reason != "JOB_STATE":
                raise
        else:
            story.cancelled = True

    async def delete(self, story: Story) -> None:
        request = messages.DeleteJobRequest(name=story.name)
        try:
            await self.caller.insist(lambda: self.caller.jobs.DeleteJob(request, timeout=CALL))
        except Refused as refused:
            if refused.reason != "JOB_NOT_FOUND":  # the answer to the first try was lost
                raise
        story.deleted = True

    async def read(self, story: Story) -> None:
        """All results, from the first: a stream that breaks is taken up where it broke."""
        offset = 0
        while offset < len(story.digests):
            request = messages.ReadResultsRequest(name=story.name, offset=offset, wait=True)
            try:
                async for response in self.caller.jobs.ReadResults(request):
                    if response.offset != offset:
                        self.journal.say(f"{story.name}: results from {response.offset}, not from {offset}")
                    for result in response.results:
                        self.journal.note(story, offset, _told(result))
                        offset += 1
            except grpc.aio.AioRpcError as error:
                reason = reason_of_call(error)
                if reason and reason not in PASSES:
                    raise Refused(reason, error.details() or "") from None
                await asyncio.sleep(PAUSE)


class LibraryJobs(JobMaker):
    """The same through the client library, which does the insisting by itself."""

    def __init__(self, client: segel.Client, *rest) -> None:
        super().__init__(*rest)
        self.client = client

    async def upload(self, story: Story) -> None:
        handle = await self.client.jobs.create(
            self.key, list(story.digests), request_id=story.request_id, algorithm="ES256"
        )
        story.name, story.sealed = handle.name, True
        self.journal.committed(story, handle.info.item_count)

    async def read(self, story: Story) -> None:
        handle = await self.client.jobs.open(story.name)
        async for result in handle.results():
            told: tuple[bytes, int, int] | str
            if isinstance(result, segel.Signature):
                told = (result.value, result.leaf_index, result.leaf_position)
            else:
                told = result.error.reason
            self.journal.note(story, result.index, told)


def _items(story: Story, first: int, after: int) -> list[signing.SignInput]:
    return [
        signing.SignInput(digest=digest, id=f"item-{number}")
        for number, digest in enumerate(story.digests[first:after], first)
    ]


def _told(result: signing.SignResult) -> tuple[bytes, int, int] | str:
    if result.WhichOneof("outcome") == "signature":
        return result.signature, result.leaf_index, result.leaf_position
    return reason_of(result.error)
