"""Withdrawing keys: disabling one at once, letting it sign again, destroying it in the end."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from segeld.model.counts import counted
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName
from segeld.office.certificate_folder import CertificateFolder
from segeld.office.key_ports import Ceremonies
from segeld.office.key_records import KeyNote, KeyRecords
from segeld.office.key_standing import KeyStanding
from segeld.office.whole import whole
from segeld.supervisor.ceremonies import DestroyedHalf

_DAY: Final = 86_400.0
DESTROY_AFTER: Final = 30 * _DAY
"""Seconds that a key must have been disabled before it may be destroyed."""
MAX_REASON: Final = 500
"""Characters."""
_ENDED: Final = {"destroying_at": 0.0, "destroying_by": "", "destroying_on": ""}


class KeyWithdrawal:
    def __init__(
        self,
        standing: KeyStanding,
        records: KeyRecords,
        folder: CertificateFolder,
        changed: Callable[[], None],
        ceremonies: Callable[[], Ceremonies] | None,
        clock: Callable[[], float],
    ) -> None:
        """:param changed: called when a key may sign that might not, or the other way round.
        :param ceremonies: None: no key is destroyed.
        """
        self._standing = standing
        self._records = records
        self._folder = folder
        self._changed = changed
        self._ceremonies = ceremonies
        self._clock = clock

    @whole
    async def disable(self, key: KeyName, who: str, why: str) -> None:
        """:raises Fault: KEY_NOT_FOUND, KEY_DISABLED if it is already, FIELD_INVALID."""
        self._standing.require(key)
        if not why.strip() or len(why) > MAX_REASON or not why.isprintable():
            raise Fault(
                Reason.FIELD_INVALID,
                f"reason: say why, in 1 to {MAX_REASON} printable characters; they are kept in the audit log.",
                field="reason",
            )
        if (note := self._records[key]).disabled_at:
            raise Fault(
                Reason.KEY_DISABLED, f"{key} was disabled before, by {note.disabled_by}.", key=str(key)
            )
        changes = {"disabled_at": self._clock(), "disabled_by": who, "disabled_why": why}
        try:
            await self._records.change(key, "key disabled", who, changes, reason=why)
        except Fault as fault:
            text = f"{key} is NOT disabled, as that cannot be recorded: {fault.text} As soon as anything can be, it signs again."
            raise Fault(fault.reason, text, key=str(key)) from fault
        self._changed()

    @whole
    async def enable(self, key: KeyName, stamp: int, who: str, approved_by: str = "") -> None:
        """:param stamp: of the disabling that is meant.
        :raises Fault: KEY_NOT_FOUND, CHANGE_STATE if it is enabled, or was disabled anew.
        """
        self.require_enabling(key, stamp)
        changes = {"disabled_at": 0.0, "disabled_by": "", "disabled_why": ""}
        facts = {"approved_by": approved_by} if approved_by else {}
        await self._records.change(key, "key enabled", who, changes, **facts)
        self._changed()

    def outdated(self, key: KeyName, stamp: int) -> str:
        """Why a key that was disabled then cannot be enabled; empty if it can."""
        if not self._standing.is_there(key):
            return self._standing.became_of(key)
        note = self._records[key]
        if not note.disabled_at:
            return f"{key} is not disabled any more."
        if note.stamp != stamp:
            return f"{key} was disabled again since, by {note.disabled_by}: {note.disabled_why}"
        return ""

    def require_enabling(self, key: KeyName, stamp: int = 0) -> KeyNote:
        """:param stamp: of the disabling that is meant; 0: the one there is.
        :raises Fault: KEY_NOT_FOUND, CHANGE_STATE.
        """
        self._standing.require(key)
        note = self._records[key]
        if not note.disabled_at:
            raise Fault(Reason.CHANGE_STATE, f"{key} is not disabled; nothing has to be done.", key=str(key))
        if stamp and (why := self.outdated(key, stamp)):
            text = f"{why.rstrip('.')}. If it is to sign all the same, ask anew: segelctl key enable {key}"
            raise Fault(Reason.CHANGE_STATE, text, key=str(key))
        return note

    def require_disabled(self, key: KeyName) -> KeyNote:
        """:raises Fault: KEY_NOT_FOUND, CHANGE_STATE."""
        self._standing.require(key)
        note = self._records[key]
        if not note.disabled_at:
            raise Fault(
                Reason.CHANGE_STATE,
                f"{key} is not disabled. Run: segelctl key disable {key}",
                key=str(key),
            )
        return note

    def require_destroyable(self, key: KeyName) -> KeyRecord:
        """:raises Fault: KEY_NOT_FOUND; CHANGE_STATE if it has not been disabled for 30 days."""
        record, note = self._standing.require(key), self.require_disabled(key)
        left = note.disabled_at + DESTROY_AFTER - self._clock()
        if left > 0:
            raise Fault(
                Reason.CHANGE_STATE,
                f"{key} may be destroyed when it has been disabled for 30 days: in {counted(int(left // _DAY) + 1, 'day')}. Ask for it then.",
                key=str(key),
            )
        return record

    async def destroy(self, key: KeyName, who: str, approved_by: str = "") -> tuple[TokenName, ...]:
        """Removes it from its tokens.

        :raises Fault: as `require_destroyable`, and what its tokens say: it is where it was.
        :raises DestroyedHalf: what failed after it was removed from some token.
        """
        record = self.require_destroyable(key)
        if self._ceremonies is None:
            raise Fault(Reason.TOKEN_STATE, "This daemon removes nothing from its tokens.", key=str(key))
        facts = {"approved_by": approved_by} if approved_by else {}
        begun = {
            "destroying_at": self._clock(),
            "destroying_by": who,
            "destroying_on": _words(token for token, _ in record.tokens),
        }
        await self._records.change(key, "key destruction begun", who, begun, **facts)
        try:
            gone = await self._ceremonies().destroy_key(key)
        except Fault as fault:
            with suppress(Fault):  # else it is said of a key that is on no token: this one is where it was
                await self._records.change(key, "key not destroyed", who, _ENDED, reason=fault.reason)
            raise
        except DestroyedHalf as half:
            tokens = {"tokens": _words(half.gone)} if half.gone else {}
            unsure = {"not_known": _words(half.unsure)} if half.unsure else {}
            with suppress(Fault):  # what befell the key is worse
                await self._records.change(key, "key destroyed in part", who, {}, **tokens, **unsure, **facts)
            raise
        try:
            await self._record(key, who, tokens=_words(gone), **facts)
        except Fault as fault:
            raise DestroyedHalf(fault, gone) from fault
        return gone

    def not_recorded(self, key: KeyName) -> KeyNote | None:
        """Of a key that is on no token any more although nothing says that it was destroyed, only that this was begun."""
        note = self._records[key]
        return note if note.destroying_at and not self._standing.is_there(key) else None

    async def record_destroyed(self, key: KeyName, who: str) -> None:
        """What could not be recorded when such a key was destroyed.

        :raises Fault: KEY_NOT_FOUND if there is nothing to record; STORAGE_…
        """
        if (note := self.not_recorded(key)) is None:
            raise Fault(Reason.KEY_NOT_FOUND, f"Of {key} no destruction is to be recorded.", key=str(key))
        await self._record(key, who, tokens=note.destroying_on, begun_by=note.destroying_by)

    async def _record(self, key: KeyName, who: str, **facts: str) -> None:
        """:raises Fault: STORAGE_…; it can be done again."""
        try:
            await asyncio.to_thread(self._folder.remove, key)
        except OSError as error:
            text = f"Its certificate in the state folder cannot be removed: {error.strerror}."
            raise Fault(Reason.STORAGE_UNAVAILABLE, text, key=str(key)) from error
        begun_by = self._records[key].destroying_by
        changes = _ENDED | {"destroyed_at": self._clock(), "destroyed_by": begun_by}
        await self._records.change(key, "key destroyed", who, changes, **facts)


def _words(tokens: Iterable[TokenName]) -> str:
    return ", ".join(map(str, tokens))
