"""The keeper's loop: frames of the front and of the workers it was given, one thread, no waiting on anybody."""

import array
import selectors
import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

import msgspec

from segeld.ipc import framing, keeper_wire, pin_wire
from segeld.keeper import sources
from segeld.keeper.lease import Lease
from segeld.keeper.lending import Lending
from segeld.keeper.lines import Line, Lines
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError

MAX_FRAME: Final = 256 * 1024
"""Octets; the longest is what is remembered of one token."""
_CHUNK: Final = 8 * 1024
_DESCRIPTOR: Final = array.array("i").itemsize


class Keeper:
    """Holds PINs and lends them. `run` returns when the front has closed its socket."""

    def __init__(self, front: socket.socket, given: Iterable[int]) -> None:
        """`given`: the descriptors that may be named as holding a PIN."""
        self._front = front
        self._reader = framing.FrameReader(limit=MAX_FRAME, secret=True)
        self._buffer = bytearray(_CHUNK)
        self._given = set(given)
        self._descriptors: list[int] = []
        """Received beside Lend frames that are not read yet, in their order."""
        self._selector = selectors.DefaultSelector()
        self._lines = Lines(self._selector)
        self._lending = Lending(self._lines, self._tell)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lending.drop_all()
        self._lines.close()
        self._selector.close()
        self._front.close()

    def run(self) -> None:
        self._selector.register(self._front, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._hear_front():
                        return
                elif (line := self._lines.get(key.data)) is not None:
                    self._hear_worker(line)

    # --- the front

    def _hear_front(self) -> bool:
        count, beside, _, _ = self._front.recvmsg_into([self._buffer], socket.CMSG_SPACE(8 * _DESCRIPTOR))
        for level, kind, data in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors += array.array("i", data[: len(data) - len(data) % _DESCRIPTOR])
        try:
            with memoryview(self._buffer) as view:
                for frame in self._reader.feed(view[:count]):
                    self._answer(framing.decode(keeper_wire.REQUESTS, frame))
                    frame[:] = bytes(len(frame))  # it may have held a PIN
        finally:
            self._buffer[:count] = bytes(count)
        return bool(count)

    def _answer(self, request: keeper_wire.Request) -> None:
        if isinstance(request, keeper_wire.Guard | keeper_wire.Device):
            self._lending.know(request)
            return
        token = request.token
        lease = self._lending.lease(token)
        match request:
            case keeper_wire.HoldPin(pin=field, serial=serial):
                self._hold(lease, lambda: _typed(field), serial, by_officer=True)
            case keeper_wire.HoldFile(path=path, serial=serial, by_officer=by_officer):
                self._hold(lease, lambda: sources.from_file(path), serial, by_officer=by_officer)
            case keeper_wire.HoldDescriptor(descriptor=number, serial=serial, by_officer=by_officer):
                self._hold(lease, lambda: self._from_descriptor(number), serial, by_officer=by_officer)
            case keeper_wire.HoldPad():
                lease.hold_pad()
                self._tell(keeper_wire.Holding(token))
                self._lending.go_on()
            case keeper_wire.Lend(worker=worker, serial=serial, trusted=trusted, pin=field):
                if not self._descriptors:
                    raise framing.FrameError("a Lend frame without its descriptor")
                sock = socket.socket(fileno=self._descriptors.pop(0))
                self._lending.lend(lease, Line(token, worker, serial, trusted, sock), _own(field))
            case keeper_wire.Sever(worker=worker):
                self._lending.sever(worker)
            case keeper_wire.Forget(devices=devices):
                lease.forget(devices)
                self._lending.go_on()
                self._tell(keeper_wire.Forgotten(token))
            case keeper_wire.Changed(serial=serial, old=old, new=new):
                self._changed(lease, serial, old, new)
            case keeper_wire.MaySend(device=device, pin=field):
                with _field(field) as pin:
                    self._tell(
                        keeper_wire.Holding(token) if lease.may_send(pin, device) else _refused_before(token)
                    )
            case keeper_wire.Refused(device=device, pin=field):
                with _field(field) as pin:
                    record = lease.refused(pin, device)
                self._lending.go_on()
                self._tell(keeper_wire.Noted(token, device, record, lease.holds()))
            case keeper_wire.Freeze():
                self._lending.freeze(lease)
            case keeper_wire.Thaw():
                self._lending.thaw(lease)
            case keeper_wire.Recorded(worker=worker, trouble=trouble):
                self._lending.recorded(lease, worker, trouble)

    def _hold(self, lease: Lease, source: Callable[[], Pin], serial: str | None, *, by_officer: bool) -> None:
        token = lease.token
        try:
            pin = source()
        except Fault as fault:
            self._tell(keeper_wire.NotHeld(token, fault.reason, fault.text))
            return
        if lease.hold(pin, by_officer=by_officer, serial=serial):
            self._tell(keeper_wire.Holding(token))
            self._lending.go_on()
        else:
            self._tell(_refused_before(token))

    def _from_descriptor(self, descriptor: int) -> Pin:
        if descriptor not in self._given:
            raise Fault(
                Reason.FIELD_INVALID,
                f"The PIN descriptor {descriptor} was read before, or never given: restart the daemon with it, or "
                "activate the token by hand.",
            )
        self._given.discard(descriptor)
        return sources.from_descriptor(descriptor)

    def _changed(self, lease: Lease, serial: str, old: msgspec.Raw, new: msgspec.Raw) -> None:
        former = _own(old)
        try:
            record = lease.changed(serial, former, _field(new))
        finally:
            if former is not None:
                former.wipe()
        self._tell(keeper_wire.Noted(lease.token, serial, record, lease.holds()))

    # --- workers

    def _hear_worker(self, line: Line) -> None:
        try:
            for answer in line.heard():
                if self._lines.get(line.worker) is not line:
                    return  # it was lost while it was answered
                if isinstance(answer, pin_wire.Reaffirm):
                    self._lending.reaffirm(line)
                else:
                    self._lending.ended(line, answer)
        except (framing.FrameError, OSError):
            self._lending.lost(line)  # a worker is never trusted: it loses its socket, the others keep theirs

    def _tell(self, answer: keeper_wire.Answer) -> None:
        self._front.sendall(framing.encode(answer))


def _refused_before(token: str) -> keeper_wire.NotHeld:
    return keeper_wire.NotHeld(
        token,
        Reason.PIN_REFUSED_BEFORE,
        "The token refused this PIN before; it is not tried again, so that no try is wasted. Use another PIN. If you are sure of "
        "it, deactivate the token first: that clears this memory.",
    )


def _field(field: msgspec.Raw) -> Pin:
    """:raises FrameError: if it is no PIN."""
    try:
        return pin_wire.unwrap(field)
    except ValueError as error:
        raise framing.FrameError(str(error)) from None


def _own(field: msgspec.Raw) -> Pin | None:
    """None where no PIN stands.

    :raises FrameError: if it is neither.
    """
    with memoryview(field) as view:
        return None if view == memoryview(pin_wire.NO_PIN) else _field(field)


def _typed(field: msgspec.Raw) -> Pin:
    try:
        return pin_wire.unwrap(field)
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"No usable PIN: {error}.") from None
    except ValueError as error:
        raise framing.FrameError(str(error)) from None
