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

    def __init__(
        self, rules: Callable[[], Rules], revoked: Revoked, pin_each_time: Callable[[KeyName], bool]
    ) -> None:
        """:param pin_each_time: whether a key asks for its PIN at every signature, as far as that is known."""
        self._rules: Final = rules
        self._revoked: Final = revoked
        self._pin_each_time: Final = pin_each_time

    def refusal(self, caller: str, kind: Kind, *, interactive: bool) -> Fault | None:
        """Why nothing of that is signed now; None if it may be.

        :param interactive: it is no job: nobody can approve it, so a key that wants approval refuses it.
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
        if interactive:
            return approval_required(kind.key) if rules.approvers_for(caller, kind.key) else None
        if self._pin_each_time(kind.key) and not rules.bulk(kind.key):
            return Fault(Reason.KEY_UNUSABLE, f"{kind.key} is not for jobs any more.")
        return None


def approval_required(key: KeyName) -> Fault:
    return Fault(
        Reason.APPROVAL_REQUIRED,
        f"What you sign with {key} needs an approver's yes. Make a job of it: segel job submit.",
        key=str(key),
    )


def held(fault: Fault) -> str:
    """The `reason` of a job that waits for such a refusal to end."""
    return f"held: {_HELD.get(fault.reason, 'the grant was withdrawn')}"


_HELD: Final = {
    Reason.CALLER_REVOKED: "its caller was revoked",
    Reason.KEY_UNUSABLE: "its key asks for a PIN at every signature, and the policy does not let jobs use it any more",
}
