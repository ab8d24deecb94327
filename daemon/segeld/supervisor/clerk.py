"""What officers do to one token beside activating it. Each in a fresh worker of its own, which ends afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import structlog

from segeld.config.schema import Module, PinPad, Token
from segeld.ipc import ceremony_wire as wire
from segeld.ipc.worker_wire import FoundKey, Remedy, SlotInfo, TokenInfo
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.supervisor import pin_file
from segeld.supervisor.crew import Crew
from segeld.supervisor.login import not_active
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

T = TypeVar("T")
_log: Final = structlog.get_logger(__name__)
_GENERATE: Final = 300.0
"""Seconds: small devices take minutes for a long RSA key."""
_SET_UP: Final = 120.0
_INITIALIZED: Final = "CKF_TOKEN_INITIALIZED"


class SetUpHalf(Exception):
    """The token is erased already, and its PIN could not be set."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault: Final = fault


class Host(Protocol):
    """The token, as its clerk needs it."""

    name: TokenName
    config: Token
    module: Module

    def is_active(self) -> bool: ...

    def serial(self) -> str | None: ...

    def public_keys(self) -> tuple[bytes, ...]: ...

    def erased(self) -> None:
        """Nothing that was known of it is true any more: it waits for its new PIN."""

    async def know_anew(self, worker: WorkerHandle, found: tuple[FoundKey, ...]) -> None:
        """All its workers see these keys now."""

    def update(self) -> None: ...

    def advise(self, advice: str) -> None:
        """What an officer has to do before the next start; empty: nothing."""


