"""The policy in force: read at start, asked on every call, changed as a whole."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from msgspec.structs import replace

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.kind import Kind
from segeld.model.principal import Principal, Role
from segeld.office import policy_kept
from segeld.office import policy_refusals as refusals
from segeld.office.aftermath import OFFICERS
from segeld.office.compiling import Compiled, aside, compile_text
from segeld.office.policy_check import Check, Checks
from segeld.office.policy_compared import FileCompared
from segeld.office.policy_file import hash_of, older_one, read_policy
from segeld.office.policy_kept import RECORD, Kept, policy_hash
from segeld.office.shut_out import ShutOut
from segeld.office.whole import whole
from segeld.policy import Policy, PolicyError
from segeld.policy.difference import differences, needs_approval

_SHOWN: Final = 5
"""Problems of a policy in force that the log names."""
_MAX_NAMED: Final = 16_384
"""Characters of all officers' SANs, for a leaf."""

_ONE_PERSON: Final = "two_person = false: one officer alone can do everything."

_log: Final = structlog.get_logger(__name__)


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
        self._from = file
        """Where it was taken from."""
        self.compared: Final = FileCompared(file, self.document)
        """The file, beside what is in force."""
        self._checks = Checks()
        self.shut_out: Final = ShutOut(self.current, self._lock, self._tell, clock)
        """Callers and certificates that were revoked."""

    # --- start

    async def load(self, records: Records) -> None:
        """Reads what is in force: the record, or at the first start the file. Writes nothing.

        :raises PolicyError: if the file of the first start has faults.
        :raises OSError: if the record cannot be used.
        """
        self._records = records
        await self.shut_out.load(records)
        kept = (await records.records(RECORD)).get(RECORD)
        if kept is not None:
            self._kept = policy_kept.decode(kept)
            self._policy = self._usable(self._kept)
            await self.compared.look()
        if kept is None or (self._follows_file and self.compared.difference):
            await self._take(self._file, first=kept is None)
        elif self._kept.later:
            await self.restore(self._kept.later)

    async def _take(self, file: Path, *, first: bool) -> None:
        compiled = await asyncio.to_thread(read_policy, file)
        self._new, self._from = self._next(compiled, first=first), file
        self._kept, self._policy = self._new, compiled.policy
        await self.compared.look()

    async def restore(self, later: bytes, *copies: Path) -> bool:
        """Takes the policy that was in force before a backup was restored, if it is in the file, or in one of these:
        officers put it in force, as the log says. Before `begin`, which records it. Gives whether it is in force now.

        :param later: its hash.
        :raises Fault: if it cannot be recorded that it is not.
        """
        if self._kept.hash == later:
            return True
        for file in (self._file, *copies):
            if await asyncio.to_thread(hash_of, file) == later:
                with suppress(PolicyError):  # of a text that this version does not understand
                    await self._take(file, first=False)
                    return True
        if self._kept.later != later:
            kept = replace(self._kept, later=later)
            facts = {"hash": kept.hash.hex(), "later": later.hex()}
            leaf = Act(int(self._clock() * 1000), "policy is an older one", "", "policy", facts)
            await self._records.keep({RECORD: policy_kept.encode(kept)}, leaf)
            self._kept = kept
        return False

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

    async def begin(self) -> None:
        """Records what is new, and says what officers should know.

        :raises Fault: if it cannot be recorded.
        """
        if self._new is not None:
            facts = {"hash": self._new.hash.hex(), "from": str(self._from), **_persons(self._policy)}
            await self._keep(self._new, facts, who="")
            self._new = None
        for warning in self._of_itself():
            _log.warning("policy", why=warning)
        self.compared.say()

    # --- reading

    def current(self) -> Policy:
        """The policy in force."""
        return self._policy

    def document(self) -> Kept:
        """Its text, since when, and by whom."""
        return self._kept

    def warnings(self) -> tuple[str, ...]:
        """What officers should know, a sentence each; of the file, as it was when `compared` last looked."""
        difference = self.compared.difference
        return (*self._of_itself(), *((f"{difference}.",) if difference else ()))

    def _of_itself(self) -> Iterator[str]:
        if not self._policy.two_person:
            yield _ONE_PERSON
        if self._kept.later:
            yield older_one(self._kept.later, self._file)

    def two_person(self) -> bool:
        return self._policy.two_person

    def standing(self, name: str, identity: str, fingerprint: bytes) -> str:
        """Of an officer with this SAN and certificate; empty if there is none. It is never again what it was once they
        were taken out of the policy, or their certificate was revoked: whatever is undone of that.
        """
        known = self._policy.principals.get(identity)
        if known != Principal(name, Role.OFFICER, identity) or self.shut_out.is_revoked(name, fingerprint):
            return ""
        return f"{self._kept.entered.get(identity, 1)}.{self.shut_out.revocations.let_in(fingerprint)}"

    def condemned(self) -> Sequence[str]:
        """Callers whose jobs the policy wants cancelled once nothing of them may be signed; those who left it, too."""
        return sorted({name for name in self._policy.grants if self._policy.cancels(name)} | self._kept.left)

    def lost(self, caller: str, kind: Kind) -> str:
        """Why nothing may be signed any more that a caller asked for so; empty if it may."""
        if self.shut_out.is_revoked(caller):
            return "its caller was revoked"
        return "" if self._policy.permits(caller, kind.key, kind.algorithm) else "the grant was withdrawn"

    async def check(self, toml: str) -> Check:
        """What a policy would change. Changes nothing."""
        compiled = await self._checks.compiled(toml)
        return await self._checks.check(compiled, self._policy, self._kept, self.shut_out.revocations)

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
        compiled = await self._checks.compiled(toml)
        if compiled.problems:
            raise refusals.faulty(compiled.problems)
        return compiled

    @whole
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
            await self.compared.look()

    async def _require_second_person(self, after: Policy, approved_by: str) -> None:
        """Asked again under the lock: the policy in force may be another than when the change was looked at."""
        before = self._policy
        if approved_by or not before.two_person:
            return
        if needs_approval(await aside(lambda: differences(before, after))):
            raise refusals.gives_more()

    async def _keep(self, kept: Kept, facts: dict[str, str], *, who: str) -> None:
        leaf = Act(int(kept.at * 1000), "policy applied", who, "policy", facts)
        await self._records.keep({RECORD: policy_kept.encode(kept)}, leaf)

    def _tell(self) -> None:
        self._checks.forget()
        for callback in self.changed:
            callback()


def _persons(policy: Policy) -> dict[str, str]:
    """For the log: after a restore it is all that is known of a policy which the backup does not have."""
    facts = {} if policy.two_person else {"two_person": "false"}
    sans = sorted(san for san, who in policy.principals.items() if who.role is Role.OFFICER)
    named = " ".join(sans)
    if named.split() == sans and len(named) <= _MAX_NAMED:
        facts[OFFICERS] = named
    return facts
