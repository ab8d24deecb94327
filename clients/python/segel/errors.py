"""What can go wrong, as a tree. Each class says what to do next; `error.reason` says exactly what happened.

    SegelError
    ├── ConnectionFailed       no connection to the daemon, and why
    │   └── SettingsInvalid    nothing was sent: no target, or a file that does not say what it should
    ├── ClientClosed           the client was closed
    ├── NotAuthenticated       the daemon does not know this certificate
    ├── NotAllowed             it knows who asks, and says no
    │   └── ApprovalRequired   only a job can wait for an approver
    ├── NotFound
    │   ├── KeyNotFound        no such key, or not granted
    │   ├── TokenNotFound      no token of that name
    │   ├── JobNotFound        no such job, or not yours
    │   ├── CallerNotFound     officers only: no such caller in the policy
    │   └── ChangeNotFound     officers only: no such change
    ├── KeyNotUsable           the key is there and must not be used
    ├── TokenNotReady
    │   ├── TokenNotActive     it waits for an officer's PIN
    │   ├── TokenLocked        it needs an officer before it signs again
    │   ├── TokenQuarantined   it gave wrong signatures or failed too often
    │   ├── TokenUnavailable   it is away or coming back: try again
    │   ├── TokenBusy          officers only: it has something to do; wait
    │   ├── TokenStateError    officers only: its state does not allow it; waiting does not help
    │   └── TokenNoRoom        officers only: it has no room for another object
    ├── ChangeStateError       officers only: the change waits for another officer, or has ended
    ├── PinRefused             officers only: the PIN was wrong, locked, expired, or not tried at all
    ├── JobStateError          the job is in a state that does not allow it
    │   └── ItemsChanged       what was approved is not what the job holds
    ├── BadRequest             the request is wrong: mend the program
    │   ├── IdempotencyMismatch  the request_id was used for another content
    │   └── OffsetMismatch     items or results that are not where they were looked for
    ├── StorageUnavailable     the daemon cannot write just now: try again
    │   └── StorageFull        its disk is full; what was accepted is kept
    ├── Overloaded             too much is waiting: try again later
    ├── DeadlinePassed         the time was up
    ├── Cancelled              the request was given up
    ├── DaemonStopping         the daemon is shutting down
    └── DaemonError            the daemon failed; its log knows more

The reasons are those of `segel.v1.Reason`, and those that arise here: of ConnectionFailed and ClientClosed.
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_KEYWORDS: Final = ("reason", "code", "facts", "retry_after", "request_id")


class SegelError(Exception):
    """Something was refused or failed. Look at the subclasses, or at `reason`, to decide what to do.

    :ivar reason: a name of `segel.v1.Reason` without its prefix, for example ``"KEY_NOT_FOUND"``; or a reason
        that arises in the client, for example ``"NOTHING_LISTENS"``. Stable: made for programs.
    :ivar text: what happened, for people.
    :ivar facts: every variable of the text again.
    :ivar retry_after: seconds after which trying again makes sense; None if it does not, by itself.
    :ivar request_id: leads to the daemon's log; None where the daemon named none.
    :ivar code: the gRPC status code by name, for example ``"NOT_FOUND"``.
    """

    advice: str = "Ask those who run the daemon."
    """What to do next; added to the text where the daemon did not say it already."""

    def __init__(
        self,
        text: str,
        *,
        reason: str,
        code: str = "UNKNOWN",
        facts: Mapping[str, str] = MappingProxyType({}),
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(text)
        self.text: Final = text
        self.reason: Final = reason
        self.code: Final = code
        self.facts: Final = dict(facts)
        self.retry_after: Final = retry_after
        self.request_id: Final = request_id

    def __str__(self) -> str:
        text = self.text.rstrip(".")
        # A resource's name, keys/seal, stays as it is, and so does a file that happens to be called x.
        if text.split(" ", 1)[0].isalpha() and not text.startswith(
            tuple(f"{fact} " for fact in self.facts.values())
        ):
            text = text[:1].upper() + text[1:]
        # Where the daemon went on after what happened, it said what to do, and knows more than a class can.
        if ". " in text or "; " in text:
            return f"{text}."
        return f"{text}. {self.advice}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason}, {self.text!r})"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments do not survive the default pickling, and process pools pickle exceptions.
        rest = {name: getattr(self, name) for name in _KEYWORDS}
        return functools.partial(type(self), self.text, **rest), ()


class ConnectionFailed(SegelError):
    """Do what the text says: it names the file, the date or the address that stands in the way."""

    advice = "See whether the daemon runs and the target is right."


class SettingsInvalid(ConnectionFailed):
    """Correct the argument, variable or file that the text names. Nothing was sent."""

    advice = "Correct the setting and try again."


class ClientClosed(SegelError):
    """Make a new client, or keep this one open until its last call has returned."""

    advice = "Keep the client open until its last call has returned."


class NotAuthenticated(SegelError):
    """Use a certificate that the daemon's policy knows, or ask an officer to add this one."""

    advice = "Ask an officer to add your certificate to the policy."


