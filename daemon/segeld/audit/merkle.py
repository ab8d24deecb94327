"""The Merkle tree of RFC 6962 section 2.1: roots and proofs. Pure; where the hashes come from is the caller's affair."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

HASH: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()

Nodes = Callable[[int, int], bytes]
"""The hash over the 2^height leaves from index * 2^height on: `nodes(height, index)`. Only asked for what is complete."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes | memoryview) -> bytes:
    return _sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over these: leaf hashes, or the roots of complete trees of one size of which the last may be smaller."""
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        # Pairing each level, an odd last one going up as it is, gives the tree of the RFC.
        odd = row[-1:] if len(row) % 2 else []
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [_sha256(b"\1" + left + right).digest() for left, right in pairs] + odd
    return row[0]


def inclusion_proof(index: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of section 2.1.1, from the leaf's sibling upwards."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    first, end, path = 0, size, []
    while end - first > 1:
        middle = first + _left(end - first)
        if index < middle:
            path.append(_range(middle, end, nodes))
            end = middle
        else:
            path.append(_range(first, middle, nodes))
            first = middle
    return tuple(reversed(path))


def consistency_proof(old: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """PROOF(old, D[size]) of section 2.1.2. Nothing if there is nothing to prove."""
    if not 0 <= old <= size:
        raise ValueError(f"no tree of {old} leaves in one of {size}")
    if old in {0, size}:
        return ()
    first, end, whole, path = 0, size, True, []
    while old != end:
        middle = first + _left(end - first)
        if old <= middle:
            path.append(_range(middle, end, nodes))
            end = middle
        else:
            path.append(_range(first, middle, nodes))
            first, whole = middle, False
    if not whole:
        path.append(_range(first, end, nodes))
    return tuple(reversed(path))


def root_at(size: int, nodes: Nodes) -> bytes:
    """The root over the first `size` leaves of a tree that has at least so many."""
    return _range(0, size, nodes) if size else EMPTY_ROOT


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that the proof leads to from a leaf's hash; None for a proof that has not the tree's shape."""
    if not 0 <= index < size:
        return None
    number, last, root = index, size - 1, leaf
    for other in proof:
        if not last or len(other) != HASH:
            return None
        if number % 2 or number == last:
            root = node_hash(other, root)
            while not number % 2 and number:
                number, last = number >> 1, last >> 1
        else:
            root = node_hash(root, other)
        number, last = number >> 1, last >> 1
    return None if last else root


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `old` leaves is the beginning of that of `size` (RFC 9162 section 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if not 0 < old < size:
        return old == 0 and not proof and old_root == EMPTY_ROOT
    rest = list(proof)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest or any(len(one) != HASH for one in rest):
        return False
    number, last = old - 1, size - 1
    while number % 2:
        number, last = number >> 1, last >> 1
    of_old = of_new = rest[0]
    for other in rest[1:]:
        if not last:
            return False
        if number % 2 or number == last:
            of_old, of_new = node_hash(other, of_old), node_hash(other, of_new)
            while not number % 2 and number:
                number, last = number >> 1, last >> 1
        else:
            of_new = node_hash(of_new, other)
        number, last = number >> 1, last >> 1
    return not last and of_old == old_root and of_new == root


def _left(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _range(first: int, end: int, nodes: Nodes) -> bytes:
    count = end - first
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return nodes(height, first >> height)
    middle = first + _left(count)
    return node_hash(_range(first, middle, nodes), _range(middle, end, nodes))