class Clerk:
    """One thing at a time, each to its end even if the officer does not wait for it."""

    def __init__(self, host: Host, pin: TokenPin, crew: Crew) -> None:
        self._host = host
        self._pin = pin
        self._crew = crew
        self._turn = asyncio.Lock()
        self._working: set[asyncio.Task[Any]] = set()

    async def initialize(
        self, slot: tuple[str, int] | None, label: str | None, so_pin: Pin, new_pin: Pin
    ) -> None:
        """Erases the token, or makes a blank one usable. It waits for its activation then.

        :raises Fault: nothing was changed.
        :raises SetUpHalf: it was erased.
        """
        await self._to_the_end(self._initialize(slot, label, so_pin, new_pin))

    async def unblock(self, so_pin: Pin, new_pin: Pin) -> None:
        """:raises Fault: the PIN is what it was."""
        await self._to_the_end(self._unblock(so_pin, new_pin))

    async def change_pin(self, pin: Pin, new_pin: Pin) -> str:
        """Takes and wipes both. Gives what an officer has to do then; empty if nothing.

        :raises Fault: the PIN is what it was.
        """
        return await self._to_the_end(self._change_pin(pin, new_pin))

    async def objects(self) -> tuple[wire.FoundObject, ...]:
        """:raises Fault: TOKEN_NOT_ACTIVE; what the token says."""
        return await self._to_the_end(self._objects())

    async def generate_key(self, label: str, kind: KeyKind, cka_id: bytes) -> KeyName:
        """Returns when every worker knows the key.

        :raises Fault: TOKEN_NOT_ACTIVE, KEY_EXISTS, TOKEN_NO_ROOM, ALGORITHM_NOT_SUPPORTED; what else the token says.
        """
        return await self._to_the_end(self._generate_key(label, kind, cka_id))

    async def store_certificates(self, public_key: bytes, chain: tuple[bytes, ...]) -> None:
        """:raises Fault: TOKEN_NOT_ACTIVE, TOKEN_NO_ROOM; what else the token says. Nothing was stored."""
        await self._to_the_end(self._store_certificates(public_key, chain))

    async def destroy_key(self, public_key: bytes) -> None:
        """:raises Fault: TOKEN_NOT_ACTIVE; what the token says."""
        await self._to_the_end(self._destroy_key(public_key))

    def require_active(self) -> None:
        """:raises Fault: TOKEN_NOT_ACTIVE."""
        if not self._host.is_active():
            raise not_active(self._host.name)

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        async def in_turn() -> T:
            async with self._turn:
                return await work

        task = asyncio.create_task(in_turn(), name=f"{self._host.name} ceremony")
        self._working.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # it was told to the officer, or there is nobody to hear of it

    # --- with typed secrets, and nobody logged in

    async def _initialize(
        self, slot: tuple[str, int] | None, label: str | None, so_pin: Pin, new_pin: Pin
    ) -> None:
        host = self._host
        label = self._label(label)
        async with self._crew.away("its token is being initialised"), self._pin.alone():
            async with self._worker() as worker:
                chosen = self._choose(slot, (await worker.survey(host.config.timeouts.start)).slots)
                assert chosen.token is not None
                await worker.tell_secrets(so_pin, new_pin)
                serial = chosen.token.serial
                await worker.perform(
                    lambda number: wire.InitToken(number, chosen.slot_id, serial, label),
                    wire.TokenSet,
                    _SET_UP,
                )
                host.erased()
                try:
                    made = await self._set_pin(worker, chosen.slot_id, None)
                except Fault as fault:
                    raise SetUpHalf(fault) from fault
                except (WorkerFailed, WorkerLost) as error:
                    raise SetUpHalf(self._fault(error)) from error
            await self._pin.forget()
            await self._noted(made.serial, None, new_pin)

    async def _unblock(self, so_pin: Pin, new_pin: Pin) -> None:
        host = self._host
        async with self._pin.alone():
            async with self._worker() as worker:
                chosen = self._choose(None, (await worker.survey(host.config.timeouts.start)).slots)
                assert chosen.token is not None
                await worker.tell_secrets(so_pin, new_pin)
                made = await self._set_pin(worker, chosen.slot_id, chosen.token.serial)
            await self._noted(made.serial, None, new_pin)
        self._pin.is_set_anew()

    async def _set_pin(self, worker: WorkerHandle, slot_id: int, serial: str | None) -> TokenInfo:
        answer = await worker.perform(
            lambda number: wire.InitPin(number, slot_id, serial), wire.TokenSet, _SET_UP
        )
        return answer.token

    # --- as the user

    async def _change_pin(self, pin: Pin, new_pin: Pin) -> str:
        host = self._host
        if isinstance(host.config.pin, PinPad):
            pin.wipe()
            new_pin.wipe()
            raise Fault(
                Reason.TOKEN_STATE,
                f"{host.name} takes its PIN at the reader's own keys; change it with a reader without a pad.",
                token=str(host.name),
            )
        with pin, new_pin:
            async with self._pin.alone(), self._worker() as worker:
                opened = await self._open(worker, writable=True)
                await worker.tell_secrets(pin, new_pin)
                await self._pin.log_in_typed(worker, opened.serial, pin)
                await worker.perform(wire.ChangePin, wire.PinChanged, _SET_UP)
                return await self._noted(opened.serial, pin, new_pin)

    async def _noted(self, serial: str, old: Pin | None, new: Pin) -> str:
        """The file first: whatever becomes of the record, a start must not go on with the old PIN."""
        host = self._host
        # What is configured there was the token's PIN, or is none: either way it is wrong now.
        former = old or await asyncio.to_thread(pin_file.former, host.config)
        advice = await asyncio.to_thread(pin_file.put, host.name, host.config, new)
        host.advise(advice)
        if advice:
            _log.warning("the configured PIN is another than the token's", token=str(host.name), why=advice)
        with former or contextlib.nullcontext():
            await self._pin.changed(serial, former, new, goes_on=not advice)
        await self._crew.refresh()
        return advice

    async def _objects(self) -> tuple[wire.FoundObject, ...]:
        async with self._user(writable=False) as worker:
            listed = await worker.perform(wire.ListObjects, wire.ObjectsListed, self._patience)
        return listed.objects

    async def _generate_key(self, label: str, kind: KeyKind, cka_id: bytes) -> KeyName:
        async with self._user(writable=True) as worker:
            made = await worker.perform(
                lambda number: wire.GenerateKey(number, label, cka_id, kind), wire.KeyGenerated, _GENERATE
            )
        await self._show_anew()
        return KeyName.of(made.public_key)

    async def _store_certificates(self, public_key: bytes, chain: tuple[bytes, ...]) -> None:
        async with self._user(writable=True) as worker:
            await worker.perform(
                lambda number: wire.StoreCertificates(number, public_key, chain),
                wire.CertificatesStored,
                _SET_UP,
            )
        await self._show_anew()

    async def _destroy_key(self, public_key: bytes) -> None:
        async with self._user(writable=True) as worker:
            await worker.perform(
                lambda number: wire.DestroyKey(number, public_key), wire.KeyDestroyed, _SET_UP
            )
        await self._show_anew()

    async def _show_anew(self) -> None:
        """Some modules see other objects only when they are loaded anew."""
        host = self._host
        await self._crew.replace()
        worker = self._crew.ready()
        if worker is None:
            return  # whoever comes next learns it
        try:
            found = await worker.find_keys(host.public_keys(), self._patience, alone=host.config.workers == 1)
            await host.know_anew(worker, found.keys)
        except (WorkerFailed, WorkerLost, Fault) as error:
            _log.warning("new objects are not seen yet", token=str(host.name), why=str(error))

    # --- its worker

    @property
    def _patience(self) -> float:
        return max(self._host.config.timeouts.operation, self._host.config.timeouts.start)

    @asynccontextmanager
    async def _user(self, *, writable: bool) -> AsyncIterator[WorkerHandle]:
        self.require_active()
        async with self._worker() as worker:
            opened = await self._open(worker, writable=writable)
            await self._pin.log_in_once(worker, opened.serial)
            yield worker

    async def _open(self, worker: WorkerHandle, *, writable: bool) -> TokenInfo:
        config = self._host.config
        opened = await worker.open_token(
            config.label, self._host.serial(), 1, config.timeouts.start, writable=writable
        )
        return opened.token

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[WorkerHandle]:
        """What it says or suffers is told as a Fault."""
        module = self._host.module
        try:
            worker = await WorkerHandle.start(module.environment)
        except OSError as error:
            raise Fault(
                Reason.DEVICE_ERROR, f"No worker process could be started: {error.strerror}."
            ) from error
        try:
            await worker.load(str(module.path), module.reserved, self._host.config.timeouts.start)
            yield worker
        except (WorkerFailed, WorkerLost) as error:
            raise self._fault(error) from error
        finally:
            await worker.close()

    def _fault(self, error: WorkerFailed | WorkerLost) -> Fault:
        name = self._host.name
        if isinstance(error, WorkerLost):
            return Fault(
                Reason.DEVICE_ERROR,
                f"{name}: the device did not answer ({error}). What was done is not known; look at the token.",
                token=str(name),
            )
        reason = Reason.TOKEN_NOT_PRESENT if error.remedy is Remedy.ABSENT else error.reason
        return Fault(reason, f"{name}: {error.text}", token=str(name), ckr=f"{error.ckr:#x}")

    # --- which slot

    def _label(self, wanted: str | None) -> str:
        configured = self._host.config.label
        label = wanted or configured
        if label is None:
            raise self._invalid("label", "no label is configured for it: give one")
        if configured is not None and label != configured:
            raise self._invalid(
                "label",
                f"it is configured with the label {configured!r}; with {label!r} it would not be found",
            )
        if not label.isprintable() or not 1 <= len(label.encode()) <= 32:
            raise self._invalid("label", "a token's label has 1 to 32 octets, all of them printable")
        return label

    def _invalid(self, field: str, text: str) -> Fault:
        return Fault(
            Reason.FIELD_INVALID,
            f"{field}: {self._host.name}: {text}.",
            field=field,
            token=str(self._host.name),
        )

    def _choose(self, slot: tuple[str, int] | None, slots: tuple[SlotInfo, ...]) -> SlotInfo:
        own = [one for one in slots if self._is_own(one)]
        if slot is None:
            if len(own) == 1:
                return own[0]
            raise self._fault_of(
                Reason.TOKEN_NOT_PRESENT if not own else Reason.TOKEN_STATE,
                "no token with its label and serial number is there. For a blank one name its slot: segelctl slot list"
                if not own
                else f"{len(own)} tokens have its label and serial number; take the others out",
            )
        word, number = slot
        if word != self._host.config.module:
            raise self._fault_of(Reason.SLOT_NOT_FOUND, f"it is configured with another module than {word}")
        chosen = next((one for one in slots if one.slot_id == number), None)
        if chosen is None or chosen.token is None:
            what = "there is no such slot" if chosen is None else "there is no token in this slot"
            raise self._fault_of(
                Reason.SLOT_NOT_FOUND, f"{what}: modules/{word}/slots/{number}. See: segelctl slot list"
            )
        if chosen not in own:
            if _INITIALIZED in chosen.token.flags:
                raise self._fault_of(
                    Reason.TOKEN_STATE,
                    f"the token in this slot is another ({chosen.token.label!r}, {chosen.token.serial}) and is not blank",
                )
            if own:
                raise self._fault_of(
                    Reason.TOKEN_STATE,
                    "a token with its label is there already. Without a slot that one is initialised anew",
                )
            if self._host.config.serial not in (None, chosen.token.serial):
                raise self._fault_of(
                    Reason.TOKEN_STATE,
                    "it is configured with another serial number than the token in this slot",
                )
        return chosen

    def _is_own(self, slot: SlotInfo) -> bool:
        token, config = slot.token, self._host.config
        return (
            token is not None
            and _INITIALIZED in token.flags
            and config.label in (None, token.label)
            and config.serial in (None, token.serial)
        )

    def _fault_of(self, reason: Reason, text: str) -> Fault:
        return Fault(reason, f"{self._host.name}: {text}.", token=str(self._host.name))
