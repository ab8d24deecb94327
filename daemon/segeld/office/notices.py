"""Telling somebody: what is not as it should be is looked for, and told once, to the command of `[notify]`.

Nothing here holds anything up: whoever changes something calls `look`, which only wakes a task.
"""

import asyncio
import contextlib
import enum
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

LOOK: Final = 30.0
"""Seconds after which everything is looked at again, though nobody said that anything changed."""
SETTLE: Final = 1.0
"""Seconds between two looks: what changes often is not looked at each time."""
MAX_WAITING: Final = 64
"""Notices that wait for the command."""
HOUR: Final = 3600.0

_log: Final = structlog.get_logger(__name__)


class Kind(enum.StrEnum):
    """What is the matter. A contract: commands depend on these words."""

    TOKEN = "token-needs-officer"  # noqa: S105 - no password
    CHANGE = "change-awaits-approval"
    JOB = "job-awaits-approval"
    CERTIFICATE = "certificate-near-end"
    QUARANTINE = "quarantine"
    DISK = "disk-filling"


AGAIN: Final[Mapping[Kind, float]] = {Kind.CERTIFICATE: 24 * HOUR}
"""Seconds after which it is told again if it is still so; an hour if it does not stand here."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now, and that somebody should know."""

    kind: Kind
    subject: str
    """The resource's name."""
    text: str
    """A sentence for people, with the command to run. Never a secret."""


Source = Callable[[], Awaitable[Iterable[Condition]]]
"""Asked for all conditions of its sort that hold now."""


class Told:
    """What was told, and when. Pure; the clock is passed in."""

    def __init__(self) -> None:
        self._at: dict[tuple[Kind, str], float] = {}

    def news(self, held: Iterable[Condition], now: float) -> list[Condition]:
        """Those to be told: new, or told long ago. What holds no more is forgotten, and is new when it comes again."""
        now_held = {(each.kind, each.subject): each for each in held}
        self._at = {key: at for key, at in self._at.items() if key in now_held}
        return [
            each
            for key, each in now_held.items()
            if now - self._at.get(key, float("-inf")) >= AGAIN.get(each.kind, HOUR)
        ]

    def note(self, condition: Condition, now: float) -> None:
        self._at[condition.kind, condition.subject] = now


class Notices:
    """`run` goes on until it is cancelled."""

    def __init__(
        self,
        sources: Sequence[Source],
        tell: Callable[[Condition, float], Awaitable[str]],
        counted: Callable[[Kind, str], None] = lambda _kind, _result: None,
        *,
        clock: Callable[[], float] = time.time,
        settle: float = SETTLE,
    ) -> None:
        """:param tell: tells one, with the time in seconds since the epoch; gives why it failed, empty if it did not.
        :param counted: told what became of each: `told`, `failed` or `dropped`.
        """
        self._sources = sources
        self._tell = tell
        self._counted = counted
        self._clock = clock
        self._settle = settle
        self._held: list[tuple[Condition, ...]] = [()] * len(sources)
        self._told = Told()
        self._changed = asyncio.Event()
        self._waiting: asyncio.Queue[tuple[Condition, float]] = asyncio.Queue(MAX_WAITING)

    def look(self) -> None:
        """Something may have changed. Cheap: call it as often as you like."""
        self._changed.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(), name="notices")
            while True:
                self._changed.clear()
                await self._look_at_all()
                await asyncio.sleep(self._settle)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._changed.wait()

    async def _look_at_all(self) -> None:
        for place, source in enumerate(self._sources):
            try:
                self._held[place] = tuple(await source())
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are looked at
                _log.error("what is to be told cannot be looked for", exc_info=error)
        now = self._clock()
        held = [condition for conditions in self._held for condition in conditions]
        for condition in self._told.news(held, now):
            try:
                self._waiting.put_nowait((condition, now))
            except asyncio.QueueFull:
                self._counted(condition.kind, "dropped")
                _log.error("not told: too much waits", kind=condition.kind, subject=condition.subject)
            else:
                self._told.note(condition, now)

    async def _deliver(self) -> None:
        while True:
            condition, at = await self._waiting.get()
            failed = await self._tell(condition, at)
            self._counted(condition.kind, "failed" if failed else "told")
            if failed:
                _log.error("not told", kind=condition.kind, subject=condition.subject, why=failed)
            else:
                _log.info("told", kind=condition.kind, subject=condition.subject)
