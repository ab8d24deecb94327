"""What the policy does not know of a caller and a key, for officers who ask why something is allowed or not."""

from collections.abc import Callable
from typing import Final

from segeld.model.algorithm import algorithms_for
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName
from segeld.model.token_state import TokenState
from segeld.office.revocations import Revocation
from segeld.policy.explain import Barred, Held
from segeld.rpc.ports import Inventory

_TO_CALLERS: Final = (" If an alias stood", " Ask an officer")
"""Where the texts begin to say what a caller can do."""


def revoked(caller: str, revocation: Revocation | None) -> str:
    """A sentence; empty if it was not revoked."""
    if revocation is None:
        return ""
    return f"{caller} was revoked by {revocation.by}: {revocation.why.rstrip('.')}."


def barred(fault: Fault | None, key: KeyName) -> Barred | None:
    """:param fault: what callers are told of a key that nobody may use."""
    if fault is None:
        return None
    why = fault.text
    for mark in _TO_CALLERS:
        why = why.partition(mark)[0]
    if fault.reason is Reason.KEY_DISABLED:
        return Barred(why, f"To enable it, which takes two officers: segelctl key enable {key}")
    return Barred(
        f"{why.removesuffix('.')}.",
        f"To put in a new one: segelctl key import-cert FILE --key {key}; or the policy may allow it ([keys] and [defaults]).",
    )


def held(inventory: Inventory) -> Callable[[KeyName], Held | None]:
    """How the tokens have a key."""

    def look(key: KeyName) -> Held | None:
        record = inventory.key(key)
        if record is None:
            return None
        algorithms = algorithms_for(record.kind) if record.kind is not None else ()
        return Held(frozenset(algorithms), "" if record.active else _idle(record, inventory))

    return look


def _idle(record: KeyRecord, inventory: Inventory) -> str:
    if record.unusable is not None:
        return f"{record.trouble.rstrip('.')}."
    words = []
    for name, state in record.tokens:
        token = inventory.token(name)
        why = token.state_reason if token is not None else ""
        words.append(f"{name} is {_WORDS.get(state, state.lower())}. {why}".rstrip())
    return " ".join(words) or "none of its tokens is there. segelctl token list shows them."


_WORDS: Final = {TokenState.QUARANTINED: "in quarantine", TokenState.LOCKED: "locked"}
