"""Entry bundles of C2SP tlog-tiles: leaves one after the other, each with its length in two octets before it."""

from collections.abc import Iterable


class BadBundle(ValueError):
    """Octets that are no bundle. The text says where."""


def pack(leaves: Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    for leaf in leaves:
        parts += (len(leaf).to_bytes(2, "big"), leaf)
    return b"".join(parts)


def unpack(data: bytes) -> list[bytes]:
    """:raises BadBundle: if it ends within a leaf."""
    leaves: list[bytes] = []
    at, size = 0, len(data)
    while at < size:
        end = at + 2 + (data[at] << 8) + data[at + 1] if at + 1 < size else size + 1
        if end > size:
            raise BadBundle(f"ends within leaf {len(leaves)} of the file")
        leaves.append(data[at + 2 : end])
        at = end
    return leaves
