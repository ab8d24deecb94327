"""The keys of one token, with a worker, what bars keys, and an audit log that do as they are told."""

import asyncio

from segeld.config.schema import Token
from segeld.ipc.worker_wire import FoundKey, ItemFailed, Remedy, Signed, TokenInfo
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName, TokenName
from segeld.supervisor.key_memory import KeyMemory
from segeld.supervisor.keyring import Keyring
from segeld.supervisor.token_notes import OfThisRun, TokenNotes
from segeld.supervisor.worker_handle import WorkerLost

TOKEN = TokenName("seal")
TIMEOUT = 10
FAILED = ItemFailed(Reason.DEVICE_ERROR, 0x30, Remedy.ITEM, certain=True)


def found(word: str, **fields) -> FoundKey:
    return FoundKey(word, word.encode(), KeyKind.P_256, word.encode(), (), False, **fields)


def name(word: str) -> KeyName:
    return KeyName.of(word.encode())


class Worker:
    """Counts what it signs."""

    def __init__(self) -> None:
        self.signed: list[KeyName] = []
        self.outcome: bytes | ItemFailed | WorkerLost = b"a signature"
        self.killed = ""

    async def sign(self, key, *_, **__) -> Signed:
        self.signed.append(KeyName(key))
        await asyncio.sleep(0)
        if isinstance(self.outcome, WorkerLost):
            raise self.outcome
        return Signed(1, (self.outcome,), 1)

    def kill(self, why: str) -> None:
        self.killed = why


def device(serial: str = "0042") -> TokenInfo:
    return TokenInfo("seal", serial, "ACME", "One", (), 4, 8)


class Desk:
    """What bars keys, the token that they are on, and the audit log."""

    def __init__(self, notes: TokenNotes | None = None) -> None:
        self.barred: set[KeyName] = set()
        self.halted = False
        self.worker: Worker | None = Worker()
        self.recorded: list[KeyName] = []
        self.full = False
        self.updates = 0
        self.meanwhile = lambda: None
        """What happens while a probe is being recorded."""
        self.device: TokenInfo | None = device()
        self.memory = KeyMemory(TOKEN, notes or OfThisRun(), again=0.001)
        self.ring = Keyring(self, Token("soft", label="seal"), self, self.record, self.memory)

    def is_barred(self, key, found) -> bool:
        assert key in {each.name for each in found}
        return key in self.barred

    def is_halted(self) -> bool:
        return self.halted

    def ready(self) -> Worker | None:
        return self.worker

    def info(self) -> TokenInfo | None:
        return self.device

    def update(self) -> None:
        self.updates += 1

    async def record(self, key) -> None:
        if self.full:
            raise Fault(Reason.STORAGE_FULL, "The disk has no room.")
        self.recorded.append(key)
        await asyncio.sleep(0)
        self.meanwhile()

    async def know(self, *words: str, worker: Worker | None = None) -> None:
        await self.ring.know(worker or self.worker, tuple(map(found, words)), logged_in=True)

    async def see(self, *words: str) -> None:
        """What it shows to anybody."""
        await self.ring.know(self.worker, tuple(map(found, words)), logged_in=False)

    async def review(self) -> None:
        self.ring.review()
        if self.ring._proving is not None:
            await asyncio.wait_for(self.ring._proving, TIMEOUT)
