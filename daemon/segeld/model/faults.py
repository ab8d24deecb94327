"""Why something was refused: the one error type that crosses the wire.

A `Fault` names a reason, says in one sentence what happened and what to do, and carries the facts that the
sentence mentions. `segeld.rpc.status` alone turns it into a `google.rpc.Status`. Lost on the way: tracebacks,
causes, and every text that is not a Fault's own.
"""

import enum
from typing import Final


class Reason(enum.StrEnum):
    """The reasons of `segel.v1.Reason`, without its prefix. A wire contract: never renamed, never used again."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:  # noqa: ARG004
        return name

    INTERNAL = enum.auto()
    SIGNATURE_SELF_CHECK_FAILED = enum.auto()
    KEY_NOT_FOUND = enum.auto()
    TOKEN_NOT_FOUND = enum.auto()
    JOB_NOT_FOUND = enum.auto()
    CHANGE_NOT_FOUND = enum.auto()
    CALLER_NOT_FOUND = enum.auto()
    SLOT_NOT_FOUND = enum.auto()
    KEY_AMBIGUOUS = enum.auto()
    KEY_UNUSABLE = enum.auto()
    TOKEN_NOT_ACTIVE = enum.auto()
    TOKEN_LOCKED = enum.auto()
    TOKEN_QUARANTINED = enum.auto()
    PIN_REFUSED_BEFORE = enum.auto()
    PIN_LOCKED = enum.auto()
    PIN_EXPIRED = enum.auto()
    JOB_STATE = enum.auto()
    ITEMS_CHANGED = enum.auto()
    KEY_DISABLED = enum.auto()
    KEY_CERTIFICATE = enum.auto()
    CHANGE_STATE = enum.auto()
    TOKEN_BUSY = enum.auto()
    TOKEN_STATE = enum.auto()
    APPROVAL_REQUIRED = enum.auto()
    ALGORITHM_UNKNOWN = enum.auto()
    ALGORITHM_NOT_SUPPORTED = enum.auto()
    DIGEST_LENGTH = enum.auto()
    INPUT_KIND = enum.auto()
    MESSAGE_TOO_LONG = enum.auto()
    BATCH_EMPTY = enum.auto()
    BATCH_TOO_LARGE = enum.auto()
    FIELD_INVALID = enum.auto()
    PIN_LENGTH = enum.auto()
    JOB_TOO_LARGE = enum.auto()
    OFFSET_OUT_OF_RANGE = enum.auto()
    CERTIFICATE_INVALID = enum.auto()
    POLICY_INVALID = enum.auto()
    PIN_INVALID = enum.auto()
    CALLER_UNKNOWN = enum.auto()
    ROLE_REQUIRED = enum.auto()
    ALGORITHM_NOT_GRANTED = enum.auto()
    PIN_INCORRECT = enum.auto()
    SECOND_PERSON_REQUIRED = enum.auto()
    CALLER_REVOKED = enum.auto()
    QUEUE_FULL = enum.auto()
    CALLER_QUOTA = enum.auto()
    RATE_LIMITED = enum.auto()
    TOKEN_NO_ROOM = enum.auto()
    TOKEN_NOT_PRESENT = enum.auto()
    TOKEN_RECOVERING = enum.auto()
    WORKER_LOST = enum.auto()
    DAEMON_STOPPING = enum.auto()
    DEVICE_ERROR = enum.auto()
    STORAGE_FULL = enum.auto()
    STORAGE_UNAVAILABLE = enum.auto()
    DEADLINE_TOO_SHORT = enum.auto()
    DEADLINE_PASSED = enum.auto()
    IDEMPOTENCY_MISMATCH = enum.auto()
    KEY_EXISTS = enum.auto()
    CANCELLED = enum.auto()


class Fault(Exception):
    """Something was refused or failed, for a reason the other side can act on.

    :param reason: which of the wire's reasons.
    :param text: one or two sentences: what happened, what to do. Seen by the caller.
    :param field: the request field at fault, for `BadRequest`.
    :param retry_after: seconds after which trying again makes sense, for `RetryInfo`.
    :param facts: every variable of the text again, for programs.
    """

    def __init__(
        self,
        reason: Reason,
        text: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        **facts: str,
    ) -> None:
        super().__init__(text)
        self.reason: Final = reason
        self.text: Final = text
        self.field: Final = field
        self.retry_after: Final = retry_after
        self.facts: Final = facts

    def __repr__(self) -> str:
        return f"Fault({self.reason}, {self.text!r})"