class NotAllowed(SegelError):
    """Ask an officer for the grant or the role that the text names."""

    advice = "Ask an officer for the grant."


class ApprovalRequired(NotAllowed):
    """Make a job of it: it waits for an approver, and is signed when one has said yes."""

    advice = "Make a job of it, which can wait for an approver."


class NotFound(SegelError):
    """Correct the name."""

    advice = "Correct the name."


class KeyNotFound(NotFound):
    """Correct the name, or ask an officer for a grant: the daemon does not tell the two apart."""

    advice = "List your keys, or ask an officer for a grant."


class TokenNotFound(NotFound):
    """Correct the name; `Officer.tokens` lists those that are configured."""

    advice = "List the tokens that are configured."


class JobNotFound(NotFound):
    """Correct the name: jobs are seen by their caller only, and removed when their time is over."""

    advice = "List your jobs; they are removed when their time is over."


class CallerNotFound(NotFound):
    """Officers only: correct the name; the policy lists its callers."""

    advice = "List the callers of the policy."


class ChangeNotFound(NotFound):
    """Officers only: correct the name; `Officer.changes` lists those that are open."""

    advice = "List the changes."


class KeyNotUsable(SegelError):
    """Ask an officer: the key is ambiguous, disabled, without a good certificate, or its public key is not known."""

    advice = "Ask an officer to look at the key."


class TokenNotReady(SegelError):
    """Look at the subclass: an officer must act, or time alone will help."""

    advice = "Ask an officer to look at the token."


class TokenNotActive(TokenNotReady):
    """Ask an officer to activate the token with its PIN."""

    advice = "Ask an officer to activate the token."


class TokenLocked(TokenNotReady):
    """Ask an officer: the token refused its PIN, and nothing more is tried by itself."""

    advice = "Ask an officer to activate or unblock the token."


class TokenQuarantined(TokenNotReady):
    """Ask an officer to look at the token and release it."""

    advice = "Ask an officer to look at the token and release it."


class TokenUnavailable(TokenNotReady):
    """Try again, after `retry_after` seconds if it is set: the token is away, or coming back."""

    advice = "Try again in a while."


class TokenBusy(TokenNotReady):
    """Officers only: wait until the token has nothing to do."""

    advice = "Wait until it has nothing to do."


class TokenStateError(TokenNotReady):
    """Officers only: the token's state does not allow it, and does not change by itself."""

    advice = "Look at its state: segelctl token show."


class TokenNoRoom(TokenNotReady):
    """Officers only: remove what is not needed from the token."""

    advice = "Remove what is not needed from the token."


class ChangeStateError(SegelError):
    """Officers only: look at the change; it waits for another officer, has ended, or must be asked for anew."""

    advice = "Look at the change."


class PinRefused(SegelError):
    """Do not try the same PIN again: tokens count. Look at `reason`, then ask who keeps the PIN."""

    advice = "Do not try the same PIN again; ask who keeps it."


class BadRequest(SegelError):
    """Mend the program: the same request will be refused again."""

    advice = "The same request will be refused again."


class IdempotencyMismatch(BadRequest):
    """Use another `request_id`, or repeat exactly the request that had it first."""

    advice = "Use another request_id, or repeat exactly the request that had it first."


class OffsetMismatch(BadRequest):
    """Look at the job: the fact ``committed`` says how much it holds."""

    advice = "Look at the job: it says how many items it holds."


class JobStateError(SegelError):
    """Look at the job's state: it says what may happen to it."""

    advice = "Look at the job's state."


class ItemsChanged(JobStateError):
    """Look at the job again, and approve what it holds now."""

    advice = "Look at the job again, and approve what it holds now."


class StorageUnavailable(SegelError):
    """Try again after `retry_after` seconds: nothing that was accepted is lost."""

    advice = "Try again later; nothing that was accepted is lost."


