"""What is remembered of PINs, and what follows from it for the next login. Pure, but for the hash.

It is kept by device, which is its serial number: the same one may be configured under two names, or under another name
than before. Devices with the same serial number, or with none, count as one: what one refused no other is asked.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.secret import Pin

OPEN_ATTEMPTS_ALLOWED: Final = 1
"""An attempt that ended without an answer leaves open whether a try was spent; one more is risked by itself."""
MAX_REMEMBERED: Final = 64
"""PINs of one device. With so many nothing is tried until an officer clears the memory: no refusal is dropped silently."""

OPEN: Final = frozenset({None, LoginOutcome.REMOVED})
"""Nobody knows whether a try was spent."""
_SPENT: Final = frozenset({LoginOutcome.REFUSED, LoginOutcome.EXPIRED})
_MEMORY: Final = 64 * 1024 * 1024


def fingerprint(pin: Pin, key: bytes, serial: str) -> bytes:
    """Keyed and slow, so that a copy of the file is no shortcut to a short PIN: scrypt (RFC 7914), 32 MB, 0.1 s.

    The same PIN looks different for each device.
    """
    with pin.view() as view:
        salt = key + serial.encode()
        return hashlib.scrypt(view, salt=salt, n=2**15, r=8, p=1, maxmem=_MEMORY, dklen=32)


@dataclass(slots=True)
class Memory:
    """Every device's, by serial number: a swapped token neither inherits nor spends."""

    records: dict[str, Record] = field(default_factory=dict)
    lost: bool = False
    """What was remembered is lost; of a serial number without a record nothing is known."""
    busy: set[str] = field(default_factory=set)
    """Devices at which an attempt is under way, or its outcome is not durable yet."""
    under_way: dict[str, bytes] = field(default_factory=dict)
    """The attempts that have not ended yet, by device."""

    def of(self, serial: str) -> Record:
        return self.records.get(serial) or Record(unsure=self.lost)

    def was_refused(self, print_: bytes, serial: str | None) -> bool:
        return serial is not None and print_ in self.of(serial).refused

    def forbids(self, print_: bytes, serial: str, *, by_officer: bool, trusted: bool) -> NotLent | None:
        """Why no login may be tried with this PIN now. The token's own flags are looked at later, by the worker.

        :param by_officer: an officer asked for this very attempt.
        :param trusted: the token's flags are known to tell the truth.
        """
        record = self.of(serial)
        if print_ in record.refused:
            return NotLent.REFUSED
        if print_ not in record.open and len(record.refused) + len(record.open) >= MAX_REMEMBERED:
            return NotLent.FULL
        if by_officer:
            return None
        if record.unsure:
            return NotLent.UNKNOWN
        open_ = record.open.get(print_, 0)
        if open_ > OPEN_ATTEMPTS_ALLOWED:
            return NotLent.OPEN
        return NotLent.DISTRUST if open_ and not trusted else None

    def begins(self, print_: bytes, serial: str) -> Record:
        """An attempt begins: it is open until something is known of it."""
        self.under_way[serial] = print_
        record = self.of(serial)
        open_ = {**record.open, print_: record.open.get(print_, 0) + 1}
        return self._keep(serial, Record(record.refused, open_, record.unsure))

    def undo(self, print_: bytes, serial: str) -> Record:
        """It did not come to an attempt."""
        self.under_way.pop(serial, None)
        record = self.of(serial)
        open_ = dict(record.open)
        left = open_.pop(print_, 0) - 1
        if left > 0:
            open_[print_] = left
        return self._keep(serial, Record(record.refused, open_, record.unsure))

    def ended(self, print_: bytes, serial: str, outcome: LoginOutcome | None, ckr: int) -> Record:
        """:param ckr: C_Login's answer; with LOCKED, 0 if only a flag said so and C_Login was not called."""
        self.under_way.pop(serial, None)
        if outcome in OPEN:
            return self._keep(serial, self.of(serial))
        if outcome is LoginOutcome.OK:
            return self.took(print_, serial)
        if outcome in _SPENT or (outcome is LoginOutcome.LOCKED and ckr):
            return self.refuses(print_, serial)
        return self.undo(print_, serial)

    def refuses(self, print_: bytes, serial: str) -> Record:
        """It was sent otherwise than in an attempt of ours, and the device did not take it."""
        record = self.of(serial)
        open_ = {known: count for known, count in record.open.items() if known != print_}
        return self._keep(serial, Record(_with(record.refused, print_), open_, record.unsure))

    def took(self, print_: bytes, serial: str, old: bytes | None = None) -> Record:
        """This is the token's PIN: the token said so, or it was made so. Any other is a wrong one."""
        record = self.of(serial)
        others = _with(record.refused, *record.open, *([] if old is None else [old]))
        return self._keep(serial, Record(tuple(one for one in others if one != print_)))

    def clear(self, serials: Iterable[str]) -> None:
        """An officer's act. What is not known stays unknown until a PIN was taken, and an attempt that is under way stays
        open until it has ended.
        """
        for serial in self.records.keys() & set(serials):
            print_ = self.under_way.get(serial)
            open_ = {} if print_ is None else {print_: 1}
            self.records[serial] = Record(open=open_, unsure=self.records[serial].unsure)

    def _keep(self, serial: str, record: Record) -> Record:
        self.records[serial] = record
        return record


def _with(known: tuple[bytes, ...], *more: bytes) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((*known, *more)))
