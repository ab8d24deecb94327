"""Putting a policy in force and letting the revoked in again, as changes."""

from collections.abc import Mapping
from typing import Final

from segeld.model.secret import Pin
from segeld.office.actions import ApplyPolicy, UnrevokeCaller
from segeld.office.executor import Description
from segeld.office.policy_check import Check
from segeld.office.policy_desk import PolicyDesk

MAX_LINES: Final = 1000
"""Differences that are named; those that widen come first."""


class ApplyingPolicy:
    secrets: tuple[str, ...] = ()

    def __init__(self, desk: PolicyDesk) -> None:
        self._desk = desk

    async def describe(self, action: ApplyPolicy) -> Description:
        """What is in force when it is asked for is what it is made from: it is run on that, or not at all.

        :raises Fault: CHANGE_STATE, POLICY_INVALID.
        """
        await self._desk.usable(action.toml)
        check = await self._desk.check(action.toml)
        fixed = ApplyPolicy(action.toml, action.base or check.base.hash, action.number or check.base.number)
        self._desk.require_base(fixed.base, fixed.number)
        return Description(_summary(check), check.needs_approval, binding=True, action=fixed)

    async def run(
        self,
        action: ApplyPolicy,
        who: str,
        secrets: Mapping[str, Pin],  # noqa: ARG002
        approved_by: str = "",
    ) -> None:
        await self._desk.apply(action.toml, action.base, action.number, who, approved_by)


class LettingIn:
    secrets: tuple[str, ...] = ()

    def __init__(self, desk: PolicyDesk) -> None:
        self._desk = desk

    async def describe(self, action: UnrevokeCaller) -> Description:
        """:raises Fault: CALLER_NOT_FOUND, CHANGE_STATE."""
        found = self._desk.shut_out.require_revoked(action.caller, action.revoked)
        return Description(
            (
                f"{action.caller} is let in again.",
                f"It was revoked by {found.by}: {found.why}",
                "Its jobs that waited go on.",
            ),
            needs_approval=True,
            action=UnrevokeCaller(action.caller, found.stamp),
        )

    async def run(
        self,
        action: UnrevokeCaller,
        who: str,
        secrets: Mapping[str, Pin],  # noqa: ARG002
        approved_by: str = "",
    ) -> None:
        await self._desk.shut_out.unrevoke(action.caller, action.revoked, who, approved_by)


def _summary(check: Check) -> tuple[str, ...]:
    found = check.differences
    if not found:
        return ("The policy comes to the same as the one in force.",)
    more = sum(each.widens for each in found)
    head = (
        f"The policy is replaced; what gives more than before: {more}, less or the same: {len(found) - more}."
    )
    lines = tuple(f"{'+' if each.widens else '-'} {each.text}" for each in found[:MAX_LINES])
    rest = (f"… and {len(found) - MAX_LINES} more",) if len(found) > MAX_LINES else ()
    return (head, *lines, *rest)
