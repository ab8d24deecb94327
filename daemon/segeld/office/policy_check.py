"""What a policy would change, worked out once for each text: who proposes it asks, and who runs it asks again."""

from dataclasses import dataclass

from segeld.office.compiling import Compiled, aside, compile_aside
from segeld.office.policy_kept import Kept
from segeld.office.policy_notes import notes
from segeld.office.revocations import Revocations
from segeld.policy import Policy
from segeld.policy.difference import differences, needs_approval
from segeld.policy.line import Difference


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


class Checks:
    """Remembers the last policy that it was asked about."""

    def __init__(self) -> None:
        self._compiled: Compiled | None = None
        self._checked: tuple[Compiled, Check] | None = None
        """What it would change is read in pages."""

    def forget(self) -> None:
        """Somebody was shut out or let in, or another policy is in force."""
        self._checked = None

    async def compiled(self, toml: str) -> Compiled:
        """The rules of a policy, or its problems."""
        if self._compiled is None or self._compiled.toml != toml:
            compiled = self._compiled = await compile_aside(toml)
            return compiled
        return self._compiled

    async def check(self, compiled: Compiled, before: Policy, base: Kept, revocations: Revocations) -> Check:
        """:param before: the policy in force, and `base` how it is kept."""
        if compiled.problems:
            problems = tuple(map(str, compiled.problems))
            return Check(problems, (), needs_approval=False, policy=compiled.policy, base=base)
        if self._checked is not None:
            of, known = self._checked
            if of is compiled and known.base is base:
                return known
        found, beside = await aside(
            lambda: (
                differences(before, compiled.policy),
                notes(before, compiled.policy, lambda san: revocations.of_sans((san,))),
            )
        )
        check = Check((), found, needs_approval(found), compiled.policy, base, beside)
        self._checked = compiled, check
        return check
