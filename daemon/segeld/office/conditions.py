"""What somebody should be told: tokens, changes, jobs, certificates and the disk, each asked for what is so now."""

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

from segeld.model.inventory import TokenRecord
from segeld.model.job import Job, JobFilter
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.office.change_desk import ChangeDesk
from segeld.office.notices import Condition, Kind, Source

FULL: Final = 0.8
"""The part of the disk that is used when somebody is told."""
MAX_JOBS: Final = 50
"""Held jobs that are told of; whoever approves sees the others when they look."""


class TokenConditions:
    """A token that waits for its PIN by design is worth a word at the start, and whenever it stops being active."""

    def __init__(self, tokens: Callable[[], tuple[TokenRecord, ...]]) -> None:
        self._tokens = tokens
        self._active: set[TokenName] = set()
        """Those that were active once, in this run of the daemon."""

    async def __call__(self) -> Iterable[Condition]:
        return list(self._now())

    def _now(self) -> Iterator[Condition]:
        for token in self._tokens():
            word, why = token.name.word, token.state_reason.rstrip(".")
            match token.state:
                case TokenState.ACTIVE:
                    self._active.add(token.name)
                case TokenState.QUARANTINED:
                    yield Condition(
                        Kind.QUARANTINE,
                        str(token.name),
                        f"{token.name} is quarantined. {token.state_reason}",
                    )
                case TokenState.INACTIVE if token.name in self._active or token.pin_source == "prompt":
                    yield _needs_officer(
                        token.name, f"waits for its PIN. Run: segelctl token activate {word}"
                    )
                case TokenState.LOCKED:
                    yield _needs_officer(token.name, f"is locked: {why}. Run: segelctl token show {word}")
                case TokenState.ABSENT if token.blank:
                    yield _needs_officer(token.name, f"is not in any slot. {token.blank}")
                case TokenState.ABSENT:
                    yield _needs_officer(
                        token.name, f"is not in any slot. Put it in, then run: segelctl token show {word}"
                    )
                case _:
                    pass


def _needs_officer(name: TokenName, why: str) -> Condition:
    return Condition(Kind.TOKEN, str(name), f"{name} {why}")


class ChangeConditions:
    def __init__(self, desk: ChangeDesk) -> None:
        self._desk = desk

    async def __call__(self) -> Iterable[Condition]:
        return [
            Condition(
                Kind.CHANGE,
                change.name,
                f"{change.asked.name} asks: {change.summary[0]} Another officer looks and decides: segelctl change approve "
                f"{change.number}",
            )
            for change in self._desk.waiting()
        ]


class HeldJobs(Protocol):
    """Where held jobs of every caller are found, however many others there are."""

    async def to_decide(
        self,
        who: str,
        may: Callable[[str, KeyName], bool],
        wanted: JobFilter,
        *,
        since: float,
        before: int | None,
        limit: int,
    ) -> tuple[Job, ...]: ...


class JobConditions:
    def __init__(self, jobs: HeldJobs) -> None:
        self._jobs = jobs

    async def __call__(self) -> Iterable[Condition]:
        held = await self._jobs.to_decide(
            "", _anybody, JobFilter(), since=math.inf, before=None, limit=MAX_JOBS
        )
        return [
            Condition(
                Kind.JOB,
                str(job.name),
                f"{job.name} of {job.spec.caller} waits for an approver. They run: segel job approve "
                f"{str(job.name).removeprefix('jobs/')}",
            )
            for job in held
        ]


def _anybody(_caller: str, _key: KeyName) -> bool:
    return True


class DiskCondition:
    """Of the file system that the state folder is on."""

    def __init__(self, folder: Path, used: Callable[[Path], float] | None = None) -> None:
        """:param used: gives the part of its file system that is used, from 0 to 1."""
        self._folder = folder
        self._used = used or used_part

    async def __call__(self) -> Iterable[Condition]:
        used = await asyncio.to_thread(self._used, self._folder)
        if used < FULL:
            return []
        text = f"The disk of {self._folder} is {used:.0%} full; no work is taken when it has no room left. Make room"
        return [Condition(Kind.DISK, str(self._folder), f"{text}, or run: segelctl audit archive")]


def used_part(folder: Path) -> float:
    """As `df` says it: of what users other than root can have."""
    found = os.statvfs(folder)
    used = found.f_blocks - found.f_bfree
    return used / (used + found.f_bavail) if used + found.f_bavail else 1.0


def certificate_conditions(warnings: Callable[[], Awaitable[Iterable[tuple[str, str]]]]) -> Source:
    """:param warnings: certificates near their end: whose it is, and a sentence with the command to run."""

    async def ask() -> Iterable[Condition]:
        return [Condition(Kind.CERTIFICATE, subject, text) for subject, text in await warnings()]

    return ask
