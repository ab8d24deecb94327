"""Letting a withdrawn key sign again, and destroying one, as changes."""

from collections.abc import Mapping

from segeld.model.faults import Fault
from segeld.model.names import KeyName
from segeld.model.secret import Pin
from segeld.office.actions import DestroyKey, EnableKey
from segeld.office.executor import Description, Partly
from segeld.office.expiry import day_of, facts_of
from segeld.office.key_withdrawal import KeyWithdrawal
from segeld.supervisor.ceremonies import DestroyedHalf


class EnablingKey:
    secrets: tuple[str, ...] = ()

    def __init__(self, desk: KeyWithdrawal) -> None:
        self._desk = desk

    async def describe(self, action: EnableKey) -> Description:
        """:raises Fault: KEY_NOT_FOUND, CHANGE_STATE."""
        note = self._desk.require_enabling(KeyName.parse(action.key), action.disabled)
        return Description(
            (
                f"{action.key} signs again.",
                f"It was disabled on {day_of(note.disabled_at)} by {note.disabled_by}: {note.disabled_why}",
            ),
            needs_approval=True,
            action=EnableKey(action.key, note.stamp),
        )

    async def run(
        self,
        action: EnableKey,
        who: str,
        secrets: Mapping[str, Pin],  # noqa: ARG002
        approved_by: str = "",
    ) -> None:
        await self._desk.enable(KeyName.parse(action.key), action.disabled, who, approved_by)


class DestroyingKey:
    secrets: tuple[str, ...] = ()

    def __init__(self, desk: KeyWithdrawal) -> None:
        self._desk = desk

    async def describe(self, action: DestroyKey) -> Description:
        """:raises Fault: KEY_NOT_FOUND, CHANGE_STATE."""
        key = KeyName.parse(action.key)
        if (gone := self._desk.not_recorded(key)) is not None:
            on = gone.destroying_on or "its tokens"
            line = (
                f"{action.key} is gone from {on}, for ever: {gone.destroying_by} began its destruction on "
                f"{day_of(gone.destroying_at)}. That it was destroyed could not be recorded then, and is recorded now."
            )
            return Description((line,), needs_approval=False, binding=True)
        record = self._desk.require_destroyable(key)
        facts = facts_of(record.chain[0]) if record.chain else None
        note = self._desk.require_disabled(record.name)
        tokens = ", ".join(str(token) for token, _ in record.tokens) or "tokens that are not there now"
        lost = [
            f"{action.key} ({record.kind}) is removed from {tokens}, for ever. No copy of it is known to segel."
        ]
        if facts is not None:
            lost.append(
                f"Its certificate is {facts.subject}, valid until {day_of(facts.not_after)}. What it has sealed stays valid."
            )
        lost.append(
            f"It was disabled on {day_of(note.disabled_at)} by {note.disabled_by}: {note.disabled_why}"
        )
        # Bound to what was shown: the same key on the same tokens, withdrawn for the same reason.
        return Description(tuple(lost), needs_approval=True, binding=True)

    async def run(
        self,
        action: DestroyKey,
        who: str,
        secrets: Mapping[str, Pin],  # noqa: ARG002
        approved_by: str = "",
    ) -> None:
        key = KeyName.parse(action.key)
        if self._desk.not_recorded(key) is not None:
            await self._desk.record_destroyed(key, who)
            return
        self._desk.require_destroyable(key)
        try:
            await self._desk.destroy(key, who, approved_by)
        except DestroyedHalf as half:
            gone = (
                f"{key} is gone from {', '.join(map(str, half.gone))}, for ever, but: " if half.gone else ""
            )
            raise Partly(
                Fault(
                    half.fault.reason,
                    f"{gone}{half.fault.text} What is left of it stays disabled. Put that right, then ask again: segelctl key "
                    f"destroy {key}",
                    key=str(key),
                )
            ) from half