class StorageFull(StorageUnavailable):
    """Tell those who run the daemon, and try again after `retry_after` seconds."""

    advice = "Tell those who run the daemon, and try again later."


class Overloaded(SegelError):
    """Try again after `retry_after` seconds, with fewer requests at once."""

    advice = "Try again later, with fewer requests at once."


class DeadlinePassed(SegelError):
    """Give more time, or ask for less at once. The same request can be sent again."""

    advice = "Give it more time."


class Cancelled(SegelError):
    """Nothing to do: the request was given up on one side."""

    advice = "Send it again if it is still wanted."


class DaemonStopping(SegelError):
    """Try again: the daemon will be back, or another one is there."""

    advice = "Try again when it is back."


class DaemonError(SegelError):
    """Tell those who run the daemon, with `request_id`: its log says what happened."""

    advice = "Tell those who run the daemon."


CLASS_OF_REASON: Final[Mapping[str, type[SegelError]]] = MappingProxyType(
    {
        "INTERNAL": DaemonError,
        "SIGNATURE_SELF_CHECK_FAILED": DaemonError,
        "KEY_NOT_FOUND": KeyNotFound,
        "TOKEN_NOT_FOUND": TokenNotFound,
        "JOB_NOT_FOUND": JobNotFound,
        "CHANGE_NOT_FOUND": ChangeNotFound,
        "CALLER_NOT_FOUND": CallerNotFound,
        "SLOT_NOT_FOUND": TokenNotFound,
        "KEY_AMBIGUOUS": KeyNotUsable,
        "KEY_UNUSABLE": KeyNotUsable,
        "TOKEN_NOT_ACTIVE": TokenNotActive,
        "TOKEN_LOCKED": TokenLocked,
        "TOKEN_QUARANTINED": TokenQuarantined,
        "PIN_REFUSED_BEFORE": PinRefused,
        "PIN_LOCKED": PinRefused,
        "PIN_EXPIRED": PinRefused,
        "JOB_STATE": JobStateError,
        "ITEMS_CHANGED": ItemsChanged,
        "KEY_DISABLED": KeyNotUsable,
        "KEY_CERTIFICATE": KeyNotUsable,
        "CHANGE_STATE": ChangeStateError,
        "TOKEN_BUSY": TokenBusy,
        "TOKEN_STATE": TokenStateError,
        "APPROVAL_REQUIRED": ApprovalRequired,
        "ALGORITHM_UNKNOWN": BadRequest,
        "ALGORITHM_NOT_SUPPORTED": BadRequest,
        "DIGEST_LENGTH": BadRequest,
        "INPUT_KIND": BadRequest,
        "MESSAGE_TOO_LONG": BadRequest,
        "BATCH_EMPTY": BadRequest,
        "BATCH_TOO_LARGE": BadRequest,
        "FIELD_INVALID": BadRequest,
        "PIN_LENGTH": PinRefused,
        "JOB_TOO_LARGE": BadRequest,
        "OFFSET_OUT_OF_RANGE": OffsetMismatch,
        "CERTIFICATE_INVALID": BadRequest,
        "POLICY_INVALID": BadRequest,
        "PIN_INVALID": PinRefused,
        "CALLER_UNKNOWN": NotAuthenticated,
        "ROLE_REQUIRED": NotAllowed,
        "ALGORITHM_NOT_GRANTED": NotAllowed,
        "PIN_INCORRECT": PinRefused,
        "SECOND_PERSON_REQUIRED": NotAllowed,
        "CALLER_REVOKED": NotAuthenticated,
        "QUEUE_FULL": Overloaded,
        "CALLER_QUOTA": Overloaded,
        "RATE_LIMITED": Overloaded,
        "TOKEN_NO_ROOM": TokenNoRoom,
        "TOKEN_NOT_PRESENT": TokenUnavailable,
        "TOKEN_RECOVERING": TokenUnavailable,
        "WORKER_LOST": TokenUnavailable,
        "DAEMON_STOPPING": DaemonStopping,
        "DEVICE_ERROR": TokenUnavailable,
        "STORAGE_FULL": StorageFull,
        "STORAGE_UNAVAILABLE": StorageUnavailable,
        "DEADLINE_TOO_SHORT": DeadlinePassed,
        "DEADLINE_PASSED": DeadlinePassed,
        "IDEMPOTENCY_MISMATCH": IdempotencyMismatch,
        "KEY_EXISTS": BadRequest,
        "CANCELLED": Cancelled,
    }
)
"""Which class a reason of the wire becomes. A test holds it against the enum."""
