"""Logins of one token's workers: one at a time, each by the keeper, and what follows from how it ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import PinPad, Token
from segeld.ipc.keeper_wire import Lent, NotLent
from segeld.ipc.pin_wire import LoginOutcome
from segeld.ipc.worker_wire import TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.pin_tries import flags_are_trusted
from segeld.model.secret import Pin
from segeld.model.token_state import PinState
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.login_faults import not_active, not_tried, quarantined, refusal, unrecorded
from segeld.supervisor.news import News
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.slot import Waiting
from segeld.supervisor.worker_handle import WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)


class Host(Protocol):
    """The token, as its logins need it."""

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


class Logins:
    """Every C_Login of a user goes through here."""

    def __init__(
        self, host: Host, pin: TokenPin, keeper: Callable[[], Awaitable[KeeperHandle]], acts: Acts
    ) -> None:
        self._host = host
        self._pin = pin
        self._keeper = keeper
        self._acts = acts
        self._turn = asyncio.Lock()

    async def log_in(self, worker: WorkerHandle) -> None:
        """Waits for a PIN and for this worker's turn with it; returns when the worker is logged in.

        :raises Waiting: if it was not to be.
        :raises WorkerLost: if it ended meanwhile.
        """
        while True:
            await self._host.news.until(lambda: self._may_log_in() or worker.leaving.is_set(), worker.leaving)
            async with self._turn:
                if worker.leaving.is_set():  # it has ended, or another one is to come in its place
                    raise WorkerLost(worker.why)
                if self._may_log_in():
                    await self._log_in(worker)
                    return

    def _may_log_in(self) -> bool:
        return self._pin.state is PinState.HELD and not self._host.is_barred()

    async def _log_in(self, worker: WorkerHandle) -> None:
        """One attempt. Nobody else makes one at this token meanwhile."""
        keeper = await self._keeper()
        if not self._may_log_in():  # an officer took it back meanwhile
            raise Waiting
        if keeper is not self._pin.held_by:
            # It was restarted, so the PIN is gone. A file may be read again: the guard knows what was refused.
            self._pin.gone()
            await self._pin.hold_configured()
            raise Waiting
        await self._log_in_with_held(keeper, worker, worker.serial)

    async def _log_in_with_held(self, keeper: KeeperHandle, worker: WorkerHandle, serial: str) -> None:
        given = self._pin.given
        lent = await self._lend(keeper, worker, serial)
        if lent.flags:
            self._host.show_flags(lent.flags)
        self._ended(lent, worker, given)

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
            elif not self._pin.is_held():
                raise not_active(name)
            try:
                await self._log_in_with_held(keeper, worker, serial)
            except Waiting:
                raise self._pin.fault or not_active(name) from None

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
        lent = await self._lend(keeper, worker, serial, pin=pin)
        if lent.flags:
            self._host.show_flags(lent.flags)
        self._typed_ended(lent, worker)

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

    def _ended(self, lent: Lent, worker: WorkerHandle, given: int) -> None:
        """:param given: which PIN was the last one when it was asked for.
        :raises Waiting: if it is not logged in.
        """
        match lent.outcome:
            case LoginOutcome.OK:
                self._pin.took(given, lent.serial)
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
                self._pin.gone()
            case why:
                fault = not_tried(self._host.name, why)
                self._acts.later("pin not tried", subject=str(self._host.name), why=why)
                _log.error("pin not tried", token=str(self._host.name), why=fault.text)
                self._pin.refused(fault)

    def _say_refused(self, lent: Lent) -> None:
        name = self._host.name
        fault = refusal(name, lent)
        if lent.outcome is LoginOutcome.CANCELLED and lent.held:
            return
        if lent.outcome is LoginOutcome.CANCELLED:  # at the reader's pad: no PIN was wrong
            self._pin.gone(fault)
            return
        self._acts.later("pin refused", subject=str(name), outcome=lent.outcome or "", ckr=f"{lent.ckr:#x}")
        _log.error(
            "pin refused", token=str(name), outcome=lent.outcome, ckr=f"{lent.ckr:#x}", flags=lent.flags
        )
        if not lent.held:  # else an officer gave another one meanwhile, of which this says nothing
            self._pin.refused(fault)

    async def _lend(
        self, keeper: KeeperHandle, worker: WorkerHandle, serial: str, *, pin: Pin | None = None
    ) -> Lent:
        """The keeper waits for nobody but the worker: one that hangs in its login is ended in time."""
        config, info = self._host.config, self._host.info()
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
