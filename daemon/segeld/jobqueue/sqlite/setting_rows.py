"""Values under names: what belongs to the database itself, and what officers decided."""

from collections.abc import Mapping
from typing import Final

import apsw

from segeld.jobqueue.codec import seal, unseal

_NO_ROW: Final = 0


def read(db: apsw.Connection, name: str) -> bytes | None:
    blob = db.execute("SELECT data FROM setting WHERE name = ?", (name,)).get
    return None if blob is None else bytes(unseal(_NO_ROW, blob))


def write(db: apsw.Connection, name: str, value: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO setting (name, data) VALUES (?, ?)", (name, seal(_NO_ROW, value)))


def read_all(db: apsw.Connection, prefix: str) -> dict[str, bytes]:
    """Those whose name begins so."""
    rows = db.execute(
        "SELECT name, data FROM setting WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix)
    )
    return {name: bytes(unseal(_NO_ROW, blob)) for name, blob in rows}


def write_all(db: apsw.Connection, values: Mapping[str, bytes | None]) -> None:
    """None removes one."""
    for name, value in values.items():
        if value is None:
            db.execute("DELETE FROM setting WHERE name = ?", (name,))
        else:
            write(db, name, value)
