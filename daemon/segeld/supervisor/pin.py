"""The PIN of one token as the front knows it: whether the keeper holds it, and one login at a time with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import PinCredential, PinDescriptor, PinFile, PinPad, Token
from segeld.ipc.keeper_wire import Lent, NotLent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.ipc.worker_wire import TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.pin_files import credential_path
from segeld.model.pin_tries import flags_are_trusted
from segeld.model.secret import Pin
from segeld.model.token_state import PinState
from segeld.supervisor.guard import Guard
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.login import (
    READ_ONCE,
    UNSURE,
    not_active,
    not_forgotten,
    not_read,
    not_tried,
    quarantined,
    refusal,
    unrecorded,
)
from segeld.supervisor.news import News
from segeld.supervisor.slot import Waiting
from segeld.supervisor.worker_handle import WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)


class Host(Protocol):
    """The token, as its PIN needs it."""

    name: TokenName
    config: Token
    news: News

    def is_barred(self) -> bool:
        """Whether nobody may log in now, PIN or not: a quarantine."""
        ...

    def info(self) -> TokenInfo | None:
        """What its workers saw of it last."""
        ...

    def show_flags(self, flags: tuple[str, ...]) -> None:
        """The token's flags after a login."""

    def update(self) -> None:
        """The PIN's state changed."""


