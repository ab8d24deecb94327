"""What `segelctl audit export` writes: the leaves of a span of time, out of a log's files or from its daemon."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segel.cli.session import Session

if TYPE_CHECKING:
    from segel.officer_log import OfficerLog
    from segeld.audit.checkpoint import Checkpoint
    from segeld.audit.leaf import Act, Intent
    from segeld.audit.note import Verifier
    from segeld.ctl.audit_stream import Leaves, Stream

Record = dict[str, Any]
Span = tuple[int, int]
"""Milliseconds since the epoch: the first one, and the one after the last."""


class Export:
    """Takes leaf after leaf, and gives records of those that are of the span."""

    def __init__(self, span: Span, *, verified: bool) -> None:
        """:param verified: whether a key from elsewhere confirms the checkpoint."""
        self._span = span
        self._verified = verified
        self._waiting: dict[int, Intent] = {}
        self._count = 0
        self.all_archived_before = 0
        """Milliseconds since the epoch, as the newest act about it says; 0 if there was none."""

    def take(self, index: int, data: bytes) -> Iterator[Record]:
        """:raises BadLeaf: if it is none of ours."""
        from segeld.audit.find import Chunk, items_of
        from segeld.audit.leaf import Act, Intent, Outcome, decode
        from segeld.ctl.audit_view import item_record, record

        leaf = decode(data)
        if isinstance(leaf, Intent):
            self._waiting[index] = leaf
        elif isinstance(leaf, Act) and leaf.what == "log archived":
            self.all_archived_before = max(self.all_archived_before, _before(leaf))
        intent = self._waiting.pop(leaf.intent, None) if isinstance(leaf, Outcome) else None
        if not self._span[0] <= leaf.at < self._span[1]:
            return
        self._count += 1
        yield record(index, leaf)
        if isinstance(leaf, Outcome) and intent is not None:
            for item in items_of(Chunk(leaf.intent, intent, index, leaf), leaf):
                yield item_record(item, proven=True, verified=self._verified) | {"kind": "item"}

    def end(self, checkpoint: "Checkpoint", note: bytes, unread: list[int]) -> Record:
        """The last one.

        :param unread: bundles that may have leaves of the span.
        """
        from segeld.audit.layout import WIDTH

        return {
            "kind": "end",
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "checkpoint": note.decode(),
            "leaves": self._count,
            "archived_unread": [[number * WIDTH, number * WIDTH + WIDTH - 1] for number in unread],
            "proven": True,
            "checkpoint_verified": self._verified,
        }


def _before(archived: "Act") -> int:
    try:
        moment = datetime.fromisoformat(archived.facts.get("all before", ""))
    except ValueError:
        return 0
    return int(moment.timestamp() * 1000)


def from_files(
    folder: Path, verifier: "Verifier | None", archives: tuple[Path, ...], span: Span, unread: list[int]
) -> Iterator[Record]:
    """:param unread: takes the bundles that were archived and may have leaves of the span.
    :raises LogUnreadable: if there is no log.
    :raises BadProof: if a bundle is not that of the tree.
    """
    from segeld.audit.archived import read_mark
    from segeld.audit.layout import WIDTH, widths
    from segeld.audit.proof import prove_bundle
    from segeld.audit.reader import open_log_folder
    from segeld.audit.tiles import Archived

    log = open_log_folder(folder, verifier, archives)
    export = Export(span, verified=log.verified)
    archived = read_mark(folder, None)
    for number, _ in widths(log.checkpoint.size, 0):
        try:
            leaves = log.tiles.leaves(number)
        except Archived:
            if archived is None or span[0] < archived.before:  # else all of it is older
                unread.append(number)
            continue
        proven = False
        for index, data in enumerate(leaves, number * WIDTH):
            for record in export.take(index, data):
                if not proven:
                    prove_bundle(log, number, leaves)
                    proven = True
                yield record
    yield export.end(log.checkpoint, log.note, unread)


def from_afar(
    session: Session, verifier: "Verifier | None", span: Span, unread: list[int]
) -> Iterator[Record]:
    """As `from_files`; every leaf is asked for and proven, for only so nothing can be kept back.

    :raises SegelError: what the daemon said, or why it cannot be reached.
    :raises BadProof: if what it gave is not what its checkpoint was signed for.
    """
    from segeld.audit.layout import WIDTH
    from segeld.ctl.audit_stream import Stream, pulled

    async def leaves(log: "OfficerLog") -> "AsyncIterator[tuple[Stream, Leaves]]":
        stream = Stream(log, (await log.state()).checkpoint, verifier)
        yield stream, []
        async for part in stream.leaves():
            yield stream, part

    export = Export(span, verified=verifier is not None)
    stream: Stream | None = None
    for opened, part in pulled(session, leaves):
        stream = opened
        for index, data in part:
            yield from export.take(index, data)
    assert stream is not None
    if stream.first and span[0] < (export.all_archived_before or span[1]):
        unread += range(stream.first // WIDTH)
    yield export.end(stream.checkpoint, stream.note, unread)
