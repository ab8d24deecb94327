"""Ceremonies with typed secrets: a token is initialised, its PIN changed or set anew."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from segeld.config.schema import PinPad
from segeld.ipc import ceremony_wire as wire
from segeld.ipc.worker_wire import SlotInfo, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.supervisor import one_shot, pin_file
from segeld.supervisor.choosing import INITIALIZED, choose, is_untouched, label_for
from segeld.supervisor.crew import Crew
from segeld.supervisor.guard import so_of
from segeld.supervisor.half import Half, Known, Unanswered
from segeld.supervisor.login import Logins
from segeld.supervisor.one_shot import OneShot
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)
_PATIENCE: Final = 120.0
"""Seconds."""
_REFUSED: Final = frozenset({0xA0, 0xA4})
"""CKR_PIN_INCORRECT, CKR_PIN_LOCKED: of what else these functions answer, some is about the new PIN."""


class Host(one_shot.Host, Protocol):
    """The token, as these ceremonies need it."""

    def erased(self) -> None:
        """Nothing that was known of it is true any more: it waits for its new PIN."""

    def advise(self, advice: str) -> None:
        """What an officer has to do before the next start; empty: nothing."""


class PinCeremonies:
    def __init__(self, host: Host, pin: TokenPin, logins: Logins, crew: Crew) -> None:
        self._host = host
        self._pin = pin
        self._logins = logins
        self._crew = crew
        self._desk = OneShot(host)

    def end(self, why: str) -> None:
        """Kills the worker of what is under way: that is not known to be done then."""
        self._desk.end(why)

    async def initialize(
        self,
        slot: tuple[str, int] | None,
        label: str | None,
        so_pin: Pin,
        new_pin: Pin,
        serial: str | None = None,
    ) -> None:
        """:param serial: of the device that is meant; None: whichever is there.
        :raises Fault: nothing was changed.
        :raises Half: it is erased, or may be.
        """
        label = label_for(self._host.name, self._host.config, label)
        async with self._crew.away("its token is being initialised"), self._logins.alone():
            made = await self._set_up(slot, label, so_pin, new_pin, serial)
            try:
                await self._pin.forget()
                await self._noted(made.serial, None, new_pin)
            except Fault as fault:
                raise self._done(f"it is initialised and has its new PIN, but {fault.text}", fault) from fault

    async def _set_up(
        self, slot: tuple[str, int] | None, label: str, so_pin: Pin, new_pin: Pin, serial: str | None
    ) -> TokenInfo:
        host = self._host
        chosen: SlotInfo | None = None
        try:
            async with self._desk.worker() as worker:
                chosen = choose(host.name, host.config, slot, await self._desk.slots(worker), serial)
                slot_id, token = chosen.slot_id, chosen.token
                assert token is not None
                host.require_single(token)
                sends = self._sends(so_of(token.serial), so_pin)
                async with sends if INITIALIZED in token.flags else contextlib.nullcontext():
                    await worker.tell_secrets(so_pin, new_pin)
                    await self._desk.change(
                        worker,
                        lambda number: wire.InitToken(number, slot_id, token.serial, label),
                        wire.TokenSet,
                        _PATIENCE,
                    )
                host.erased()
                try:
                    async with self._sends(so_of(token.serial), so_pin):
                        return await self._set_pin(worker, slot_id, None)
                except (Unanswered, WorkerFailed, WorkerLost, Fault) as error:
                    raise await self._erased(str(error), error) from error
        except Unanswered as lost:
            assert chosen is not None
            assert chosen.token is not None
            raise await self._maybe_erased(chosen.token, lost) from lost

    async def _erased(self, why: str, error: Exception) -> Half:
        """Its old PIN is worth nothing any more: it must not be tried when a new one is set."""
        with contextlib.suppress(Fault):  # the keeper has gone, and the PIN with it
            await self._pin.forget()
        word = self._host.name.word
        text = (
            f"it is erased, but its PIN could not be set: {why.rstrip('.')}. Ask for that, with the SO PIN that was just "
            f"typed: segelctl token pin-unblock {word}"
        )
        fault = self._desk.fault(error) if isinstance(error, WorkerFailed) else self._desk.unknown(text)
        return Half(
            Fault(fault.reason, f"{self._host.name}: {text}", token=str(self._host.name)), Known.IN_PART
        )

    async def _maybe_erased(self, before: TokenInfo, lost: Unanswered) -> Fault | Half:
        """It is looked at again, without a login."""
        seen: tuple[SlotInfo, ...] | None = None
        with contextlib.suppress(Fault):
            async with self._desk.worker() as worker:
                seen = await self._desk.slots(worker)
        said = f"the device did not answer while it was being initialised ({lost})."
        if seen is not None and is_untouched(before, seen):
            return self._desk.unknown(
                f"{said} Nothing was erased: the token is as it was. Whether a try of its SO PIN was spent is not known. Look at "
                "the device, then try again."
            )
        self._host.erased()
        with contextlib.suppress(Fault):  # the keeper has gone, and the PIN with it
            await self._pin.forget(refused_too=False)
        word = self._host.name.word
        return Half(
            self._desk.unknown(
                f"{said} Whether it is erased is not known, and its PIN is not used until an officer gives it. Look: segelctl token "
                f"activate {word}. If it has no PIN any more, it is erased: segelctl token pin-unblock {word}, or for a blank one "
                f"segelctl token init {word} once more."
            ),
            Known.UNKNOWN,
        )

    async def unblock(self, so_pin: Pin, new_pin: Pin, serial: str | None = None) -> None:
        """:param serial: of the device that is meant; None: whichever is there.
        :raises Fault: the PIN is what it was.
        :raises Half: it may be the new one.
        """
        host = self._host
        async with self._logins.alone():
            token: TokenInfo | None = None
            try:
                async with self._desk.worker() as worker:
                    chosen = choose(host.name, host.config, None, await self._desk.slots(worker), serial)
                    token = chosen.token
                    assert token is not None
                    host.require_single(token)
                    async with self._sends(so_of(token.serial), so_pin):
                        await worker.tell_secrets(so_pin, new_pin)
                        made = await self._set_pin(worker, chosen.slot_id, token.serial)
            except Unanswered as lost:
                assert token is not None
                raise await self._maybe_changed(token.serial, None, new_pin, lost) from lost
            self._pin.is_set_anew()
            try:
                await self._noted(made.serial, None, new_pin)
            except Fault as fault:
                raise self._done(f"its new PIN is set, but {fault.text}", fault) from fault

    @asynccontextmanager
    async def _sends(self, device: str, pin: Pin, *, proved: bool = False) -> AsyncIterator[None]:
        """Within it a PIN that an officer typed is sent: not one that the device refused before, and a refusal is remembered.

        :param proved: a login has just shown that it is right.
        :raises Fault: PIN_REFUSED_BEFORE.
        """
        if not proved:
            await self._pin.require_new(device, pin)
        try:
            yield
        except WorkerFailed as failed:
            if failed.ckr in _REFUSED:
                with contextlib.suppress(
                    Fault
                ):  # the keeper has gone: an officer will not type it again soon
                    await self._pin.was_refused(device, pin, self._desk.fault(failed))
            raise

    async def _set_pin(self, worker: WorkerHandle, slot_id: int, serial: str | None) -> TokenInfo:
        answer = await self._desk.change(
            worker, lambda number: wire.InitPin(number, slot_id, serial), wire.TokenSet, _PATIENCE
        )
        return answer.token

    async def change_pin(self, pin: Pin, new_pin: Pin) -> str:
        """Takes and wipes both. Gives what an officer has to do then; empty if nothing.

        :raises Fault: the PIN is what it was.
        :raises Half: it is the new one, or may be.
        """
        host = self._host
        with pin, new_pin:
            if isinstance(host.config.pin, PinPad):
                raise Fault(
                    Reason.TOKEN_STATE,
                    f"{host.name} takes its PIN at the reader's own keys; change it with a reader without a pad.",
                    token=str(host.name),
                )
            async with self._logins.alone():
                token: TokenInfo | None = None
                try:
                    async with self._desk.worker() as worker:
                        token = await self._desk.open(worker, writable=True)
                        await worker.tell_secrets(pin, new_pin)
                        await self._logins.log_in_typed(worker, token.serial, pin)
                        async with self._sends(token.serial, pin, proved=True):
                            await self._desk.change(worker, wire.ChangePin, wire.PinChanged, _PATIENCE)
                except Unanswered as lost:
                    assert token is not None
                    raise await self._maybe_changed(token.serial, pin, new_pin, lost) from lost
                try:
                    return await self._noted(token.serial, pin, new_pin)
                except Fault as fault:
                    raise self._done(f"its PIN is changed, but {fault.text}", fault) from fault

    async def _noted(self, serial: str, old: Pin | None, new: Pin) -> str:
        """The file first: whatever becomes of the record, a start must not go on with the old PIN."""
        host = self._host
        # What is configured there was the token's PIN, or is none: either way it is wrong now.
        former = old or await asyncio.to_thread(pin_file.former, host.config)
        advice = await asyncio.to_thread(pin_file.put, host.name, host.config, new)
        host.advise(advice)
        if advice:
            _log.warning("the configured PIN is another than the token's", token=str(host.name), why=advice)
        try:
            with former or contextlib.nullcontext():
                await self._pin.changed(serial, former, new, goes_on=not advice)
        finally:
            await self._crew.refresh()
        return advice

    async def _maybe_changed(self, serial: str, old: Pin | None, new: Pin, lost: Unanswered) -> Half:
        """Which of the two it has nobody can ask without risking a try. So nothing is tried by itself: the old one counts
        as refused, and the new one is not kept. Workers that are logged in stay so.
        """
        host, word = self._host, self._host.name.word
        former = old or await asyncio.to_thread(pin_file.former, host.config)
        trouble = ""
        with former or contextlib.nullcontext():
            try:
                await self._pin.changed(serial, former, new, goes_on=False)
            except Fault as fault:
                trouble = f" {fault.text}"
            with contextlib.suppress(Fault):  # the keeper has gone, and the PIN with it
                await self._pin.forget(refused_too=False)
        return Half(
            self._desk.unknown(
                f"the device did not answer while its PIN was being set ({lost}). Whether it has the new PIN or the old one is not "
                f"known, and neither is tried by itself. Run: segelctl token activate {word}, with the new one. If that is refused: "
                f"segelctl token deactivate {word}, then activate it with the old one.{trouble}"
            ),
            Known.UNKNOWN,
        )

    def _done(self, text: str, fault: Fault) -> Half:
        return Half(Fault(fault.reason, f"{self._host.name}: {text}", token=str(self._host.name)), Known.DONE)
