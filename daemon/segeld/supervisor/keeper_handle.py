"""The keeper process as the front sees it: it is asked to hold, lend and forget; PINs never come back."""

import asyncio
import contextlib
import socket
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import Any, Final

from segeld.ipc import framing, keeper_wire, pin_wire
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.supervisor.spawn import end, spawn

_PATIENCE: Final = 10.0
"""Seconds for an answer that needs no token: the keeper never waits for a device."""


class KeeperHandle:
    """Started with the daemon. If it ever dies its PINs are gone: tokens then need theirs anew."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        self.pid: Final = process.pid
        self.ended: Final = asyncio.Event()
        self._process = process
        self._control = control
        self._holds: dict[
            str, asyncio.Future[keeper_wire.Holding | keeper_wire.NotHeld | keeper_wire.Forgotten]
        ] = {}
        self._lends: dict[int, asyncio.Future[keeper_wire.Lent]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen(), name="keeper answers")

    @classmethod
    async def start(cls, pin_descriptors: Sequence[int] = ()) -> "KeeperHandle":
        """`pin_descriptors`: those the configuration names as PIN sources; they are the keeper's from now on."""
        control, theirs = socket.socketpair()
        process = await spawn("segeld.keeper", {"control": theirs}, environment={}, keep=pin_descriptors)
        control.setblocking(False)
        return cls(process, control)

    async def hold(self, token: TokenName, pin: Pin) -> None:
        """Hands over a PIN an officer typed, and wipes it here.

        :raises Fault: PIN_REFUSED_BEFORE, PIN_LENGTH.
        """
        with pin:
            field, buffer = pin_wire.wrap(pin)
            frame = framing.encode(keeper_wire.HoldPin(str(token), field))
        try:
            await self._ask(token, frame)
        finally:
            buffer[:] = bytes(len(buffer))
            frame[:] = bytes(len(frame))

    async def hold_file(self, token: TokenName, path: str) -> None:
        """:raises Fault: if the file is not there, not safe, or holds no PIN; PIN_REFUSED_BEFORE."""
        await self._ask(token, framing.encode(keeper_wire.HoldFile(str(token), path)))

    async def hold_descriptor(self, token: TokenName, descriptor: int) -> None:
        """:raises Fault: if it is not open or holds no PIN; PIN_REFUSED_BEFORE."""
        await self._ask(token, framing.encode(keeper_wire.HoldDescriptor(str(token), descriptor)))

    async def forget(self, token: TokenName, *, refused_too: bool) -> None:
        """Wipes the PIN; with `refused_too` also the memory of those that the token refused."""
        await self._ask(token, framing.encode(keeper_wire.Forget(str(token), refused_too)))

    async def lend(self, token: TokenName, worker: int, sock: socket.socket) -> keeper_wire.Lent:
        """Lets one worker log in; returns when that attempt is over. `sock` goes to the keeper and is closed here.

        There is no time-out: whoever asks ends a worker that hangs, and with it this call.

        :raises Fault: TOKEN_RECOVERING if the keeper is gone.
        """
        future: asyncio.Future[keeper_wire.Lent] = asyncio.get_running_loop().create_future()
        self._lends[worker] = future
        try:
            with sock:
                await self._send(framing.encode(keeper_wire.Lend(str(token), worker)), sock)
            return await future
        finally:
            self._lends.pop(worker, None)

    async def _ask(self, token: TokenName, frame: bytearray) -> None:
        async with self._one_at_a_time:
            future: asyncio.Future[keeper_wire.Holding | keeper_wire.NotHeld | keeper_wire.Forgotten]
            future = asyncio.get_running_loop().create_future()
            self._holds[str(token)] = future
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._send(frame)
                    answer = await future
            except TimeoutError:
                self._process.kill()
                raise _gone() from None
            finally:
                self._holds.pop(str(token), None)
        if isinstance(answer, keeper_wire.NotHeld):
            raise Fault(answer.reason, answer.text, token=str(token))

    async def _send(self, frame: bytearray, beside: socket.socket | None = None) -> None:
        if self.ended.is_set():
            raise _gone()
        loop = asyncio.get_running_loop()
        try:
            if beside is not None:
                # A frame of a hundred octets on a socket that is read all the time: it fits, or the keeper is stuck.
                socket.send_fds(self._control, [frame], [beside.fileno()])
            else:
                await loop.sock_sendall(self._control, frame)
        except OSError:
            raise _gone() from None

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        frames = framing.FrameReader()
        try:
            while data := await loop.sock_recv(self._control, 16 * 1024):
                for frame in frames.feed(data):
                    self._hear(framing.decode(keeper_wire.ANSWERS, frame))
        except (framing.FrameError, OSError):
            pass  # it ends either way, and what waits is told so
        finally:
            self.ended.set()
            self._control.close()
            await end(self._process, grace=1.0)
            waiting: list[asyncio.Future[Any]] = [*self._holds.values(), *self._lends.values()]
            for future in waiting:
                if not future.done():
                    future.set_exception(_gone())

    def _hear(self, answer: keeper_wire.Answer) -> None:
        if isinstance(answer, keeper_wire.Lent):
            lent = self._lends.get(answer.worker)
            if lent is not None and not lent.done():
                lent.set_result(answer)
            return
        held = self._holds.get(answer.token)
        if held is not None and not held.done():
            held.set_result(answer)

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        await self._listening


def _gone() -> Fault:
    return Fault(
        Reason.TOKEN_RECOVERING, "The keeper process is being restarted; try again.", retry_after=1.0
    )
