"""What is public of a token's keys, as it is kept: one record `token-keys/{name}`. Pure."""

from collections.abc import Collection
from typing import Final

import msgspec

from segeld.model.algorithm import KeyKind
from segeld.model.faults import Reason
from segeld.model.inventory import Remembered, TokenKey
from segeld.model.names import KeyName

PREFIX: Final = "token-keys/"
_NAMED: Final = 8
"""Keys that a leaf names; of more it says how many."""


class _Key(msgspec.Struct, frozen=True, omit_defaults=True):
    label: str
    cka_id: bytes
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    kind: str = ""
    certificates: tuple[bytes, ...] = ()
    """DER."""
    unusable: str = ""
    trouble: str = ""
    always_authenticate: bool = False
    weak: tuple[str, ...] = ()


class _Token(msgspec.Struct, frozen=True):
    serial: str
    label: str
    keys: tuple[_Key, ...]


def encoded(held: Remembered) -> bytes:
    return msgspec.msgpack.encode(_Token(held.serial, held.label, tuple(map(_kept, held.keys))))


def decoded(data: bytes) -> Remembered:
    """:raises ValueError: if it is not as it was written, or is of a later version: msgspec's errors are such."""
    token = msgspec.msgpack.decode(data, type=_Token)
    return Remembered(token.serial, token.label, tuple(map(_known, token.keys)))


def difference(before: Remembered | None, after: Remembered | None) -> dict[str, str]:
    """For the leaf: which device, how many keys it holds, which came and which went."""
    was, now = _names(before), _names(after)
    device = after or before
    facts = {
        "serial": device.serial if device is not None else "",
        "keys": str(len(now)),
        "new": _listed(now - was),
        "gone": _listed(was - now),
    }
    return {name: value for name, value in facts.items() if value}


def _kept(key: TokenKey) -> _Key:
    assert key.public_key is not None, "a key with a name has one"
    return _Key(
        key.label,
        key.cka_id,
        key.public_key,
        key.kind or "",
        key.certificates,
        key.unusable or "",
        key.trouble,
        key.always_authenticate,
        key.weak,
    )


def _known(kept: _Key) -> TokenKey:
    return TokenKey(
        label=kept.label,
        cka_id=kept.cka_id,
        kind=KeyKind(kept.kind) if kept.kind else None,
        name=KeyName.of(kept.public_key),
        public_key=kept.public_key,
        chain=(),
        unusable=Reason(kept.unusable) if kept.unusable else None,
        trouble=kept.trouble,
        always_authenticate=kept.always_authenticate,
        weak=kept.weak,
        certificates=kept.certificates,
    )


def _names(held: Remembered | None) -> set[KeyName]:
    return {key.name for key in held.keys if key.name is not None} if held is not None else set()


def _listed(keys: Collection[KeyName]) -> str:
    words = [str(key) for key in sorted(keys)[:_NAMED]]
    if len(keys) > _NAMED:
        words.append(f"and {len(keys) - _NAMED} more")
    return ", ".join(words)
