"""Leaves and what was found, as rows and records."""

from typing import TYPE_CHECKING, Any

import msgspec

from segeld.audit.find import Chunk, Done, Item
from segeld.audit.leaf import HASH, AnyLeaf
from segeld.audit.words import algorithm, part_at, sentence, stamp, when, work
from segeld.model.names import KeyName

if TYPE_CHECKING:
    from segeld.audit.leaf import Intent

COLUMNS = ("LEAF", "TIME", "WHAT", "IN WORDS")


def row(index: int, leaf: AnyLeaf) -> tuple[object, ...]:
    return index, when(leaf.at), type(leaf).__name__.lower(), sentence(leaf)


def record(index: int, leaf: AnyLeaf) -> dict[str, Any]:
    """All of a leaf, octets as hex."""
    fields = {name: _hex(getattr(leaf, name)) for name in leaf.__struct_fields__} | {"at": stamp(leaf.at)}
    return {"leaf": index, "kind": type(leaf).__name__.lower(), **fields}


def _hex(value: object) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_hex(one) for one in value]
    if isinstance(value, msgspec.Struct):
        return {name: _hex(getattr(value, name)) for name in value.__struct_fields__}
    return value


def item_facts(item: Item, proven: str) -> dict[str, object]:
    chunk = item.chunk
    assert chunk.outcome is not None
    return {
        "what": part_at(chunk.intent, item.position),
        "result": f"signed; SHA-256 of the signature {item.signature.hex()}"
        if item.signature
        else item.reason,
        "time": f"announced {when(chunk.intent.at)}, ended {when(chunk.outcome.at)}",
        **_intent_facts(chunk.intent),
        "leaf": f"{chunk.outcome_leaf}, position {item.position} (intent in leaf {chunk.intent_leaf})",
        "proven": proven,
    }


def key_of(intent: "Intent") -> str:
    return str(KeyName(intent.key)) if len(intent.key) == HASH else intent.key.hex()


def _intent_facts(intent: "Intent") -> dict[str, object]:
    return {
        "caller": intent.caller,
        "key": key_of(intent),
        "token": intent.token,
        "algorithm": algorithm(intent.algorithm),
    }


def item_record(item: Item, *, proven: bool, verified: bool) -> dict[str, Any]:
    return {
        **chunk_record(item.chunk, proven=proven, verified=verified),
        "position": item.position,
        "item": part_at(item.chunk.intent, item.position),
        "signature_sha256": item.signature.hex() if item.signature else None,
        "reason": item.reason,
    }


def chunk_record(chunk: Chunk, *, proven: bool, verified: bool) -> dict[str, Any]:
    ended = chunk.outcome
    return {
        "kind": "chunk",
        "intent_leaf": chunk.intent_leaf,
        "leaf": chunk.outcome_leaf,
        "announced_at": stamp(chunk.intent.at),
        "ended_at": stamp(ended.at) if ended else None,
        **_intent_facts(chunk.intent),
        "parts": [{"work": work(one), "first": one.first, "count": one.count} for one in chunk.intent.parts],
        "signed": len(ended.signatures) // HASH if ended else 0,
        "unsigned": [list(one) for one in ended.unsigned] if ended else [],
        "proven": proven,
        "checkpoint_verified": verified,
    }


def done_record(done: Done, *, verified: bool) -> dict[str, Any]:
    return record(done.leaf, done.act) | {"proven": True, "checkpoint_verified": verified}


def chunk_row(found: Chunk | Done) -> tuple[object, ...]:
    if isinstance(found, Done):
        return row(found.leaf, found.act)
    ended = found.outcome
    how = sentence(ended).partition(": ")[2] if ended else "no outcome"
    leaf = found.intent_leaf if found.outcome_leaf is None else found.outcome_leaf
    return leaf, when(found.intent.at), "chunk", f"{sentence(found.intent)} → {how}"
