"""The keeper's loop: frames of the front and of the workers it was given, one thread, no waiting on anybody."""

import selectors
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

import msgspec

from segeld.ipc import framing, keeper_wire, pin_wire
from segeld.keeper import sources
from segeld.keeper.lease import Lease
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError

MAX_FRAME: Final = 16 * 1024
_CHUNK: Final = 8 * 1024


class Keeper:
    """Holds PINs and lends them. `run` returns when the front has closed its socket."""

    def __init__(self, front: socket.socket, given: Iterable[int]) -> None:
        """`given`: the descriptors that may be named as holding a PIN."""
        self._front = front
        self._reader = framing.FrameReader(limit=MAX_FRAME, secret=True)
        self._leases: dict[str, Lease] = defaultdict(Lease)
        self._workers: dict[int, tuple[str, socket.socket, framing.FrameReader]] = {}
        self._given = set(given)
        self._descriptors: list[int] = []
        """Received beside Lend frames that are not read yet, in their order."""
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lease in self._leases.values():
            lease.forget(refused_too=True)
        for _, sock, _ in self._workers.values():
            sock.close()
        self._selector.close()
        self._front.close()

    def run(self) -> None:
        self._selector.register(self._front, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._hear_front():
                        return
                elif key.data in self._workers:
                    self._hear_worker(key.data)

    def _hear_front(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._front, _CHUNK, 8)
        self._descriptors += descriptors
        for frame in self._reader.feed(data):
            request = framing.decode(keeper_wire.REQUESTS, frame)
            self._answer(request)
            frame[:] = bytes(len(frame))  # it may have held a PIN
        return bool(data)

    def _answer(self, request: keeper_wire.Request) -> None:
        token = request.token
        lease = self._leases[token]
        match request:
            case keeper_wire.HoldPin(pin=field):
                self._hold(token, lambda: _typed(field), by_officer=True)
            case keeper_wire.HoldFile(path=path):
                self._hold(token, lambda: sources.from_file(path), by_officer=False)
            case keeper_wire.HoldDescriptor(descriptor=descriptor):
                self._hold(token, lambda: self._from_descriptor(descriptor), by_officer=False)
            case keeper_wire.Lend(worker=worker):
                if not self._descriptors:
                    raise framing.FrameError("a Lend frame without its descriptor")
                self._admit(token, worker, socket.socket(fileno=self._descriptors.pop(0)))
            case keeper_wire.Forget(refused_too=refused_too):
                lease.forget(refused_too=refused_too)
                self._turn_away(token)
                self._tell(keeper_wire.Forgotten(token))

    def _hold(self, token: str, source: Callable[[], Pin], *, by_officer: bool) -> None:
        try:
            pin = source()
        except Fault as fault:
            self._tell(keeper_wire.NotHeld(token, fault.reason, fault.text))
            return
        if self._leases[token].hold(pin, by_officer=by_officer):
            self._tell(keeper_wire.Holding(token))
            self._lend(token)
        else:
            self._tell(
                keeper_wire.NotHeld(
                    token,
                    Reason.PIN_REFUSED_BEFORE,
                    "The token refused this PIN before; it is not tried again, so that no try is wasted. Use another "
                    "PIN. If you are sure of it, deactivate the token first: that clears this memory.",
                )
            )

    def _from_descriptor(self, descriptor: int) -> Pin:
        if descriptor not in self._given:
            raise Fault(
                Reason.FIELD_INVALID,
                f"The PIN descriptor {descriptor} was read before, or never given: restart the daemon with it, or "
                "activate the token by hand.",
            )
        self._given.discard(descriptor)
        return sources.from_descriptor(descriptor)

    def _admit(self, token: str, worker: int, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._workers[worker] = (token, sock, framing.FrameReader(limit=MAX_FRAME))
        self._selector.register(sock, selectors.EVENT_READ, data=worker)
        self._leases[token].waiting.append(worker)
        self._lend(token)
        if self._leases[token].pin is None:
            self._turn_away(token)

    def _lend(self, token: str) -> None:
        lease = self._leases[token]
        while (worker := lease.next_worker()) is not None:
            assert lease.pin is not None
            field, buffer = pin_wire.wrap(lease.pin)
            frame = framing.encode(pin_wire.Login(field, lease.by_officer, lease.open_attempts > 0))
            buffer[:] = bytes(len(buffer))
            try:
                self._workers[worker][1].sendall(frame)
            except OSError:
                self._lost(worker)
                continue
            finally:
                frame[:] = bytes(len(frame))
            return

    def _hear_worker(self, worker: int) -> None:
        token, sock, reader = self._workers[worker]
        try:
            data = sock.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._lost(worker)
            return
        try:
            for frame in reader.feed(data):
                ended = framing.decode(pin_wire.LOGIN_ENDED, frame)
                self._ended(token, worker, ended)
        except framing.FrameError:
            self._lost(worker)  # a worker is never trusted: it loses its socket, the others keep theirs

    def _ended(self, token: str, worker: int, ended: pin_wire.LoginEnded) -> None:
        if self._leases[token].lent_to != worker:
            raise framing.FrameError("a worker spoke that had no PIN")
        self._leases[token].ended(ended.outcome, ended.ckr)
        self._tell(keeper_wire.Lent(token, worker, ended.outcome, ended.ckr, ended.flags))
        self._go_on(token)

    def _lost(self, worker: int) -> None:
        """Its process is gone, or closed the socket. Only while it had the PIN does that leave an attempt open."""
        token, sock, _ = self._workers.pop(worker)
        self._selector.unregister(sock)
        sock.close()
        lease = self._leases[token]
        if lease.lent_to == worker:
            lease.ended(None)
            self._tell(keeper_wire.Lent(token, worker, None, 0, (), died=True))
            self._go_on(token)
        elif worker in lease.waiting:
            lease.waiting.remove(worker)
            self._tell(keeper_wire.Lent(token, worker, None, 0, (), died=True))

    def _go_on(self, token: str) -> None:
        self._lend(token)
        if self._leases[token].pin is None:
            self._turn_away(token)

    def _turn_away(self, token: str) -> None:
        waiting = self._leases[token].waiting
        while waiting:
            self._tell(keeper_wire.Lent(token, waiting.popleft(), None, 0, ()))

    def _tell(self, answer: keeper_wire.Answer) -> None:
        self._front.sendall(framing.encode(answer))


def _typed(field: msgspec.Raw) -> Pin:
    try:
        return pin_wire.unwrap(field)
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"No usable PIN: {error}.") from None
    except ValueError as error:
        raise framing.FrameError(str(error)) from None
