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
from segeld.keeper.lease import Borrower, Denied, Lease, Trial
from segeld.keeper.lines import Line, Lines
from segeld.keeper.memory import Memory
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
        self._key = b""
        self._memory: Memory | None = None
        self._leases: dict[str, Lease] = {}
        self._freezing: set[str] = set()
        """Tokens whose `Frozen` is not answered yet."""
        self._given = set(given)
        self._descriptors: list[int] = []
        """Received beside Lend frames that are not read yet, in their order."""
        self._selector = selectors.DefaultSelector()
        self._lines = Lines(self._selector)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lease in self._leases.values():
            lease.drop()
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
            self._know(request)
            return
        token = request.token
        lease = self._lease(token)
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
                self._go_on()
            case keeper_wire.Lend(worker=worker, serial=serial, trusted=trusted, pin=field):
                if not self._descriptors:
                    raise framing.FrameError("a Lend frame without its descriptor")
                sock = socket.socket(fileno=self._descriptors.pop(0))
                self._lines.add(Line(token, worker, serial, trusted, sock))
                lease.waiting.append(Borrower(worker, serial, trusted, _own(field)))
                self._go_on()
            case keeper_wire.Sever(worker=worker):
                if (line := self._lines.get(worker)) is not None:
                    self._lost(line)
            case keeper_wire.Forget(devices=devices):
                lease.forget(devices)
                self._go_on()
                self._tell(keeper_wire.Forgotten(token))
            case keeper_wire.Changed(serial=serial, old=old, new=new):
                self._changed(lease, serial, old, new)
            case keeper_wire.Freeze():
                lease.frozen = True
                self._freezing.add(token)
                self._go_on()
            case keeper_wire.Thaw():
                lease.frozen = False
                self._freezing.discard(token)
                self._go_on()
            case keeper_wire.Recorded(worker=worker, trouble=trouble):
                self._recorded(lease, worker, trouble)

    def _know(self, known: keeper_wire.Guard | keeper_wire.Device) -> None:
        match known:
            case keeper_wire.Guard(key=key, lost=lost) if self._memory is None:
                self._key, self._memory = key, Memory(lost=lost)
            case keeper_wire.Device(serial=serial, record=record) if (
                self._memory is not None and not self._leases
            ):
                self._memory.records[serial] = record
            case _:
                raise framing.FrameError("what is remembered comes first, and once")

    def _lease(self, token: str) -> Lease:
        if self._memory is None:
            raise framing.FrameError("a frame about a token before the Guard frame")
        if token not in self._leases:
            self._leases[token] = Lease(token, self._key, self._memory)
        return self._leases[token]

    def _hold(self, lease: Lease, source: Callable[[], Pin], serial: str | None, *, by_officer: bool) -> None:
        token = lease.token
        try:
            pin = source()
        except Fault as fault:
            self._tell(keeper_wire.NotHeld(token, fault.reason, fault.text))
            return
        if lease.hold(pin, by_officer=by_officer, serial=serial):
            self._tell(keeper_wire.Holding(token))
            self._go_on()
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

    def _changed(self, lease: Lease, serial: str, old: msgspec.Raw, new: msgspec.Raw) -> None:
        former = _own(old)
        try:
            record = lease.changed(serial, former, _field(new))
        finally:
            if former is not None:
                former.wipe()
        self._tell(keeper_wire.Noted(lease.token, serial, record))

    def _recorded(self, lease: Lease, worker: int, trouble: str | None) -> None:
        """What the front says late, of an attempt that is over by now, is of no use any more."""
        trial = lease.trial
        if trial is not None and trial.borrower.worker == worker and not trial.given:
            if trouble is None:
                self._give(lease.recorded())
            else:
                self._unrecorded(lease, trial, trouble)
        elif lease.settling is not None and lease.settling.worker == worker:
            lease.settled()
        self._go_on()

    def _unrecorded(self, lease: Lease, trial: Trial, trouble: str) -> None:
        """What the front has of it is taken back: nothing was tried."""
        record = lease.ended(None)
        self._deny(lease.token, trial.borrower, keeper_wire.NotLent.UNRECORDED, trouble, record)

    # --- lending

    def _go_on(self) -> None:
        """Begins what may be begun: what ended at one token may be what another one, the same device, waited for."""
        for lease in tuple(self._leases.values()):
            self._go_on_with(lease)

    def _go_on_with(self, lease: Lease) -> None:
        """Whoever waits for a PIN that is not held waits no more."""
        while (begun := lease.begin()) is not None:
            if isinstance(begun, Denied):
                self._deny(lease.token, begun.borrower, begun.why)
                continue
            if begun.record is None:
                self._give(lease.recorded())
            else:
                self._tell(
                    keeper_wire.Attempting(
                        lease.token,
                        begun.borrower.worker,
                        begun.borrower.serial,
                        begun.record,
                        begun.print_,
                    )
                )
        for borrower in lease.hopeless():
            self._deny(lease.token, borrower, keeper_wire.NotLent.GONE)
        if lease.token in self._freezing and lease.trial is None:
            self._freezing.discard(lease.token)
            self._tell(keeper_wire.Frozen(lease.token))

    def _deny(
        self,
        token: str,
        borrower: Borrower,
        why: keeper_wire.NotLent,
        text: str = "",
        record: keeper_wire.Record | None = None,
    ) -> None:
        line = self._lines.get(borrower.worker)
        if line is not None and line.logged_in:
            if not line.send(framing.encode(pin_wire.Denied())):
                self._lost(line)
            if why is keeper_wire.NotLent.GONE:
                return
        self._tell(
            keeper_wire.Lent(
                token,
                borrower.worker,
                None,
                0,
                (),
                why=why,
                text=text,
                serial=borrower.serial,
                record=record,
            )
        )

    def _give(self, trial: Trial) -> None:
        line = self._lines.get(trial.borrower.worker)
        assert line is not None, "a worker that has gone has no trial"
        if not line.send(_login_frame(trial)):
            self._lost(line)

    # --- workers

    def _hear_worker(self, line: Line) -> None:
        try:
            for answer in line.heard():
                if self._lines.get(line.worker) is not line:
                    return  # it was lost while it was answered
                if isinstance(answer, pin_wire.Reaffirm):
                    self._reaffirm(line)
                else:
                    self._ended(line, answer)
        except (framing.FrameError, OSError):
            self._lost(line)  # a worker is never trusted: it loses its socket, the others keep theirs

    def _reaffirm(self, line: Line) -> None:
        lease = self._leases[line.token]
        if not line.logged_in or self._has_asked(lease, line.worker):
            raise framing.FrameError("a worker asked for the PIN out of place")
        lease.waiting.append(Borrower(line.worker, line.serial, line.trusted))
        self._go_on()

    def _has_asked(self, lease: Lease, worker: int) -> bool:
        on_trial = lease.trial is not None and lease.trial.borrower.worker == worker
        return on_trial or any(borrower.worker == worker for borrower in lease.waiting)

    def _ended(self, line: Line, ended: pin_wire.LoginEnded) -> None:
        lease = self._leases[line.token]
        trial = lease.trial
        if trial is None or trial.borrower.worker != line.worker or not trial.given:
            raise framing.FrameError("a worker spoke that had no PIN")
        record = lease.ended(ended.outcome, ended.ckr)
        line.logged_in = line.logged_in or ended.outcome is pin_wire.LoginOutcome.OK
        self._tell(
            keeper_wire.Lent(
                line.token,
                line.worker,
                ended.outcome,
                ended.ckr,
                ended.flags,
                serial=line.serial,
                record=record,
                held=lease.holds(),
            )
        )
        self._go_on()

    def _lost(self, line: Line) -> None:
        """Its process is gone, or closed the socket. Only while it had the PIN does that leave an attempt open."""
        if not self._lines.drop(line):
            return
        lease = self._leases[line.token]
        record = None
        waited = not line.logged_in
        if lease.trial is not None and lease.trial.borrower.worker == line.worker:
            record = lease.ended(None)
            waited = True
        lease.give_up(line.worker)
        if waited:
            self._tell(
                keeper_wire.Lent(
                    line.token, line.worker, None, 0, (), died=True, serial=line.serial, record=record
                )
            )
        self._go_on()

    def _tell(self, answer: keeper_wire.Answer) -> None:
        self._front.sendall(framing.encode(answer))


def _login_frame(trial: Trial) -> bytearray:
    if trial.pin is None:
        return framing.encode(pin_wire.PadLogin())
    field, buffer = pin_wire.wrap(trial.pin)
    frame = framing.encode(pin_wire.Login(field, trial.by_officer, trial.open_attempt))
    buffer[:] = bytes(len(buffer))
    return frame


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