class TokenPin:
    """`state` and `fault` say where it stands; every login goes through `log_in`."""

    def __init__(
        self, host: Host, keeper: Callable[[], Awaitable[KeeperHandle]], guard: Guard, acts: Acts
    ) -> None:
        self.state = PinState.MISSING
        self.fault: Fault | None = None
        """Why it was refused, or could not be read."""
        self._why_missing = ""
        self.bound: str | None = None
        """The serial number of the token that took the PIN: no other one with its label gets it."""
        self._host = host
        self._keeper = keeper
        self._guard = guard
        self._acts = acts
        self._held_by: KeeperHandle | None = None
        self._turn = asyncio.Lock()
        self._logged_in = False
        """Since the PIN was given."""
        self._forgetting: asyncio.Task[None] | None = None
        self._acting = asyncio.Lock()
        """One who gives a PIN, or takes it back."""
        self._officers_acts = 0
        """What began by itself before one of them does not undo it."""

    def is_held(self) -> bool:
        """Whether the keeper still has the PIN: it may have been restarted."""
        return self.state is PinState.HELD and self._held_by is not None and not self._held_by.ended.is_set()

    async def hold(self, pin: Pin | None) -> None:
        """Hands a PIN that an officer typed to the keeper, and wipes it here; None: the one that is configured.

        :raises Fault: if the keeper does not take it; PIN_LENGTH if none was typed and none is configured.
        """
        self._officers_acts += 1
        async with self._acting:
            if self._forgetting is not None:
                await self._forgetting
            keeper = await self._keeper()
            if pin is not None:
                await keeper.hold(self._host.name, pin, self._serial())
            elif not await self._ask_configured(keeper, by_officer=True):
                raise Fault(
                    Reason.PIN_LENGTH,
                    f"{self._host.name} needs its PIN: none is configured.",
                    field="pin",
                    token=str(self._host.name),
                )
            self._held_by, self.bound, self._logged_in = keeper, None, False
            self.state, self.fault, self._why_missing = PinState.HELD, None, ""

    async def drop(self) -> None:
        """It must not log in later by surprise: an activation did not come to its end."""
        self._officers_acts += 1
        async with self._acting:
            if self.state is not PinState.HELD:
                return
            self.state = PinState.MISSING
            self._host.update()
            if self._held_by is not None:
                with contextlib.suppress(Fault):  # it has gone, and the PIN with it
                    await self._held_by.forget(self._host.name)

    def token_left(self) -> None:
        """It was logged in, and is not there any more. Whoever puts it back is to say so, if the configuration wants that."""
        if self._host.config.unattended or self.state is not PinState.HELD or not self._logged_in:
            return
        self.state = PinState.MISSING
        self._forgetting = asyncio.create_task(self._wipe(), name=f"{self._host.name} forgets its PIN")

    async def _wipe(self) -> None:
        if self._held_by is not None:
            with contextlib.suppress(Fault):  # it has gone, and the PIN with it
                await self._held_by.forget(self._host.name)

    async def forget(self, *, refused_too: bool = True) -> Fault | None:
        """It is taken back.

        :param refused_too: an officer does so: what the device refused before counts no more, under whatever name.

        Gives why that counts still, if it does: it could not be written down.
        """
        self.state, self.fault = PinState.MISSING, None
        self._officers_acts += 1
        async with self._acting:
            self.state, self.fault, self._why_missing = PinState.MISSING, None, ""
            devices: tuple[str, ...] = ()
            trouble = None
            if refused_too:
                await self._guard.load()
                devices, trouble = await self._guard.clear(self._host.name, self._serial())
            await (await self._keeper()).forget(self._host.name, devices)
        return None if trouble is None else not_forgotten(self._host.name, trouble)

    def is_unsure(self) -> bool:
        """Whether only an officer may try: what was refused before is not known, for the record of it was damaged."""
        return self._guard.is_unsure(self._host.name, self._serial())

    def why_missing(self) -> str:
        """Why it waits for an officer, if there is more to say than that."""
        return self._why_missing or (UNSURE if self.is_unsure() else "")

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Within it nobody logs in, but by `log_in_typed`: the PIN is being exchanged.

        :raises Fault: TOKEN_BUSY if a login for one signature does not end in time.
        """
        name, timeouts = self._host.name, self._host.config.timeouts
        async with self._turn:
            keeper = await self._keeper()
            try:
                try:
                    async with asyncio.timeout(timeouts.login + timeouts.operation):
                        await keeper.freeze(name)
                except TimeoutError:
                    raise Fault(
                        Reason.TOKEN_BUSY,
                        f"{name}: a login for a signature does not end. Nothing was changed. Try again.",
                        token=str(name),
                    ) from None
                yield
            finally:
                with contextlib.suppress(Fault):  # it has gone, and what it held with it
                    await keeper.thaw(name)

    async def log_in_typed(self, worker: WorkerHandle, serial: str, pin: Pin) -> None:
        """One login with a PIN that an officer typed for it; it is not kept. Within `alone`.

        :param serial: of the token that the worker has opened.
        :raises Fault: why it is not logged in.
        :raises WorkerLost: if it ended meanwhile.
        """
        keeper = await self._keeper()
        if self._host.is_barred():
            raise quarantined(self._host.name)
        lent = await self._lend(keeper, worker, serial=serial, pin=pin)
        if lent.flags:
            self._host.show_flags(lent.flags)
        self._typed_ended(lent, worker)

    async def log_in_once(self, worker: WorkerHandle, serial: str) -> None:
        """For one ceremony, with the PIN that is held, or is typed at the reader's pad now.

        :param serial: of the token that the worker has opened.
        :raises Fault: why it is not logged in.
        :raises WorkerLost: if it ended meanwhile.
        """
        name = self._host.name
        async with self._turn:
            keeper = await self._keeper()
            if self._host.is_barred():
                raise quarantined(name)
            if isinstance(self._host.config.pin, PinPad):
                await keeper.hold_pad(name)
            elif not self.is_held():
                raise not_active(name)
            lent = await self._lend(keeper, worker, serial=serial)
        if lent.flags:
            self._host.show_flags(lent.flags)
        try:
            self._ended(lent, worker)
        except Waiting:
            raise self.fault or not_active(name) from None

    def _typed_ended(self, lent: Lent, worker: WorkerHandle) -> None:
        """It says nothing of the PIN that is held."""
        name = self._host.name
        match lent.outcome:
            case LoginOutcome.OK:
                return
            case LoginOutcome.REMOVED:
                raise WorkerLost(worker.why or "the token was not there, or had no PIN, at the login")
            case None if lent.died:
                raise WorkerLost(worker.why or "it ended during the login")
            case None if lent.why is NotLent.UNRECORDED:
                raise unrecorded(name, lent.text, "pin-change")
            case None:
                raise not_tried(name, lent.why or NotLent.GONE, "pin-change")
            case _:
                self._acts.later(
                    "pin refused", subject=str(name), outcome=lent.outcome, ckr=f"{lent.ckr:#x}", typed="yes"
                )
                raise refusal(name, lent, "pin-change")

    def is_set_anew(self) -> None:
        """The token has a PIN that nobody has given yet: what it refused or locked before is over."""
        if self.state is PinState.REFUSED:
            self.state, self.fault = PinState.MISSING, None
            self._host.update()

    async def changed(self, serial: str, old: Pin | None, new: Pin, *, goes_on: bool) -> None:
        """The token's PIN is another now.

        :param goes_on: whether a start may go on with what is configured: it is the new PIN too.
        :raises Fault: STORAGE_UNAVAILABLE if that could not be written down.
        """
        await (await self._keeper()).changed(self._host.name, serial, old, new)
        if not goes_on:
            _log.warning("the configured PIN is another than the token's", token=str(self._host.name))

    async def hold_configured(self) -> None:
        """The PIN that the configuration names, if it names one and may be used without an officer."""
        if not self._host.config.unattended:
            return
        acts = self._officers_acts
        async with self._acting:
            if acts == self._officers_acts:
                await self._hold_configured()

    async def _hold_configured(self) -> None:
        for last in (False, True):
            try:
                keeper = await self._keeper()
                if not await self._ask_configured(keeper, by_officer=False):
                    return
            except Fault as fault:
                if fault.reason is Reason.TOKEN_RECOVERING and not last:
                    continue  # the keeper ended, for whatever reason: that is no fault of this PIN
                _log.error("no pin", token=str(self._host.name), why=fault.text)
                if self._held_by is not None and isinstance(self._host.config.pin, PinDescriptor):
                    self.state, self.fault, self._why_missing = PinState.MISSING, None, READ_ONCE
                else:
                    self.state, self.fault = PinState.REFUSED, not_read(self._host.name, fault)
            else:
                self.state, self._held_by = PinState.HELD, keeper
            break
        self._host.update()

    async def _ask_configured(self, keeper: KeeperHandle, *, by_officer: bool) -> bool:
        """Whether there is one."""
        name, serial = self._host.name, self._serial()
        match self._host.config.pin:
            case PinFile(path=path):
                await keeper.hold_file(name, str(path), serial, by_officer=by_officer)
            case PinCredential(name=credential):
                await keeper.hold_file(name, credential_path(credential), serial, by_officer=by_officer)
            case PinDescriptor(number=number):
                await keeper.hold_descriptor(name, number, serial, by_officer=by_officer)
            case PinPad() if by_officer:
                await keeper.hold_pad(name)
            case _:
                return False
        return True

    def _serial(self) -> str | None:
        info = self._host.info()
        return info.serial if info is not None else None

    async def log_in(self, worker: WorkerHandle) -> None:
        """Waits for a PIN and for this worker's turn with it; returns when the worker is logged in.

        :raises Waiting: if it was not to be.
        :raises WorkerLost: if it ended meanwhile.
        """
        while True:
            await self._host.news.until(lambda: self._may_log_in() or worker.ended.is_set(), worker.ended)
            async with self._turn:
                if worker.ended.is_set():
                    raise WorkerLost(worker.why)
                if self._may_log_in():
                    await self._log_in(worker)
                    return

    def _may_log_in(self) -> bool:
        return self.state is PinState.HELD and not self._host.is_barred()

    async def _log_in(self, worker: WorkerHandle) -> None:
        """One attempt. Nobody else makes one at this token meanwhile."""
        keeper = await self._keeper()
        if not self._may_log_in():  # an officer took it back meanwhile
            raise Waiting
        if keeper is not self._held_by:
            # It was restarted, so the PIN is gone. A file may be read again: the guard knows what was refused.
            self.state = PinState.MISSING
            await self.hold_configured()
            raise Waiting
        lent = await self._lend(keeper, worker, serial=worker.serial)
        if lent.flags:
            self._host.show_flags(lent.flags)
        self._ended(lent, worker)

    def _ended(self, lent: Lent, worker: WorkerHandle) -> None:
        match lent.outcome:
            case LoginOutcome.OK:
                self.bound, self._logged_in = lent.serial or None, True
            case LoginOutcome.REMOVED:
                raise WorkerLost(worker.why or "the token was not there, or had no PIN, at the login")
            case None if lent.died:
                raise WorkerLost(worker.why or "it ended during the login")
            case None:
                self._not_lent(lent)
                raise Waiting
            case _:
                self._say_refused(lent)
                raise Waiting

    def reaffirmed(self, lent: Lent) -> None:
        """A login for one signature ended: what it says of the PIN holds for all."""
        if lent.flags:
            self._host.show_flags(lent.flags)
        match lent.outcome:
            case LoginOutcome.OK | LoginOutcome.REMOVED:
                return
            case None if lent.died or lent.why is NotLent.UNRECORDED:
                return
            case None:
                self._not_lent(lent)
            case _:
                self._say_refused(lent)

    def _not_lent(self, lent: Lent) -> None:
        """No attempt was made.

        :raises Fault: if it could not be written down that one would be.
        """
        match lent.why:
            case NotLent.UNRECORDED:
                raise unrecorded(self._host.name, lent.text)
            case None | NotLent.GONE:
                if self.state is PinState.HELD:
                    self.state = PinState.MISSING
                    self._host.update()
            case why:
                fault = not_tried(self._host.name, why)
                self._acts.later("pin not tried", subject=str(self._host.name), why=why)
                _log.error("pin not tried", token=str(self._host.name), why=fault.text)
                self._refused(fault)

    def _say_refused(self, lent: Lent) -> None:
        name = self._host.name
        fault = refusal(name, lent)
        if lent.outcome is LoginOutcome.CANCELLED and lent.held:
            return
        if lent.outcome is LoginOutcome.CANCELLED:  # at the reader's pad: no PIN was wrong
            self.state, self.fault = PinState.MISSING, fault
            self._host.update()
            return
        self._acts.later("pin refused", subject=str(name), outcome=lent.outcome or "", ckr=f"{lent.ckr:#x}")
        _log.error(
            "pin refused", token=str(name), outcome=lent.outcome, ckr=f"{lent.ckr:#x}", flags=lent.flags
        )
        if not lent.held:  # else an officer gave another one meanwhile, of which this says nothing
            self._refused(fault)

    def _refused(self, fault: Fault) -> None:
        if self.state is PinState.HELD:  # not if an officer has taken it back meanwhile
            self.state, self.fault = PinState.REFUSED, fault
        self._host.update()

    async def _lend(
        self, keeper: KeeperHandle, worker: WorkerHandle, *, serial: str | None = None, pin: Pin | None = None
    ) -> Lent:
        """The keeper waits for nobody but the worker: one that hangs in its login is ended in time."""
        config, info = self._host.config, self._host.info()
        if serial is None:
            serial = info.serial if info is not None else ""
        lending = asyncio.create_task(
            keeper.lend(
                self._host.name,
                worker.number,
                worker.take_pin_socket(),
                serial,
                trusted=flags_are_trusted(config.flags_trusted, info),
                pin=pin,
            )
        )
        timeouts = config.timeouts
        try:
            async with asyncio.timeout(timeouts.pinpad if isinstance(config.pin, PinPad) else timeouts.login):
                return await asyncio.shield(lending)
        except TimeoutError:
            worker.kill("the login did not end in time")
            return await keeper.severed(self._host.name, worker.number, lending)
        finally:
            lending.cancel()
