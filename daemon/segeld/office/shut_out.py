"""Who is shut out: asked on every call. One officer shuts out; letting in again is for two."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.office import policy_refusals as refusals
from segeld.office.revocations import Revocation, Revocations, fingerprint_text, is_fingerprint
from segeld.office.whole import whole
from segeld.policy import Policy

MAX_REASON: Final = 500
"""Characters of why somebody was revoked."""


class ShutOut:
    """`load` before anything else. What cannot be recorded does not happen."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        lock: asyncio.Lock,
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """:param policy: the one in force.
        :param lock: held while somebody is shut out or let in, and while the policy in force changes.
        :param changed: called after each change, before anything else happens.
        """
        self._policy = policy
        self._lock = lock
        self._changed = changed
        self._clock = clock

    async def load(self, records: Records) -> None:
        self._revocations = Revocations(records)
        await self._revocations.load()

    @property
    def revocations(self) -> Revocations:
        return self._revocations

    def is_revoked(self, name: str, fingerprint: bytes = b"") -> bool:
        return self._revocations.of_name(name) is not None or (
            self._revocations.of_certificate(fingerprint) is not None
        )

    def refusal(self, who: Principal, fingerprint: bytes, sans: Sequence[str] = ()) -> Fault | None:
        """Why a peer is shut out; None if it is not. Cheap: asked on every call.

        :param sans: all that its certificate names: what a revoked caller was known by is shut out with it.
        """
        known = self._revocations.of_sans((who.identity, *sans))
        if not known and not self.is_revoked(who.name, fingerprint):
            return None
        subject = fingerprint_text(fingerprint)
        what = who.name if self._revocations.of_name(who.name) else known or f"Your certificate {subject}"
        return Fault(
            Reason.CALLER_REVOKED,
            f"{what} was revoked. Ask an officer.",
            caller=who.name,
            certificate=subject,
        )

    @whole
    async def revoke(self, subject: str, who: Principal, why: str, fingerprint: bytes = b"") -> None:
        """Shuts a caller or a certificate out.

        :param subject: a name of the policy, or sha256-… of a certificate.
        :param fingerprint: the certificate of the officer who asks.
        :raises Fault: CALLER_NOT_FOUND, FIELD_INVALID; STORAGE_… if it cannot be recorded.
        """
        if subject in (who.name, fingerprint_text(fingerprint)):
            raise refusals.invalid("caller", "that is yourself. Ask another officer to do it")
        if not why.strip() or len(why) > MAX_REASON or not why.isprintable():
            raise refusals.invalid("reason", f"is 1 to {MAX_REASON} printable characters, for the audit log")
        if not is_fingerprint(subject):
            self._require_name(subject)
        async with self._lock:
            at = self._clock()
            leaf = Act(int(at * 1000), "caller revoked", who.name, subject, {"why": why})
            revocation = Revocation(at, who.name, why, self._policy().sans(subject))
            try:
                await self._revocations.add(subject, revocation, leaf)
            except Fault as fault:
                raise refusals.not_shut_out(subject, fault) from fault
            self._changed()

    def _require_name(self, name: str) -> None:
        role = self._policy().role(name)
        if role is None:
            raise refusals.nobody(name)
        if role is Role.OFFICER:
            raise refusals.officer(name)

    def let_in_before(self, subject: str, stamp: int) -> str:
        """Why nobody is let in again who was shut out then; empty if that is so still."""
        found = self._revocations.of(subject)
        if found is None:
            return f"{subject} is not shut out any more."
        if found.stamp != stamp:
            return f"{subject} was shut out again since, by {found.by}: {found.why}"
        return ""

    def require_revoked(self, subject: str, stamp: int = 0) -> Revocation:
        """:param stamp: of the revocation that is meant; 0: the one there is.
        :raises Fault: CALLER_NOT_FOUND, CHANGE_STATE.
        """
        found = self._revocations.of(subject)
        if found is None:
            raise refusals.not_revoked(subject)
        if stamp and (why := self.let_in_before(subject, stamp)):
            raise refusals.revoked_anew(subject, why)
        return found

    @whole
    async def unrevoke(self, subject: str, stamp: int, requested_by: str, approved_by: str = "") -> None:
        """Lets a caller or a certificate in again.

        :param stamp: of the revocation that is meant.
        :raises Fault: CALLER_NOT_FOUND, CHANGE_STATE; STORAGE_… if it cannot be recorded.
        """
        async with self._lock:
            self.require_revoked(subject, stamp)
            at, facts = self._clock(), {"approved_by": approved_by or "nobody"}
            leaf = Act(int(at * 1000), "caller let in again", requested_by, subject, facts)
            await self._revocations.end(subject, leaf, at)
            self._changed()
