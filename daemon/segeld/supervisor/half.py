"""What officers asked for and did not come to its end, although something was changed, or may have been."""

import enum

from segeld.model.faults import Fault
from segeld.supervisor.worker_handle import WorkerFailed, WorkerLost


class Known(enum.StrEnum):
    """What is known then: for the log."""

    DONE = "done"
    """What was asked for is done; what had to follow failed."""
    IN_PART = "in part"
    UNKNOWN = "not known"


class Half(Exception):
    """:param fault: what is known, what is not, and what to do."""

    def __init__(self, fault: Fault, known: Known) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.known = known


class Unanswered(Exception):
    """The device was asked for something, and whether it was done is not known. Its text says why."""

    @staticmethod
    def of(error: WorkerLost | WorkerFailed) -> "Unanswered | None":
        """None if surely nothing was done."""
        certain = not error.sent if isinstance(error, WorkerLost) else error.certain
        return None if certain else Unanswered(str(error))
