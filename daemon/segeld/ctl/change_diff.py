"""What a change of the policy changes, all of it: for those who say yes to it. What is kept with a change is cut."""

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segel import Officer
    from segel.models_changes import ApplyPolicy, Change


@dataclass(frozen=True, slots=True)
class Whole:
    """A change, and for a policy what it comes to, in full."""

    change: "Change"
    """With every difference among its summary's lines."""
    text: tuple[str, ...] = ()
    """The file that is in force and the one that is to be, as `diff -u` shows them, without line ends."""


async def whole(officer: "Officer", name: str, *, text: bool) -> Whole:
    """A change as it is; with a policy's differences while it can still be put in force, as the daemon tells them now.

    :param text: whether the files are compared too, which takes a moment if they are long.
    """
    from segel.models_changes import ApplyPolicy

    change = await officer.changes.get(name)
    action = change.action
    if not isinstance(action, ApplyPolicy) or change.end_time is not None:
        return Whole(change)
    in_force = await officer.policy.get()
    if action.base != in_force.hash:
        return Whole(change)  # it cannot be run any more, and says so
    shown = replace(change, summary=await _summary(officer, change, action))
    if not text:
        return Whole(shown)
    before, after = in_force.toml.splitlines(), action.toml.splitlines()
    return Whole(shown, tuple(difflib.unified_diff(before, after, "in force", change.name, lineterm="")))


async def _summary(officer: "Officer", change: "Change", action: "ApplyPolicy") -> tuple[str, ...]:
    """All of it; or as it is kept, for auditors, who may compare the files alone."""
    from segel.errors import NotAllowed

    try:
        found = await officer.policy.check(action.toml)
    except NotAllowed:
        return change.summary
    if found.problems or found.base != action.base:  # another policy was put in force just now
        return change.summary
    return (
        *change.summary[:1],
        *(f"{'+' if each.widens else '-'} {each.text}" for each in found.differences),
    )
