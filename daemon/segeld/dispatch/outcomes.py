"""What callers are told: why a key cannot sign now, and why one input has no signature."""

from segeld.ipc.worker_wire import ItemFailed
from segeld.model.algorithm import Algorithm
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.job import Ended, Signature
from segeld.model.kind import Kind
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import COMING_BACK, TokenState
from segeld.policy import key_not_found

_TEXTS = {
    TokenState.INACTIVE: (
        Reason.TOKEN_NOT_ACTIVE,
        "Its token waits for its PIN. Ask an officer to run: segelctl token activate {token}",
    ),
    TokenState.LOCKED: (
        Reason.TOKEN_LOCKED,
        "Its token refused its PIN or is locked. Ask an officer to look at: segelctl token show {token}",
    ),
    TokenState.QUARANTINED: (
        Reason.TOKEN_QUARANTINED,
        "Its token is in quarantine. Ask an officer to look at: segelctl token show {token}",
    ),
    TokenState.ABSENT: (
        Reason.TOKEN_NOT_PRESENT,
        "Its token is not in any slot. Ask an officer to look at: segelctl token show {token}",
    ),
    TokenState.FAILED: (
        Reason.DEVICE_ERROR,
        "Its token's module does not work. Ask an officer to look at: segelctl token show {token}",
    ),
}


def no_replica(name: KeyName, key: KeyRecord | None) -> Fault | None:
    """Why no token can sign with this key, now or soon; None if one can."""
    if key is None:
        return key_not_found()
    if key.unusable is not None:
        return Fault(key.unusable, f"{name} cannot be used. {key.trouble}", key=str(name))
    states = [state for _, state in key.tokens]
    if any(state is TokenState.ACTIVE or state in COMING_BACK for state in states):
        return None
    token, state = key.tokens[0]
    reason, text = _TEXTS[state]
    retry_after = 5.0 if reason in (Reason.TOKEN_NOT_PRESENT, Reason.DEVICE_ERROR) else None
    return Fault(
        reason,
        f"{name} cannot sign now. {text.format(token=token.word)}",
        retry_after=retry_after,
        key=str(name),
    )


def too_late(key: KeyRecord | None = None) -> Fault:
    """The deadline of an input has passed.

    :param key: its key, if it was waiting: when no token could sign with it then, that is the reason.
    """
    if key is None or not key.tokens or key.active:
        return Fault(
            Reason.DEADLINE_PASSED, "The time was up before its turn came; no signature was released."
        )
    token, state = key.tokens[0]
    return Fault(
        Reason.TOKEN_RECOVERING,
        f"{key.name} cannot sign now: its token is being recovered; try again.",
        retry_after=5.0,
        key=str(key.name),
        token=str(token),
        state=state,
    )


def paused(kind: Kind, pause: float) -> Fault:
    """For what its token failed at so often that it is not asked for now."""
    return Fault(
        Reason.DEVICE_ERROR,
        f"This token failed twice when asked for {kind.algorithm.name} with this key; "
        "it is not asked again for 10 minutes.",
        retry_after=pause,
        key=str(kind.key),
        algorithm=kind.algorithm.name,
    )


def failed_twice(token: TokenName, outcome: ItemFailed) -> Fault:
    """For an input over which two workers had to be ended."""
    doubt = "" if outcome.certain else " Whether the token made one is not known."
    return Fault(
        outcome.reason,
        f"{token} failed twice on exactly this input (CKR {outcome.ckr:#x}); no signature was released.{doubt}",
        retry_after=60.0,
        token=str(token),
        ckr=f"{outcome.ckr:#x}",
    )


def beside_failed(token: TokenName, outcome: ItemFailed) -> Fault:
    """For the rest of an order with such an input: one order ends no third worker."""
    return Fault(
        outcome.reason,
        f"{token} failed twice on another input of this order (CKR {outcome.ckr:#x}), so this one was left; "
        "no signature was released. Send it in another order.",
        retry_after=5.0,
        token=str(token),
        ckr=f"{outcome.ckr:#x}",
    )


def lost_too_often() -> Fault:
    return Fault(
        Reason.WORKER_LOST,
        "The token's workers were lost while they held this input, as often as it may be tried; whether the token signed "
        "it is not known. No signature was released.",
    )


def released(ended: Ended) -> Signature | Fault:
    """What the store has kept, as whoever waits gets it."""
    return ended if isinstance(ended, Signature) else Fault(ended.reason, ended.text)


def failed(algorithm: Algorithm, outcome: ItemFailed) -> Fault:
    """Why one input has no signature, from the worker's word."""
    match outcome.reason:
        case Reason.DEADLINE_PASSED:
            return too_late()
        case Reason.SIGNATURE_SELF_CHECK_FAILED:
            text = "The token's signature did not verify and was discarded."
        case Reason.DIGEST_LENGTH:
            text = f"The digest has not the length that {algorithm.name} asks for."
        case Reason.ALGORITHM_NOT_SUPPORTED:
            text = f"The token does not sign with {algorithm.name}."
        case _:
            text = f"The token did not sign it (CKR {outcome.ckr:#x})."
    return Fault(outcome.reason, text, ckr=f"{outcome.ckr:#x}")
