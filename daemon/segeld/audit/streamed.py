"""Verifies a log of which nothing is there but its checkpoint and its leaves, as a daemon gives them one after the other."""

from typing import Final

from segeld.audit.checkpoint import Checkpoint
from segeld.audit.edge import Edge
from segeld.audit.leaf import AnyLeaf
from segeld.audit.meaning import Meaning
from segeld.audit.merkle import leaf_hash
from segeld.audit.note import BadNote, Verifier
from segeld.audit.report import Report
from segeld.audit.tiles import LogUnreadable

_NOT_COMPARED: Final = "the salt is on the daemon's machine: whether what was signed is what the intents announced was not checked"


class Streamed:
    """`take` each leaf up to the checkpoint's size, from the first on, or from where `begin` says; then `finish`."""

    def __init__(self, note: bytes, verifier: Verifier) -> None:
        self._report = Report(verifier.name)
        self._tree = Edge()
        self._meaning = Meaning(self._report, None, _not_kept)
        try:
            checkpoint = Checkpoint.open(note, verifier)
        except BadNote as error:
            self._report.add(f"the checkpoint that the daemon gives: {error}. Nothing else was checked")
            return
        self._report.size, self._report.root = checkpoint.size, checkpoint.root

    @property
    def size(self) -> int:
        """Leaves that are to come; 0 if the checkpoint is not this key's."""
        return self._report.size

    def begin(self, edge: Edge) -> None:
        """Leaves that were archived are not to be had: their hashes are.

        :param edge: before the first leaf that comes. The root shows at the end whether it is right.
        """
        self._tree = edge
        if edge.size:
            self._report.away = [(0, edge.size - 1)]

    def take(self, index: int, leaf: bytes) -> None:
        """:raises LogUnreadable: if it is not the next one."""
        if index != self._tree.size:
            raise LogUnreadable(f"the daemon gave leaf {index} where {self._tree.size} is the next")
        self._tree.append(leaf_hash(leaf))
        self._meaning.take(index, leaf)

    def finish(self) -> Report:
        report = self._report
        if not report.is_good and not report.size:
            return report
        self._meaning.finish()
        if self._tree.size < report.size:
            report.add(f"the daemon gave {self._tree.size} leaves of {report.size}")
        elif self._tree.root() != report.root:
            report.add(
                "the leaves that the daemon gave have not the root that the checkpoint was signed with"
            )
        report.warnings.append(_NOT_COMPARED)
        if report.unfinished_count:
            report.warnings.append(f"{report.unfinished_count} intents have no outcome so far")
        return report


def _not_kept(index: int) -> AnyLeaf:
    raise LogUnreadable(f"leaf {index} was read before, and is not kept")
