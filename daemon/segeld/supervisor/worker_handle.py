"""One worker process as the front sees it: ask, be answered in time, or end it."""

import asyncio
import contextlib
import itertools
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from typing import Final, Self, TypeVar

from segeld.ipc import framing, pin_wire, worker_wire
from segeld.model.algorithm import EcdsaEncoding
from segeld.model.faults import Fault
from segeld.model.secret import Pin
from segeld.supervisor.spawn import end, spawn, to_its_end

_numbers: Final = itertools.count(1)
_LAST_WORDS: Final = 0.5
"""Seconds in which what a worker said before it ended is still read."""
A = TypeVar("A", bound=worker_wire.Answer)


class WorkerLost(Exception):
    """The worker ended, or was ended because it did not answer; what it was doing is not known.

    :param sent: False if the request never left: then it surely did nothing about it.
    """

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent: Final = sent


class WorkerFailed(Exception):
    """The worker answered that it could not: the module's word, and what to do about it."""

    def __init__(self, failed: worker_wire.Failed) -> None:
        super().__init__(failed.text)
        self.reason: Final = failed.reason
        self.remedy: Final = failed.remedy
        self.ckr: Final = failed.ckr
        self.text: Final = failed.text
        self.certain: Final = failed.certain
        self.blank: Final = failed.blank

    def fault(self) -> Fault:
        return Fault(self.reason, self.text)


