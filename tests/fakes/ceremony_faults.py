"""What ceremonies that fail have in common: how they are asked for, and what is looked at."""

import asyncio

import pytest
from ceremony_desk import NEW_PIN, PIN, SEAL, SO_PIN
from office_fakes import FakeRecords
from served import wait_until

from segeld.model.faults import Fault
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.act_token import InitializingToken, UnblockingPin
from segeld.office.actions import InitializeToken, UnblockPin
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import Person
from segeld.supervisor.half import Half

DEVICE_ERROR, NO_ROOM, SESSION_EXISTS, WRITE_PROTECTED, PIN_INVALID, PIN_LENGTH = (
    0x30,
    0x31,
    0xB6,
    0xE2,
    0xA1,
    0xA2,
)
PIN_INCORRECT = 0xA0
WAYAN = Person("wayan", "uri:wayan")
INIT, UNBLOCK = InitializeToken("tokens/seal"), UnblockPin("tokens/seal")


async def refused(work) -> Fault:
    with pytest.raises(Fault) as caught:
        await work
    return caught.value


async def half(work) -> Half:
    with pytest.raises(Half) as caught:
        await work
    return caught.value


async def active(supervisor) -> None:
    await supervisor.activate(SEAL, Pin(PIN))


def stays_usable(supervisor) -> None:
    assert supervisor.token(SEAL).state is TokenState.ACTIVE
    assert supervisor._tokens[SEAL]._pin.is_held()


async def generate(supervisor, label: str = "seal"):
    return await supervisor.generate_key(SEAL, label, "p256", b"")


class Office:
    """Where one officer asks for changes and runs them."""

    def __init__(self, supervisor, acts) -> None:
        executors = {
            InitializeToken: InitializingToken(supervisor, acts),
            UnblockPin: UnblockingPin(supervisor, acts),
        }
        self.desk = ChangeDesk(FakeRecords(), executors, two_person=lambda: False, standing=lambda _: "1")

    async def ask(self, action) -> int:
        return (await self.desk.propose(action, WAYAN)).number

    async def run(self, number: int, *, so_pin: bytes = SO_PIN, new_pin: bytes = NEW_PIN):
        secrets = {"so_pin": Pin(so_pin), "new_pin": Pin(new_pin)}
        try:
            return await self.desk.run_change(number, WAYAN, secrets)
        finally:
            assert not any(map(len, secrets.values()))

    def change(self, number: int):
        return self.desk.change(number)


async def called(desk, function: str) -> None:
    """Returns when a process is in it."""
    await asyncio.to_thread(wait_until, lambda: function in desk.module.calls)
