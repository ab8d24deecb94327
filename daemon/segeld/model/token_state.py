"""What a token is doing: one pure decision from what is known of its PIN and its workers."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from segeld.model.faults import Reason


class TokenState(enum.StrEnum):
    """The states of `segel.v1.Token.State`, without its prefix."""

    ABSENT = "ABSENT"
    INACTIVE = "INACTIVE"
    STARTING = "STARTING"
    ACTIVE = "ACTIVE"
    RECOVERING = "RECOVERING"
    LOCKED = "LOCKED"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


COMING_BACK: Final = frozenset({TokenState.STARTING, TokenState.RECOVERING})
"""States that end by themselves soon: work for the token may wait."""


class PinState(enum.Enum):
    MISSING = "missing"
    """Nobody gave one, or an officer took it back."""
    HELD = "held"
    REFUSED = "refused"
    """The token refused it, or says that it is locked: an officer must act."""


class Stage(enum.Enum):
    """How far one worker has come."""

    DOWN = "down"
    LOADING = "loading"
    WAITING = "waiting"
    """The token is open, nobody is logged in."""
    READY = "ready"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    stage: Stage
    absent: bool = False
    """Its last attempt found no such token."""
    trouble: str = ""
    """Why its last attempt failed."""
    reason: Reason = Reason.DEVICE_ERROR
    """Of that trouble."""
    blank: tuple[int, ...] = ()
    """Slots in which it found blank tokens, if it is absent."""


def decide(
    pin: PinState, workers: Sequence[WorkerStatus], *, was_active: bool, quarantined: bool, seen: bool = True
) -> tuple[TokenState, str]:
    """The token's state and one sentence why.

    :param was_active: whether it signed since its PIN was given.
    :param seen: whether a worker ever opened it.
    """
    trouble = next((worker.trouble for worker in workers if worker.trouble), "")
    if quarantined:
        return (
            TokenState.QUARANTINED,
            "It returned signatures that do not verify; its keys are not used.",
        )
    if any(worker.stage is Stage.READY for worker in workers):
        return TokenState.ACTIVE, ""
    if pin is PinState.REFUSED:
        return (
            TokenState.LOCKED,
            "It refused its PIN, or says that the PIN is locked; nothing is tried by itself.",
        )
    if any(worker.absent for worker in workers):
        return TokenState.ABSENT, trouble
    if any(worker.stage is Stage.WAITING for worker in workers) and pin is PinState.MISSING:
        return TokenState.INACTIVE, "It waits for its PIN."
    if trouble:
        return (TokenState.RECOVERING, trouble) if was_active else (TokenState.FAILED, trouble)
    if pin is PinState.MISSING and seen and not was_active:
        return TokenState.INACTIVE, "It waits for its PIN."
    return (TokenState.RECOVERING if was_active else TokenState.STARTING), "Its workers are being started."
