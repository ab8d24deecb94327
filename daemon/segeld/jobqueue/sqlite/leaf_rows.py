"""Leaves: numbered without a gap in the transaction of what they describe, forgotten when the log's files have them."""

from typing import Final

import apsw

from segeld.audit.leaf import AnyLeaf, encode
from segeld.jobqueue.codec import seal, unseal
from segeld.jobqueue.sqlite import setting_rows

_NEXT: Final = "SELECT coalesce(max(id), -1) + 1 FROM leaf"
_LOG: Final = "log_number"
_MOST: Final = 4 * 1024 * 1024
TRIMMED_AT_ONCE: Final = 256


def count(db: apsw.Connection) -> int:
    """Leaves so far, those that are forgotten too: the last one never is."""
    return int(db.execute(_NEXT).get)


def log(db: apsw.Connection) -> int:
    """The number of the present log: how often leaves began anew."""
    return int(setting_rows.read(db, _LOG) or 0)


def append(db: apsw.Connection, leaf: AnyLeaf) -> int:
    """Gives its index.

    :raises BadLeaf: if it is too long; nothing was written then.
    """
    data = encode(leaf)
    index = count(db)
    db.execute("INSERT INTO leaf (id, data) VALUES (?, ?)", (index, seal(index, data)))
    return index


def read(db: apsw.Connection, first: int, limit: int) -> tuple[bytes, ...]:
    """None if `first` was forgotten."""
    found: list[bytes] = []
    octets = 0
    for index, blob in db.execute(
        "SELECT id, data FROM leaf WHERE id >= ? ORDER BY id LIMIT ?", (first, limit)
    ):
        if index != first + len(found):
            break
        if found and octets + len(blob) > _MOST:
            break
        found.append(bytes(unseal(index, blob)))
        octets += len(blob)
    return tuple(found)


def trim(db: apsw.Connection, before: int) -> bool:
    """Forgets some leaves below an index, the oldest first; whether any are left there."""
    before = min(before, count(db) - 1)
    db.execute(
        "DELETE FROM leaf WHERE id IN (SELECT id FROM leaf WHERE id < ? ORDER BY id LIMIT ?)",
        (before, TRIMMED_AT_ONCE),
    )
    return db.changes() == TRIMMED_AT_ONCE


def restart(db: apsw.Connection, first: AnyLeaf) -> None:
    """Forgets all leaves; this one gets index 0.

    :raises ValueError: while claims are open: their outcomes would name intents that are in another log.
    """
    if db.execute("SELECT 1 FROM claim LIMIT 1").get is not None:
        raise ValueError("leaves cannot begin anew while claims are open: recover first")
    db.execute("DELETE FROM leaf")
    setting_rows.write(db, _LOG, b"%d" % (log(db) + 1))
    append(db, first)
