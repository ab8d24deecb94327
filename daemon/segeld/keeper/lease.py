"""The login lease of one token: which PIN is held, who waits for it, which attempt is under way. Without I/O.

An attempt goes: `begin`, then `recorded` when it is durable, then the PIN is given out, then `ended`, then `settled` when
that is durable too. Only then the next one begins, at this device under whatever name.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper.memory import OPEN, Memory, fingerprint
from segeld.model.secret import Pin


@dataclass(frozen=True, slots=True)
class Borrower:
    """A worker that asks for the PIN."""

    worker: int
    serial: str
    """Of the token it has opened."""
    trusted: bool
    """Whether that token's flags are known to tell the truth."""
    pin: Pin | None = None
    """Its own, which an officer typed for this one login; None: it wants the one that is held."""


@dataclass(slots=True)
class Trial:
    """An attempt that is under way."""

    borrower: Borrower
    pin: Pin | None
    """None: it is typed at the reader's own pad."""
    print_: bytes
    by_officer: bool
    open_attempt: bool
    """An earlier attempt with this PIN ended without an answer."""
    record: Record | None
    """What must be durable before the PIN is given out; None for a pad: there is always a person."""
    given: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    borrower: Borrower
    why: NotLent


@dataclass(slots=True)
class Lease:
    """One token's. Attempts are one at a time; a PIN that the token refused is never given out again."""

    token: str = ""
    key: bytes = b""
    memory: Memory = field(default_factory=Memory)
    """Shared by all leases."""
    pin: Pin | None = None
    pad: bool = False
    """One login by the reader's pad is allowed."""
    by_officer: bool = False
    waiting: deque[Borrower] = field(default_factory=deque)
    """In the order in which they asked."""
    trial: Trial | None = None
    settling: Borrower | None = None
    """Whose outcome is not durable yet."""
    frozen: bool = False
    """The PIN is being exchanged: the one that is held is given to nobody."""
    _prints: dict[str, bytes] = field(default_factory=dict)
    """Of the PIN that is held, by device: they are slow to make."""

    def hold(self, pin: Pin, *, by_officer: bool, serial: str | None = None) -> bool:
        """Takes a PIN; False (and the PIN wiped) if the token that is there refused this very PIN before."""
        prints = {} if serial is None else {serial: fingerprint(pin, self.key, serial)}
        if any(self.memory.was_refused(print_, serial) for serial, print_ in prints.items()):
            pin.wipe()
            return False
        self.drop()
        self.pin, self.by_officer, self._prints = pin, by_officer, prints
        return True

    def hold_pad(self) -> None:
        self.drop()
        self.pad = True

    def holds(self) -> bool:
        return self.pin is not None or self.pad

    def _print_of(self, pin: Pin, serial: str) -> bytes:
        """Of the PIN that is held."""
        if serial not in self._prints:
            self._prints[serial] = fingerprint(pin, self.key, serial)
        return self._prints[serial]

    def forget(self, devices: Iterable[str] = ()) -> None:
        """:param devices: what these refused counts no more."""
        self.drop()
        self.memory.clear(devices)

    def changed(self, serial: str, old: Pin | None, new: Pin) -> Record:
        """The token's PIN is another now. It takes the place of one that is held; else it is wiped."""
        print_ = fingerprint(new, self.key, serial)
        former = None if old is None else fingerprint(old, self.key, serial)
        record = self.memory.took(print_, serial, former)
        if self.pin is None:
            new.wipe()
        else:
            self.drop()
            self.pin, self.by_officer, self._prints = new, False, {serial: print_}
        return record

    def may_send(self, pin: Pin, device: str) -> bool:
        """Whether an officer may send it to a device: that did not refuse it before, and its memory is not full."""
        print_ = fingerprint(pin, self.key, device)
        return self.memory.forbids(print_, device, by_officer=True, trusted=True) is None

    def refused(self, pin: Pin, device: str) -> Record:
        """The device did not take it, otherwise than in an attempt."""
        record = self.memory.refuses(fingerprint(pin, self.key, device), device)
        if self.pin is not None and self._print_of(self.pin, device) in record.refused:
            self.drop()
        return record

    def begin(self) -> Trial | Denied | None:
        """The next attempt, if there may be one; or who may not have it, and why: the PIN is dropped then."""
        if self.trial is not None or self.settling is not None:
            return None
        borrower = next((each for each in self.waiting if not self.frozen or each.pin is not None), None)
        if borrower is None or borrower.serial in self.memory.busy:
            return None
        pin = self.pin
        if borrower.pin is None and pin is None and not self.pad:
            return None
        self.waiting.remove(borrower)
        if borrower.pin is not None:
            return self._begin_own(borrower, borrower.pin)
        if self.pad or pin is None:
            self.pad = False
            return self._try(Trial(borrower, None, b"", by_officer=True, open_attempt=False, record=None))
        serial = borrower.serial
        print_ = self._print_of(pin, serial)
        why = self.memory.forbids(print_, serial, by_officer=self.by_officer, trusted=borrower.trusted)
        if why is not None:
            self.drop()
            return Denied(borrower, why)
        open_attempt = self.memory.of(serial).open.get(print_, 0) > 0
        record = self.memory.begins(print_, serial)
        return self._try(Trial(borrower, pin, print_, self.by_officer, open_attempt, record))

    def _try(self, trial: Trial) -> Trial:
        self.trial = trial
        self.memory.busy.add(trial.borrower.serial)
        return trial

    def _begin_own(self, borrower: Borrower, pin: Pin) -> Trial | Denied:
        """The PIN that is held, if one is, stays as it is."""
        serial = borrower.serial
        print_ = fingerprint(pin, self.key, serial)
        why = self.memory.forbids(print_, serial, by_officer=True, trusted=borrower.trusted)
        if why is not None:
            pin.wipe()
            return Denied(borrower, why)
        record = self.memory.begins(print_, serial)
        return self._try(Trial(borrower, pin, print_, by_officer=True, open_attempt=False, record=record))

    def give_up(self, worker: int) -> None:
        """This worker waits no more."""
        for borrower in self.waiting:
            if borrower.worker == worker and borrower.pin is not None:
                borrower.pin.wipe()
        self.waiting = deque(borrower for borrower in self.waiting if borrower.worker != worker)

    def hopeless(self) -> list[Borrower]:
        """Those who wait for a PIN that is not held: they wait no more."""
        if self.holds():
            return []
        hopeless = [borrower for borrower in self.waiting if borrower.pin is None]
        self.waiting = deque(borrower for borrower in self.waiting if borrower.pin is not None)
        return hopeless

    def recorded(self) -> Trial:
        """The attempt is durable: its PIN may be given out."""
        assert self.trial is not None, "no attempt"
        self.trial.given = True
        return self.trial

    def ended(self, outcome: LoginOutcome | None, ckr: int = 0) -> Record | None:
        """The attempt is over; None if its worker died before it could tell. Gives what is to be remembered.

        :param ckr: C_Login's answer; with LOCKED, 0 if only a flag said so and C_Login was not called.
        """
        trial, self.trial = self.trial, None
        assert trial is not None, "nothing was lent"
        serial = trial.borrower.serial
        if trial.pin is None:
            self.memory.busy.discard(serial)
            return None
        self.settling = trial.borrower
        if not trial.given:
            self._done_with(trial.pin)
            return self.memory.undo(trial.print_, serial)
        record = self.memory.ended(trial.print_, serial, outcome, ckr)
        if trial.pin is not self.pin:  # it was exchanged meanwhile: this says nothing about the new one,
            if self.pin is not None and self._print_of(self.pin, serial) in record.refused:
                self.drop()  # unless that is the same
        elif outcome is LoginOutcome.OK or outcome in OPEN:
            self.by_officer = False
        else:
            self.pin = None
        self._done_with(trial.pin)
        return record

    def settled(self) -> None:
        """What the last attempt came to is durable, or cannot be made so: the next one's record holds it again."""
        if self.settling is not None:
            self.memory.busy.discard(self.settling.serial)
        self.settling = None

    def drop(self) -> None:
        """Wipes the PIN that is held; one that is on trial is wiped when that is over."""
        pin, self.pin, self.pad, self._prints = self.pin, None, False, {}
        if pin is not None:
            self._done_with(pin)

    def _done_with(self, pin: Pin) -> None:
        on_trial = self.trial.pin if self.trial is not None else None
        if pin is not self.pin and pin is not on_trial:
            pin.wipe()
