"""A seal over all of officers' records together, under a key that is not in the database: whoever writes to the file and
has not that key is found out, be it that a record was changed, added, removed, or put back as it was.

The seal is a row beside the records, written in the transaction of each that changes. It holds the exclusive or of a MAC
of each record, hidden, so that a change costs as little as what is changed; and how many changes there were, which the
mark has too: a small file outside of the database, without which older records with their older seal could be put back.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import apsw
import msgspec

from segeld.audit import files
from segeld.jobqueue.codec import Damaged
from segeld.jobqueue.sqlite import leaf_rows, setting_rows

PREFIX: Final = "record:"
"""What the names of officers' records begin with, so that they are never those of the database's own values."""
_SEAL: Final = "records_seal"
_SIZE: Final = 32
_EMPTY: Final = bytes(_SIZE)


class _Seal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    count: int
    """Changes so far."""
    nonce: bytes
    hidden: bytes
    mac: bytes


class RecordSeal:
    """`check` and `changed` are for a connection that writes, in a transaction."""

    def __init__(self, key: bytes, mark: Path | None = None, *, known: bool = False) -> None:
        """:param key: 32 octets that are not in the database.
        :param mark: the file that says how many changes there were at least; None: nobody writes that down.
        :param known: whether there was a seal before, so that its absence says something.
        """
        self._key = key
        self._known = known
        self._mark = mark
        self._marked = 0

    # --- in a transaction

    def check(self, db: apsw.Connection) -> str:
        """What is wrong with the records; empty if they are as they were written. Reads all of them.

        Records of an earlier version, which knew no seal, are sealed as they are.
        """
        marked = self._read_mark()
        if setting_rows.read(db, _SEAL) is None and (_is_new(db) if self._known else marked is None):
            self.renew(db)
        return self.judge(db, at_least=marked or 0)

    def judge(self, db: apsw.Connection, at_least: int = 0) -> str:
        """As `check`, and changes nothing.

        :param at_least: changes that there must have been.
        """
        try:
            seal, whole = self._read(db), self._whole(db)
        except (Damaged, msgspec.DecodeError) as error:
            return f"they are damaged: {error}"
        if seal is None:
            return "they have no seal"
        if not self._is_right(seal):
            return "their seal is not the daemon's"
        if not hmac.compare_digest(self._sum(seal), whole):
            return "some were changed, added or removed by another program"
        return "they were put back as they were earlier" if seal.count < at_least else ""

    def changed(self, db: apsw.Connection, writes: Mapping[str, bytes | None]) -> int | None:
        """To be called before these are written; gives how many changes there were with this one. A seal that is not right
        stays so: None.

        :param writes: with the whole name of each; None removes one.
        """
        seal = self._read(db)
        if seal is None:
            if setting_rows.read_all(db, PREFIX) or (self._known and not _is_new(db)):
                return None
            count, whole = 0, _EMPTY
        elif self._is_right(seal):
            count, whole = seal.count, self._sum(seal)
        else:
            return None
        for name, value in writes.items():
            before = setting_rows.read(db, name)
            for octets in (before, value):
                if octets is not None:
                    whole = _xor(whole, self._of(name, octets))
        self._write(db, count + 1, whole)
        return count + 1

    def renew(self, db: apsw.Connection) -> None:
        """Seals the records as they are: for a restored database, which two officers are to adopt."""
        self._write(db, 1, self._whole(db))

    def count(self, db: apsw.Connection) -> int:
        """Changes that the seal counts; 0 if there is none."""
        seal = self._read(db)
        return 0 if seal is None else seal.count

    def _read(self, db: apsw.Connection) -> _Seal | None:
        data = setting_rows.read(db, _SEAL)
        return None if data is None else msgspec.msgpack.decode(data, type=_Seal)

    def _write(self, db: apsw.Connection, count: int, whole: bytes) -> None:
        nonce = secrets.token_bytes(_SIZE)
        hidden = _xor(whole, self._mac(b"hide", nonce))
        seal = _Seal(count, nonce, hidden, self._over(count, nonce, hidden))
        setting_rows.write(db, _SEAL, msgspec.msgpack.encode(seal))

    def _whole(self, db: apsw.Connection) -> bytes:
        whole = _EMPTY
        for name, value in setting_rows.read_all(db, PREFIX).items():
            whole = _xor(whole, self._of(name, value))
        return whole

    def _of(self, name: str, value: bytes) -> bytes:
        return self._mac(b"record", hashlib.sha256(name.encode()).digest(), value)

    def _is_right(self, seal: _Seal) -> bool:
        return hmac.compare_digest(seal.mac, self._over(seal.count, seal.nonce, seal.hidden))

    def _sum(self, seal: _Seal) -> bytes:
        return _xor(seal.hidden, self._mac(b"hide", seal.nonce))

    def _over(self, count: int, nonce: bytes, hidden: bytes) -> bytes:
        return self._mac(b"seal", b"%20d" % count, nonce, hidden)

    def _mac(self, what: bytes, *parts: bytes) -> bytes:
        return hmac.digest(self._key, what + b"\0" + b"".join(parts), "sha256")

    # --- the file beside the database

    def mark(self, count: int) -> None:
        """Writes down that there were so many changes.

        :raises OSError: if it cannot be written; the records are durable all the same.
        """
        if self._mark is not None and count > self._marked:
            files.write(self._mark, b"%d %s\n" % (count, self._marked_by(count)), durable=True, mode=0o600)
            self._marked = count

    def _read_mark(self) -> int | None:
        """None if there is none, or it is under another key: of the time before a restore."""
        if self._mark is None:
            return None
        try:
            count, _, mac = self._mark.read_bytes().strip().partition(b" ")
            found = int(count)
        except (OSError, ValueError):
            return None
        return found if hmac.compare_digest(mac, self._marked_by(found)) else None

    def _marked_by(self, count: int) -> bytes:
        return self._mac(b"mark", b"%20d" % count).hex().encode()


def _is_new(db: apsw.Connection) -> bool:
    """Whether no more than the log's beginning was ever written."""
    return leaf_rows.count(db) <= 1 and not setting_rows.read_all(db, PREFIX)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(_SIZE, "big")
