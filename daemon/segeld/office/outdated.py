"""Changes that were possible when they were asked for, and never will be again."""

from segeld.model.names import KeyName
from segeld.office.actions import Action, ApplyPolicy, EnableKey, UnrevokeCaller
from segeld.office.key_withdrawal import KeyWithdrawal
from segeld.office.policy_desk import PolicyDesk


def outdated(policy: PolicyDesk, keys: KeyWithdrawal, action: Action) -> str:
    """Why; empty if it is possible still, or may be again."""
    match action:
        case ApplyPolicy():
            return policy.outdated(action.base, action.number)
        case UnrevokeCaller():
            return policy.shut_out.let_in_before(action.caller, action.revoked)
        case EnableKey():
            return keys.outdated(KeyName.parse(action.key), action.disabled)
        case _:
            return ""
