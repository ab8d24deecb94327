"""Stands where the dispatcher stands, for tests of the services."""

import asyncio
import hashlib
from dataclasses import dataclass, field

from segeld.model.faults import Fault
from segeld.model.inventory import Signed
from segeld.model.job import Receipt, Signature


@dataclass
class FakeDispatch:
    """Signs with SHA-256 of the input. `hold` makes it wait; `fail` makes it raise."""

    orders: list = field(default_factory=list)
    fail: BaseException | None = None
    outcome: object = None
    hold: asyncio.Event | None = None
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    holds: dict = field(default_factory=dict)
    log_origin: str = "log.example/segel"

    async def sign(self, order):
        self.orders.append(order)
        self.arrived.release()
        try:
            for gate in (self.hold, self.holds.get(order.request_id)):
                if gate is not None:
                    await gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.fail is not None:
            raise self.fail
        made = self.outcome or (lambda data: hashlib.sha256(data).digest())
        outcomes = (made(data) for data in order.inputs)
        return Signed(
            tuple(
                each if isinstance(each, Fault) else Signature(each, Receipt(7, place))
                for place, each in enumerate(outcomes)
            )
        )
