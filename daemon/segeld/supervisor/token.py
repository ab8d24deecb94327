"""One token: its workers are started, logged in, served and replaced; its state follows from theirs."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from segeld.config.schema import Module, PinDescriptor, PinFile, Token
from segeld.ipc.keeper_wire import Lent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.ipc.worker_wire import Remedy, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import PinState, Stage, TokenState, WorkerStatus, decide
from segeld.supervisor import keys
from segeld.supervisor.backoff import Backoff
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.login import refusal
from segeld.supervisor.news import News
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

Serve = Callable[[TokenName, WorkerHandle], Awaitable[None]]
"""Feeds a worker that is ready; returns when it ended, or retires and holds nothing any more."""

_log: Final = structlog.get_logger(__name__)
_LOOKS: Final = 2
_BAD_SIGNATURES: Final = 2
_BAD_SIGNATURES_WITHIN: Final = 600.0


class TokenSupervisor:
    """Keeps `workers` workers on one token. `run` goes on until it is cancelled."""

    def __init__(
        self,
        name: TokenName,
        config: Token,
        module: Module,
        keeper: Callable[[], Awaitable[KeeperHandle]],
        serve: Serve,
        changed: Callable[[], None],
    ) -> None:
        self.name: Final = name
        self.news: Final = News()
        self._config = config
        self._module = module
        self._keeper = keeper
        self._serve = serve
        self._changed = changed
        self._beside: Final = keys.Beside(config)
        self._statuses = [WorkerStatus(Stage.DOWN) for _ in range(config.workers)]
        self._workers: dict[int, WorkerHandle] = {}
        self._not_found = [0] * config.workers
        """How often in a row each worker did not find the token."""
        self._pin = PinState.MISSING
        self._pin_fault: Fault | None = None
        self._held_by: KeeperHandle | None = None
        self._was_active = False
        self._quarantined = False
        self._bad_signatures: deque[float] = deque(maxlen=_BAD_SIGNATURES)
        self._info: TokenInfo | None = None
        self._keys: tuple[TokenKey, ...] = ()
        self._names: frozenset[KeyName] = frozenset()
        self._proved = False
        self._proving = asyncio.Lock()
        self._state = TokenState.STARTING
        self._state_reason = ""
        self._state_since = time.time()

    @property
    def state(self) -> TokenState:
        return self._state

    def is_active(self) -> bool:
        return self._state is TokenState.ACTIVE

    @property
    def patience(self) -> float:
        return self._config.timeouts.operation

    def names(self) -> frozenset[KeyName]:
        """The keys on it that may be used."""
        return self._names

    def record(self) -> TokenRecord:
        info = self._info
        return TokenRecord(
            name=self.name,
            state=self._state,
            state_reason=self._state_reason,
            state_since=self._state_since,
            label=info.label if info else self._config.label or "",
            serial=info.serial if info else self._config.serial or "",
            manufacturer=info.manufacturer if info else "",
            model=info.model if info else "",
            flags=info.flags if info else (),
            workers_ready=sum(status.stage is Stage.READY for status in self._statuses),
            workers_configured=self._config.workers,
            pin_source=self._config.pin.source,
            keys=self._keys,
        )

    async def run(self) -> None:
        await self._hold_configured_pin()
        async with asyncio.TaskGroup() as group:
            for slot in range(self._config.workers):
                group.create_task(self._keep(slot), name=f"{self.name} worker {slot}")

    async def looked(self) -> None:
        """Returns when it has been looked for once."""
        await self.news.until(lambda: self._state is not TokenState.STARTING)

    # --- what officers ask for

    async def activate(self, pin: Pin) -> None:
        """Spends at most one PIN try. Returns when a worker is ready.

        :raises Fault: what the keeper or the token answered, or why no attempt could be made.
        """
        if self.is_active():
            pin.wipe()
            return
        keeper = await self._keeper()
        await keeper.hold(self.name, pin)
        self._held_by = keeper
        self._quarantined = False
        self._bad_signatures.clear()
        self._pin, self._pin_fault, self._proved = PinState.HELD, None, False
        self._statuses = [WorkerStatus(status.stage) for status in self._statuses]
        self._update()
        try:
            async with asyncio.timeout(2 * self._config.timeouts.start):
                await self.news.until(lambda: self.is_active() or self._gave_up() is not None)
        except TimeoutError:
            pass
        finally:
            # However this ends: a token that did not come up now must not log in later by surprise.
            if not self.is_active() and self._pin is PinState.HELD:
                self._pin = PinState.MISSING
                self._update()
                await asyncio.shield(keeper.forget(self.name, refused_too=False))
        if not self.is_active():
            late = Fault(Reason.TOKEN_RECOVERING, f"{self.name} did not come up in time; see its state.")
            raise self._gave_up() or late

    def _gave_up(self) -> Fault | None:
        if self._pin_fault is not None:
            return self._pin_fault
        trouble = [status for status in self._statuses if status.trouble]
        if len(trouble) < len(self._statuses):
            return None
        reason = Reason.TOKEN_NOT_PRESENT if any(status.absent for status in trouble) else Reason.DEVICE_ERROR
        return Fault(reason, f"{self.name}: {trouble[0].trouble}", token=str(self.name))

    async def deactivate(self) -> None:
        """Forgets the PIN; workers finish what they hold and end. New ones wait for the next activation."""
        await (await self._keeper()).forget(self.name, refused_too=True)
        self._pin, self._pin_fault, self._was_active = PinState.MISSING, None, False
        await self._retire_all()
        self._update()

    async def _retire_all(self) -> None:
        retiring = [
            worker for slot, worker in self._workers.items() if self._statuses[slot].stage is Stage.READY
        ]
        for worker in retiring:
            worker.retire()
        for worker in retiring:
            await worker.ended.wait()

    def note_bad_signature(self) -> None:
        """A second one within ten minutes quarantines the token."""
        now = time.monotonic()
        self._bad_signatures.append(now)
        recent = (
            len(self._bad_signatures) == _BAD_SIGNATURES
            and now - self._bad_signatures[0] < _BAD_SIGNATURES_WITHIN
        )
        if recent and not self._quarantined:
            _log.critical("token quarantined", token=str(self.name))
            self._quarantined = True
            for worker in self._workers.values():
                worker.kill("its token is in quarantine")
            self._update()

    # --- the life of one worker

    async def _keep(self, slot: int) -> None:
        backoff = Backoff()
        while True:
            backoff.started()
            trouble = await self._live(slot)
            self._set(slot, trouble)
            pause = backoff.pause()
            if trouble.trouble:
                _log.warning(
                    "worker lost",
                    token=str(self.name),
                    slot=slot,
                    why=trouble.trouble,
                    again_in=round(pause, 2),
                )
            if trouble.absent or self._quarantined:
                # It may be plugged in, or an officer may act: look again soon, or when there is news of the PIN.
                await self.news.wait(seconds=max(pause, 1.0), when=lambda: self._statuses[slot].trouble == "")
            else:
                await asyncio.sleep(pause)

    async def _live(self, slot: int) -> WorkerStatus:
        """One worker from start to end; what it says is how it ended."""
        try:
            worker = await WorkerHandle.start(self._module.environment)
        except OSError as error:
            return WorkerStatus(Stage.DOWN, trouble=f"No worker process could be started: {error.strerror}.")
        self._workers[slot] = worker
        self._set(slot, WorkerStatus(Stage.LOADING, trouble=self._statuses[slot].trouble))
        try:
            await self._bring_up(slot, worker)
            await self._serve(self.name, worker)
        except WorkerFailed as failed:
            return self._failed(slot, failed)
        except WorkerLost as lost:
            return WorkerStatus(Stage.DOWN, trouble=f"Its worker was lost: {lost}.")
        except _Waiting:
            return WorkerStatus(Stage.DOWN)
        except Fault as fault:
            return WorkerStatus(Stage.DOWN, trouble=fault.text)
        finally:
            await worker.close()
            self._workers.pop(slot, None)
        if worker.retiring:
            return WorkerStatus(Stage.DOWN)
        return WorkerStatus(Stage.DOWN, trouble=f"Its worker was lost: {worker.why}.")

    def _failed(self, slot: int, failed: WorkerFailed) -> WorkerStatus:
        """Looking once is not enough: a soft token that another process writes to is not seen for a moment."""
        if failed.remedy is not Remedy.ABSENT:
            return WorkerStatus(Stage.DOWN, trouble=failed.text)
        self._not_found[slot] += 1
        if self._not_found[slot] < _LOOKS:
            return WorkerStatus(Stage.DOWN)
        return WorkerStatus(Stage.DOWN, absent=True, trouble=failed.text)

    async def _bring_up(self, slot: int, worker: WorkerHandle) -> None:
        patience = self._config.timeouts.start
        await worker.load(str(self._module.path), self._module.reserved, patience)
        opened = await worker.open_token(
            self._config.label, self._config.serial, self._config.sessions, patience
        )
        self._info = opened.token
        self._not_found[slot] = 0
        if not self._keys:
            found = await worker.find_keys(self._beside.public_keys, patience)
            self._learn(tuple(keys.named(key, self._beside) for key in found.keys))
        self._set(slot, WorkerStatus(Stage.WAITING))
        await self._log_in(worker)
        found = await worker.find_keys(self._beside.public_keys, patience)
        await self._know(worker, tuple(keys.named(key, self._beside) for key in found.keys))
        self._was_active = True
        self._set(slot, WorkerStatus(Stage.READY))

    async def _log_in(self, worker: WorkerHandle) -> None:
        """Waits for a PIN to be held, then for this worker's turn with it."""
        await self.news.until(lambda: self._may_log_in() or worker.ended.is_set(), worker.ended)
        keeper = await self._keeper()
        if keeper is not self._held_by and self._pin is PinState.HELD:
            # It was restarted, so the PIN is gone. It was not refused: a file may be read again.
            self._pin = PinState.MISSING
            await self._hold_configured_pin()
            raise _Waiting
        lent = await self._lend(keeper, worker)
        if lent.flags and self._info is not None:
            self._info = msgspec.structs.replace(self._info, flags=lent.flags)
        if lent.outcome is LoginOutcome.OK:
            if self._pin is not PinState.HELD:  # deactivated meanwhile
                raise _Waiting
            return
        if lent.outcome is None or lent.outcome is LoginOutcome.REMOVED:
            if lent.died or lent.outcome is not None:
                raise WorkerLost(worker.why or "the token was removed during the login")
            if (
                self._pin is PinState.HELD
            ):  # the keeper has none: it was restarted, or gave up after open attempts
                self._pin = PinState.MISSING
            raise _Waiting
        fault = refusal(self.name, lent)
        self._pin, self._pin_fault = PinState.REFUSED, fault
        _log.error(
            "pin refused", token=str(self.name), outcome=lent.outcome, ckr=f"{lent.ckr:#x}", flags=lent.flags
        )
        self._update()
        raise _Waiting

    async def _lend(self, keeper: KeeperHandle, worker: WorkerHandle) -> Lent:
        """The keeper waits for nobody but the worker; the worker gets the start-up time-out, then it is ended."""
        lending = asyncio.create_task(keeper.lend(self.name, worker.number, worker.take_pin_socket()))
        try:
            async with asyncio.timeout(self._config.timeouts.login * self._config.workers):
                return await asyncio.shield(lending)
        except TimeoutError:
            worker.kill("the login did not end in time")
            return await lending
        finally:
            lending.cancel()

    def _may_log_in(self) -> bool:
        return self._pin is PinState.HELD and not self._quarantined

    async def _know(self, worker: WorkerHandle, found: tuple[TokenKey, ...]) -> None:
        """The first worker after an activation proves the keys; what the others find is the same token."""
        async with self._proving:
            if not self._proved:
                self._learn(await keys.proved(worker, found, self._config.timeouts.operation))
                self._proved = True

    def _learn(self, found: tuple[TokenKey, ...]) -> None:
        self._keys = found
        self._names = frozenset(key.name for key in found if key.name is not None and key.unusable is None)

    async def _hold_configured_pin(self) -> None:
        keeper = await self._keeper()
        try:
            match self._config.pin:
                case PinFile(path=path):
                    await keeper.hold_file(self.name, str(path))
                case PinDescriptor(number=number):
                    await keeper.hold_descriptor(self.name, number)
                case _:
                    return
        except Fault as fault:
            self._pin, self._pin_fault = PinState.REFUSED, fault
            _log.error("no pin", token=str(self.name), why=fault.text)
        else:
            self._pin, self._held_by = PinState.HELD, keeper
        self._update()

    # --- its state

    def _set(self, slot: int, status: WorkerStatus) -> None:
        self._statuses[slot] = status
        self._update()

    def _update(self) -> None:
        state, reason = decide(
            self._pin, self._statuses, was_active=self._was_active, quarantined=self._quarantined
        )
        if state is TokenState.LOCKED and self._pin_fault is not None:
            reason = self._pin_fault.text
        elif state in (TokenState.INACTIVE, TokenState.QUARANTINED):
            reason = f"{reason} Run: segelctl token activate {self.name.word}"
        if (state, reason) != (self._state, self._state_reason):
            if state is not self._state:
                self._state_since = time.time()
                _log.info("token", token=str(self.name), state=state, was=self._state, why=reason)
            self._state, self._state_reason = state, reason
        self.news.tell()
        self._changed()


class _Waiting(Exception):
    """This worker ends without blame: a fresh one waits for the next PIN."""
