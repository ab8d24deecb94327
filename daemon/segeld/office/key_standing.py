"""How keys stand: the chain of each, whether anything is signed with it, and what officers should know of it."""

import hashlib
from collections.abc import Callable
from typing import Final

from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName
from segeld.office.certificate_folder import CertificateFolder
from segeld.office.expiry import Facts, day_of, facts_of, warning
from segeld.office.import_chain import gap_after
from segeld.office.key_ports import Policy, Tokens
from segeld.office.key_records import KeyNote, KeyRecords
from segeld.office.key_rules import for_officers, refusal
from segeld.office.whole import whole

_REVOKED: Final = 16
"""Revoked certificates of one key that are remembered."""


class KeyStanding:
    """Answers from what is in memory. The supervisor's `Custody` is this."""

    def __init__(
        self,
        tokens: Callable[[], Tokens],
        policy: Callable[[], Policy],
        records: KeyRecords,
        folder: CertificateFolder,
        clock: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._policy = policy
        self._records = records
        self._folder = folder
        self._clock = clock

    # --- for the supervisor

    def chain(self, key: KeyName, found: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The key's chain: of what is on its tokens and what is in the state folder, the younger that has begun."""
        kept = self._folder.chain(key)
        if not kept:
            return found
        mine, theirs = facts_of(kept[0]), facts_of(found[0]) if found else None
        if theirs is None or (mine is not None and self._rank(mine) >= self._rank(theirs)):
            return kept
        return found

    def _rank(self, facts: Facts) -> tuple[bool, float]:
        return facts.not_before <= self._clock(), facts.not_before

    def bar(self, record: KeyRecord) -> Fault | None:
        """Why nothing is signed with a key, whatever its tokens can; None if it may be."""
        return refusal(
            record.name,
            self._records[record.name],
            self.facts(record),
            self._policy().options_of(record.name),
            self._clock(),
            revoked=self.revocation(record) == "revoked",
        )

    # --- reading

    def keys(self) -> tuple[KeyRecord, ...]:
        return self._tokens().keys()

    def require(self, key: KeyName) -> KeyRecord:
        """:raises Fault: KEY_NOT_FOUND."""
        record = self._tokens().key(key)
        if record is None:
            raise Fault(Reason.KEY_NOT_FOUND, self.became_of(key), key=str(key))
        return record

    def became_of(self, key: KeyName) -> str:
        """Of one that is on no token."""
        note = self._records[key]
        if note.destroying_at:
            return (
                f"No token holds {key} any more: {note.destroying_by} began its destruction on {day_of(note.destroying_at)}, and "
                f"that it was destroyed could not be recorded. To have it recorded: segelctl key destroy {key}"
            )
        if note.destroyed_at:
            return f"{key} was destroyed by {note.destroyed_by} on {day_of(note.destroyed_at)}."
        return f"No token that was seen holds {key}."

    def refusal(self, key: KeyName) -> Fault | None:
        """The same as `bar`, by name; None for a key that is not there."""
        record = self._tokens().key(key)
        return self.bar(record) if record is not None else None

    def is_there(self, key: KeyName) -> bool:
        """Whether a token holds it, or held it when it was last seen."""
        return self._tokens().key(key) is not None

    def note(self, key: KeyName) -> KeyNote:
        return self._records[key]

    def facts(self, record: KeyRecord) -> Facts | None:
        return facts_of(record.chain[0]) if record.chain else None

    def revocation(self, record: KeyRecord) -> str:
        """What was last heard of its certificate; empty if nothing was asked."""
        if not record.chain:
            return ""
        note, digest = self._records[record.name], hashlib.sha256(record.chain[0]).digest()
        if note.revocation_of == digest:
            return note.revocation
        return "revoked" if digest in note.revoked else ""

    def warnings(self, record: KeyRecord) -> tuple[str, ...]:
        """What officers should know of a key, a sentence each."""
        facts, found = self.facts(record), []
        if facts is None:
            found.append("It has no certificate.")
        elif facts.not_before > self._clock():
            found.append(
                f"Its certificate is valid only from {day_of(facts.not_before)}: readers refuse its seals."
            )
        elif (text := warning("Its certificate", facts.not_after, self._clock())) is not None:
            found.append(text)
        if self.revocation(record) == "revoked":
            found.append("Its certificate was revoked.")
        return tuple(found)

    def gap(self, record: KeyRecord) -> str:
        """Which certificate is missing in its chain, a sentence; empty if none is. Readers may have it all the same."""
        return gap_after(record.chain[-1]) if record.chain else ""

    def withdrawn(self, record: KeyRecord) -> str:
        """Why nothing is signed with a key, for those who can change that; empty if it is not for what officers decide."""
        fault = self.bar(record)
        return for_officers(record.name, self._records[record.name], fault) if fault is not None else ""

    def warned(self) -> list[tuple[str, str]]:
        """Of all keys with a certificate: which is near its end, over, or revoked."""
        return [
            (str(record.name), text)
            for record in self.keys()
            if record.chain
            for text in self.warnings(record)
        ]

    def ends(self) -> list[tuple[str, Facts]]:
        """The certificates of all keys."""
        found = ((record.name, self.facts(record)) for record in self.keys())
        return [(str(name), facts) for name, facts in found if facts is not None]

    # --- what others say of it

    @whole
    async def heard(self, record: KeyRecord, status: str) -> None:
        """What an authority says of the key's certificate.

        :raises Fault: STORAGE_…
        """
        before = self.revocation(record)
        if before == status:
            return  # nothing that the log should say again
        if before == "revoked" and status == "unknown":
            return  # else whoever cuts the network would let it sign again
        digest = hashlib.sha256(record.chain[0]).digest()
        revoked = [each for each in self._records[record.name].revoked if each != digest]
        if status == "revoked":
            revoked.append(digest)
        changes = {
            "revocation": status,
            "revocation_at": self._clock(),
            "revocation_of": digest,
            "revoked": tuple(revoked[-_REVOKED:]),
        }
        await self._records.change(record.name, "certificate status", "", changes, status=status)
        self._tokens().review()
