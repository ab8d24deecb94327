"""The keeper process as the front sees it: it is asked to hold, lend and forget; PINs never come back."""

import asyncio
import contextlib
import socket
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from segeld.ipc import framing, keeper_wire, pin_wire
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.supervisor.guard import Guard
from segeld.supervisor.keeper_notes import KeeperNotes
from segeld.supervisor.spawn import end, spawn, to_its_end

_PATIENCE: Final = 10.0
"""Seconds for an answer that needs no token: the keeper never waits for a device."""

_Held = keeper_wire.Holding | keeper_wire.NotHeld | keeper_wire.Forgotten | keeper_wire.Noted
Unasked = Callable[[keeper_wire.Lent], None]
"""Told of a login for one signature (CKA_ALWAYS_AUTHENTICATE), which nobody here asked for."""


class KeeperHandle:
    """Started with the daemon. If it ever dies its PINs are gone: tokens then need theirs anew."""

    def __init__(
        self,
        process: Process,
        control: socket.socket,
        guard: Guard,
        unasked: Unasked,
        lost: Callable[[], None],
    ) -> None:
        self.pid: Final = process.pid
        self.ended: Final = asyncio.Event()
        self._process = process
        self._control = control
        self._notes = KeeperNotes(guard, lambda recorded: self._send(framing.encode(recorded)))
        self._unasked = unasked
        self._lost = lost
        self._closing = False
        self._asking: set[asyncio.Task[_Held]] = set()
        self._sending = asyncio.Lock()
        self._holds: dict[str, asyncio.Future[_Held]] = {}
        self._lends: dict[int, asyncio.Future[keeper_wire.Lent]] = {}
        self._freezes: dict[str, asyncio.Future[None]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen(), name="keeper answers")

    @classmethod
    async def start(
        cls,
        guard: Guard,
        pin_descriptors: Sequence[int] = (),
        *,
        unasked: Unasked = lambda lent: None,  # noqa: ARG005
        lost: Callable[[], None] = lambda: None,
    ) -> "KeeperHandle":
        """:param pin_descriptors: those the configuration names as PIN sources; they are the keeper's from now on.
        :param lost: told when it has ended although nobody closed it.
        """
        await guard.load()
        control, theirs = socket.socketpair()
        try:
            process = await spawn("segeld.keeper", {"control": theirs}, environment={}, keep=pin_descriptors)
        except BaseException as error:
            control.close()
            if not isinstance(error, OSError):  # the daemon stops just now
                raise
            raise Fault(
                Reason.TOKEN_RECOVERING, f"No keeper process could be started: {error.strerror}."
            ) from None
        control.setblocking(False)
        keeper = cls(process, control, guard, unasked, lost)
        try:
            for frame in guard.frames():
                await keeper._send(framing.encode(frame))
        except BaseException:  # it has gone, or the daemon stops just now
            await keeper.close()
            raise
        return keeper

    async def hold(self, token: TokenName, pin: Pin, serial: str | None) -> None:
        """Hands over a PIN an officer typed, and wipes it here.

        :param serial: of the token that is there; None if none was seen yet.
        :raises Fault: PIN_REFUSED_BEFORE, PIN_LENGTH.
        """
        with pin:
            field, buffer = pin_wire.wrap(pin)
            frame = framing.encode(keeper_wire.HoldPin(str(token), field, serial))
        await self._ask(token, frame, buffer)

    async def hold_file(self, token: TokenName, path: str, serial: str | None, *, by_officer: bool) -> None:
        """:raises Fault: if the file is not there, not safe, or holds no PIN; PIN_REFUSED_BEFORE."""
        await self._ask(token, framing.encode(keeper_wire.HoldFile(str(token), path, serial, by_officer)))

    async def hold_descriptor(
        self, token: TokenName, descriptor: int, serial: str | None, *, by_officer: bool
    ) -> None:
        """:raises Fault: if it is not open or holds no PIN; PIN_REFUSED_BEFORE."""
        await self._ask(
            token, framing.encode(keeper_wire.HoldDescriptor(str(token), descriptor, serial, by_officer))
        )

    async def hold_pad(self, token: TokenName) -> None:
        """One login by the reader's own pad is allowed."""
        await self._ask(token, framing.encode(keeper_wire.HoldPad(str(token))))

    async def changed(self, token: TokenName, serial: str, old: Pin | None, new: Pin) -> None:
        """The token's PIN is `new` now: a held one is replaced, and `old` is remembered as refused.

        :raises Fault: STORAGE_UNAVAILABLE if that could not be written down.
        """
        new_field, buffer = pin_wire.wrap(new)
        old_field, old_buffer = (pin_wire.NO_PIN, bytearray()) if old is None else pin_wire.wrap(old)
        frame = framing.encode(keeper_wire.Changed(str(token), serial, old_field, new_field))
        await self._ask(token, frame, buffer, old_buffer)
        if trouble := await self._notes.change_written(str(token)):
            raise Fault(
                Reason.STORAGE_UNAVAILABLE,
                f"The PIN of {token} was changed, but {trouble}. Do not restart the daemon before it can be.",
                token=str(token),
            )

    async def may_send(self, token: TokenName, device: str, pin: Pin) -> None:
        """Asks before a PIN goes to a device otherwise than by `lend`.

        :param device: whose memory counts, by its serial number, or as `so_of` names it.
        :raises Fault: PIN_REFUSED_BEFORE.
        """
        field, buffer = pin_wire.wrap(pin)
        await self._ask(token, framing.encode(keeper_wire.MaySend(str(token), device, field)), buffer)

    async def refused(self, token: TokenName, device: str, pin: Pin) -> bool:
        """A device refused this PIN, otherwise than in a lend. Gives whether the one that is held, if one is, is another.

        It is known from now on whether or not it can be written down.
        """
        field, buffer = pin_wire.wrap(pin)
        noted = await self._ask(token, framing.encode(keeper_wire.Refused(str(token), device, field)), buffer)
        await self._notes.change_written(str(token))
        return isinstance(noted, keeper_wire.Noted) and noted.held

    async def freeze(self, token: TokenName) -> None:
        """Returns when nobody logs in with the PIN that is held, nor will before `thaw`; whoever asks for it waits.

        There is no time-out: an attempt may be under way, which ends with its worker. Whoever gives up thaws too.

        :raises Fault: TOKEN_RECOVERING if the keeper is gone.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._freezes[str(token)] = future
        try:
            await self._send(framing.encode(keeper_wire.Freeze(str(token))))
            await future
        finally:
            self._freezes.pop(str(token), None)

    async def thaw(self, token: TokenName) -> None:
        """:raises Fault: TOKEN_RECOVERING if the keeper is gone, and what was frozen with it."""
        await self._send(framing.encode(keeper_wire.Thaw(str(token))))

    async def forget(self, token: TokenName, devices: tuple[str, ...] = ()) -> None:
        """Wipes the PIN.

        :param devices: of which it is forgotten too what they refused, by their serial numbers.
        """
        await self._ask(token, framing.encode(keeper_wire.Forget(str(token), devices)))

    async def lend(
        self,
        token: TokenName,
        worker: int,
        sock: socket.socket,
        serial: str,
        *,
        trusted: bool,
        pin: Pin | None = None,
    ) -> keeper_wire.Lent:
        """Lets one worker log in; returns when that attempt is over. `sock` goes to the keeper and is closed here.

        :param serial: of the token that the worker has opened.
        :param trusted: whether that token's flags are known to tell how many tries are left.
        :param pin: for this login, in place of the one that is held; None: that one.

        There is no time-out: whoever asks ends a worker that hangs, and with it this call.

        :raises Fault: TOKEN_RECOVERING if the keeper is gone.
        """
        future: asyncio.Future[keeper_wire.Lent] = asyncio.get_running_loop().create_future()
        self._lends[worker] = future
        field, buffer = (pin_wire.NO_PIN, bytearray()) if pin is None else pin_wire.wrap(pin)
        try:
            with sock:
                frame = framing.encode(keeper_wire.Lend(str(token), worker, serial, trusted, field))
                try:
                    await self._send(frame, sock)
                finally:
                    for used in (frame, buffer):
                        used[:] = bytes(len(used))
            return await future
        finally:
            self._lends.pop(worker, None)

    async def severed(
        self, token: TokenName, worker: int, lending: "asyncio.Task[keeper_wire.Lent]"
    ) -> keeper_wire.Lent:
        """A worker was ended in its login. Gives what the keeper says of that; one that says nothing is ended too.

        :param lending: its `lend`.
        :raises Fault: TOKEN_RECOVERING if the keeper is gone.
        """
        await self._send(framing.encode(keeper_wire.Sever(str(token), worker)))
        while not (await asyncio.wait({lending}, timeout=_PATIENCE))[0]:
            if not self._notes.are_being_written():  # it is not the disk that everybody waits for
                self._process.kill()
        return await lending

    async def _ask(self, token: TokenName, frame: bytearray, *used: bytearray) -> _Held:
        """Takes and wipes the frame, and what else was used for it.

        It is asked to the end even if nobody waits any more: the answer would be taken for the next one's.
        """
        asking = asyncio.create_task(self._ask_in_turn(token, frame, used), name="keeper asked")
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        return await asyncio.shield(asking)

    def _asked(self, asking: "asyncio.Task[_Held]") -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever waits has it too

    async def _ask_in_turn(self, token: TokenName, frame: bytearray, used: tuple[bytearray, ...]) -> _Held:
        try:
            answer = await self._ask_one(token, frame)
        finally:
            for each in (frame, *used):
                each[:] = bytes(len(each))
        if isinstance(answer, keeper_wire.NotHeld):
            raise Fault(answer.reason, answer.text, token=str(token))
        return answer

    async def _ask_one(self, token: TokenName, frame: bytearray) -> _Held:
        async with self._one_at_a_time:
            future: asyncio.Future[_Held] = asyncio.get_running_loop().create_future()
            self._holds[str(token)] = future
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._send(frame)
                    return await future
            except TimeoutError:
                self._process.kill()
                raise _gone() from None
            finally:
                self._holds.pop(str(token), None)

    async def _send(self, frame: bytearray, beside: socket.socket | None = None) -> None:
        if self.ended.is_set():
            raise _gone()
        loop = asyncio.get_running_loop()
        async with self._sending:  # a frame that does not fit at once must not be cut by another
            try:
                if beside is not None:
                    # A frame of a few hundred octets on a socket that is read all the time: it fits, or the keeper is stuck.
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
            await self._notes.written()
            waiting: list[asyncio.Future[Any]] = [
                *self._holds.values(),
                *self._lends.values(),
                *self._freezes.values(),
            ]
            for future in waiting:
                if not future.done():
                    future.set_exception(_gone())
            if not self._closing:
                self._lost()

    def _hear(self, answer: keeper_wire.Answer) -> None:
        match answer:
            case keeper_wire.Attempting():
                self._notes.attempt(answer)
            case keeper_wire.Lent():
                self._notes.outcome(answer, partial(self._lent, answer))
            case keeper_wire.Frozen():
                freezing = self._freezes.get(answer.token)
                if freezing is not None and not freezing.done():
                    freezing.set_result(None)
            case _:
                if isinstance(answer, keeper_wire.Noted):
                    self._notes.change(answer)
                held = self._holds.get(answer.token)
                if held is not None and not held.done():
                    held.set_result(answer)

    def _lent(self, lent: keeper_wire.Lent) -> None:
        waiting = self._lends.get(lent.worker)
        if waiting is None:
            self._unasked(lent)
        elif not waiting.done():
            waiting.set_result(lent)

    async def close(self) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        await to_its_end(self._listening)


def _gone() -> Fault:
    return Fault(
        Reason.TOKEN_RECOVERING, "The keeper process is being restarted; try again.", retry_after=1.0
    )
