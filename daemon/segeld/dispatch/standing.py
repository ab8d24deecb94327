"""Whether a caller may still have signed what was accepted: asked again when the policy changes, and at dispatch."""

from collections.abc import Callable
from typing import Final

from segeld.dispatch.ports import Rules
from segeld.model.faults import Fault, Reason
from segeld.model.kind import Kind
from segeld.model.names import KeyName

Revoked = Callable[[str], bool]
"""Whether a caller, by its name, was revoked."""


class Standing:
    """`refusal` for one caller and kind: cheap, asked for every chunk."""

    def __init__(self, rules: Callable[[], Rules], revoked: Revoked) -> None:
        self._rules: Final = rules
        self._revoked: Final = revoked

    def refusal(self, caller: str, kind: Kind, *, interactive: bool) -> Fault | None:
        """Why nothing of that is signed now; None if it may be.

        :param interactive: nobody can approve it: a key that wants approval refuses it.
        """
        if self._revoked(caller):
            return Fault(
                Reason.CALLER_REVOKED, f"{caller} was revoked. Ask an officer to look at it.", caller=caller
            )
        if kind.uncertified:  # an officer's own: no grant is needed for it
            return None
        rules = self._rules()
        if not rules.permits(caller, kind.key, kind.algorithm):
            text = "The grant was withdrawn: this key, or this algorithm, is not granted to you any more."
            return Fault(Reason.KEY_NOT_FOUND, text)
        if interactive and rules.approvers_for(caller, kind.key):
            return approval_required(kind.key)
        return None


def approval_required(key: KeyName) -> Fault:
    return Fault(
        Reason.APPROVAL_REQUIRED,
        f"What you sign with {key} needs an approver's yes. Make a job of it: segel job submit.",
        key=str(key),
    )


def held(fault: Fault) -> str:
    """The `reason` of a job that waits for such a refusal to end."""
    text = "its caller was revoked" if fault.reason is Reason.CALLER_REVOKED else "the grant was withdrawn"
    return f"held: {text}"
