"""The keys of one token as they were last seen: kept across restarts, so that callers are told what their keys wait for."""

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from segeld.ipc.worker_wire import TokenInfo
from segeld.model.faults import Fault
from segeld.model.inventory import Remembered, TokenKey
from segeld.model.names import TokenName
from segeld.supervisor.token_notes import TokenNotes

_log: Final = structlog.get_logger(__name__)
_AGAIN: Final = 5.0
"""Seconds until what could not be written is tried again."""


class KeyMemory:
    """What it is told counts at once, and is written when it changed. Nothing is ever signed because of it."""

    def __init__(self, name: TokenName, notes: TokenNotes, *, again: float = _AGAIN) -> None:
        self._name = name
        self._notes = notes
        self._again = again
        self._held: Remembered | None = None
        self._turn = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None

    @property
    def held(self) -> Remembered | None:
        return self._held

    def recall(self) -> None:
        """Reads what an earlier run has kept."""
        self._held = self._written()

    async def keep(self, device: TokenInfo, keys: tuple[TokenKey, ...]) -> None:
        """Returns when it is durable, or could not be written: then it is tried again and again.

        :param keys: all that are known of that device. Those without a name are left out: nobody can ask for them.
        """
        kept = sorted((replace(key, chain=()) for key in keys if key.name is not None), key=_order)
        self._held = Remembered(device.serial, device.label, tuple(kept)) if kept else None
        if not await self._write():
            self._write_later()

    def forget(self) -> None:
        """The token was erased."""
        self._held = None
        self._write_later()

    def _written(self) -> Remembered | None:
        return self._notes.remembered().get(self._name)

    def _write_later(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._until_written(), name=f"{self._name} remembers keys")

    async def _until_written(self) -> None:
        while True:
            if await self._write():
                return
            await asyncio.sleep(self._again)

    async def _write(self) -> bool:
        """Whether all is written."""
        async with self._turn:
            while (held := self._held) != self._written():
                try:
                    await self._notes.remember(self._name, held)
                except Fault as fault:
                    _log.error("keys not remembered", token=str(self._name), why=fault.text)
                    return False
        return True

    def stop(self) -> None:
        if self._writing is not None:
            self._writing.cancel()


def _order(key: TokenKey) -> tuple[bytes, str, bytes]:
    """Modules give them in any order."""
    assert key.name is not None
    return key.name.fingerprint, key.label, key.cka_id
