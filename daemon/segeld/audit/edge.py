"""The roots of the complete trees that a number of leaves is made of: all that is needed to go on behind them, and for their root.

An inclusion proof of leaf n has those of the n leaves before it (RFC 6962, 2.1.1): so one proof ties a log to what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from segeld.audit.merkle import EMPTY_ROOT, node_hash


@dataclass(slots=True)
class Edge:
    size: int = 0
    roots: list[bytes] = field(default_factory=list)
    """The largest tree first."""

    def append(self, leaf: bytes) -> None:
        """:param leaf: its hash."""
        self.roots.append(leaf)
        self.size += 1
        count = self.size
        while not count % 2:
            right, left = self.roots.pop(), self.roots.pop()
            self.roots.append(node_hash(left, right))
            count >>= 1

    def root(self) -> bytes:
        if not self.roots:
            return EMPTY_ROOT
        *rest, found = self.roots
        for left in reversed(rest):
            found = node_hash(left, found)
        return found


def edge_before(index: int, size: int, proof: Sequence[bytes]) -> Edge:
    """Of the leaves before one.

    :param proof: that the leaf is in the tree of `size`; it must have been checked.
    """
    roots: list[bytes] = []
    number, last = index, size - 1
    for other in proof:
        if number % 2 or number == last:
            roots.append(other)
            while not number % 2 and number:
                number, last = number >> 1, last >> 1
        number, last = number >> 1, last >> 1
    return Edge(index, roots[::-1])
