"""A database that was restored begins a new log. Until two officers have adopted that, nothing is signed."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault, Reason
from segeld.model.person import Person
from segeld.model.secret import Pin
from segeld.office import since_backup
from segeld.office.actions import Action, AdoptLog
from segeld.office.executor import Description
from segeld.office.since_backup import SinceBackup
from segeld.office.whole import whole

ADOPTION: Final = "adoption"
"""The record that is there while a restored database waits; holds the name of the log that it belonged to."""

_LOGGED: Final = 16_384
"""Characters of what came after the backup, in the new log."""

_log: Final = structlog.get_logger(__name__)


class WitnessToSettle(Protocol):
    """A witness that may contradict the log."""

    @property
    def refusal(self) -> str: ...

    @property
    def lost(self) -> bool:
        """Whether it has lost what it was given, and is given nothing until that is adopted."""
        ...

    @property
    def can_be_adopted(self) -> bool:
        """Whether what it holds is another log's, which this one may replace."""
        ...

    async def adopt(self) -> None:
        """Puts this log's checkpoint in the place of what it holds."""
        ...


class Adoption:
    """Whether the log waits to be adopted. Also the executor of `AdoptLog`."""

    secrets: tuple[str, ...] = ()

    def __init__(
        self,
        records: Records,
        origin: str,
        told: Callable[[str | None], None],
        policy_is_older: Callable[[], bool] = lambda: False,
    ) -> None:
        """:param told: gets why nothing is signed, and None when that is over.
        :param policy_is_older: whether the policy in force is not the last that was, but the backup's.
        """
        self._records = records
        self._origin = origin
        self._told = told
        self._policy_is_older = policy_is_older
        self._of: str | None = None
        self._since: SinceBackup | None = None
        self.witness: WitnessToSettle | None = None

    async def load(self) -> None:
        kept = await self._records.records(ADOPTION)
        if ADOPTION in kept:
            self._of = kept[ADOPTION].decode()
            found = (await self._records.records(since_backup.RECORD)).get(since_backup.RECORD)
            self._since = None if found is None else since_backup.decode(found)
        self.review()

    @property
    def looks_back_to(self) -> str | None:
        """The log that the database belonged to, if nobody has looked yet what came after the backup; else None."""
        return self._of if self._since is None else None

    async def looked_back(self, since: SinceBackup) -> None:
        """Keeps what came after the backup, for those who adopt it.

        :raises Fault: if it cannot be recorded.
        """
        text = " ".join((*since.older, *since.lines))[:_LOGGED]
        leaf = Act(int(time.time() * 1000), "looked back", "", self._of or "", {"found": text})
        await self._records.keep({since_backup.RECORD: since_backup.encode(since)}, leaf)
        self._since = since
        self.review()

    def review(self) -> None:
        """To be called when the witness has come to another mind."""
        self._told(self.trouble or None)

    @property
    def trouble(self) -> str:
        """Why nothing may be signed; empty if all is well."""
        if self._of is None or self._since is None:
            return self._text
        brief = (self._since.brief, *self._older()[:1])
        return " ".join((f"{self._text}.", *filter(None, brief))) if any(brief) else self._text

    def _older(self) -> tuple[str, ...]:
        return self._since.older if self._since is not None and self._policy_is_older() else ()

    @property
    def _text(self) -> str:
        """What callers may know of it."""
        if self._of is not None:
            return (
                f"The database was restored from a backup, and a new audit log, {self._origin}, has begun. Nothing is "
                "signed until two officers adopt it: segelctl audit adopt"
            )
        return self.witness.refusal if self.witness is not None else ""

    def bars(self, action: Action, who: Person) -> Fault | None:
        """Why an officer of a restored policy neither asks for the adoption nor approves it; None if they may: whoever
        left the policy after the backup must not bring themselves back.
        """
        since = self._since
        if not isinstance(action, AdoptLog) or self._of is None or since is None or since.officers is None:
            return None
        if who.identity in since.officers:
            return None
        return Fault(
            Reason.ROLE_REQUIRED,
            f"{who.name} ({who.identity}) is no officer of the policy that was in force last, after the backup. Another "
            "officer must do it.",
            role="officer",
        )

    def refusal(self) -> Fault | None:
        """What a claim is refused with."""
        text = self._text
        return Fault(Reason.STORAGE_UNAVAILABLE, text, retry_after=5.0) if text else None

    async def describe(self, action: AdoptLog) -> Description:
        of_witness = self.witness.refusal if self.witness is not None else ""
        lost = self.witness is not None and self.witness.lost
        if self._of is None and not of_witness and not lost:
            raise Fault(Reason.CHANGE_STATE, "The audit log waits for nothing; there is nothing to adopt.")
        if of_witness and self.witness is not None and not self.witness.can_be_adopted:
            raise Fault(Reason.CHANGE_STATE, of_witness)
        lines = []
        if self._of is not None:
            lines.append(
                f"Adopt the audit log {self._origin}, which begins anew after a restore; the database belonged to "
                f"{self._of or 'a log without a name'}"
            )
            lines.append(
                "What was signed after the backup was taken is not in the database: jobs may be signed a second time. The "
                "old log has it, and is kept."
            )
            lines.extend(self._older())
            lines.extend((self._since or since_backup.unknown("nobody has looked")).lines)
        if of_witness:
            lines.append(f"Let the witness forget what it holds: {of_witness}")
        if lost:
            lines.append("Let the witness begin anew: it has lost the checkpoints that it was given")
        seen = hashlib.sha256("\n".join(lines).encode()).digest()
        if action.seen not in (b"", seen):
            raise Fault(Reason.CHANGE_STATE, "What is to be adopted is not what was shown. Ask anew.")
        return Description(tuple(lines), needs_approval=True, binding=True, action=AdoptLog(seen))

    @whole
    async def run(
        self, action: AdoptLog, who: str, secrets: Mapping[str, Pin], approved_by: str = ""
    ) -> None:
        del secrets
        await self.describe(action)
        facts = {"approved_by": approved_by or "nobody", "restored": self._of or ""}
        if self.witness is not None and self.witness.refusal:
            facts["witness"] = self.witness.refusal[:500]
        elif self.witness is not None and self.witness.lost:
            facts["witness"] = "it lost what it was given"
        at = int(time.time() * 1000)
        gone = {ADOPTION: None, since_backup.RECORD: None}
        await self._records.keep(gone, Act(at, "log adopted", who, self._origin, facts))
        self._of = self._since = None
        if self.witness is not None:
            await self.witness.adopt()
        _log.warning("the audit log was adopted", origin=self._origin, who=who, approved_by=approved_by)
        self.review()
