"""Officers activate and deactivate one token: its PIN goes to the keeper, its workers come up or end."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from segeld.config.schema import PinPad, Token
from segeld.model.activation import NO_LIMITS, Limits
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import PinState, Stage
from segeld.supervisor.login_faults import keeper_lost
from segeld.supervisor.news import News
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.slot import WorkerSlot


class Host(Protocol):
    """The token, as its activation needs it."""

    name: TokenName
    config: Token
    news: News

    def is_active(self) -> bool: ...

    def is_barred(self) -> bool:
        """Whether it is in quarantine: during an activation, in one that began meanwhile."""
        ...

    def quarantined(self) -> Fault:
        """Whose quarantine that is, why, and what to do."""
        ...

    def begins_anew(self, limits: Limits) -> None:
        """An officer gave a PIN: what went wrong before counts no more.

        :raises Fault: TOKEN_STATE if an officer has put it in quarantine meanwhile.
        """

    async def prove_pin(self) -> None:
        """One login with the PIN that is held.

        :raises Fault: why the token did not take it.
        """

    async def began(self, limits: Limits, who: str) -> None:
        """It came up.

        :raises Fault: if that cannot be written down: then it did not begin.
        """

    def goes_on(self, limits: Limits) -> None:
        """An officer gave a PIN to a token that is active: it stays so, within these limits too."""

    def did_not_begin(self) -> None:
        """Nothing came of the PIN."""

    def is_ended(self) -> None:
        """An officer took the PIN back."""

    def update(self) -> None:
        """Looks at everything anew."""


class Activation:
    """One at a time, each to its end."""

    def __init__(self, host: Host, pin: TokenPin, slots: Sequence[WorkerSlot]) -> None:
        self._host = host
        self._pin = pin
        self._slots = slots
        self._acting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def activate(self, pin: Pin | None, limits: Limits = NO_LIMITS, who: str = "") -> None:
        """Spends at most one PIN try. Returns when a worker is ready.

        It goes on to its end even if the officer does not wait for it: an attempt that is under way cannot be taken
        back, and what became of it must be known before the next.

        :raises Fault: what the keeper or the token answered, or why no attempt could be made.
        """
        self._acting = asyncio.create_task(
            self._activate(pin, limits, who, self._acting), name=f"{self._host.name} activation"
        )
        self._acting.add_done_callback(_seen)
        await asyncio.shield(self._acting)

    async def _activate(
        self, pin: Pin | None, limits: Limits, who: str, before: "asyncio.Task[None] | None"
    ) -> None:
        host = self._host
        with pin or contextlib.nullcontext():
            if before is not None:
                await asyncio.wait({before})
            if host.is_active() and self._pin.is_proved():
                host.goes_on(limits)
                return
            given = await self._pin.hold(pin)
        try:
            # A token that signs although its PIN is gone is made whole; any other is back with its first worker.
            needed = len(self._slots) if host.is_active() else 1
            host.begins_anew(limits)
            try:
                await self._bring_up(given, needed)
                await host.began(limits, who)
            except Fault:
                host.did_not_begin()
                raise
        except Fault:
            await self._pin.drop(given)
            raise

    async def _bring_up(self, given: int, needed: int) -> None:
        """Returns when the token has taken the PIN and is active; with `needed` workers, unless these keep it waiting.

        :param given: which PIN it is.
        :raises Fault: why it is not so.
        """
        host = self._host
        for slot in self._slots:
            slot.forgive()
        host.update()
        await self._until_ready(1, given)
        if self._gave_up(given) is None and host.is_active() and not self._pin.is_proved():
            # No worker needs it just now: those that are ready have logged in with an earlier one.
            await host.prove_pin()
        await self._until_ready(needed, given)
        if (why := self._gave_up(given)) is not None:
            raise why
        if not (host.is_active() and self._pin.is_proved()):
            raise Fault(Reason.TOKEN_RECOVERING, f"{host.name} did not come up in time; see its state.")

    async def _until_ready(self, needed: int, given: int) -> None:
        """Or until it is known that nothing comes of it, or for so long as that may take."""
        timeouts = self._host.config.timeouts
        login = timeouts.pinpad if isinstance(self._host.config.pin, PinPad) else timeouts.login
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * timeouts.start + login + timeouts.operation):
                await self._host.news.until(
                    lambda: self._ready() >= needed or self._gave_up(given) is not None
                )

    def _ready(self) -> int:
        return sum(slot.status.stage is Stage.READY for slot in self._slots)

    def _gave_up(self, given: int) -> Fault | None:
        if self._host.is_barred():
            return self._host.quarantined()
        if self._pin.given != given or self._pin.is_lost():
            return keeper_lost(self._host.name)
        if self._pin.fault is not None:
            return self._pin.fault
        if self._pin.state is PinState.MISSING:
            return Fault(
                Reason.TOKEN_NOT_ACTIVE,
                f"{self._host.name} was deactivated, or its PIN was lost, before it came up.",
                token=str(self._host.name),
            )
        trouble = [slot.status for slot in self._slots if slot.status.trouble]
        if len(trouble) < len(self._slots):
            return None
        absent = any(status.absent for status in trouble)
        reason = Reason.TOKEN_NOT_PRESENT if absent else trouble[0].reason
        return Fault(reason, f"{self._host.name}: {trouble[0].trouble}", token=str(self._host.name))

    async def deactivate(self, *, refused_too: bool = True) -> None:
        """Forgets the PIN; workers finish what they hold and end. New ones wait for the next activation.

        It goes on to its end even if the officer does not wait for it.

        :param refused_too: an officer does so: what the token refused before is forgotten too.
        """
        ending = asyncio.create_task(self._deactivate(refused_too), name=f"{self._host.name} deactivation")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        ending.add_done_callback(_seen)
        await asyncio.shield(ending)

    async def _deactivate(self, refused_too: bool) -> None:
        self._host.is_ended()
        remembered: Fault | None = None
        try:
            remembered = await self._pin.forget(refused_too=refused_too)
        finally:  # whatever becomes of its PIN, it is not used any more
            for slot in self._slots:
                if slot.status.stage is Stage.READY and slot.worker is not None:
                    slot.worker.retire()
        await self._host.news.until(lambda: all(slot.status.stage is not Stage.READY for slot in self._slots))
        if remembered is not None:
            raise remembered


def _seen(act: "asyncio.Task[None]") -> None:
    """Its outcome was told to the officer, or the officer has gone: nobody else needs to hear of it."""
    if not act.cancelled():
        act.exception()
