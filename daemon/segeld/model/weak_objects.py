"""What makes the objects on a token weaker than those that segel makes. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

PRIVATE: Final = "private key"
PUBLIC: Final = "public key"
CERTIFICATE: Final = "certificate"
SHORTEST_RSA: Final = 2048
"""Bits (BSI TR-02102-1, NIST SP 800-131A)."""

_TRUE: Final = {
    "EXTRACTABLE": "It can be taken out of the token (EXTRACTABLE).",
    "DECRYPT": "It may decrypt, and not only sign (DECRYPT).",
    "UNWRAP": "It may unwrap other keys, and not only sign (UNWRAP).",
    "DERIVE": "It may derive other keys, and not only sign (DERIVE).",
}
_FALSE: Final = {
    "SENSITIVE": "Its value can be read in plain text (not SENSITIVE).",
    "LOCAL": "It was not made on the token, so there may be copies of it (not LOCAL).",
    "PRIVATE": "It shows itself without a login (not PRIVATE).",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """One object. What the token does not say is in neither of the two lists."""

    object_class: str
    cka_id: bytes
    bits: int
    """Of an RSA key, as far as it is known; else 0."""
    public_key: bytes | None
    true: frozenset[str]
    false: frozenset[str]


def warnings(objects: Sequence[Facts]) -> list[tuple[str, ...]]:
    """For each object, in their order, a sentence for each weakness."""
    ids = Counter(one.cka_id for one in objects if one.object_class == PRIVATE and one.cka_id)
    same = Counter(one.public_key for one in objects if one.object_class == PRIVATE and one.public_key)
    shown = {one.public_key for one in objects if one.object_class in (PUBLIC, CERTIFICATE)}
    return [
        tuple(_of_private(one, ids, same, shown)) if one.object_class == PRIVATE else tuple(_of_rsa(one))
        for one in objects
    ]


def _of_private(
    one: Facts, ids: "Counter[bytes]", same: "Counter[bytes]", shown: set[bytes | None]
) -> Iterable[str]:
    yield from (text for flag, text in _TRUE.items() if flag in one.true)
    yield from (text for flag, text in _FALSE.items() if flag in one.false)
    if "ALWAYS_SENSITIVE" in one.false and "SENSITIVE" not in one.false:
        yield "Its value could once be read in plain text (not ALWAYS_SENSITIVE)."
    if "NEVER_EXTRACTABLE" in one.false and "EXTRACTABLE" not in one.true:
        yield "It could once be taken out of the token (not NEVER_EXTRACTABLE)."
    if ids[one.cka_id] > 1 or (one.public_key is not None and same[one.public_key] > 1):
        yield "Another private key on the token cannot be told from it (same CKA_ID, or the same key): it is not used."
    if one.public_key is None or one.public_key not in shown:
        yield "Neither a public object nor a certificate on the token belongs to it."
    yield from _of_rsa(one)


def _of_rsa(one: Facts) -> Iterable[str]:
    if 0 < one.bits < SHORTEST_RSA:
        yield f"An RSA key of {one.bits} bits is too short; {SHORTEST_RSA} are the least."
