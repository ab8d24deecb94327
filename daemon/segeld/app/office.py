"""The officers' side, made in one place: what two of them do together, and who is told that somebody is needed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from segeld.config import Config
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault
from segeld.model.inventory import TokenRecord
from segeld.model.person import Person
from segeld.office.actions import Action
from segeld.office.change_desk import ChangeDesk
from segeld.office.conditions import (
    ChangeConditions,
    DiskCondition,
    HeldJobs,
    JobConditions,
    TokenConditions,
)
from segeld.office.executor import Executor
from segeld.office.metrics import NoticeMetrics
from segeld.office.notices import Notices, Source
from segeld.office.notify_command import NotifyCommand
from segeld.policy import Policy
from segeld.rpc.changes import changes_service
from segeld.rpc.service import OfficerService


class Office:
    """`start` before anything is served; `run` goes on until it is cancelled; `aclose` waits for what is being run."""

    def __init__(
        self,
        config: Config,
        registry: CollectorRegistry,
        records: Records,
        executors: Mapping[type[Any], Executor],
        *,
        policy: Callable[[], Policy],
        standing: Callable[[str, str, bytes], str],
        outdated: Callable[[Action], str],
        bars: Callable[[Action, Person], Fault | None],
        tokens: Callable[[], tuple[TokenRecord, ...]],
        jobs: HeldJobs,
        more: Sequence[Source] = (),
    ) -> None:
        """:param executors: by the action's type.
        :param standing: of an officer by name, SAN and certificate; empty for whoever is none.
        :param outdated: why an action never will be possible again; else empty.
        :param bars: why an officer has no part in an action; else None.
        :param more: what else somebody is told of, such as certificates near their end.
        """
        self.changes = ChangeDesk(
            records,
            executors,
            two_person=lambda: policy().two_person,
            standing=lambda who: standing(who.name, who.identity, who.fingerprint),
            outdated=outdated,
            bars=bars,
            changed=self.look,
        )
        self.services: tuple[OfficerService, ...] = (changes_service(self.changes),)
        self._notices: Notices | None = None
        if config.notify is not None:
            sources: tuple[Source, ...] = (
                TokenConditions(tokens),
                ChangeConditions(self.changes),
                JobConditions(jobs),
                DiskCondition(config.state_dir),
                *more,
            )
            command = NotifyCommand(config.notify.command)
            self._notices = Notices(sources, command, NoticeMetrics(registry).counted)

    def look(self) -> None:
        """Something may have changed that somebody should know."""
        if self._notices is not None:
            self._notices.look()

    async def start(self) -> None:
        await self.changes.start()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.changes.run(), name="changes")
            if self._notices is not None:
                group.create_task(self._notices.run(), name="notices")

    async def aclose(self) -> None:
        await self.changes.aclose()
