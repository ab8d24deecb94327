"""All tokens and the keeper: the inventory that the layers above read."""

import asyncio
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import Config, PinDescriptor
from segeld.ipc.keeper_wire import Lent
from segeld.ipc.worker_wire import SlotInfo, TokenInfo
from segeld.model.activation import NO_LIMITS, Limits, Reserved
from segeld.model.counts import counted, fitting
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Remembered, SlotRecord, Survey, TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.supervisor.ceremonies import Ceremonies
from segeld.supervisor.custody import FREE, Custody, in_custody
from segeld.supervisor.guard import FILE, Guard
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.merge import merged
from segeld.supervisor.spawn import to_its_end
from segeld.supervisor.survey import survey_module
from segeld.supervisor.token import Serve, TokenSupervisor
from segeld.supervisor.token_notes import OfThisRun, TokenNotes

_log: Final = structlog.get_logger(__name__)


class Supervisor(Ceremonies):
    """Starts everything that touches a device. `run` goes on until it is cancelled."""

    def __init__(
        self,
        config: Config,
        serve: Serve,
        changed: Callable[[], None],
        acts: Acts,
        *,
        waiting: Callable[[Collection[KeyName]], int] = lambda keys: 0,  # noqa: ARG005
        custody: Custody = FREE,
        halted: Callable[[], bool] = lambda: False,
        notes: TokenNotes | None = None,
    ) -> None:
        """`changed` is called, often and cheaply, whenever a token's state or keys may have changed.

        :param waiting: how many items wait for some keys.
        :param custody: what officers have decided of keys.
        :param halted: whether nothing at all may be signed: no claim is granted then.
        :param notes: what is remembered of tokens across restarts; read before `run`. None: nothing is.
        """
        self._custody = custody
        self._halted = halted
        self._notes = notes = notes or OfThisRun()
        self._waiting = waiting
        self._config = config
        self._changed = changed
        self._keeper: KeeperHandle | None = None
        self._keeper_starting = asyncio.Lock()
        self._guard = Guard(config.state_dir / FILE)
        self._surveying: asyncio.Task[Survey] | None = None
        self._keys: dict[KeyName, KeyRecord] | None = None
        self._bars: dict[KeyName, Fault] = {}
        self._tokens: Mapping[TokenName, TokenSupervisor] = {
            name: TokenSupervisor(
                name,
                token,
                config.modules[token.module],
                self.keeper,
                serve,
                self._token_changed,
                self._guard,
                acts,
                _Bars(self, name),
                notes,
                self._twin,
            )
            for name, token in (
                (TokenName.parse(word), token) for word, token in sorted(config.tokens.items())
            )
        }

    async def run(self) -> None:
        await self._guard.load()
        await self._recall()
        try:
            async with asyncio.TaskGroup() as group:
                for token in self._tokens.values():
                    group.create_task(token.run(), name=str(token.name))
        finally:
            await to_its_end(self._stop())

    async def _recall(self) -> None:
        """What is remembered of tokens that are not configured any more, or under whose name another one is meant now, is
        forgotten; the rest is shown from now on.
        """
        for name, held in list(self._notes.remembered().items()):
            if not self._is_meant(name, held):
                try:
                    await self._notes.remember(name, None)
                except Fault as fault:
                    _log.error("keys not forgotten", token=str(name), why=fault.text)
            else:
                self._tokens[name].recall()
        self._token_changed()

    def _is_meant(self, name: TokenName, held: Remembered) -> bool:
        token = self._config.tokens.get(name.word)
        return token is not None and token.serial in (None, held.serial) and token.label in (None, held.label)

    async def _stop(self) -> None:
        if self._surveying is not None:
            self._surveying.cancel()
            await asyncio.wait({self._surveying})
        if self._keeper is not None:
            await self._keeper.close()

    async def looked(self) -> None:
        """Returns when every token has been looked for once: it signs, waits for its PIN, or something is wrong."""
        for token in self._tokens.values():
            await token.looked()

    async def keeper(self) -> KeeperHandle:
        """The keeper process, started anew if it has ended. Inherited PIN descriptors are its own from the first."""
        async with self._keeper_starting:
            if self._keeper is None or self._keeper.ended.is_set():
                first = self._keeper is None
                if not first:
                    _log.critical(
                        "keeper lost", hint="its PINs are gone: tokens need theirs again to start workers"
                    )
                numbers = [
                    t.pin.number for t in self._config.tokens.values() if isinstance(t.pin, PinDescriptor)
                ]
                self._keeper = await KeeperHandle.start(
                    self._guard,
                    numbers if first else (),
                    unasked=self._reaffirmed,
                    lost=self._keeper_lost,
                )
                for number in numbers if first else ():
                    os.close(number)
            return self._keeper

    def _keeper_lost(self) -> None:
        for token in self._tokens.values():
            token.update()

    def _reaffirmed(self, lent: Lent) -> None:
        token = self._tokens.get(TokenName.parse(lent.token))
        if token is not None:
            token.reaffirmed(lent)

    def _twin(self, token: TokenSupervisor, info: TokenInfo) -> TokenName | None:
        """The configuration cannot always tell: one is named by its label, the other by its serial number."""
        for other in self._tokens.values():
            known = other.info()
            if other is not token and known is not None and other.module.path == token.module.path:  # noqa: SIM102
                if (known.serial, known.label) == (info.serial, info.label):
                    return other.name
        return None

    def _token_changed(self) -> None:
        self._keys = None
        self._changed()

    # --- for the dispatcher

    def names_on(self, token: TokenName) -> frozenset[KeyName]:
        """Those that may be signed with: proved, and not barred."""
        names, barred = self._tokens[token].names(), self._barred()
        return names - barred.keys() if barred else names

    def requestable_on(self, token: TokenName) -> frozenset[KeyName]:
        known, barred = self._tokens[token], self._barred()
        waiting = {name for name, fault in barred.items() if fault.reason is Reason.KEY_CERTIFICATE}
        return (known.names() - barred.keys()) | ((known.names() | known.unproved()) & waiting)

    def patience_of(self, token: TokenName) -> float:
        """Seconds that a worker of this token may say nothing while it has something to sign."""
        return self._tokens[token].config.timeouts.operation

    def note_bad_signature(self, token: TokenName) -> None:
        self._tokens[token].note_bad_signature()

    def reserve(self, token: TokenName, most: int) -> Reserved:
        return self._tokens[token].reserve(most)

    def give_back(self, token: TokenName, reserved: Reserved, *, made: int) -> bool:
        return self._tokens[token].give_back(reserved, made=made)

    # --- the inventory

    def tokens(self) -> tuple[TokenRecord, ...]:
        return tuple(map(self._record, self._tokens.values()))

    def warnings(self) -> tuple[tuple[str, str], ...]:
        """What officers should know of tokens whatever their state is: whose it is, and a sentence with what to run."""
        told = ((str(name), token.warning()) for name, token in self._tokens.items())
        return tuple((name, warning) for name, warning in told if warning is not None)

    def token(self, name: TokenName) -> TokenRecord | None:
        token = self._tokens.get(name)
        return self._record(token) if token is not None else None

    def _record(self, token: TokenSupervisor) -> TokenRecord:
        record = token.record()
        return replace(record, waiting=self._waiting(record.key_names))

    def keys(self) -> tuple[KeyRecord, ...]:
        return tuple(self._known().values())

    def key(self, name: KeyName) -> KeyRecord | None:
        return self._known().get(name)

    def _known(self) -> dict[KeyName, KeyRecord]:
        if self._keys is None:
            found = merged(tuple(token.record() for token in self._tokens.values()))
            self._keys, self._bars = in_custody(found, self._custody)
        return self._keys

    def _barred(self) -> Mapping[KeyName, Fault]:
        self._known()
        return self._bars

    def review(self) -> None:
        """What officers have decided of keys has changed, or a certificate has begun or ended, or signing may go on."""
        self._token_changed()
        for token in self._tokens.values():
            token.review()

    def is_barred(self, key: KeyName, on: TokenName, found: tuple[TokenKey, ...]) -> bool:
        """Whether nothing may be signed with a key.

        :param on: the token that was just seen to hold these keys.
        """
        records = (token.record() for token in self._tokens.values())
        now = merged(tuple(replace(one, keys=found) if one.name == on else one for one in records))
        return key in in_custody(now, self._custody)[1]

    def is_halted(self) -> bool:
        return self._halted()

    async def survey(self) -> Survey:
        """Every module's slots, each asked in a fresh process: some modules see new tokens only when loaded anew.

        Whoever asks while it is under way gets the same answer: processes cost.
        """
        if self._surveying is None or self._surveying.done():
            self._surveying = asyncio.create_task(self._survey(), name="survey")
        return await asyncio.shield(self._surveying)

    async def _survey(self) -> Survey:
        names = sorted(self._config.modules)
        answers = await asyncio.gather(*(survey_module(self._config.modules[name]) for name in names))
        slots: list[SlotRecord] = []
        unreachable: list[str] = []
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, str):
                unreachable.append(f"{name}: {answer}")
            else:
                slots += [self._slot(name, slot) for slot in answer[1]]
        return Survey(tuple(slots), tuple(unreachable))

    def _slot(self, module: str, slot: SlotInfo) -> SlotRecord:
        token = slot.token
        return SlotRecord(
            module=module,
            slot_id=slot.slot_id,
            description=slot.description,
            manufacturer=slot.manufacturer,
            token_label=token.label if token else None,
            token_serial=token.serial if token else "",
            token_manufacturer=token.manufacturer if token else "",
            token_model=token.model if token else "",
            token_flags=token.flags if token else (),
            token=self._used_as(module, token) if token else None,
        )

    def _used_as(self, module: str, token: TokenInfo) -> TokenName | None:
        for word, config in self._config.tokens.items():
            if (
                config.module == module
                and config.label in (None, token.label)
                and config.serial in (None, token.serial)
            ):
                return TokenName.parse(word)
        return None

    async def activate(
        self, name: TokenName, pin: Pin | None, limits: Limits = NO_LIMITS, who: str = ""
    ) -> TokenRecord:
        try:
            token = self._require(name)
        except Fault:
            if pin is not None:
                pin.wipe()
            raise
        await token.activate(pin, limits, who)
        return self._record(token)

    async def deactivate(self, name: TokenName, *, only_if_idle: bool = False) -> TokenRecord:
        token = self._require(name)
        if only_if_idle and (waiting := self._record(token).waiting):
            raise Fault(
                Reason.TOKEN_BUSY,
                f"{counted(waiting, 'item')} {fitting(waiting, 'waits', 'wait')} for keys of {name}. Wait until all is signed, or deactivate it all the same.",
                token=str(name),
                waiting=str(waiting),
            )
        await token.deactivate()
        return self._record(token)

    def _require(self, name: TokenName) -> TokenSupervisor:
        token = self._tokens.get(name)
        if token is None:
            raise Fault(Reason.TOKEN_NOT_FOUND, f"No token {name} is configured.", token=str(name))
        return token


class _Bars:
    """What one token asks before it signs a probe."""

    def __init__(self, supervisor: Supervisor, token: TokenName) -> None:
        self._supervisor = supervisor
        self._token = token

    def is_barred(self, key: KeyName, found: tuple[TokenKey, ...]) -> bool:
        return self._supervisor.is_barred(key, self._token, found)

    def is_halted(self) -> bool:
        return self._supervisor.is_halted()
