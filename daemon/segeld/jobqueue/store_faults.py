"""What is wrong with the database, as its users are told."""

from segeld.model.faults import Fault, Reason


class StoreFull(Fault):
    """The disk is full. What was accepted is kept."""

    def __init__(self) -> None:
        super().__init__(
            Reason.STORAGE_FULL, "The disk has no room for more work; try again later.", retry_after=5.0
        )


class StoreBroken(Fault):
    """The database cannot be read or written: an I/O error, or damage. The log says more."""

    def __init__(self) -> None:
        super().__init__(
            Reason.STORAGE_UNAVAILABLE,
            "The database cannot be used just now; nothing is lost. Try again later.",
            retry_after=5.0,
        )
