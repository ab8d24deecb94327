"""What officers ask for together: proposed, approved, run. Durable, each step with its leaf in the same transaction."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault, Reason
from segeld.model.person import Person
from segeld.model.secret import Pin
from segeld.office import changes
from segeld.office.actions import Action, kind
from segeld.office.change_records import ChangeRecords, octets_of
from segeld.office.change_words import next_step
from segeld.office.changes import Change, ChangeState
from segeld.office.executor import Description, Executor, Partly
from segeld.office.whole import whole

MAX_OPEN: Final = 100
"""Changes that have not ended."""
MAX_OPEN_OCTETS: Final = 16 * 1024 * 1024
"""Of all that have not ended: policies are long."""
RETRY: Final = 30.0
"""Seconds until an expiry that could not be recorded is tried again."""
MAX_REASON: Final = 500
"""Characters of what an officer gives as a reason."""
MAX_SUMMARY: Final = 500
"""Characters of a change's first sentence in the log."""

_log: Final = structlog.get_logger(__name__)


class ChangeDesk:
    """Every step is serialised, but for the runs themselves: a change that is being run is RUNNING, and so fenced."""

    def __init__(
        self,
        records: Records,
        executors: Mapping[type[Any], Executor],
        *,
        two_person: Callable[[], bool],
        standing: Callable[[Person], str],
        outdated: Callable[[Action], str] = lambda action: "",  # noqa: ARG005
        bars: Callable[[Action, Person], Fault | None] = lambda action, who: None,  # noqa: ARG005
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """:param executors: by the action's type; one that is missing here is refused.
        :param two_person: of the policy in force.
        :param standing: of an officer of the policy in force, under the same name and with a certificate that is not
            revoked: what it never is again once that was otherwise. Empty for whoever is none.
        :param outdated: why an action that was possible when it was asked for never will be again; else empty.
        :param bars: why an officer has no part in an action, though the policy in force knows them as one; else None.
        :param changed: called when a change has moved.
        """
        self._records = ChangeRecords(records)
        self._executors = executors
        self._two_person = two_person
        self._standing = standing
        self._outdated = outdated
        self._bars = bars
        self._changed = changed
        self._clock = clock
        self._lock = asyncio.Lock()
        self._running: dict[int, asyncio.Task[Change]] = {}
        self._moved = asyncio.Event()

    @property
    def two_person(self) -> bool:
        return self._two_person()

    async def start(self) -> None:
        """Reads what is kept. A change that was RUNNING stays so: nobody knows how far it came."""
        await self._records.load()
        for change in self._records.all():
            if change.state is ChangeState.RUNNING:
                _log.warning("a change may have been run, wholly or in part", change=change.name)

    async def run(self) -> None:
        """Ends what has expired, when it does. Goes on until it is cancelled."""
        while True:
            self._moved.clear()
            try:
                await self._expire()
            except Fault as fault:  # it has expired, written or not
                _log.error("an expiry is not recorded yet", why=fault.text)
                await asyncio.sleep(RETRY)
                continue
            waits = [change.expires_at for change in self._records.all() if change.state in changes.EXPIRING]
            delay = max(0.0, min(waits) - self._clock()) if waits else None
            try:
                async with asyncio.timeout(delay):
                    await self._moved.wait()
            except TimeoutError:
                continue

    async def aclose(self) -> None:
        """Returns when every run that was begun has ended."""
        while self._running:
            await asyncio.wait(self._running.values())

    # --- reading

    def changes(self, *, ended: bool) -> tuple[Change, ...]:
        """The newest first."""
        seen = map(self._seen, self._records.all())
        return tuple(sorted((each for each in seen if ended or each.open), key=_number, reverse=True))

    def change(self, number: int) -> Change:
        """:raises Fault: CHANGE_NOT_FOUND."""
        return self._seen(self._records.get(number))

    def waiting(self) -> tuple[Change, ...]:
        """Those that wait for another officer."""
        return tuple(each for each in self.changes(ended=False) if each.state is ChangeState.WAITING)

    def next_step(self, change: Change) -> str:
        """One sentence for people: why it is as it is, and what comes next."""
        outdated = self._outdated(change.action) if change.state in changes.EXPIRING else ""
        return next_step(change, live=change.number in self._running, outdated=outdated)

    def secrets(self, action: Action) -> tuple[str, ...]:
        """What running it needs."""
        executor = self._executors.get(type(action))
        return executor.secrets if executor is not None else ()

    def _seen(self, change: Change) -> Change:
        """As it is now: expiry and lapsed approvals count from the moment on, whether or not they are written yet."""
        over = changes.expired(change, self._clock())
        if over is not None:
            return over
        approver = change.decided
        if change.state is not ChangeState.APPROVED or approver is None:
            return change
        standing = self._standing(approver)
        return change if standing and standing == change.standing else changes.lapsed(change)

    # --- steps

    async def propose(self, action: Action, who: Person, *, dry_run: bool = False) -> Change:
        """A change that waits, or is approved at once. With `dry_run` nothing is kept and its number is 0.

        :raises Fault: QUEUE_FULL if too many are open; whatever its executor says.
        """
        self._require_part(action, who)
        described, needs_approval = await self._describe(action)
        async with self._lock:
            at = self._clock()
            number = 0 if dry_run else self._records.last + 1
            wanted = action if described.action is None else described.action
            change = changes.asked(
                number, wanted, described.summary, who, needs_approval=needs_approval, at=at
            )
            if dry_run:
                return change
            if (
                len(self.changes(ended=False)) >= MAX_OPEN
                or self._records.open_octets + octets_of(change) > MAX_OPEN_OCTETS
            ):
                raise Fault(
                    Reason.QUEUE_FULL,
                    f"Too many changes are open: {MAX_OPEN}, or {MAX_OPEN_OCTETS >> 20} MiB of them, are the limit. Reject "
                    "what nobody wants any more: segelctl change list",
                    maximum=str(MAX_OPEN),
                )
            facts = {} if needs_approval else {"approval": "none needed"}
            if described.needs_approval and not needs_approval:
                facts = {"approval": "none: two_person = false"}
            await self._keep(change, "change asked", who.name, at, **_content(change), **facts)
            return change

    async def approve(self, number: int, who: Person, seen: bytes) -> Change:
        """:raises Fault: CHANGE_NOT_FOUND, CHANGE_STATE, SECOND_PERSON_REQUIRED."""
        async with self._lock:
            at = self._clock()
            before = self.change(number)
            self._require_part(before.action, who)
            change = changes.approved(before, who, seen, standing=self._standing(who), at=at)
            if why := self._outdated(change.action):
                raise changes.outdated(before, why)
            await self._keep(change, "change approved", who.name, at, **_content(change))
            return change

    async def reject(self, number: int, who: Person, why: str) -> Change:
        """Withdraws it, if it is by whoever asked for it. Closes one that was left RUNNING.

        :raises Fault: CHANGE_NOT_FOUND, CHANGE_STATE.
        """
        async with self._lock:
            at = self._clock()
            change = changes.rejected(
                self.change(number), who, why[:MAX_REASON], at=at, live=number in self._running
            )
            await self._keep(change, "change rejected", who.name, at, why=change.note)
            return change

    async def run_change(self, number: int, who: Person, secrets: Mapping[str, Pin]) -> Change:
        """Returns when it was run. Goes on if whoever waits does so no more; wipes the secrets in the end.

        :raises Fault: CHANGE_NOT_FOUND, CHANGE_STATE, SECOND_PERSON_REQUIRED, FIELD_INVALID for a secret that is
            missing; whatever its executor says.
        """
        task = asyncio.create_task(self._run_whole(number, who, secrets), name=f"change {number}")
        return await asyncio.shield(task)

    async def _run_whole(self, number: int, who: Person, secrets: Mapping[str, Pin]) -> Change:
        task = asyncio.current_task()
        assert task is not None
        try:
            before = self.change(number)
            if before.state in changes.EXPIRING and (why := self._outdated(before.action)):
                raise changes.outdated(before, why)
            change = changes.begun(before, who)
            self._require_part(change.action, who)
            self._check_secrets(change, secrets)
            described, needs_approval = await self._describe(change.action)
            async with self._lock:
                needs_approval = needs_approval or (described.needs_approval and self._two_person())
                change = await self._begin(self.change(number), who, described, needs_approval)
                self._running[number] = task
            try:
                return await self._execute(change, secrets)
            finally:
                del self._running[number]
                self._tell()
        finally:
            for pin in secrets.values():
                pin.wipe()

    async def _begin(
        self, before: Change, who: Person, described: Description, needs_approval: bool
    ) -> Change:
        change = changes.begun(before, who)
        if needs_approval and before.decided is None:
            raise changes.unapproved(before)
        if described.binding and described.summary != change.summary:
            raise changes.moved_on(before, described.summary, described.to_see_all)
        await self._keep(change, "change begun", who.name, self._clock(), **_content(change))
        return change

    async def _execute(self, change: Change, secrets: Mapping[str, Pin]) -> Change:
        """Runs a change that is durably RUNNING, and records what came of it."""
        approved_by = change.decided.name if change.decided else ""
        who = change.asked.name
        try:
            await self._executors[type(change.action)].run(change.action, who, secrets, approved_by)
        except Fault as fault:
            after = changes.given_back(change, fault.text)
            await self._keep(
                after, "change failed", who, self._clock(), reason=fault.reason, left="nothing changed"
            )
            raise
        except Partly as partly:
            await self._failed(change, partly.fault, partly.left)
            raise partly.fault from None
        except Exception as error:
            _log.exception("a change failed in a way that nobody foresaw", change=change.name)
            unforeseen = Fault(
                Reason.INTERNAL,
                f"The daemon failed while {change.name} was run; what was changed is not known. Look, then ask anew.",
                change=change.name,
            )
            await self._failed(change, unforeseen, "not known")
            raise unforeseen from error
        at = self._clock()
        after = changes.done(change, at)
        await self._keep(after, "change done", who, at)
        return after

    async def _failed(self, change: Change, fault: Fault, left: str) -> None:
        at = self._clock()
        await self._keep(
            changes.failed(change, fault.text, at),
            "change failed",
            change.asked.name,
            at,
            reason=fault.reason,
            left=left,
        )

    async def _describe(self, action: Action) -> tuple[Description, bool]:
        """What it would do, and whether another officer must say yes to it here.

        :raises Fault: if it cannot be done.
        """
        executor = self._executors.get(type(action))
        if executor is None:
            raise Fault(
                Reason.FIELD_INVALID,
                f"This daemon cannot run {kind(action)}.",
                field="action",
                kind=kind(action),
            )
        described = await executor.describe(action)
        return described, described.needs_approval and self._two_person()

    def _require_part(self, action: Action, who: Person) -> None:
        """:raises Fault: ROLE_REQUIRED."""
        if (fault := self._bars(action, who)) is not None:
            raise fault

    def _check_secrets(self, change: Change, secrets: Mapping[str, Pin]) -> None:
        """:raises Fault: FIELD_INVALID."""
        wanted = self.secrets(change.action)
        for name in wanted:
            if name not in secrets:
                raise Fault(
                    Reason.FIELD_INVALID,
                    f"{name}: is missing; {change.name} needs {' and '.join(wanted)}.",
                    field=name,
                    change=change.name,
                )
        for name in secrets:
            if name not in wanted:
                raise Fault(
                    Reason.FIELD_INVALID,
                    f"{name}: {change.name} does not need it. A secret goes nowhere without need.",
                    field=name,
                    change=change.name,
                )

    async def _expire(self) -> None:
        async with self._lock:
            for change in self._records.all():
                over = changes.expired(change, self._clock())
                if over is not None:
                    await self._keep(over, "change expired", "", self._clock())

    @whole
    async def _keep(self, change: Change, what: str, who: str, at: float, **facts: str) -> None:
        await self._records.keep(change, Act(int(at * 1000), what, who, change.name, facts), at)
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._changed()


def _number(change: Change) -> int:
    return change.number


def _content(change: Change) -> dict[str, str]:
    """What it is about, for the log."""
    return {
        "kind": kind(change.action),
        "hash": change.hash.hex(),
        "summary": change.summary[0][:MAX_SUMMARY],
    }
