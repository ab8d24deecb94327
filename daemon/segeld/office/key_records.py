"""What is kept of each key, durably: one record `key/{64 hex}`, written together with the leaf that says so."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.names import KeyName
from segeld.office.whole import whole

PREFIX: Final = "key/"


class KeyNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one key. What is of its default is not known, or not so."""

    disabled_at: float = 0.0
    """Seconds since the epoch; 0: it is enabled."""
    disabled_by: str = ""
    disabled_why: str = ""
    csr_at: float = 0.0
    """When the newest request for a certificate was made; 0: none is waited for."""
    csr_by: str = ""
    revocation: str = ""
    """good, revoked or unknown, when it was last asked."""
    revocation_at: float = 0.0
    revocation_of: bytes = b""
    """SHA-256 of the certificate that was asked about."""
    revoked: tuple[bytes, ...] = ()
    """SHA-256 of certificates that were revoked when they were last asked about, the newest last: one may come back."""
    destroyed_at: float = 0.0
    destroyed_by: str = ""
    destroying_at: float = 0.0
    """When its destruction was begun, of which it is not recorded yet what came of it; 0: there is none such."""
    destroying_by: str = ""
    destroying_on: str = ""
    """The tokens that held it then, for people."""

    @property
    def stamp(self) -> int:
        """Which disabling this is: microseconds since the epoch."""
        return round(self.disabled_at * 1e6)


class KeyRecords:
    """Writes one at a time; what is read is what was last written."""

    def __init__(self) -> None:
        self._store: Records | None = None
        self._notes: dict[KeyName, KeyNote] = {}
        self._lock = asyncio.Lock()

    async def load(self, store: Records) -> None:
        found = await store.records(PREFIX)
        self._store = store
        self._notes = {
            KeyName(bytes.fromhex(name.removeprefix(PREFIX))): msgspec.msgpack.decode(data, type=KeyNote)
            for name, data in found.items()
        }

    def __getitem__(self, key: KeyName) -> KeyNote:
        return self._notes.get(key, _NOTHING)

    def items(self) -> Mapping[KeyName, KeyNote]:
        return self._notes

    @whole
    async def change(
        self, key: KeyName, what: str, who: str, changes: Mapping[str, object], **facts: str
    ) -> KeyNote:
        """Fields of `KeyNote`, and the act, in one transaction.

        :raises Fault: STORAGE_…
        """
        assert self._store is not None, "the records were not loaded"
        async with self._lock:
            note = msgspec.structs.replace(self[key], **changes)
            leaf = Act(int(time.time() * 1000), what, who, str(key), facts)
            empty = note == _NOTHING
            data = None if empty else msgspec.msgpack.encode(note)
            await self._store.keep({PREFIX + key.fingerprint.hex(): data}, leaf)
            if empty:
                self._notes.pop(key, None)
            else:
                self._notes[key] = note
        return note


_NOTHING: Final = KeyNote()
