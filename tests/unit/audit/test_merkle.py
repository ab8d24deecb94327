"""The tree: the vectors that all implementations of RFC 6962 share, and what must hold of every tree."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from independent import _mth

from segeld.audit.frontier import Frontier
from segeld.audit.layout import files, levels, path, widths
from segeld.audit.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    root_from_inclusion,
    root_of,
)

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(b"%d" % number) for number in range(1200)]


def nodes(height: int, index: int) -> bytes:
    return root_of(HASHES[index << height : (index + 1) << height])


@pytest.mark.parametrize("size", range(1, 9))
def test_known_roots(size):
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert root_of(hashes).hex() == ROOTS[size - 1]


def test_known_inclusion_proof():
    def of_eight(height: int, index: int) -> bytes:
        return root_of([leaf_hash(leaf) for leaf in LEAVES[index << height : (index + 1) << height]])

    assert [one.hex() for one in inclusion_proof(0, 8, of_eight)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_empty_tree():
    assert Frontier().root() == EMPTY_ROOT == root_of([]) == hashlib.sha256().digest()


def test_the_frontier_has_the_root_of_the_rfc_at_every_size():
    frontier, rows = Frontier(), []
    for size, leaf in enumerate(HASHES, 1):
        rows.append(frontier.append(leaf))
        if size < 600 or size % 97 == 0:
            assert frontier.root() == _mth(HASHES[:size]) == root_of(HASHES[:size])
    assert [tile.number for closed in rows for tile in closed] == [0, 1, 2, 3]


def test_inclusion_of_every_leaf_in_many_trees():
    for size in (*range(1, 40), 255, 256, 257, 511, 600):
        root = root_of(HASHES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, nodes)
            assert root_from_inclusion(HASHES[index], index, size, proof) == root


def test_consistency_of_every_prefix_of_many_trees():
    for size in (*range(1, 40), 256, 300):
        root = root_of(HASHES[:size])
        for old in range(size + 1):
            assert is_consistent(old, root_of(HASHES[:old]), size, root, consistency_proof(old, size, nodes))


@given(st.data())
def test_a_proof_proves_nothing_else(data):
    size = data.draw(st.integers(2, 1200))
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(index, size, nodes))
    root = root_of(HASHES[:size])
    assert root_from_inclusion(HASHES[index], index, size, proof) == root
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    assert root_from_inclusion(HASHES[other], index, size, proof) != root
    assert root_from_inclusion(HASHES[index], other, size, proof) != root
    assert root_from_inclusion(HASHES[index], index, size, proof[:-1]) != root
    assert root_from_inclusion(HASHES[index], index, size, [*proof, bytes(32)]) != root
    assert root_from_inclusion(HASHES[index], size, size, proof) is None
    at = data.draw(st.integers(0, len(proof) - 1))
    proof[at] = bytes(32)
    assert root_from_inclusion(HASHES[index], index, size, proof) != root


@given(st.integers(1, 1200), st.data())
def test_consistency_holds_for_true_prefixes_only(size, data):
    old = data.draw(st.integers(1, size))
    proof, root, old_root = consistency_proof(old, size, nodes), root_of(HASHES[:size]), root_of(HASHES[:old])
    assert is_consistent(old, old_root, size, root, proof)
    assert not is_consistent(old, bytes(32), size, root, proof)
    assert not is_consistent(old, old_root, size, bytes(32), proof)
    assert not is_consistent(old, old_root, size, root, (*proof, bytes(32)))
    if old < size:
        assert not is_consistent(old, old_root, size, root, proof[:-1])
        assert not is_consistent(old, root_of([*HASHES[: old - 1], bytes(32)]), size, root, proof)


@pytest.mark.parametrize("ask", [(3, 3), (-1, 3)])
def test_no_such_leaf(ask):
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(*ask, nodes)
    with pytest.raises(ValueError, match="no tree"):
        consistency_proof(4, 3, nodes)


def test_paths():
    assert path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert path("entries", 5, 7) == "tile/entries/005.p/7"
    assert path(2, 999) == "tile/2/999"
    assert path(2, 1000) == "tile/2/x001/000"


def test_the_example_of_the_specification():
    tiles = [list(widths(70_000, level)) for level in levels(70_000)]
    assert [(sum(width == 256 for _, width in row), row[-1][1]) for row in tiles] == [
        (273, 112),
        (1, 17),
        (0, 1),
    ]
    assert list(widths(256, 1)) == [(0, 1)]
    assert len(list(files(70_000))) == 274 * 2 + 2 + 1
