"""One token: what officers do with it, which PIN it has, which keys; its state follows from its workers'."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import Module, Token
from segeld.ipc.keeper_wire import Lent
from segeld.ipc.worker_wire import FoundKey, TokenInfo
from segeld.model.activation import NO_LIMITS, Limits
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.pin_tries import flags_are_trusted, said_of_tries
from segeld.model.secret import Pin
from segeld.model.token_state import PinState, Stage, TokenState, decide
from segeld.supervisor import keys
from segeld.supervisor.activation import Activation
from segeld.supervisor.clerk import Clerk
from segeld.supervisor.crew import Crew
from segeld.supervisor.guard import Guard
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.news import News
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.slot import Waiting, WorkerSlot
from segeld.supervisor.term import Term
from segeld.supervisor.worker_handle import WorkerHandle

Serve = Callable[[TokenName, WorkerHandle], Awaitable[None]]
"""Feeds a worker that is ready; returns when it ended, or retires and holds nothing any more."""

_log: Final = structlog.get_logger(__name__)
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
        guard: Guard,
        acts: Acts,
        twin: "Callable[[TokenSupervisor, TokenInfo], TokenName | None]" = lambda token, info: None,  # noqa: ARG005
    ) -> None:
        """:param twin: the other token that is this very device, if there is one."""
        self.name = name
        self.config = config
        self.module = module
        self.news = News()
        self._serve = serve
        self._changed = changed
        self._twin = twin
        self._acts = acts
        self._beside: Final = keys.Beside(config)
        self._slots: Final = tuple(WorkerSlot(self, number) for number in range(config.workers))
        self._pin = TokenPin(self, keeper, guard, acts)
        self._activation = Activation(self, self._pin, self._slots)
        self._term = Term(name, partial(self._activation.deactivate, refused_too=False), acts)
        self._crew = Crew(self._slots, self.news, config)
        self.clerk = Clerk(self, self._pin, self._crew)
        self._advice = ""
        self._was_active = False
        self._quarantined = False
        self._quarantine_reason = ""
        """An officer's; empty if bad signatures were the reason."""
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
            workers_ready=sum(slot.status.stage is Stage.READY for slot in self._slots),
            workers_configured=self.config.workers,
            pin_source=self.config.pin.source,
            keys=self._keys,
            active_until=self._term.until,
            signatures_left=self._term.left,
            pin_tries=said_of_tries(info.flags, flags_are_trusted(self.config.flags_trusted, info))
            if info
            else "",
        )

    async def looked(self) -> None:
        """Returns when it has been looked for once."""
        await self.news.until(lambda: self._state is not TokenState.STARTING)

    async def run(self) -> None:
        await self._pin.hold_configured()
        async with asyncio.TaskGroup() as group:
            for number, slot in enumerate(self._slots):
                group.create_task(slot.run(), name=f"{self.name} worker {number}")

    # --- what officers do

    async def activate(self, pin: Pin | None, limits: Limits = NO_LIMITS) -> None:
        """Spends at most one PIN try. Returns when a worker is ready.

        :param pin: None: the configured one, or the one that is typed at the reader's pad.
        :param limits: of this activation; of a token that is active they only tighten those that there are.
        :raises Fault: what the keeper or the token answered, or why no attempt could be made.
        """
        if self._quarantine_reason:
            if pin is not None:
                pin.wipe()
            raise Fault(Reason.TOKEN_STATE, f"{self.name}: {self._state_reason}", token=str(self.name))
        await self._activation.activate(pin, limits)

    async def quarantine(self, reason: str) -> None:
        """Nothing of it is used until it is released; what is under way there is ended.

        :raises Fault: TOKEN_STATE if an officer has done so before.
        """
        if self._quarantine_reason:
            raise Fault(
                Reason.TOKEN_STATE,
                f"{self.name} is in quarantine already: {self._quarantine_reason}",
                token=str(self.name),
            )
        self._quarantine_reason = reason
        self._isolate()

    async def release(self) -> None:
        """It is used again, with the PIN that is held; without one it waits for its activation.

        :raises Fault: TOKEN_STATE if it is in no quarantine.
        """
        if not self._quarantined:
            raise Fault(Reason.TOKEN_STATE, f"{self.name} is not in quarantine.", token=str(self.name))
        self._quarantined, self._quarantine_reason = False, ""
        self._bad_signatures.clear()
        self._proved = False
        for slot in self._slots:
            slot.forgive()
        self.update()

    async def deactivate(self) -> None:
        """Forgets the PIN; workers finish what they hold and end."""
        self._term.end()
        await self._activation.deactivate()

    def goes_on(self, limits: Limits) -> None:
        self._term.narrow(limits)

    def did_not_begin(self) -> None:
        self._term.end()

    def begins_anew(self, limits: Limits) -> None:
        self._term.begin(limits)
        self._quarantined = False
        self._bad_signatures.clear()
        self._proved = self.is_active()

    def is_ended(self) -> None:
        self._was_active = False

    def reserve(self, most: int) -> int:
        """How many signatures may be asked of it now, at most `most`. Probes are not counted."""
        return self._term.reserve(most)

    def give_back(self, reserved: int, *, made: int) -> bool:
        """What was set aside is over; whether others may have what was not used."""
        return self._term.give_back(reserved, made=made)

    def note_bad_signature(self) -> None:
        """A second one within ten minutes quarantines the token."""
        now = time.monotonic()
        self._bad_signatures.append(now)
        count, first = len(self._bad_signatures), self._bad_signatures[0]
        if count < _BAD_SIGNATURES or now - first > _BAD_SIGNATURES_WITHIN or self._quarantined:
            return
        self._isolate()

    def _isolate(self) -> None:
        _log.critical("token quarantined", token=str(self.name), why=self._quarantine_reason)
        self._quarantined = True
        self._crew.kill("its token is in quarantine")
        self.update()

    # --- what its clerk needs

    def erased(self) -> None:
        """Nothing that was known of it is true any more: it waits for its new PIN."""
        self._term.end()
        self._was_active, self._proved, self._info = False, False, None
        self._learn(())

    async def know_anew(self, worker: WorkerHandle, found: tuple[FoundKey, ...]) -> None:
        """All its workers see these keys now."""
        self._proved = False
        try:
            await self.know(worker, found, logged_in=True)
        except Waiting:
            return  # it was deactivated meanwhile
        self.update()

    def advise(self, advice: str) -> None:
        """What an officer has to do before the next start; empty: nothing."""
        self._advice = advice
        self.update()

    def is_halted(self) -> bool:
        return self._crew.halted

    # --- what its workers' places need

    def seen(self, info: TokenInfo) -> None:
        if (twin := self._twin(self, info)) is not None:
            raise Fault(
                Reason.TOKEN_STATE,
                f"It is the same device as {twin} (serial {info.serial!r}), where each wrong PIN would be tried twice. Name both "
                "by their serials in the configuration, or leave one out.",
                token=str(self.name),
            )
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
        if self._pin.state is not PinState.HELD:  # deactivated meanwhile
            raise Waiting

    async def _record_probe(self, key: KeyName) -> None:
        await self._acts.note("probe", subject=str(key), token=str(self.name))

    def _learn(self, found: tuple[TokenKey, ...]) -> None:
        self._keys = found
        self._names = frozenset(key.name for key in found if key.name is not None and key.unusable is None)

    def serial(self) -> str | None:
        return self.config.serial or self._pin.bound

    async def log_in(self, worker: WorkerHandle) -> None:
        await self._pin.log_in(worker)

    def reaffirmed(self, lent: Lent) -> None:
        """A worker logged in once more for one signature, or could not."""
        self._pin.reaffirmed(lent)

    # --- what its PIN needs

    def is_barred(self) -> bool:
        return self._quarantined

    def info(self) -> TokenInfo | None:
        return self._info

    def show_flags(self, flags: tuple[str, ...]) -> None:
        if self._info is not None:
            self._info = msgspec.structs.replace(self._info, flags=flags)

    # --- its state

    def update(self) -> None:
        """Looks at everything anew, and tells whoever waits."""
        statuses = [slot.status for slot in self._slots]
        state, reason = decide(
            self._pin.state,
            statuses,
            was_active=self._was_active,
            quarantined=self._quarantined,
            seen=self._info is not None,
        )
        if state is TokenState.ABSENT:
            self._pin.token_left()
        if state is TokenState.LOCKED and self._pin.fault is not None:
            reason = self._pin.fault.text
        elif state is TokenState.ACTIVE and not self._pin.is_held():
            reason = "Its PIN is gone, so workers that end are not replaced."
        elif state is TokenState.INACTIVE and self._term.why:
            reason = self._term.why
        if state is TokenState.QUARANTINED and self._quarantine_reason:
            why = self._quarantine_reason.rstrip(".")
            reason = (
                f"An officer has put it in quarantine: {why}. Run: segelctl token release {self.name.word}"
            )
        elif reason and state in (TokenState.ACTIVE, TokenState.INACTIVE, TokenState.QUARANTINED):
            reason = f"{reason} Run: segelctl token activate {self.name.word}"
        if self._advice and state in (TokenState.INACTIVE, TokenState.LOCKED):
            reason = f"{reason} {self._advice}"
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
