"""One token: what officers do with it, which PIN it has, which keys; its state follows from its workers'."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import Module, PinDescriptor, PinFile, Token
from segeld.ipc.keeper_wire import Lent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.ipc.worker_wire import FoundKey, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import PinState, Stage, TokenState, decide
from segeld.supervisor import keys
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.login import refusal
from segeld.supervisor.news import News
from segeld.supervisor.slot import Waiting, WorkerSlot
from segeld.supervisor.worker_handle import WorkerHandle, WorkerLost

Serve = Callable[[TokenName, WorkerHandle], Awaitable[None]]
"""Feeds a worker that is ready; returns when it ended, or retires and holds nothing any more."""

_log: Final = structlog.get_logger(__name__)
_OPEN_ATTEMPTS_ALLOWED: Final = 1
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
        acts: Acts,
    ) -> None:
        self.name = name
        self.config = config
        self.module = module
        self.news = News()
        self._keeper = keeper
        self._serve = serve
        self._changed = changed
        self._acts = acts
        self._beside: Final = keys.Beside(config)
        self._slots: Final = tuple(WorkerSlot(self, number) for number in range(config.workers))
        self._pin = PinState.MISSING
        self._pin_fault: Fault | None = None
        self._held_by: KeeperHandle | None = None
        self._bound: str | None = None
        """The serial number of the token that took the PIN: no other one with its label gets it."""
        self._open_attempts = 0
        self._turn = asyncio.Lock()
        self._acting: asyncio.Task[None] | None = None
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

    # --- what others read

    @property
    def state(self) -> TokenState:
        return self._state

    def is_active(self) -> bool:
        return self._state is TokenState.ACTIVE

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
            label=info.label if info else self.config.label or "",
            serial=info.serial if info else self.config.serial or "",
            manufacturer=info.manufacturer if info else "",
            model=info.model if info else "",
            flags=info.flags if info else (),
            workers_ready=self._ready(),
            workers_configured=self.config.workers,
            pin_source=self.config.pin.source,
            keys=self._keys,
        )

    async def looked(self) -> None:
        """Returns when it has been looked for once."""
        await self.news.until(lambda: self._state is not TokenState.STARTING)

    async def run(self) -> None:
        await self._hold_configured_pin()
        async with asyncio.TaskGroup() as group:
            for number, slot in enumerate(self._slots):
                group.create_task(slot.run(), name=f"{self.name} worker {number}")

    # --- what officers do

    async def activate(self, pin: Pin) -> None:
        """Spends at most one PIN try. Returns when a worker is ready.

        It goes on to its end even if the officer does not wait for it: an attempt that is under way cannot be taken
        back, and what became of it must be known before the next.

        :raises Fault: what the keeper or the token answered, or why no attempt could be made.
        """
        self._acting = asyncio.create_task(self._activate(pin, self._acting), name=f"{self.name} activation")
        self._acting.add_done_callback(_seen)
        await asyncio.shield(self._acting)

    async def _activate(self, pin: Pin, before: "asyncio.Task[None] | None") -> None:
        with pin:
            if before is not None:
                await asyncio.wait({before})
            if self.is_active() and self._is_held():
                return
            keeper = await self._keeper()
            await keeper.hold(self.name, pin)
        # A token that signs although its PIN is gone is made whole; any other is back with its first worker.
        needed = len(self._slots) if self.is_active() else 1
        self._held_by, self._quarantined, self._bound, self._open_attempts = keeper, False, None, 0
        self._bad_signatures.clear()
        self._pin, self._pin_fault, self._proved = PinState.HELD, None, self.is_active()
        for slot in self._slots:
            slot.forgive()
        self.update()
        timeouts = self.config.timeouts
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * timeouts.start + timeouts.login + timeouts.operation):
                await self.news.until(lambda: self._ready() >= needed or self._gave_up() is not None)
        if self.is_active() and self._pin_fault is None:
            return
        if self._pin is PinState.HELD:  # it must not log in later by surprise
            self._pin = PinState.MISSING
            self.update()
            await keeper.forget(self.name, refused_too=False)
        late = Fault(Reason.TOKEN_RECOVERING, f"{self.name} did not come up in time; see its state.")
        raise self._gave_up() or late

    def _is_held(self) -> bool:
        """Whether the keeper still has the PIN: it may have been restarted."""
        return self._pin is PinState.HELD and self._held_by is not None and not self._held_by.ended.is_set()

    def _ready(self) -> int:
        return sum(slot.status.stage is Stage.READY for slot in self._slots)

    def _gave_up(self) -> Fault | None:
        if self._pin_fault is not None:
            return self._pin_fault
        trouble = [slot.status for slot in self._slots if slot.status.trouble]
        if len(trouble) < len(self._slots):
            return None
        reason = Reason.TOKEN_NOT_PRESENT if any(status.absent for status in trouble) else Reason.DEVICE_ERROR
        return Fault(reason, f"{self.name}: {trouble[0].trouble}", token=str(self.name))

    async def deactivate(self) -> None:
        """Forgets the PIN; workers finish what they hold and end. New ones wait for the next activation."""
        self._pin, self._pin_fault, self._was_active = PinState.MISSING, None, False
        await (await self._keeper()).forget(self.name, refused_too=True)
        for slot in self._slots:
            if slot.status.stage is Stage.READY and slot.worker is not None:
                slot.worker.retire()
        await self.news.until(lambda: all(slot.status.stage is not Stage.READY for slot in self._slots))

    def note_bad_signature(self) -> None:
        """A second one within ten minutes quarantines the token."""
        now = time.monotonic()
        self._bad_signatures.append(now)
        count, first = len(self._bad_signatures), self._bad_signatures[0]
        if count < _BAD_SIGNATURES or now - first > _BAD_SIGNATURES_WITHIN or self._quarantined:
            return
        _log.critical("token quarantined", token=str(self.name))
        self._quarantined = True
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.kill("its token is in quarantine")
        self.update()

    # --- what its workers' places need

    def seen(self, info: TokenInfo) -> None:
        self._info = info

    def public_keys(self) -> tuple[bytes, ...]:
        return self._beside.public_keys

    async def serve(self, worker: WorkerHandle) -> None:
        self._was_active = True
        await self._serve(self.name, worker)

    async def know(self, worker: WorkerHandle, found: tuple[FoundKey, ...], *, logged_in: bool) -> None:
        """The first worker after an activation proves the keys; what the others find is the same token.

        Before a login only what is public is seen: enough for people, until something better is known.
        """
        named = tuple(keys.named(key, self._beside) for key in found)
        if not logged_in:
            if not self._keys:
                self._learn(named)
            return
        async with self._proving:
            if not self._proved:
                self._learn(
                    await keys.proved(worker, named, self.config.timeouts.operation, self._record_probe)
                )
                self._proved = True
        if self._pin is not PinState.HELD:  # deactivated meanwhile
            raise Waiting

    async def _record_probe(self, key: KeyName) -> None:
        await self._acts.note("probe", subject=str(key), token=str(self.name))

    def _learn(self, found: tuple[TokenKey, ...]) -> None:
        self._keys = found
        self._names = frozenset(key.name for key in found if key.name is not None and key.unusable is None)

    def serial(self) -> str | None:
        return self.config.serial or self._bound

    async def log_in(self, worker: WorkerHandle) -> None:
        while True:
            await self.news.until(lambda: self._may_log_in() or worker.ended.is_set(), worker.ended)
            async with self._turn:
                if worker.ended.is_set():
                    raise WorkerLost(worker.why)
                if self._may_log_in():
                    await self._log_in(worker)
                    return

    def _may_log_in(self) -> bool:
        return self._pin is PinState.HELD and not self._quarantined

    async def _log_in(self, worker: WorkerHandle) -> None:
        """One attempt. Nobody else makes one at this token meanwhile."""
        keeper = await self._keeper()
        if keeper is not self._held_by:
            # It was restarted, so the PIN is gone. It was not refused, as far as is known: a file may be read again.
            self._pin = PinState.MISSING
            await self._hold_configured_pin()
            raise Waiting
        try:
            lent = await self._lend(keeper, worker)
        except Fault:
            self._lost_track()
            raise
        if lent.flags and self._info is not None:
            self._info = msgspec.structs.replace(self._info, flags=lent.flags)
        match lent.outcome:
            case LoginOutcome.OK:
                self._open_attempts = 0
                if self._info is not None:
                    self._bound = self._info.serial or None
            case LoginOutcome.REMOVED:
                raise WorkerLost(worker.why or "the token was not there, or had no PIN, at the login")
            case None if lent.died:
                raise WorkerLost(worker.why or "it ended during the login")
            case None:  # the keeper has the PIN no more: too many attempts stayed open
                self._refused(
                    Fault(
                        Reason.TOKEN_LOCKED,
                        f"{self.name}: two logins in a row ended without an answer; whether they spent PIN tries is not "
                        "known. Look at the device, then activate the token by hand.",
                        token=str(self.name),
                    )
                )
                raise Waiting
            case _:
                self._acts.later(
                    "pin refused", subject=str(self.name), outcome=lent.outcome, ckr=f"{lent.ckr:#x}"
                )
                _log.error(
                    "pin refused",
                    token=str(self.name),
                    outcome=lent.outcome,
                    ckr=f"{lent.ckr:#x}",
                    flags=lent.flags,
                )
                self._refused(refusal(self.name, lent))
                raise Waiting

    def _lost_track(self) -> None:
        """The keeper ended during a login: the attempt stays open, and its memory of it is gone; so it is kept here."""
        self._open_attempts += 1
        if self._open_attempts > _OPEN_ATTEMPTS_ALLOWED:
            self._refused(
                Fault(
                    Reason.TOKEN_LOCKED,
                    f"{self.name}: the keeper process ended twice during a login. Activate the token by hand.",
                    token=str(self.name),
                )
            )

    def _refused(self, fault: Fault) -> None:
        if self._pin is PinState.HELD:  # not if an officer has taken it back meanwhile
            self._pin, self._pin_fault = PinState.REFUSED, fault
        self.update()

    async def _lend(self, keeper: KeeperHandle, worker: WorkerHandle) -> Lent:
        """The keeper waits for nobody but the worker: one that hangs in its login is ended in time."""
        lending = asyncio.create_task(keeper.lend(self.name, worker.number, worker.take_pin_socket()))
        try:
            async with asyncio.timeout(self.config.timeouts.login):
                return await asyncio.shield(lending)
        except TimeoutError:
            worker.kill("the login did not end in time")
            return await lending
        finally:
            lending.cancel()

    async def _hold_configured_pin(self) -> None:
        for last in (False, True):
            keeper = await self._keeper()
            try:
                match self.config.pin:
                    case PinFile(path=path):
                        await keeper.hold_file(self.name, str(path))
                    case PinDescriptor(number=number):
                        await keeper.hold_descriptor(self.name, number)
                    case _:
                        return
            except Fault as fault:
                if fault.reason is Reason.TOKEN_RECOVERING and not last:
                    continue  # the keeper ended, for whatever reason: that is no fault of this PIN
                _log.error("no pin", token=str(self.name), why=fault.text)
                self._pin, self._pin_fault = PinState.REFUSED, fault
            else:
                self._pin, self._held_by = PinState.HELD, keeper
            break
        self.update()

    # --- its state

    def update(self) -> None:
        """Looks at everything anew, and tells whoever waits."""
        statuses = [slot.status for slot in self._slots]
        state, reason = decide(
            self._pin,
            statuses,
            was_active=self._was_active,
            quarantined=self._quarantined,
            seen=self._info is not None,
        )
        if state is TokenState.LOCKED and self._pin_fault is not None:
            reason = self._pin_fault.text
        elif state is TokenState.ACTIVE and not self._is_held():
            reason = "Its PIN is gone, so workers that end are not replaced."
        if reason and state in (TokenState.ACTIVE, TokenState.INACTIVE, TokenState.QUARANTINED):
            reason = f"{reason} Run: segelctl token activate {self.name.word}"
        if (state, reason) != (self._state, self._state_reason):
            if state is not self._state:
                self._state_since = time.time()
                _log.info("token", token=str(self.name), state=state, was=self._state, why=reason)
                self._acts.later(
                    f"token {state.lower()}", subject=str(self.name), was=self._state.lower(), why=reason
                )
            self._state, self._state_reason = state, reason
        self.news.tell()
        self._changed()


def _seen(activation: "asyncio.Task[None]") -> None:
    """Its outcome was told to the officer, or the officer has gone: nobody else needs to hear of it."""
    if not activation.cancelled():
        activation.exception()
