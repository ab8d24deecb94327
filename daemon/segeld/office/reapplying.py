"""After a restore: what officers had shut, disabled or put in quarantine since the backup is so again. Nothing is opened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.activation import Limits
from segeld.model.names import BadName, KeyName, TokenName
from segeld.model.principal import Role
from segeld.model.quarantine import Quarantine
from segeld.office.aftermath import Aftermath, Happened
from segeld.office.key_records import KeyRecords
from segeld.office.policy_desk import PolicyDesk
from segeld.office.policy_file import copy_of
from segeld.office.revocations import Revocation
from segeld.office.since_backup import MOST_LINES, SinceBackup
from segeld.office.token_records import TokenRecords

_LEFT: Final = "is no officer of the policy that was in force last"


class Reapplying:
    """Before anybody else uses these records. Repeated, it does nothing a second time."""

    def __init__(self, records: Records, policy: PolicyDesk, state_dir: Path) -> None:
        """:param state_dir: where a copy of the last policy may be."""
        self._records = records
        self._policy = policy
        self._state_dir = state_dir
        self._lines: list[str] = []
        self._brief: list[str] = []
        self._older: list[str] = []

    async def run(self, found: Aftermath, troubles: tuple[str, ...]) -> SinceBackup:
        """:param troubles: what of the log could not be read, or is not what was signed; without full stops.
        :raises Fault: if it cannot be recorded.
        """
        if troubles:
            self._say(
                f"NOT ALL IS KNOWN OF WHAT OFFICERS DECIDED AFTER THE BACKUP: {troubles[0]}. What follows may lack the rest; ask "
                "the other officers.",
                brief=True,
            )
        if found.too_many:
            self._say(
                "MORE WAS DECIDED AFTER THE BACKUP than can be looked through; ask the other officers.",
                brief=True,
            )
        again = len(self._lines)
        await self._callers(found)
        await self._keys(found)
        await self._tokens(found)
        if again := len(self._lines) - again:
            self._brief.append(f"What was shut after the backup is shut again ({again}).")
        self._opened(found)
        officers = await self._policies(found, sound=not troubles)
        if not self._lines:
            self._lines.append("After the backup officers shut nobody out, and put no other policy in force.")
        lines = self._lines
        if len(lines) > MOST_LINES:
            lines = [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES} more: segelctl audit tail"]
        return SinceBackup(" ".join(self._brief), tuple(lines), tuple(self._older), officers)

    def _say(self, text: str, *, brief: bool = False) -> None:
        self._lines.append(text)
        if brief:
            self._brief.append(text)

    # --- what was shut

    async def _callers(self, found: Aftermath) -> None:
        for subject, happened in found.shut("caller"):
            if self._policy.shut_out.revocations.of(subject) is None:
                await self._shut_out(subject, happened, happened.act.facts.get("why", ""))
            self._say(f"{subject} is shut out again: {_told(happened, 'why')}")

    async def _shut_out(self, subject: str, happened: Happened, why: str) -> None:
        act = happened.act
        facts = {"why": why, "restored": str(happened.where)}
        leaf = Act(act.at, "caller revoked", act.who, subject, facts)
        sans = self._policy.current().sans(subject)
        revocation = Revocation(act.at / 1000, act.who, why, sans)
        await self._policy.shut_out.revocations.add(subject, revocation, leaf)

    async def _keys(self, found: Aftermath) -> None:
        records = KeyRecords()
        await records.load(self._records)
        for subject, happened in found.shut("key"):
            act = happened.act
            try:
                key = KeyName.parse(subject)
            except BadName:
                continue
            if not records[key].disabled_at:
                why = act.facts.get("reason", "")
                changes = {"disabled_at": act.at / 1000, "disabled_by": act.who, "disabled_why": why}
                where = str(happened.where)
                await records.change(key, act.what, act.who, changes, reason=why, restored=where)
            self._say(f"{subject} is disabled again: {_told(happened, 'reason')}")

    async def _tokens(self, found: Aftermath) -> None:
        records = TokenRecords()
        await records.load(self._records)
        for token, happened in _tokens(found, "token"):
            act = happened.act
            if records.quarantine(token) is None:
                why = act.facts.get("reason", "")
                await records.isolate(token, Quarantine(act.at / 1000, act.who, why))
            self._say(f"{token} is in quarantine again: {_told(happened, 'reason')}")
        for token, happened in _tokens(found, "limits"):
            if not records.limited_by(token):
                await records.limit(token, happened.act.who, _limits(happened.act.facts))
            self._say(
                f"{token} waits for its PIN again: limits were set for its activation, {happened.where}."
            )

    def _opened(self, found: Aftermath) -> None:
        """Nothing is done: who let it in must do so again."""
        for what, word in (("caller", "let in"), ("key", "enabled"), ("token", "released")):
            for subject, happened in found.opened(what):
                by = happened.act.who or "the daemon"
                self._say(
                    f"{subject} was {word} by {by} after the backup, {happened.where}: that is not so any more."
                )

    # --- the policy

    async def _policies(self, found: Aftermath, *, sound: bool) -> tuple[str, ...] | None:
        """Gives the SANs of the officers of the last policy, if it is known and another one is in force.

        :param sound: whether the log is what was signed: nobody is shut out for a list that somebody may have made up.
        """
        last = found.policy
        if last is None:
            return None
        digest, who = last.act.facts.get("hash", ""), last.act.who or "the daemon"
        if digest == self._policy.document().hash.hex():
            return None
        if sound and await self._is_restored(digest):
            self._say(
                f"The policy that {who} put in force after the backup, {last.where}, is in force again."
            )
            return None
        self._older.append(
            f"THE POLICY IN FORCE IS AN OLDER ONE. {who} put another in force after the backup, {last.where}, and only its SHA-256 "
            f"is known: {digest}. Grants that it withdrew, and whoever it left out, are back. Put its file in the place of the "
            "policy's file and restart segeld, or apply it (segelctl policy apply) before you adopt this."
        )
        officers = found.officers()
        if officers is None or not sound:
            self._say(
                "Who is no officer any more is not known: look whether you know all of them. segelctl caller list"
            )
            return None
        await self._officers(officers, last)
        return tuple(sorted(officers))

    async def _is_restored(self, digest: str) -> bool:
        try:
            later = bytes.fromhex(digest)
        except ValueError:
            return False
        return await self._policy.restore(later, copy_of(later, self._state_dir))

    async def _officers(self, last: frozenset[str], happened: Happened) -> None:
        """Whoever left is shut out by name; of whoever lost a SAN, it has no part in the adoption."""
        policy, left = self._policy.current(), 0
        for name in policy.names(Role.OFFICER):
            sans = policy.sans(name)
            gone = [san for san in sans if san not in last]
            if len(gone) == len(sans):
                if self._policy.shut_out.revocations.of(name) is None:
                    await self._shut_out(name, happened, f"{_LEFT} before a backup was restored")
                self._older.append(f"{name} {_LEFT}, and is shut out.")
                continue
            left += not self._policy.shut_out.is_revoked(name)
            for san in gone:
                self._older.append(f"{san} ({name}) {_LEFT}, and has no part in the adoption.")
        if left < (2 if policy.two_person else 1):
            self._older.append(
                "Of its officers too few are in this one: nobody can adopt it so. Put its file in the place of the policy's "
                "file and restart segeld, or restore a later backup."
            )


def _tokens(found: Aftermath, what: str) -> Iterator[tuple[TokenName, Happened]]:
    for subject, happened in found.shut(what):
        try:
            yield TokenName.parse(subject), happened
        except BadName:
            continue


def _limits(facts: dict[str, str]) -> Limits:
    try:
        seconds = float(facts["seconds"]) if "seconds" in facts else None
        signatures = int(facts["signatures"]) if "signatures" in facts else None
    except ValueError:
        return Limits()
    return Limits(seconds, signatures)


def _told(happened: Happened, fact: str) -> str:
    act = happened.act
    return f"by {act.who or 'the daemon'}, {happened.where}: {act.facts.get(fact, 'no reason is given').rstrip('.')}."