class WorkerHandle:
    """A running worker. Requests may overlap; each is answered by its number."""

    def __init__(self, process: Process, pin: socket.socket) -> None:
        self.number: Final = next(_numbers)
        self.pid: Final = process.pid
        self.ended: Final = asyncio.Event()
        self.leaving: Final = asyncio.Event()
        """Set when it gets no new work: it has ended, or it retires and ends when what it holds is done."""
        self.retiring = False
        self.sessions = 1
        """How many the token gave it; known when the token is open."""
        self.serial = ""
        """Of the token that it has opened."""
        self.why = ""
        """Why it ended, for the log."""
        self._process = process
        self._transport: asyncio.Transport | None = None
        self._frames = framing.FrameReader()
        self._pin: socket.socket | None = pin
        self._asked: dict[int, asyncio.Future[worker_wire.AnyAnswer]] = {}
        self._ids = itertools.count(1)
        self._heard = time.monotonic()
        self._reaping: asyncio.Task[None] | None = None
        self._watching = asyncio.create_task(self._watch(), name=f"worker {self.number} lives")

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> Self:
        """:raises OSError: if no process can be started."""
        control, theirs = socket.socketpair()
        pin, pin_theirs = socket.socketpair()
        try:
            process = await spawn(
                "segeld.worker", {"control": theirs, "pin": pin_theirs}, environment=environment
            )
        except BaseException:  # no process can be started, or the daemon stops just now
            control.close()
            pin.close()
            raise
        worker = cls(process, pin)
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Control(worker), sock=control)
        except BaseException:  # the daemon stops just now: what was started is ended too
            worker.kill("the daemon stops")
            try:
                await worker.close()
            finally:
                control.close()
            raise
        return worker

    def take_pin_socket(self) -> socket.socket:
        """The front's end of the socket for the PIN: to be handed to the keeper, once."""
        assert self._pin is not None, "handed over before"
        pin, self._pin = self._pin, None
        return pin

    async def tell_secrets(self, present: Pin, new: Pin) -> None:
        """What an officer typed, for the ceremony that is asked for next. Before the socket is handed on.

        :raises WorkerLost: if it has ended.
        """
        assert self._pin is not None, "handed over before"
        present_field, present_buffer = pin_wire.wrap(present)
        new_field, new_buffer = pin_wire.wrap(new)
        frame = framing.encode(pin_wire.Secrets(present_field, new_field))
        try:
            self._pin.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(self._pin, frame)
        except OSError:
            raise WorkerLost(self.why or "it ended before it was told what to do", sent=False) from None
        finally:
            for used in (present_buffer, new_buffer, frame):
                used[:] = bytes(len(used))

    async def load(self, module: str, reserved: str | None, patience: float) -> worker_wire.Loaded:
        return await self._ask(
            worker_wire.Load(next(self._ids), module, reserved), worker_wire.Loaded, patience
        )

    async def survey(self, patience: float) -> worker_wire.Surveyed:
        return await self._ask(worker_wire.Survey(next(self._ids)), worker_wire.Surveyed, patience)

    async def open_token(
        self,
        label: str | None,
        serial: str | None,
        sessions: int,
        patience: float,
        *,
        writable: bool = False,
    ) -> worker_wire.TokenOpened:
        request = worker_wire.OpenToken(next(self._ids), label, serial, sessions, writable)
        opened = await self._ask(request, worker_wire.TokenOpened, patience)
        self.sessions, self.serial = opened.sessions, opened.token.serial
        return opened

    async def find_keys(
        self, public_keys: tuple[bytes, ...], patience: float, *, alone: bool = False
    ) -> worker_wire.KeysFound:
        """:param alone: no other worker signs with this token."""
        request = worker_wire.FindKeys(next(self._ids), public_keys, alone)
        return await self._ask(request, worker_wire.KeysFound, patience)

    async def sign(
        self,
        key: bytes,
        algorithm: int,
        encoding: EcdsaEncoding,
        *,
        urgent: bool,
        deadlines: tuple[int, ...],
        inputs: tuple[bytes, ...],
        patience: float,
    ) -> worker_wire.Signed:
        """Signs a chunk. `patience` is how long the worker may say nothing at all, on any of its requests."""
        request = worker_wire.Sign(next(self._ids), key, algorithm, encoding, urgent, deadlines, inputs)
        return await self._ask(request, worker_wire.Signed, patience)

    async def perform(
        self, request: Callable[[int], worker_wire.Request], expected: type[A], patience: float
    ) -> A:
        """One ceremony.

        :param request: makes it of its number.
        """
        return await self._ask(request(next(self._ids)), expected, patience)

    async def _ask(self, request: worker_wire.Request, expected: type[A], patience: float) -> A:
        """:raises WorkerLost: if it ends, or says nothing for `patience` seconds (it is killed then).
        :raises WorkerFailed: if it answers that it failed.
        """
        if self._transport is None or (self.leaving.is_set() and not self.retiring):
            raise WorkerLost(self.why, sent=False)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[worker_wire.AnyAnswer] = loop.create_future()
        self._asked[request.id] = future
        asked_at = time.monotonic()
        timer: asyncio.TimerHandle

        def look() -> None:
            """Any answer shows that it lives; but one session may hang while others answer."""
            nonlocal timer
            left = min(max(asked_at, self._heard) + patience, asked_at + 2 * patience) - time.monotonic()
            if left > 0:
                timer = loop.call_later(left, look)
                return
            self.kill(f"no answer for {patience:g} s")
            if not future.done():
                future.set_exception(WorkerLost(self.why))

        timer = loop.call_later(patience, look)
        try:
            self._transport.write(framing.encode(request))
            answer = await future
        finally:
            timer.cancel()
            self._asked.pop(request.id, None)
        if isinstance(answer, worker_wire.Failed):
            raise WorkerFailed(answer)
        if not isinstance(answer, expected):
            self.kill(f"answered {type(answer).__name__} to {type(request).__name__}")
            raise WorkerLost(self.why)
        return answer

    # --- what its socket tells

    def connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def received(self, data: bytes) -> None:
        self._heard = time.monotonic()
        try:
            for frame in self._frames.feed(data):
                answer = framing.decode(worker_wire.ANSWERS, frame)
                future = self._asked.get(answer.id)
                if future is not None and not future.done():
                    future.set_result(answer)
        except framing.FrameError as error:
            self.why = self.why or str(error)
            self._abort()

    def disconnected(self) -> None:
        self._transport = None
        if self._reaping is None:
            self._reaping = asyncio.create_task(self._reap(), name=f"worker {self.number} ends")

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _watch(self) -> None:
        """Its end shows as EOF, unless a helper that the module started holds the socket open."""
        await self._process.wait()
        await asyncio.sleep(_LAST_WORDS)
        self._abort()

    async def _reap(self) -> None:
        code = await end(self._process, grace=1.0)
        self._watching.cancel()
        self.why = self.why or f"worker process ended ({_explain(code)})"
        self.ended.set()
        self.leaving.set()
        if self._pin is not None:
            self._pin.close()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(WorkerLost(self.why))

    def retire(self) -> None:
        """It gets no new work; whoever serves it closes it when what it holds is done."""
        self.retiring = True
        self.leaving.set()

    def kill(self, why: str) -> None:
        """Ends it at once: the only cure there is for a module that hangs."""
        self.why = self.why or why
        self.leaving.set()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Lets it end by itself by closing its pipe; kills it when it does not."""
        self.why = self.why or "closed"
        if self._transport is not None:
            self._transport.close()
        else:  # it was never connected, or is not any more
            self.disconnected()
        await to_its_end(self.ended.wait())


class _Control(asyncio.Protocol):
    """Its control socket. A protocol and no stream: what it says is dealt with as it comes."""

    def __init__(self, worker: WorkerHandle) -> None:
        self._worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._worker.connected(transport)

    def data_received(self, data: bytes) -> None:
        self._worker.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a reset is how its end shows
        self._worker.disconnected()


def _explain(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
