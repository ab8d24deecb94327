"""Where `segelctl audit find` looks: in the files of a log, or with the daemon, whose proofs are checked here."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from segel.cli.session import Session
from segeld.audit.find import Chunk, Done
from segeld.audit.proof import BadProof, prove
from segeld.audit.tiles import Archived, BadFile
from segeld.ctl import audit_lookup
from segeld.ctl.audit_line import Hit
from segeld.ctl.audit_remote import checked, item, look_for

if TYPE_CHECKING:
    from segel.officer_log import Findings
    from segeld.audit.note import Verifier
    from segeld.audit.reader import Log
    from segeld.ctl.audit_lookup import Wanted


class Local:
    """The files."""

    def __init__(self, log: "Log") -> None:
        self._log = log
        self.size = log.checkpoint.size
        self.verified = log.verified
        self.unread = log.unread
        self.has_more = False

    def hits(self, asked: "list[Wanted]", *, everything: bool) -> Iterator[tuple["Wanted", Hit]]:
        """:raises UsageError: if the salt is needed and not there."""
        for one in asked:
            for found in audit_lookup.items(self._log, one, everything=everything):
                leaves = (found.chunk.intent_leaf, found.chunk.outcome_leaf)
                yield one, Hit(found, self.verified, self._unproven(leaves), one.seal)

    def _unproven(self, leaves: tuple[int | None, ...]) -> str:
        """Why not; empty if all are proven."""
        try:
            for leaf in leaves:
                if leaf is not None:
                    prove(self._log, leaf)
        except Archived:
            raise
        except (BadFile, BadProof) as error:
            return f"the log was changed or damaged: {error}"
        return ""

    def chunks(
        self, job: str | None, caller: str | None, since: str | None, until: str | None, *, everything: bool
    ) -> Iterator[Chunk | Done]:
        """:raises BadProof: if one is not proven."""
        for one in audit_lookup.chunks(self._log, job, caller, since, until, everything=everything):
            for leaf in [one.leaf] if isinstance(one, Done) else [one.intent_leaf, one.outcome_leaf]:
                if leaf is not None:
                    prove(self._log, leaf)
            yield one


class Remote:
    """The daemon."""

    def __init__(self, session: Session, verifier: "Verifier | None") -> None:
        self._session = session
        self._verifier = verifier
        self.verified = verifier is not None
        self.size = 0
        self.unread: list[int] = []
        self.has_more = False
        """Whether the daemon left out some that it found."""

    def hits(self, asked: "list[Wanted]", *, everything: bool) -> Iterator[tuple["Wanted", Hit]]:
        """:raises SegelError: what the daemon said, or why it cannot be reached.
        :raises BadProof: if what it answered is not proven.
        """
        possible = [one for one in asked if one.signature or one.digest]
        for one, found in zip(
            possible, self._found([one.request for one in possible], everything), strict=True
        ):
            for each in found.entries:
                yield one, Hit(item(each, self._verifier), self.verified, "", one.seal)

    def chunks(
        self, job: str | None, caller: str | None, since: str | None, until: str | None, *, everything: bool
    ) -> Iterator[Chunk | Done]:
        """As `hits`. Only jobs can be looked for."""
        assert job is not None
        assert caller is since is until is None
        name = job if job.startswith("jobs/") else f"jobs/{job}"
        for found in self._found([{"job": name}], everything):
            for each in found.entries:
                yield checked(each, self._verifier)

    def _found(self, requests: "list[dict[str, Any]]", everything: bool) -> "list[Findings]":
        findings = look_for(self._session, requests, everything=everything)
        for each in findings:
            self.size = each.size
            self.unread += each.archived
            self.has_more |= each.more
        return findings
