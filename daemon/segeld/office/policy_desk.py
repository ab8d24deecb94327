"""The policy in force and who was shut out: read at start, asked on every call, changed as a whole."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from segeld.audit.leaf import Act
from segeld.config.strict import Problem
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault, Reason
from segeld.model.kind import Kind
from segeld.model.principal import Principal, Role
from segeld.office import policy_kept
from segeld.office import policy_refusals as refusals
from segeld.office.compiling import Compiled, aside, compile_aside, compile_text
from segeld.office.policy_kept import RECORD, Kept, policy_hash
from segeld.office.policy_notes import notes
from segeld.office.revocations import Revocation, Revocations, fingerprint_text, is_fingerprint
from segeld.policy import Policy, PolicyError
from segeld.policy.difference import differences, needs_approval
from segeld.policy.line import Difference

MAX_REASON: Final = 500
"""Characters of why somebody was revoked."""
_SHOWN: Final = 5
"""Problems of a policy in force that the log names."""

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """What a policy would change. With problems it cannot be applied, and no difference is known."""

    problems: tuple[str, ...]
    differences: tuple[Difference, ...]
    needs_approval: bool
    policy: Policy
    base: Kept
    """What it was compared with."""
    notes: tuple[str, ...] = ()
    """What should be thought of, though it is no fault and gives nobody more."""


class PolicyDesk:
    """`load` before anything else, `begin` when acts can be recorded. What cannot be recorded does not happen."""

    def __init__(
        self, file: Path, *, follows_file: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        """:param file: the policy of the first start; later only compared with what is in force.
        :param follows_file: a file that differs is put in force at every start: for `segeld dev`.
        """
        self.changed: Final[list[Callable[[], None]]] = []
        """Called after each change of the policy or of who is revoked, before anything else happens."""
        self._file = file
        self._follows_file = follows_file
        self._clock = clock
        self._lock = asyncio.Lock()
        self._policy = Policy()
        self._kept = Kept("", 0.0)
        self._new: Kept | None = None
        """What is in force, but not yet recorded."""
        self._file_differs = ""
        self._compiled: Compiled | None = None
        """The last one that was asked about: who proposes it asks, and who runs it asks again."""
        self._checked: tuple[Compiled, Check] | None = None
        """The same: what it would change is read in pages. Forgotten when somebody is shut out or let in."""

    # --- start

    async def load(self, records: Records) -> None:
        """Reads what is in force: the record, or at the first start the file. Writes nothing.

        :raises PolicyError: if the file of the first start has faults.
        :raises OSError: if the record cannot be used.
        """
        self._records = records
        self._revocations = Revocations(records)
        await self._revocations.load()
        kept = (await records.records(RECORD)).get(RECORD)
        if kept is not None:
            self._kept = policy_kept.decode(kept)
            self._policy = self._usable(self._kept)
            await self._compare_file()
        if kept is None or (self._follows_file and self._file_differs):
            compiled = await asyncio.to_thread(_of_file, self._file)
            self._new = self._next(compiled, first=kept is None)
            self._kept, self._policy, self._file_differs = self._new, compiled.policy, ""

    def _next(
        self, compiled: Compiled, requested_by: str = "", approved_by: str = "", *, first: bool = False
    ) -> Kept:
        """What is kept of a policy that comes after the one in force."""
        before, kept, after = self._policy, self._kept, compiled.policy
        number = 1 if first else kept.number + 1
        return Kept(
            compiled.toml,
            self._clock(),
            requested_by,
            approved_by,
            number,
            policy_kept.entered(before, kept, after, number),
            policy_kept.left(before, kept, after),
        )

    @staticmethod
    def _usable(kept: Kept) -> Policy:
        compiled = compile_text(kept.toml)
        if compiled.problems:
            text = "; ".join(map(str, compiled.problems[:_SHOWN]))
            raise OSError(f"the policy in force is not understood by this version of segeld: {text}")
        return compiled.policy

    async def _compare_file(self) -> None:
        try:
            text = await asyncio.to_thread(self._file.read_bytes)
        except OSError:
            return  # the record is what counts
        if text != self._kept.toml.encode(errors="surrogateescape"):
            self._file_differs = (
                f"The file {self._file} differs from the policy in force and has no effect. It is put in force with segelctl "
                f"policy apply {self._file} and looked at with segelctl policy check {self._file} before; and it is brought up to "
                f"date with segelctl policy show --output {self._file} at any time"
            )

    async def begin(self) -> None:
        """Records what is new, and says what officers should know.

        :raises Fault: if it cannot be recorded.
        """
        if self._new is not None:
            facts = {"hash": self._new.hash.hex(), "from": str(self._file), **_persons(self._policy)}
            await self._keep(self._new, facts, who="")
            self._new = None
        for warning in self.warnings():
            _log.warning("policy", why=warning)

    # --- reading

    def current(self) -> Policy:
        """The policy in force."""
        return self._policy

    def document(self) -> Kept:
        """Its text, since when, and by whom."""
        return self._kept

    def warnings(self) -> tuple[str, ...]:
        """What officers should know, a sentence each."""
        said = []
        if not self._policy.two_person:
            said.append("two_person = false: one officer alone can do everything.")
        if self._file_differs:
            said.append(f"{self._file_differs}.")
        return tuple(said)

    def two_person(self) -> bool:
        return self._policy.two_person

    @property
    def revocations(self) -> Revocations:
        return self._revocations

    def standing(self, name: str, identity: str, fingerprint: bytes) -> str:
        """Of an officer with this SAN and certificate; empty if there is none. It is never again what it was once they
        were taken out of the policy, or their certificate was revoked: whatever is undone of that.
        """
        known = self._policy.principals.get(identity)
        if known != Principal(name, Role.OFFICER, identity) or self.is_revoked(name, fingerprint):
            return ""
        return f"{self._kept.entered.get(identity, 1)}.{self._revocations.let_in(fingerprint)}"

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

    def condemned(self) -> Sequence[str]:
        """Callers whose jobs the policy wants cancelled once nothing of them may be signed; those who left it, too."""
        return sorted({name for name in self._policy.grants if self._policy.cancels(name)} | self._kept.left)

    def lost(self, caller: str, kind: Kind) -> str:
        """Why nothing may be signed any more that a caller asked for so; empty if it may."""
        if self._revocations.of_name(caller) is not None:
            return "its caller was revoked"
        return "" if self._policy.permits(caller, kind.key, kind.algorithm) else "the grant was withdrawn"

    async def check(self, toml: str) -> Check:
        """What a policy would change. Changes nothing."""
        compiled = await self._compile(toml)
        if compiled.problems:
            problems = tuple(map(str, compiled.problems))
            return Check(problems, (), needs_approval=False, policy=compiled.policy, base=self._kept)
        before, base = self._policy, self._kept
        if self._checked is not None:
            of, known = self._checked
            if of is compiled and known.base is base:
                return known
        found, beside = await aside(
            lambda: (
                differences(before, compiled.policy),
                notes(before, compiled.policy, lambda san: self._revocations.of_sans((san,))),
            )
        )
        check = Check((), found, needs_approval(found), compiled.policy, base, beside)
        self._checked = compiled, check
        return check

    async def _compile(self, toml: str) -> Compiled:
        if self._compiled is None or self._compiled.toml != toml:
            compiled = self._compiled = await compile_aside(toml)
            return compiled
        return self._compiled

    # --- changing

    def outdated(self, base: bytes, number: int) -> str:
        """Why a policy that was made from another one cannot be put in force; empty if it can: it would undo what was
        decided since.

        :param base: the hash of the policy that it was made from.
        :param number: which one in a row that was: whatever was in force in between counts.
        """
        kept = self._kept
        return "" if (base, number) == (kept.hash, kept.number) else refusals.undoes(kept)

    def require_base(self, base: bytes, number: int) -> None:
        """:raises Fault: CHANGE_STATE if it is outdated."""
        if why := self.outdated(base, number):
            raise refusals.outdated(why, self._kept)

    async def usable(self, toml: str) -> Compiled:
        """The rules of a policy that can be applied.

        :raises Fault: POLICY_INVALID, with the first of its problems.
        """
        compiled = await self._compile(toml)
        if compiled.problems:
            raise refusals.faulty(compiled.problems)
        return compiled

    async def apply(
        self, toml: str, base: bytes, number: int, requested_by: str, approved_by: str = ""
    ) -> None:
        """Puts a policy in force for every call that comes after it.

        :param base: the hash of the policy that it was made from.
        :param number: which one in a row that is.
        :raises Fault: CHANGE_STATE, POLICY_INVALID; STORAGE_… if it cannot be recorded. Nothing has changed then.
        """
        compiled = await self.usable(toml)
        async with self._lock:
            self.require_base(base, number)
            await self._require_second_person(compiled.policy, approved_by)
            kept = self._next(compiled, requested_by, approved_by)
            facts = {
                "hash": policy_hash(toml).hex(),
                "before": self._kept.hash.hex(),
                "approved_by": approved_by or "nobody",
                **_persons(compiled.policy),
            }
            await self._keep(kept, facts, who=requested_by)
            self._policy, self._kept = compiled.policy, kept
            self._tell()
            self._file_differs = ""
            await self._compare_file()

    async def _require_second_person(self, after: Policy, approved_by: str) -> None:
        """Asked again under the lock: the policy in force may be another than when the change was looked at."""
        before = self._policy
        if approved_by or not before.two_person:
            return
        if needs_approval(await aside(lambda: differences(before, after))):
            raise refusals.gives_more()

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
            revocation = Revocation(at, who.name, why, self._policy.sans(subject))
            try:
                await self._revocations.add(subject, revocation, leaf)
            except Fault as fault:
                raise refusals.not_shut_out(subject, fault) from fault
            self._tell()

    def _require_name(self, name: str) -> None:
        role = self._policy.role(name)
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
            self._tell()

    async def _keep(self, kept: Kept, facts: dict[str, str], *, who: str) -> None:
        leaf = Act(int(kept.at * 1000), "policy applied", who, "policy", facts)
        await self._records.keep({RECORD: policy_kept.encode(kept)}, leaf)

    def _tell(self) -> None:
        self._checked = None
        for callback in self.changed:
            callback()


def _of_file(file: Path) -> Compiled:
    """:raises PolicyError: with every fault."""
    rules = compile_text(_text(file))
    if rules.problems:
        raise PolicyError(list(rules.problems))
    return rules


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise PolicyError([Problem("", f"{file} cannot be read: {error.strerror}")]) from None


def _persons(policy: Policy) -> dict[str, str]:
    return {} if policy.two_person else {"two_person": "false"}
