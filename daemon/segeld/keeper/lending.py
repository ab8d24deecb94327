"""Lending: which worker's turn it is, what the front must have written down before it gets the PIN, how that ended."""

from collections.abc import Callable

from segeld.ipc import framing, keeper_wire, pin_wire
from segeld.keeper.lease import Borrower, Denied, Lease, Trial
from segeld.keeper.lines import Line, Lines
from segeld.keeper.memory import Memory
from segeld.model.secret import Pin


class Lending:
    """All leases, and the sockets to the workers that were lent to."""

    def __init__(self, lines: Lines, tell: Callable[[keeper_wire.Answer], None]) -> None:
        """:param tell: says something to the front."""
        self._lines = lines
        self._tell = tell
        self._key = b""
        self._memory: Memory | None = None
        self._leases: dict[str, Lease] = {}
        self._freezing: set[str] = set()
        """Tokens whose `Frozen` is not answered yet."""

    def know(self, known: keeper_wire.Guard | keeper_wire.Device) -> None:
        """:raises FrameError: if it comes out of place."""
        match known:
            case keeper_wire.Guard(key=key, lost=lost) if self._memory is None:
                self._key, self._memory = key, Memory(lost=lost)
            case keeper_wire.Device(serial=serial, record=record) if (
                self._memory is not None and not self._leases
            ):
                self._memory.records[serial] = record
            case _:
                raise framing.FrameError("what is remembered comes first, and once")

    def lease(self, token: str) -> Lease:
        """:raises FrameError: if it comes out of place."""
        if self._memory is None:
            raise framing.FrameError("a frame about a token before the Guard frame")
        if token not in self._leases:
            self._leases[token] = Lease(token, self._key, self._memory)
        return self._leases[token]

    def drop_all(self) -> None:
        """Wipes every PIN that is held."""
        for lease in self._leases.values():
            lease.drop()

    def lend(self, lease: Lease, line: Line, pin: Pin | None) -> None:
        """:param pin: the worker's own; None: it wants the one that is held."""
        self._lines.add(line)
        lease.waiting.append(Borrower(line.worker, line.serial, line.trusted, pin))
        self.go_on()

    def sever(self, worker: int) -> None:
        if (line := self._lines.get(worker)) is not None:
            self.lost(line)

    def freeze(self, lease: Lease) -> None:
        """`Frozen` is told as soon as no attempt is under way."""
        lease.frozen = True
        self._freezing.add(lease.token)
        self.go_on()

    def thaw(self, lease: Lease) -> None:
        lease.frozen = False
        self._freezing.discard(lease.token)
        self.go_on()

    def recorded(self, lease: Lease, worker: int, trouble: str | None) -> None:
        """What the front says late, of an attempt that is over by now, is of no use any more."""
        trial = lease.trial
        if trial is not None and trial.borrower.worker == worker and not trial.given:
            if trouble is None:
                self._give(lease.recorded())
            else:
                self._unrecorded(lease, trial, trouble)
        elif lease.settling is not None and lease.settling.worker == worker:
            lease.settled()
        self.go_on()

    def _unrecorded(self, lease: Lease, trial: Trial, trouble: str) -> None:
        """What the front has of it is taken back: nothing was tried."""
        record = lease.ended(None)
        self._deny(lease.token, trial.borrower, keeper_wire.NotLent.UNRECORDED, trouble, record)

    def go_on(self) -> None:
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
                self.lost(line)
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
            self.lost(line)

    def reaffirm(self, line: Line) -> None:
        lease = self._leases[line.token]
        if not line.logged_in or self._has_asked(lease, line.worker):
            raise framing.FrameError("a worker asked for the PIN out of place")
        lease.waiting.append(Borrower(line.worker, line.serial, line.trusted))
        self.go_on()

    def _has_asked(self, lease: Lease, worker: int) -> bool:
        on_trial = lease.trial is not None and lease.trial.borrower.worker == worker
        return on_trial or any(borrower.worker == worker for borrower in lease.waiting)

    def ended(self, line: Line, ended: pin_wire.LoginEnded) -> None:
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
        self.go_on()

    def lost(self, line: Line) -> None:
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
        self.go_on()


def _login_frame(trial: Trial) -> bytearray:
    if trial.pin is None:
        return framing.encode(pin_wire.PadLogin())
    field, buffer = pin_wire.wrap(trial.pin)
    frame = framing.encode(pin_wire.Login(field, trial.by_officer, trial.open_attempt))
    buffer[:] = bytes(len(buffer))
    return frame
