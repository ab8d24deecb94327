"""What callers are told: why a key cannot sign now, and why one input has no signature."""

from segeld.ipc.worker_wire import ItemFailed
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order
from segeld.model.names import KeyName
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
    TokenState.ABSENT: (Reason.TOKEN_NOT_PRESENT, "Its token is not in any slot."),
    TokenState.FAILED: (Reason.DEVICE_ERROR, "Its token's module does not work. Ask an officer."),
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


def too_late() -> Fault:
    return Fault(Reason.DEADLINE_PASSED, "The time was up before its turn came; no signature was released.")


def failed(order: Order, outcome: ItemFailed) -> Fault:
    """Why one input has no signature, from the worker's word."""
    match outcome.reason:
        case Reason.DEADLINE_PASSED:
            return too_late()
        case Reason.SIGNATURE_SELF_CHECK_FAILED:
            text = "The token's signature did not verify and was discarded."
        case Reason.DIGEST_LENGTH:
            text = f"The digest has not the length that {order.algorithm.name} asks for."
        case Reason.ALGORITHM_NOT_SUPPORTED:
            text = f"The token does not sign with {order.algorithm.name}."
        case _:
            text = f"The token did not sign it (CKR {outcome.ckr:#x})."
    return Fault(outcome.reason, text, ckr=f"{outcome.ckr:#x}")
