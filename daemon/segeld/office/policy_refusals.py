"""What an officer reads who cannot have the policy changed so, or somebody shut out or let in: pure."""

from collections.abc import Sequence
from typing import Final

from segeld.config.strict import Problem
from segeld.model.faults import Fault, Reason
from segeld.office.policy_kept import Kept

_SHOWN: Final = 5
"""Problems that a refusal names; CheckPolicy names them all."""


def undoes(in_force: Kept) -> str:
    """Of a policy that was made from another one than the one in force."""
    return (
        f"{in_force.requested_by or 'the daemon'} put another policy in force since it was made, and it would undo that. "
        "Take the one in force (segelctl policy show --output policy.toml), change that, and ask anew (segelctl policy "
        "apply policy.toml)."
    )


def outdated(why: str, in_force: Kept) -> Fault:
    return Fault(
        Reason.CHANGE_STATE,
        f"This policy cannot be put in force: {why}",
        field="base",
        in_force=in_force.hash.hex(),
    )


def faulty(problems: Sequence[Problem]) -> Fault:
    """With the first of its problems."""
    more = f"\n… and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Fault(
        Reason.POLICY_INVALID,
        "The policy is refused as a whole:\n" + "\n".join(map(str, problems[:_SHOWN])) + more,
        field="toml",
        problems=str(len(problems)),
    )


def gives_more() -> Fault:
    return Fault(
        Reason.SECOND_PERSON_REQUIRED,
        "Beside the policy that is in force now this one gives more. Ask anew: segelctl policy apply",
    )


def nobody(name: str) -> Fault:
    return Fault(
        Reason.CALLER_NOT_FOUND,
        f"Nobody in the policy is called {name}; segelctl caller list shows who there is.",
        caller=name,
    )


def officer(name: str) -> Fault:
    return invalid(
        "caller",
        f"{name} is an officer, whom nobody shuts out by name. Revoke the certificate by its fingerprint (sha256-…), or "
        f"take {name} out of the policy",
    )


def not_shut_out(subject: str, fault: Fault) -> Fault:
    """What cannot be recorded does not happen; an officer who reads half of it must not think that it did."""
    return Fault(
        fault.reason,
        f"{subject} is NOT shut out, as that cannot be recorded: {fault.text} While nothing can be recorded nothing is "
        "signed either, for nobody. Try again as soon as it can.",
        retry_after=fault.retry_after,
        **fault.facts,
    )


def not_revoked(subject: str) -> Fault:
    return Fault(
        Reason.CALLER_NOT_FOUND,
        f"{subject} was not revoked; segelctl caller list shows who was.",
        caller=subject,
    )


def revoked_anew(subject: str, why: str) -> Fault:
    return Fault(
        Reason.CHANGE_STATE,
        f"{why.rstrip('.')}. If it is to be let in all the same, ask anew: segelctl caller unrevoke {subject}",
        caller=subject,
    )


def invalid(field: str, text: str) -> Fault:
    return Fault(Reason.FIELD_INVALID, f"{field}: {text}.", field=field)
