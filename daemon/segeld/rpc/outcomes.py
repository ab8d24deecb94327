"""What officers do to tokens, and what came of it: recorded also when it fails in an odd way."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from segeld.audit.acts import Acts
from segeld.model.faults import Fault, Reason
from segeld.supervisor.half import Half

T = TypeVar("T")


class Outcomes:
    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def recorded(self, work: Coroutine[Any, Any, T], failed: str, who: str, subject: str) -> T:
        """What it gives. A failure is recorded.

        :param failed: what is said of it then.
        :raises Fault: why it failed, wholly or half.
        """
        try:
            return await work
        except Half as half:
            fault = half.fault
            self._acts.later(failed, who=who, subject=subject, reason=fault.reason, known=half.known)
            raise fault from half
        except Fault as fault:
            self._acts.later(failed, who=who, subject=subject, reason=fault.reason)
            raise
        except Exception:
            self._acts.later(failed, who=who, subject=subject, reason=Reason.INTERNAL)
            raise
