"""What happens to a login lease, step by step."""

from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.keeper.lease import Borrower, Denied, Lease, Trial
from segeld.keeper.memory import Memory
from segeld.model.secret import Pin

SERIAL = "0815"
SPENT = [LoginOutcome.REFUSED, LoginOutcome.LOCKED, LoginOutcome.EXPIRED]


def borrowers(*numbers: int, serial: str = SERIAL, trusted: bool = True) -> list[Borrower]:
    return [Borrower(number, serial, trusted) for number in numbers]


def lent(pin: bytes = b"1234", *, by_officer: bool = True, memory: Memory | None = None) -> Lease:
    lease = Lease("tokens/a", b"k", memory or Memory())
    assert lease.hold(Pin(pin), by_officer=by_officer, serial=SERIAL)
    lease.waiting.extend(borrowers(1, 2, 3))
    begun = lease.begin()
    assert isinstance(begun, Trial)
    assert begun.borrower.worker == 1
    assert lease.recorded().given
    return lease


def end(lease: Lease, outcome: LoginOutcome | None, ckr: int = 0) -> Record | None:
    record = lease.ended(outcome, ckr)
    lease.settled()
    return record


def begin(lease: Lease) -> int | NotLent | None:
    begun = lease.begin()
    if isinstance(begun, Trial):
        lease.recorded()
        return begun.borrower.worker
    return begun.why if isinstance(begun, Denied) else None


def after_restart(record: Record) -> Memory:
    return Memory({SERIAL: record})
