"""All tokens and the keeper: the inventory that the layers above read."""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from segeld.audit.acts import Acts
from segeld.config.schema import Config, PinDescriptor
from segeld.ipc.worker_wire import SlotInfo, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, SlotRecord, Survey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.merge import merged
from segeld.supervisor.survey import survey_module
from segeld.supervisor.token import Serve, TokenSupervisor

_log: Final = structlog.get_logger(__name__)


class Supervisor:
    """Starts everything that touches a device. `run` goes on until it is cancelled."""

    def __init__(self, config: Config, serve: Serve, changed: Callable[[], None], acts: Acts) -> None:
        """`changed` is called, often and cheaply, whenever a token's state or keys may have changed."""
        self._config = config
        self._changed = changed
        self._keeper: KeeperHandle | None = None
        self._keeper_starting = asyncio.Lock()
        self._surveying: asyncio.Task[Survey] | None = None
        self._keys: dict[KeyName, KeyRecord] | None = None
        self._tokens: Final[Mapping[TokenName, TokenSupervisor]] = {
            name: TokenSupervisor(
                name, token, config.modules[token.module], self.keeper, serve, self._token_changed, acts
            )
            for name, token in (
                (TokenName.parse(word), token) for word, token in sorted(config.tokens.items())
            )
        }

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for token in self._tokens.values():
                    group.create_task(token.run(), name=str(token.name))
        finally:
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
                self._keeper = await KeeperHandle.start(numbers if first else ())
                for number in numbers if first else ():
                    os.close(number)
            return self._keeper

    def _token_changed(self) -> None:
        self._keys = None
        self._changed()

    # --- for the dispatcher

    def names_on(self, token: TokenName) -> frozenset[KeyName]:
        return self._tokens[token].names()

    def patience_of(self, token: TokenName) -> float:
        """Seconds that a worker of this token may say nothing while it has something to sign."""
        return self._tokens[token].config.timeouts.operation

    def note_bad_signature(self, token: TokenName) -> None:
        self._tokens[token].note_bad_signature()

    # --- the inventory

    def tokens(self) -> tuple[TokenRecord, ...]:
        return tuple(token.record() for token in self._tokens.values())

    def token(self, name: TokenName) -> TokenRecord | None:
        token = self._tokens.get(name)
        return token.record() if token is not None else None

    def keys(self) -> tuple[KeyRecord, ...]:
        return tuple(self._known().values())

    def key(self, name: KeyName) -> KeyRecord | None:
        return self._known().get(name)

    def _known(self) -> dict[KeyName, KeyRecord]:
        if self._keys is None:
            self._keys = merged(self.tokens())
        return self._keys

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

    async def activate(self, name: TokenName, pin: Pin) -> TokenRecord:
        try:
            token = self._require(name)
        except Fault:
            pin.wipe()
            raise
        await token.activate(pin)
        return token.record()

    async def deactivate(self, name: TokenName) -> TokenRecord:
        token = self._require(name)
        await token.deactivate()
        return token.record()

    def _require(self, name: TokenName) -> TokenSupervisor:
        token = self._tokens.get(name)
        if token is None:
            raise Fault(Reason.TOKEN_NOT_FOUND, f"No token {name} is configured.", token=str(name))
        return token
