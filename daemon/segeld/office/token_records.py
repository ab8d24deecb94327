"""What is kept of each token, durably: one record `token/{name}` of what officers decided and one `token-keys/{name}` of
what was seen on it, each written together with the leaf that says so.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.activation import Limits
from segeld.model.inventory import Remembered
from segeld.model.names import TokenName
from segeld.model.quarantine import Quarantine
from segeld.office import token_keys
from segeld.office.whole import whole

PREFIX: Final = "token/"
_log: Final = structlog.get_logger(__name__)


class TokenNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one token, by its configured name. What is of its default is not so."""

    quarantined_at: float = 0.0
    """Seconds since the epoch; 0: it is in none."""
    quarantined_by: str = ""
    """An officer; empty: the daemon itself."""
    quarantined_why: str = ""
    limited_by: str = ""
    """The officer who set limits for its last activation; empty: nobody."""


class TokenRecords:
    """`load` before any token may log in. Writes one at a time; what is read is what was last written."""

    def __init__(self) -> None:
        self._store: Records | None = None
        self._notes: dict[TokenName, TokenNote] = {}
        self._keys: dict[TokenName, Remembered] = {}
        self._turn = asyncio.Lock()

    async def load(self, store: Records) -> None:
        found = await store.records(PREFIX)
        self._notes = {
            TokenName(name.removeprefix(PREFIX)): msgspec.msgpack.decode(data, type=TokenNote)
            for name, data in found.items()
        }
        self._keys = _readable(await store.records(token_keys.PREFIX))
        self._store = store

    # --- what the supervisor asks

    def quarantine(self, token: TokenName) -> Quarantine | None:
        note = self._of(token)
        if not note.quarantined_at:
            return None
        return Quarantine(note.quarantined_at, note.quarantined_by, note.quarantined_why)

    def limited_by(self, token: TokenName) -> str:
        return self._of(token).limited_by

    async def isolate(self, token: TokenName, quarantine: Quarantine) -> None:
        changes = {
            "quarantined_at": quarantine.since,
            "quarantined_by": quarantine.by,
            "quarantined_why": quarantine.why,
        }
        await self._change(token, "token quarantine", quarantine.by, changes, reason=quarantine.why)

    async def release(self, token: TokenName, who: str, how: str) -> None:
        changes = {"quarantined_at": 0.0, "quarantined_by": "", "quarantined_why": ""}
        await self._change(token, "token release", who, changes, by=how)

    async def limit(self, token: TokenName, who: str, limits: Limits) -> None:
        facts = {}
        if limits.seconds is not None:
            facts["seconds"] = f"{limits.seconds:g}"
        if limits.signatures is not None:
            facts["signatures"] = str(limits.signatures)
        await self._change(token, "token limits set", who, {"limited_by": who}, **facts)

    async def unlimit(self, token: TokenName, who: str) -> None:
        await self._change(token, "token limits lifted", who, {"limited_by": ""})

    def remembered(self) -> Mapping[TokenName, Remembered]:
        return self._keys

    @whole
    async def remember(self, token: TokenName, held: Remembered | None) -> None:
        async with self._turn:
            facts = token_keys.difference(self._keys.get(token), held)
            what = "token keys forgotten" if held is None else "token keys seen"
            leaf = Act(int(time.time() * 1000), what, "", str(token), facts)
            assert self._store is not None, "the records were not loaded"
            data = None if held is None else token_keys.encoded(held)
            await self._store.keep({token_keys.PREFIX + token.word: data}, leaf)
            if held is None:
                self._keys.pop(token, None)
            else:
                self._keys[token] = held

    def _of(self, token: TokenName) -> TokenNote:
        assert self._store is not None, "the records were not loaded"
        return self._notes.get(token, _NOTHING)

    @whole
    async def _change(
        self, token: TokenName, what: str, who: str, changes: Mapping[str, object], **facts: str
    ) -> None:
        """Fields of `TokenNote`, and the act, in one transaction.

        :raises Fault: STORAGE_…
        """
        async with self._turn:
            note = msgspec.structs.replace(self._of(token), **changes)
            leaf = Act(int(time.time() * 1000), what, who, str(token), facts)
            assert self._store is not None
            data = None if note == _NOTHING else msgspec.msgpack.encode(note)
            await self._store.keep({PREFIX + token.word: data}, leaf)
            self._notes[token] = note


_NOTHING: Final = TokenNote()


def _readable(found: Mapping[str, bytes]) -> dict[TokenName, Remembered]:
    """One that cannot be read is as if it were not there: its token is looked at anew."""
    known: dict[TokenName, Remembered] = {}
    for name, data in found.items():
        try:
            known[TokenName(name.removeprefix(token_keys.PREFIX))] = token_keys.decoded(data)
        except ValueError as error:
            _log.error("remembered keys cannot be read", record=name, why=str(error))
    return known
