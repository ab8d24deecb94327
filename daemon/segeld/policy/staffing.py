"""Whether there are enough officers for what needs two of them."""

from segeld.config.strict import Problem
from segeld.model.principal import Role
from segeld.policy.rules import Policy


def staffing(policy: Policy) -> list[Problem]:
    """What stands against putting the policy in force: nobody could ever change it."""
    officers = policy.names(Role.OFFICER)
    if len(officers) > 1 or not policy.two_person:
        return []
    return [
        Problem(
            "officers",
            f"names {officers[0] + ' alone' if officers else 'nobody'}, and what is dangerous needs two persons: name two "
            "officers, or write two_person = false at the top of the policy",
        )
    ]
