"""A keeper process and the workers' ends of its sockets, in a test's hands."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from segeld.ipc import framing, keeper_wire, pin_wire
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.names import TokenName
from segeld.supervisor.keeper_handle import KeeperHandle

TOKEN = TokenName("payroll")
SERIAL = "0815"
TIMEOUT = 10


@dataclass
class WorkerEnd:
    """The worker's end of a PIN socket, in this test's hands."""

    number: int
    ours: socket.socket
    lending: "asyncio.Task[keeper_wire.Lent]"

    async def receive(self) -> tuple[bytes, bool]:
        reader = framing.FrameReader()
        while True:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.ours, 4096), TIMEOUT)
            assert data, "the keeper hung up"
            for frame in reader.feed(data):
                login = framing.decode(pin_wire.FROM_KEEPER, frame)
                with pin_wire.unwrap(login.pin) as pin, pin.view() as view:
                    return bytes(view), login.by_officer

    def answer(self, outcome: LoginOutcome, ckr: int = 0, flags: tuple[str, ...] = ()) -> None:
        self.ours.sendall(framing.encode(pin_wire.LoginEnded(outcome, ckr, flags)))

    async def lent(self) -> keeper_wire.Lent:
        return await asyncio.wait_for(self.lending, TIMEOUT)


@asynccontextmanager
async def borrowing(keeper: KeeperHandle) -> AsyncIterator[Callable[..., Awaitable["WorkerEnd"]]]:
    """Asks for a lend; gives the worker's end."""
    ends: list[WorkerEnd] = []

    async def ask(token: TokenName = TOKEN, *, serial: str = SERIAL, trusted: bool = True) -> WorkerEnd:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = len(ends) + 1
        lending = asyncio.create_task(keeper.lend(token, number, theirs, serial, trusted=trusted))
        ends.append(WorkerEnd(number, ours, lending))
        await asyncio.sleep(0)
        return ends[-1]

    yield ask
    for end in ends:
        end.ours.close()
        end.lending.cancel()


def pin_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "pin"
    path.write_bytes(content)
    path.chmod(mode)
    return path
