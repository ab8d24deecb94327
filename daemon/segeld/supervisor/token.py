"""One token: what officers do with it, which PIN it has, which keys; its state follows from its workers'."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import Module, Token
from segeld.ipc.keeper_wire import Lent
from segeld.ipc.worker_wire import FoundKey, TokenInfo
from segeld.model.activation import NO_LIMITS, Limits, Reserved
from segeld.model.blank_tokens import way_out
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.pin_tries import flags_are_trusted, said_of_tries
from segeld.model.secret import Pin
from segeld.model.token_state import PinState, Stage, TokenState, decide
from segeld.supervisor.activation import Activation
from segeld.supervisor.clerk import Clerk
from segeld.supervisor.crew import Crew
from segeld.supervisor.guard import Guard
from segeld.supervisor.isolation import Isolation
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.key_memory import KeyMemory
from segeld.supervisor.keyring import Bars, Keyring
from segeld.supervisor.login import Logins
from segeld.supervisor.login_faults import UNSURE
from segeld.supervisor.news import News
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.quarantining import Quarantining
from segeld.supervisor.slot import Waiting, WorkerSlot
from segeld.supervisor.spawn import to_its_end
from segeld.supervisor.term import Term
from segeld.supervisor.token_notes import TokenNotes
from segeld.supervisor.worker_handle import WorkerHandle

Serve = Callable[[TokenName, WorkerHandle], Awaitable[None]]
"""Feeds a worker that is ready; returns when it ended, or retires and holds nothing any more."""

_log: Final = structlog.get_logger(__name__)
_QUARANTINED: Final = "its token is in quarantine"


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
        bars: Bars,
        notes: TokenNotes,
        twin: "Callable[[TokenSupervisor, TokenInfo], TokenName | None]" = lambda token, info: None,  # noqa: ARG005
    ) -> None:
        """:param bars: what must not be signed with.
        :param notes: what is remembered of it across restarts.
        :param twin: the other token that is this very device, if there is one.
        """
        self.name = name
        self.config = config
        self.module = module
        self.news = News()
        self._serve = serve
        self._changed = changed
        self._twin = twin
        self._acts = acts
        self._notes = notes
        self._ring = Keyring(self, config, bars, self._record_probe, KeyMemory(name, notes))
        self._slots: Final = tuple(WorkerSlot(self, number) for number in range(config.workers))
        self._pin = TokenPin(self, keeper, guard)
        self._logins = Logins(self, self._pin, keeper, acts)
        self._activation = Activation(self, self._pin, self._slots)
        self._term = Term(name, partial(self._activation.deactivate, refused_too=False), acts)
        self._crew = Crew(self._slots, self.news, config)
        self.clerk = Clerk(self, self._pin, self._logins, self._crew)
        self._advice = ""
        self._blank = ""
        self._was_active = False
        self._isolation = Isolation(name, notes, self.update)
        self._quarantining = Quarantining(self, self._isolation)
        self._info: TokenInfo | None = None
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
        return self._ring.names

    def unproved(self) -> frozenset[KeyName]:
        """Those that were barred when it was activated: they are proved first when they are not any more."""
        return self._ring.unproved

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
            keys=self._ring.keys,
            looked_through=self._ring.looked_through,
            active_until=self._term.until,
            signatures_left=self._term.left,
            pin_tries=said_of_tries(info.flags, flags_are_trusted(self.config.flags_trusted, info))
            if info
            else "",
            away=self._ring.away,
            blank=self._blank,
        )

    def warning(self) -> str | None:
        """What officers should know whatever its state is."""
        if not self._pin.is_unsure():
            return None
        return f"{self.name}: {UNSURE} Run: segelctl token activate {self.name.word}"

    def recall(self) -> None:
        """What earlier runs have kept of its keys is shown from now on."""
        self._ring.recall()

    async def looked(self) -> None:
        """Returns when it has been looked for once."""
        await self.news.until(lambda: self._state is not TokenState.STARTING)

    async def run(self) -> None:
        if who := self._notes.limited_by(self.name):
            self._term.recall(who)
        else:
            await self._pin.hold_configured()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_again(), name=f"{self.name} pin")
                for number, slot in enumerate(self._slots):
                    group.create_task(slot.run(), name=f"{self.name} worker {number}")
        finally:
            await to_its_end(self.clerk.stop())
            self._ring.stop()
            self._isolation.stop()

    async def _read_again(self) -> None:
        """A keeper that ends takes the PIN with it. One that is configured is read again at once, and not only when the next
        worker needs it: what can be wrong with it is known early.
        """
        while True:
            await self.news.until(self._pin.is_lost)
            await self._pin.hold_configured()
            await self.news.until(lambda: not self._pin.is_lost())

    # --- what officers do

    async def activate(self, pin: Pin | None, limits: Limits = NO_LIMITS, who: str = "") -> None:
        """Spends at most one PIN try. Returns when a worker is ready.

        :param pin: None: the configured one, or the one that is typed at the reader's pad.
        :param limits: of this activation; of a token that is active they only tighten those that there are.
        :raises Fault: what the keeper or the token answered, or why no attempt could be made.
        """
        try:
            self._require_activable()
            if limits:  # before it logs in: a restart must not go on without them
                await self._notes.limit(self.name, who, limits)
        except BaseException:
            if pin is not None:
                pin.wipe()
            raise
        await self._activation.activate(pin, limits, who)

    def _require_activable(self) -> None:
        quarantine = self._isolation.quarantine
        if quarantine is not None and quarantine.by:
            raise self.quarantined()

    def quarantined(self) -> Fault:
        """Why it is not activated."""
        return Fault(Reason.TOKEN_STATE, f"{self.name}: {self._state_reason}", token=str(self.name))

    async def quarantine(self, reason: str, who: str = "An officer") -> None:
        """:raises Fault: as `Quarantining.begin`."""
        await self._quarantining.begin(reason, who)

    async def release(self, who: str = "An officer") -> None:
        """:raises Fault: as `Quarantining.release`."""
        await self._quarantining.release(who)

    async def deactivate(self) -> None:
        """Forgets the PIN; workers finish what they hold and end."""
        self._term.end()
        await self._activation.deactivate()

    def goes_on(self, limits: Limits) -> None:
        self._term.narrow(limits)

    def did_not_begin(self) -> None:
        if self._isolation.is_suspended and self._isolation.resume():
            self.end_all()
            self.update()
        if not self.is_active():  # else its other workers go on, within the limits that there were
            self._term.end()

    async def prove_pin(self) -> None:
        await self.clerk.prove_pin()

    async def began(self, limits: Limits, who: str) -> None:
        if self._isolation.is_suspended:
            if self._isolation.quarantine_before:
                await self._isolation.end(who, "activation")
            self._isolation.resume()
        unlimited = self._term.until is None and self._term.left is None
        if unlimited and not limits and self._notes.limited_by(self.name):
            try:
                await self._notes.unlimit(self.name, who)
            except Fault as fault:  # then it waits after a restart: that harms nobody
                _log.error("limits not lifted", token=str(self.name), why=fault.text)

    def begins_anew(self, limits: Limits) -> None:
        self._require_activable()  # once more: it may have waited for an activation before it, or for the keeper
        if self.is_active() and not self._term.why:  # without its PIN, and nobody has proved this one yet
            self._term.narrow(limits)
        else:
            self._term.begin(limits)
        self._isolation.suspend()
        self._ring.expect(proved=self.is_active())

    def is_ended(self) -> None:
        self._was_active = False

    def reserve(self, most: int) -> Reserved:
        """The signatures that may be asked of it now, at most `most`. Probes are not counted."""
        return self._term.reserve(most)

    def give_back(self, reserved: Reserved, *, made: int) -> bool:
        """What was set aside is over; whether others may have what was not used."""
        return self._term.give_back(reserved, made=made)

    def note_bad_signature(self) -> None:
        """A second one within ten minutes quarantines the token."""
        self._quarantining.note_bad_signature()

    def end_all(self) -> None:
        """What is under way at it, for its quarantine."""
        self._crew.kill(_QUARANTINED)
        self.clerk.end(_QUARANTINED)

    def is_released(self) -> None:
        """It may be used again."""
        self._ring.expect()
        for slot in self._slots:
            slot.forgive()
        self.update()

    def review(self) -> None:
        """What is barred may be another now."""
        self._ring.review()

    # --- what its keys need

    def ready(self) -> WorkerHandle | None:
        return self._crew.ready()

    async def _record_probe(self, key: KeyName) -> None:
        await self._acts.note("probe", subject=str(key), token=str(self.name))

    # --- what its clerk needs

    def erased(self) -> None:
        """Nothing that was known of it is true any more: it waits for its new PIN."""
        self._term.end()
        self._was_active, self._info = False, None
        self._ring.forget()

    async def destroyed(self, key: KeyName) -> None:
        await self._ring.drop(key)
        self.update()

    def outdated(self) -> None:
        """What is on it is another now, and no worker could tell yet: whichever comes next does."""
        self._ring.expect()

    async def know_anew(self, worker: WorkerHandle, found: tuple[FoundKey, ...]) -> None:
        """All its workers see these keys now."""
        self._ring.expect()
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
        self.require_single(info)
        self._info = info

    def require_single(self, info: TokenInfo) -> None:
        if (twin := self._twin(self, info)) is not None:
            raise Fault(
                Reason.TOKEN_STATE,
                f"It is the same device as {twin} (serial {info.serial!r}), where each wrong PIN would be tried twice. Name both "
                "by their serials in the configuration, or leave one out.",
                token=str(self.name),
            )

    def public_keys(self) -> tuple[bytes, ...]:
        return self._ring.beside.public_keys

    async def serve(self, worker: WorkerHandle) -> None:
        self._was_active = True
        await self._serve(self.name, worker)

    async def know(self, worker: WorkerHandle, found: tuple[FoundKey, ...], *, logged_in: bool) -> None:
        await self._ring.know(worker, found, logged_in=logged_in)
        if logged_in and self._pin.state is not PinState.HELD:  # deactivated meanwhile
            raise Waiting

    def serial(self) -> str | None:
        return self.config.serial or self._pin.bound

    async def log_in(self, worker: WorkerHandle) -> None:
        await self._logins.log_in(worker)

    def reaffirmed(self, lent: Lent) -> None:
        """A worker logged in once more for one signature, or could not."""
        self._logins.reaffirmed(lent)

    # --- what its PIN needs

    def is_barred(self) -> bool:
        return self._isolation.quarantine is not None

    def info(self) -> TokenInfo | None:
        return self._info

    def show_flags(self, flags: tuple[str, ...]) -> None:
        if self._info is not None:
            self._info = msgspec.structs.replace(self._info, flags=flags)

    # --- its state

    def update(self) -> None:
        """Looks at everything anew, and tells whoever waits."""
        quarantine = self._isolation.quarantine
        statuses = [slot.status for slot in self._slots]
        state, reason = decide(
            self._pin.state,
            statuses,
            was_active=self._was_active,
            quarantined=quarantine is not None,
            seen=self._info is not None,
        )
        self._blank = ""
        if state is TokenState.ABSENT:
            self._pin.token_left()
            blank = next((status.blank for status in statuses if status.blank), ())
            self._blank = way_out(self.name.word, self.config.module, blank)
            reason = f"{reason.rstrip('.')}. {self._blank}" if self._blank else reason
        if state is TokenState.LOCKED and self._pin.fault is not None:
            reason = self._pin.fault.text
        elif state is TokenState.ACTIVE and not self._pin.is_held():
            reason = "Its PIN is gone, so workers that end are not replaced."
        elif state is TokenState.INACTIVE:
            reason = self._term.why or self._pin.why_missing() or reason
        if quarantine is not None:
            late = (
                " That is not written down yet: a restart would lift it." if self._isolation.is_late else ""
            )
            first = "When it may be used again," if quarantine.by else "Find out why, then"
            reason = f"{quarantine}{late} {first} run: segelctl token release {self.name.word}"
        elif reason and state in (TokenState.ACTIVE, TokenState.INACTIVE):
            reason = f"{reason} Run: segelctl token activate {self.name.word}"
        if self._advice and state in (TokenState.INACTIVE, TokenState.LOCKED):
            reason = f"{reason} {self._advice}"
        if (state, reason) != (self._state, self._state_reason):
            if state is not self._state:
                self._state_since = quarantine.since if quarantine is not None else time.time()
                _log.info("token", token=str(self.name), state=state, was=self._state, why=reason)
                self._acts.later(
                    f"token {state.lower()}", subject=str(self.name), was=self._state.lower(), why=reason
                )
            self._state, self._state_reason = state, reason
        self.news.tell()
        self._changed()
