"""Where `segelctl audit find` and `prove` look: in the files of a log, or with the daemon, whose proofs are checked here."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segel.cli.failures import UsageError
from segel.cli.session import Session
from segel.errors import SegelError
from segeld.audit.find import Chunk, Done, Search
from segeld.audit.layout import WIDTH
from segeld.audit.leaf import BadLeaf, decode
from segeld.audit.proof import BadProof, prove
from segeld.audit.reader import open_log_folder
from segeld.audit.tiles import Archived, BadFile, LogUnreadable
from segeld.ctl import audit_lookup
from segeld.ctl.audit_command import folder_of
from segeld.ctl.audit_key import parse_key
from segeld.ctl.audit_line import Hit
from segeld.ctl.audit_remote import ask, checked, is_remote, item, leaf_of, look_for, only_local

if TYPE_CHECKING:
    from segel.officer_log import Findings, Found, OfficerLog
    from segeld.audit.find import Item
    from segeld.audit.note import Verifier
    from segeld.audit.reader import Log
    from segeld.ctl.audit_lookup import Wanted
    from segeld.ctl.audit_stream import Leaves, Stream


@dataclass(frozen=True, slots=True)
class Proven:
    """What `prove` writes."""

    leaf: int
    text: bytes
    """In the format of c2sp.org/tlog-proof."""
    size: int
    """Leaves of the tree."""
    note: str = ""
    """Which leaf it is, and what else there is, for people; empty if the leaf itself was asked for."""


def source_of(
    session: Session, folder: Path | None, key: str | None, archives: "list[Path] | None"
) -> "Local | Remote":
    """The log that a command was given, or finds on this machine, or else the daemon's.

    :raises UsageError: if the key is none, the folder is not there, or archives are asked of the daemon.
    :raises LogUnreadable: if there is no log in the folder.
    """
    if is_remote(folder):
        if archives:
            raise only_local("--archive")
        return Remote(session, parse_key(key, Path("/nonexistent")) if key else None)
    if folder is not None and not os.path.lexists(folder):
        raise UsageError(f"there is no folder {folder}")
    where = folder_of(folder)
    return Local(open_log_folder(where, parse_key(key, where) if key else None, tuple(archives or ())))


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

    def newest(self) -> int | None:
        """When the last leaf was made, in milliseconds since the epoch; None if that cannot be read."""
        try:
            return self._log.leaf(self.size - 1).at
        except (Archived, BadFile, BadLeaf, LogUnreadable):
            return None

    def proof(self, leaf: int) -> Proven:
        """:raises LogUnreadable: if there is no such leaf.
        :raises BadProof: if it is not proven.
        """
        return Proven(leaf, prove(self._log, leaf).text(), self.size)

    def proof_of(self, asked: "list[Wanted]") -> Proven | None:
        """Of the last attempt that gave a signature, or else of the last one.

        :raises UsageError: if the salt is needed and not there.
        :raises BadProof: if it is not proven.
        """
        found = [one for each in asked for one in audit_lookup.items(self._log, each)]
        found = [one for one in found if one.signature] or found
        if not found:
            return None
        leaf = found[-1].chunk.outcome_leaf
        assert leaf is not None
        return replace(self.proof(leaf), note=_last_of(len(found), found[-1]))

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
        for one, each in self._items(asked, everything=everything):
            yield one, Hit(item(each, self._verifier), self.verified, "", one.seal)

    def _items(self, asked: "list[Wanted]", *, everything: bool) -> "Iterator[tuple[Wanted, Found]]":
        possible = [one for one in asked if one.signature or one.digest]
        findings = self._found([one.request for one in possible], everything)
        for one, found in zip(possible, findings, strict=True):
            for each in found.entries:
                yield one, each

    def newest(self) -> int | None:
        """As that of the files."""

        async def last(log: "OfficerLog") -> list[bytes]:
            return [leaf async for _, leaf in log.entries(max(0, self.size - 1), 1)]

        try:
            return next((decode(leaf).at for leaf in ask(self._session, last)), None)
        except (SegelError, BadLeaf):
            return None

    def proof(self, leaf: int) -> Proven:
        """:raises SegelError: what the daemon said, or why it cannot be reached.
        :raises BadProof: if it is not proven, or another leaf is.
        """
        text = ask(self._session, lambda log: log.prove(leaf))
        proven, _ = leaf_of(text, self._verifier)
        if proven != leaf:
            raise BadProof(f"the daemon proved leaf {proven} where {leaf} was asked for")
        return Proven(leaf, text, self.size)

    def proof_of(self, asked: "list[Wanted]") -> Proven | None:
        """As that of the files; and as `hits`."""
        found = [one for _, one in self._items(asked, everything=False)]
        if not found:
            return None
        items = [(each, item(each, self._verifier)) for each in found]
        items = [one for one in items if one[1].signature] or items
        last, what = items[-1]
        leaf = what.chunk.outcome_leaf
        assert leaf is not None
        return Proven(leaf, last.outcome, self.size, _last_of(len(items), what))

    def chunks(
        self, job: str | None, caller: str | None, since: str | None, until: str | None, *, everything: bool
    ) -> Iterator[Chunk | Done]:
        """As `hits`. Jobs the daemon looks for; for all else it gives every leaf, and they are looked through here."""
        if job is None:
            yield from self._scanned(caller, since, until)
            return
        name = job if job.startswith("jobs/") else f"jobs/{job}"
        for found in self._found([{"job": name}], everything):
            for each in found.entries:
                yield checked(each, self._verifier)

    def _scanned(self, caller: str | None, since: str | None, until: str | None) -> Iterator[Chunk | Done]:
        from segeld.ctl.audit_stream import pulled

        search = Search(*audit_lookup.narrowed(caller, since, until))
        for stream, leaves in pulled(self._session, self._leaves):
            for index, leaf in leaves:
                if (found := search.take(index, leaf)) is not None:
                    yield found
            self.size = stream.checkpoint.size
            self.unread = list(range(stream.first // WIDTH))
        yield from search.unfinished()

    async def _leaves(self, log: "OfficerLog") -> "AsyncIterator[tuple[Stream, Leaves]]":
        from segeld.ctl.audit_stream import Stream

        stream = Stream(log, (await log.state()).checkpoint, self._verifier)
        async for leaves in stream.leaves():
            yield stream, leaves

    def _found(self, requests: "list[dict[str, Any]]", everything: bool) -> "list[Findings]":
        findings = look_for(self._session, requests, everything=everything)
        for each in findings:
            self.size = each.size
            self.unread += each.archived
            self.has_more |= each.more
        return findings


def _last_of(count: int, last: "Item") -> str:
    """Which leaf it is, in words."""
    chunk = last.chunk
    words = f"leaf {chunk.outcome_leaf}, position {last.position}; its intent is leaf {chunk.intent_leaf}"
    return words + (f"; {count} attempts, this is the last" if count > 1 else "")
