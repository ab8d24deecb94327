"""Values that belong to the database itself."""

from typing import Final

import apsw

from segeld.jobqueue.codec import seal, unseal

_NO_ROW: Final = 0


def read(db: apsw.Connection, name: str) -> bytes | None:
    blob = db.execute("SELECT data FROM setting WHERE name = ?", (name,)).get
    return None if blob is None else bytes(unseal(_NO_ROW, blob))


def write(db: apsw.Connection, name: str, value: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO setting (name, data) VALUES (?, ?)", (name, seal(_NO_ROW, value)))
