"""A database that was restored begins a new log. Until two officers have adopted that, nothing is signed."""

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.office.actions import AdoptLog
from segeld.office.executor import Description
from segeld.office.whole import whole

ADOPTION: Final = "adoption"
"""The record that is there while a restored database waits; holds the name of the log that it belonged to."""

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

    def __init__(self, records: Records, origin: str, told: Callable[[str | None], None]) -> None:
        """:param told: gets why nothing is signed, and None when that is over."""
        self._records = records
        self._origin = origin
        self._told = told
        self._of: str | None = None
        self.witness: WitnessToSettle | None = None

    async def load(self) -> None:
        kept = await self._records.records(ADOPTION)
        if ADOPTION in kept:
            self._of = kept[ADOPTION].decode()
        self.review()

    def review(self) -> None:
        """To be called when the witness has come to another mind."""
        self._told(self.trouble or None)

    @property
    def trouble(self) -> str:
        """Why nothing may be signed; empty if all is well."""
        if self._of is not None:
            return (
                f"The database was restored from a backup, and a new audit log, {self._origin}, has begun. Nothing is "
                "signed until two officers adopt it: segelctl audit adopt"
            )
        return self.witness.refusal if self.witness is not None else ""

    def refusal(self) -> Fault | None:
        """What a claim is refused with."""
        text = self.trouble
        return Fault(Reason.STORAGE_UNAVAILABLE, text, retry_after=5.0) if text else None

    async def describe(self, _action: AdoptLog) -> Description:
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
        if of_witness:
            lines.append(f"Let the witness forget what it holds: {of_witness}")
        if lost:
            lines.append("Let the witness begin anew: it has lost the checkpoints that it was given")
        return Description(tuple(lines), needs_approval=True, binding=True)

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
        await self._records.keep({ADOPTION: None}, Act(at, "log adopted", who, self._origin, facts))
        self._of = None
        if self.witness is not None:
            await self.witness.adopt()
        _log.warning("the audit log was adopted", origin=self._origin, who=who, approved_by=approved_by)
        self.review()
