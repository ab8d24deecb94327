"""Where leaves come from: whatever keeps them durably, in order, from the moment they are recorded."""

from typing import Final, Protocol

from segeld.model.counts import counted


class LeafSource(Protocol):
    async def leaf_count(self) -> int: ...

    async def leaves(self, first: int, limit: int) -> tuple[bytes, ...]:
        """Consecutive leaves from `first`, at most `limit`; fewer if they are large, none if `first` was trimmed."""
        ...

    async def trim_leaves(self, before: int) -> None:
        """Forgets leaves below that index: they are safe in the log's files."""
        ...


_RESTORE: Final = (
    "The daemon does not start, so that it signs nothing that contradicts the log. `segeld restore` puts a copy of the "
    "database in place, sets aside what there is of the old log, and begins a new one, linked to the old one if its "
    "checkpoint can still be read."
)


class LogUnfit(OSError):
    """Database and log do not belong together: nothing may be published, so nothing may be signed."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text} {_RESTORE}")


class LogAhead(LogUnfit):
    """The log is signed for more leaves than the database knows: the database is an older copy."""

    def __init__(self, origin: str, signed: int, known: int) -> None:
        super().__init__(
            f"The audit log {origin} was signed with {counted(signed, 'leaf', 'leaves')}, but the database knows {known}: it is older "
            "than the log, as after restoring a backup."
        )


class LogDiffers(LogUnfit):
    """What the log was signed for cannot be had from the database and the files together."""

    def __init__(self, origin: str, why: str) -> None:
        super().__init__(f"The audit log {origin} and the database do not belong together: {why}.")
