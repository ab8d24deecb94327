"""Clients that sign with request ids, alone, twice at once, over streams, and ask again for what they have."""

import asyncio
import contextlib
import random
from collections import Counter

import grpc.aio
from crash_calls import ANSWER_WITHIN, PASSES, PAUSE, Caller, Refused, reason_of, reason_of_call
from crash_journal import Asked, Journal, digests_of

from segel.v1 import resources_pb2 as resources
from segel.v1 import signing_pb2 as messages

TOLD_LOST = 20
"""More often than an item is tried: then WORKER_LOST is what is kept of it."""
P256 = resources.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256


class Requests:
    """`run_calls` and `run_streams` until `stop` is set; each ends with what it has begun."""

    def __init__(self, caller: Caller, key: str, journal: Journal, chance: random.Random, name: str) -> None:
        self.caller, self.key, self.journal, self.chance, self.name = caller, key, journal, chance, name
        self.mine: list[Asked] = []
        self._lost: Counter[str] = Counter()
        """How often in a row all that was missing of a request was told to be lost."""

    def new(self) -> Asked:
        number = len(self.mine)
        count = self.chance.choice((1, 1, 2, 5, 9, 40))
        request_id = f"{self.name}-{number}"
        asked = Asked(self.caller.name, request_id, digests_of(request_id, count))
        self.mine.append(asked)
        self.journal.asked.append(asked)
        return asked

    async def run_calls(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            asked = self.new()
            copies = 2 if self.chance.random() < 0.2 else 1
            await asyncio.gather(*(self.until_answered(asked) for _ in range(copies)))
            if self.chance.random() < 0.2:
                self.journal.repeated += 1
                await self.until_answered(self.chance.choice(self.mine))
            await asyncio.sleep(self.chance.random() * 0.1)

    async def until_answered(self, asked: Asked) -> None:
        request = self.message(asked)
        while True:
            response = await self.caller.insist(
                lambda: self.caller.signing.Sign(request, timeout=ANSWER_WITHIN)
            )
            if self.take(asked, response):
                return
            self.journal.resent += 1
            await asyncio.sleep(PAUSE)

    def message(self, asked: Asked) -> messages.SignRequest:
        return messages.SignRequest(
            key=self.key,
            algorithm=P256,
            inputs=[messages.SignInput(digest=digest) for digest in asked.digests],
            request_id=asked.request_id,
        )

    def take(self, asked: Asked, response: messages.SignResponse) -> bool:
        """Whether everything has ended: signed, or lost with the worker so often that it is not tried again.

        :raises Refused: if one was refused for good.
        """
        if len(response.results) != len(asked.digests):
            self.journal.say(f"{asked.request_id} has {len(response.results)} results")
            return True
        whole, final = True, True
        for position, result in enumerate(response.results):
            if result.WhichOneof("outcome") == "signature":
                told = (result.signature, result.leaf_index, result.leaf_position)
                self.journal.note(asked, position, told)
                continue
            whole = False
            reason = reason_of(result.error)
            final = final and reason == "WORKER_LOST"
            if reason not in PASSES:
                raise Refused(reason, result.error.message)
        self._lost[asked.request_id] = self._lost[asked.request_id] + 1 if final else 0
        asked.lost = self._lost[asked.request_id] > TOLD_LOST
        return whole or asked.lost

    async def run_streams(self, stop: asyncio.Event) -> None:
        waiting: dict[str, Asked] = {}
        while not stop.is_set() or waiting:
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._stream(waiting, stop)
            self.journal.resent += len(waiting)
            await asyncio.sleep(PAUSE)

    async def _stream(self, waiting: dict[str, Asked], stop: asyncio.Event) -> None:
        """One stream's life: what an earlier one left is sent first."""
        call = self.caller.signing.SignStream()
        try:
            await call.read()
            for asked in list(waiting.values()):
                await self._send(call, asked)
            while not stop.is_set() or waiting:
                while len(waiting) < 4 and not stop.is_set():
                    asked = self.new()
                    waiting[asked.request_id] = asked
                    await self._send(call, asked)
                response = await call.read()
                if response is grpc.aio.EOF:
                    return
                asked = waiting[response.batch.request_id]
                if response.batch.WhichOneof("outcome") == "error":
                    if (reason := reason_of(response.batch.error)) not in PASSES:
                        raise Refused(reason, response.batch.error.message)
                elif self.take(asked, response.batch.response):
                    del waiting[asked.request_id]
                    await asyncio.sleep(self.chance.random() * 0.1)
                    continue
                self.journal.resent += 1
                await asyncio.sleep(PAUSE)
                await self._send(call, asked)
        except grpc.aio.AioRpcError as error:
            reason = reason_of_call(error)
            if reason and reason not in PASSES:
                raise Refused(reason, error.details() or "") from None
            raise
        finally:
            call.cancel()

    async def _send(self, call, asked: Asked) -> None:
        batch = messages.SignStreamRequest(batch=self.message(asked))
        batch.timeout.FromSeconds(int(ANSWER_WITHIN))
        await call.write(batch)
