"""What the keeper wants remembered is written down by the guard, in the order in which it says so: it waits for that."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from segeld.ipc import keeper_wire
from segeld.model.faults import Fault
from segeld.supervisor.guard import Guard

T = TypeVar("T")


class KeeperNotes:
    """Of one keeper process."""

    def __init__(self, guard: Guard, tell: Callable[[keeper_wire.Recorded], Awaitable[None]]) -> None:
        """:param tell: says to the keeper what became of it; a Fault if that has gone."""
        self._guard = guard
        self._tell = tell
        self._writing: set[asyncio.Task[Any]] = set()
        self._changes: dict[str, asyncio.Task[str | None]] = {}
        """Those that officers made, by token."""

    def are_being_written(self) -> bool:
        return bool(self._writing)

    async def written(self) -> None:
        """Returns when everything is that was begun."""
        if self._writing:
            await asyncio.wait(self._writing)

    def attempt(self, attempt: keeper_wire.Attempting) -> None:
        self._begin(self._write_attempt(attempt))

    def outcome(self, lent: keeper_wire.Lent, then: Callable[[], None]) -> None:
        """:param then: told when it is durable, before anybody acts on it; or cannot be: it stays open in the file then."""
        self._begin(self._write_outcome(lent, then))

    def change(self, noted: keeper_wire.Noted) -> None:
        """Attempts may follow: it is written in its turn."""
        self._changes[noted.token] = self._begin(self._guard.keep(noted.token, noted.serial, noted.record))

    async def change_written(self, token: str) -> str | None:
        """Returns when the token's last one is durable; if it could not be made so, gives why."""
        return await asyncio.shield(self._changes.pop(token))

    def _begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work, name="pin guard")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def _write_attempt(self, attempt: keeper_wire.Attempting) -> None:
        trouble = await self._guard.begin(attempt.token, attempt.serial, attempt.record, attempt.attempted)
        await self._say_recorded(attempt.token, attempt.worker, trouble)

    async def _write_outcome(self, lent: keeper_wire.Lent, then: Callable[[], None]) -> None:
        if lent.record is not None:
            trouble = await self._guard.keep(lent.token, lent.serial, lent.record)
            await self._say_recorded(lent.token, lent.worker, trouble)
        then()

    async def _say_recorded(self, token: str, worker: int, trouble: str | None) -> None:
        with contextlib.suppress(Fault):  # it has gone: what was written stays true
            await self._tell(keeper_wire.Recorded(token, worker, trouble))
