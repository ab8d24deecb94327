"""What stands before a leaf, out of the leaf's own proof."""

import hashlib

import pytest

from segeld.audit.edge import Edge, edge_before
from segeld.audit.merkle import inclusion_proof, root_of

LEAVES = [hashlib.sha256(b"leaf %d" % number).digest() for number in range(70)]


def nodes(height: int, index: int) -> bytes:
    return root_of(LEAVES[index << height : (index + 1) << height])


def test_the_root_of_any_number_of_leaves():
    edge = Edge()
    assert edge.root() == root_of([])
    for count, leaf in enumerate(LEAVES, 1):
        edge.append(leaf)
        assert (edge.size, edge.root()) == (count, root_of(LEAVES[:count]))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 64, 70])
def test_a_proof_has_all_that_stands_before(size):
    for index in range(size):
        edge = edge_before(index, size, inclusion_proof(index, size, nodes))
        assert (edge.size, edge.root()) == (index, root_of(LEAVES[:index]))
        for leaf in LEAVES[index:size]:
            edge.append(leaf)
        assert edge.root() == root_of(LEAVES[:size])
