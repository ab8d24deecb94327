"""What was found on one token: its keys, and whether each private one was proved to fit its public one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog

from segeld.config.schema import Token
from segeld.ipc.worker_wire import FoundKey, TokenInfo
from segeld.model.faults import Fault
from segeld.model.inventory import TokenKey
from segeld.model.names import KeyName
from segeld.supervisor import keys
from segeld.supervisor.key_memory import KeyMemory
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)


class Bars(Protocol):
    """What must not be signed with now, not even a probe."""

    def is_barred(self, key: KeyName, found: tuple[TokenKey, ...]) -> bool:
        """:param found: all keys of the token, as they were found just now."""
        ...

    def is_halted(self) -> bool:
        """Whether nothing at all is signed: no claim is granted then."""
        ...


class Host(Protocol):
    """The token, as its keys need it."""

    def ready(self) -> WorkerHandle | None:
        """A worker that can sign."""
        ...

    def info(self) -> TokenInfo | None:
        """The device that was seen last."""
        ...

    def update(self) -> None:
        """Other keys may be used now."""


class Keyring:
    """A key is proved once for each activation; one that was barred then, when it is barred no more.

    Until its device was looked through, what is remembered of it from earlier runs is shown beside what is seen, so that
    whoever asks is told what the key waits for. It is never used because of that.
    """

    def __init__(
        self,
        host: Host,
        config: Token,
        bars: Bars,
        record: Callable[[KeyName], Awaitable[None]],
        memory: KeyMemory,
    ) -> None:
        """:param record: puts a probe into the audit log, before it is signed."""
        self.beside: Final = keys.Beside(config)
        self.keys: tuple[TokenKey, ...] = ()
        """Of the device that was seen last; before the first was seen, of the one that is remembered."""
        self.away: tuple[TokenKey, ...] = ()
        """Of the one that is remembered, if that is another."""
        self.looked_through = False
        """Whether `keys` are all its private keys: found after a login."""
        self._memory = memory
        self._seen: tuple[TokenKey, ...] = ()
        """In this run."""
        self._device: str | None = None
        """The serial number of the device of these; None if none was seen."""
        self._host = host
        self._patience: Final = config.timeouts.operation
        self._bars = bars
        self._record = record
        self._names: frozenset[KeyName] = frozenset()
        self._unproved: frozenset[KeyName] = frozenset()
        """Those that were barred when the others were proved."""
        self._proved = False
        self._turn = asyncio.Lock()
        self._proving: asyncio.Task[None] | None = None

    @property
    def names(self) -> frozenset[KeyName]:
        """Keys that may be used. While no claim is granted nothing is signed: whoever asks is to be told that then."""
        if self._unproved and self._bars.is_halted():
            return self._names | self._unproved
        return self._names

    @property
    def unproved(self) -> frozenset[KeyName]:
        return self._unproved

    def expect(self, *, proved: bool = False) -> None:
        """An activation begins: its first worker proves the keys.

        :param proved: it goes on from an earlier one.
        """
        self._proved = proved

    def recall(self) -> None:
        """What earlier runs have kept is there now."""
        self._memory.recall()
        self._show()

    def forget(self) -> None:
        """The token was erased."""
        self._proved = self.looked_through = False
        self._device = None
        self._memory.forget()
        self._learn((), frozenset())

    async def drop(self, key: KeyName) -> None:
        """It was destroyed: it is not there any more, whenever that is seen."""
        async with self._turn:  # else the end of a proof that is under way would bring it back
            left = tuple(each for each in self._seen if each.name != key)
            self._learn(left, self._unproved - {key})
        if (device := self._host.info()) is not None:
            await self._memory.keep(device, left)

    async def know(self, worker: WorkerHandle, found: tuple[FoundKey, ...], *, logged_in: bool) -> None:
        """The first worker after an activation proves the keys; what the others find is the same token.

        Before a login only what is public is seen: enough for people, until something better is known.

        :raises WorkerLost: if the worker ends meanwhile, or its token is gone.
        :raises Fault: if a probe cannot be recorded.
        """
        named = tuple(
            keys.named(key, self.beside, weak)
            for key, weak in zip(found, keys.weaknesses(found), strict=True)
        )
        device = self._host.info()
        assert device is not None, "a worker opened it"
        if not logged_in:
            await self._glimpse(device, named)
            return
        async with self._turn:
            if not self._proved:
                proved = await self._prove(worker, named, keys.to_prove(named))
                self._proved = self.looked_through = True
                self._device = device.serial
                self._learn(*proved)
            while self._is_due():
                self._learn(*await self._prove(worker, self._seen, self._unproved))
            seen = self._seen
        await self._memory.keep(device, seen)

    async def _glimpse(self, device: TokenInfo, shown: tuple[TokenKey, ...]) -> None:
        if self._device not in (None, device.serial) and self._host.ready() is None:
            self._seen, self._proved, self.looked_through = (), False, False  # it was exchanged
        if self._seen:
            return
        self._device = device.serial
        self._learn(shown, frozenset())
        if self._memory.held is None:  # what was found after a login is known better
            await self._memory.keep(device, shown)

    async def _prove(
        self, worker: WorkerHandle, found: tuple[TokenKey, ...], wanted: frozenset[KeyName]
    ) -> tuple[tuple[TokenKey, ...], frozenset[KeyName]]:
        """The keys, with what their probes say; and which of those that are wanted were barred."""
        left: set[KeyName] = set()
        after: list[TokenKey] = []
        for key in found:
            if key.name not in wanted or key.unusable is not None:
                after.append(key)
            elif (proved := await self._proved_one(worker, key, found)) is None:
                left.add(key.name)
                after.append(key)
            else:
                after.append(proved)
        return tuple(after), frozenset(left)

    async def _proved_one(
        self, worker: WorkerHandle, key: TokenKey, found: tuple[TokenKey, ...]
    ) -> TokenKey | None:
        """None: it is barred. That is asked once more when its probe is recorded: the disk may have taken long."""
        assert key.name is not None
        if self._is_barred(key.name, found):
            return None
        await self._record(key.name)
        if self._is_barred(key.name, found):
            return None
        return await keys.proved(worker, key, self._patience)

    def _is_barred(self, key: KeyName, found: tuple[TokenKey, ...]) -> bool:
        return self._bars.is_halted() or self._bars.is_barred(key, found)

    def _learn(self, found: tuple[TokenKey, ...], unproved: frozenset[KeyName]) -> None:
        self._seen, self._unproved = found, unproved
        usable = frozenset(key.name for key in found if key.name is not None and key.unusable is None)
        self._names = usable - unproved
        self._show()

    def _show(self) -> None:
        self.keys, self.away = self._seen, ()
        held = self._memory.held
        if self.looked_through or held is None:
            return
        known = tuple(
            replace(key, chain=self.beside.chain(key.public_key, key.certificates)) for key in held.keys
        )
        if self._device in (None, held.serial):
            self.keys = _joined(_completed(self._seen, known), known)
        else:
            self.away = known

    def review(self) -> None:
        """What is barred may be another now: those that are not any more are proved, before they are used."""
        if self._is_due() and (self._proving is None or self._proving.done()):
            self._proving = asyncio.create_task(self._prove_late(), name="proves keys")

    def _is_due(self) -> bool:
        return any(not self._is_barred(name, self._seen) for name in self._unproved)

    async def _prove_late(self) -> None:
        """Without a worker that can sign, the next one that comes proves them before it does anything else."""
        while self._is_due() and (worker := self._host.ready()) is not None:
            try:
                async with self._turn:
                    self._learn(*await self._prove(worker, self._seen, self._unproved))
            except (WorkerLost, WorkerFailed) as lost:
                worker.kill(str(lost))  # the next one that comes has to prove them
                return
            except Fault as fault:
                _log.error("keys not proved", why=fault.text)
                return
            self._host.update()

    def stop(self) -> None:
        self._memory.stop()
        if self._proving is not None:
            self._proving.cancel()


def _joined(first: tuple[TokenKey, ...], more: tuple[TokenKey, ...]) -> tuple[TokenKey, ...]:
    """Keys that both know are as the first has them."""
    names = {key.name for key in first}
    return (*first, *(key for key in more if key.name not in names))


def _completed(shown: tuple[TokenKey, ...], known: tuple[TokenKey, ...]) -> tuple[TokenKey, ...]:
    """With what a token does not tell before a login."""
    hidden = {key.name: key for key in known}
    return tuple(
        replace(key, always_authenticate=before.always_authenticate, weak=before.weak)
        if (before := hidden.get(key.name)) is not None
        else key
        for key in shown
    )
