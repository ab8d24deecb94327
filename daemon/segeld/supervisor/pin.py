"""The PIN of one token as the front knows it: whether the keeper holds one, and whether the token has taken it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from segeld.config.schema import PinCredential, PinDescriptor, PinFile, PinPad, Token
from segeld.ipc.worker_wire import TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.pin_files import credential_path
from segeld.model.secret import Pin
from segeld.model.token_state import PinState
from segeld.supervisor.guard import Guard
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.login_faults import READ_ONCE, UNSURE, not_forgotten, not_read

_log: Final = structlog.get_logger(__name__)


class Host(Protocol):
    """The token, as its PIN needs it."""

    name: TokenName
    config: Token

    def info(self) -> TokenInfo | None:
        """What its workers saw of it last."""
        ...

    def update(self) -> None:
        """The PIN's state changed."""


class TokenPin:
    """`state` and `fault` say where it stands."""

    def __init__(self, host: Host, keeper: Callable[[], Awaitable[KeeperHandle]], guard: Guard) -> None:
        self.state = PinState.MISSING
        self.fault: Fault | None = None
        """Why it was refused, or could not be read."""
        self._why_missing = ""
        self.bound: str | None = None
        """The serial number of the token that took the PIN: no other one with its label gets it."""
        self.given = 0
        """Which PIN it is: how many were handed to the keeper by now."""
        self.held_by: KeeperHandle | None = None
        self._host = host
        self._keeper = keeper
        self._guard = guard
        self._taken = False
        """By the token, in a login."""
        self._forgetting: asyncio.Task[None] | None = None
        self._acting = asyncio.Lock()
        """One who gives a PIN, or takes it back."""
        self._officers_acts = 0
        """What began by itself before one of them does not undo it."""

    def is_held(self) -> bool:
        """Whether the keeper still has the PIN: it may have been restarted. One that is typed at a pad it never has."""
        return self.state is PinState.HELD and (
            isinstance(self._host.config.pin, PinPad)
            or (self.held_by is not None and not self.held_by.ended.is_set())
        )

    def is_lost(self) -> bool:
        """Whether the keeper has ended, and the PIN with it."""
        return self.state is PinState.HELD and not self.is_held()

    def is_proved(self) -> bool:
        """Whether it is held, and a login has shown that it is the token's."""
        return self.is_held() and self._taken

    async def hold(self, pin: Pin | None) -> int:
        """Hands a PIN that an officer typed to the keeper, and wipes it here; None: the one that is configured.

        Gives which PIN it is.

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
            self.bound, self.fault, self._why_missing = None, None, ""
            return self._is_given(keeper)

    def _is_given(self, keeper: KeeperHandle) -> int:
        self.state, self.held_by, self._taken = PinState.HELD, keeper, False
        self.given += 1
        return self.given

    async def drop(self, given: int) -> None:
        """It must not log in later by surprise: an activation did not come to its end.

        :param given: which PIN; another one that is held since stays.
        """
        self._officers_acts += 1
        async with self._acting:
            if self.state is not PinState.HELD or self.given != given:
                return
            self.state = PinState.MISSING
            self._host.update()
            await self._wipe()

    def token_left(self) -> None:
        """It was logged in, and is not there any more. Whoever puts it back is to say so, if the configuration wants that."""
        if self._host.config.unattended or self.state is not PinState.HELD or not self._taken:
            return
        self.state = PinState.MISSING
        self._forgetting = asyncio.create_task(self._wipe(), name=f"{self._host.name} forgets its PIN")

    async def _wipe(self) -> None:
        if self.held_by is not None:
            with contextlib.suppress(Fault):  # it has gone, and the PIN with it
                await self.held_by.forget(self._host.name)

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

    # --- what a login has shown

    def took(self, given: int, serial: str) -> None:
        """A login with it went well.

        :param given: which PIN was the last one before that login; of another one that is held since it says nothing.
        """
        if given == self.given:
            self.bound, self._taken = serial or None, True

    def refused(self, fault: Fault) -> None:
        """It is not tried again by itself."""
        if self.state is PinState.HELD:  # not if an officer has taken it back meanwhile
            self.state, self.fault = PinState.REFUSED, fault
        self._host.update()

    def gone(self, fault: Fault | None = None) -> None:
        """The keeper does not hold it any more; nothing was wrong with it."""
        if fault is not None or self.state is PinState.HELD:
            self.state, self.fault = PinState.MISSING, fault or self.fault
            self._host.update()

    # --- what is sent to the token otherwise than by a login of ours

    async def require_new(self, device: str, pin: Pin) -> None:
        """:raises Fault: PIN_REFUSED_BEFORE if the device refused this PIN before."""
        await (await self._keeper()).may_send(self._host.name, device, pin)

    async def was_refused(self, device: str, pin: Pin, fault: Fault) -> None:
        """:raises Fault: TOKEN_RECOVERING if the keeper is gone: then it is not remembered."""
        keeper = await self._keeper()
        if not await keeper.refused(self._host.name, device, pin) and keeper is self.held_by:
            self.refused(fault)

    # --- what is exchanged on the token

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

    # --- what is configured

    async def hold_configured(self) -> None:
        """The PIN that the configuration names, if it names one and may be used without an officer."""
        if not self._host.config.unattended:
            return
        acts = self._officers_acts
        async with self._acting:
            if acts == self._officers_acts and not self.is_held():
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
                if self.held_by is not None and isinstance(self._host.config.pin, PinDescriptor):
                    self.state, self.fault, self._why_missing = PinState.MISSING, None, READ_ONCE
                else:
                    self.state, self.fault = PinState.REFUSED, not_read(self._host.name, fault)
            else:
                self._is_given(keeper)
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
