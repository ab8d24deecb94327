"""Which key a caller means, and what it may ask of it. Whatever is not granted looks like what is not there."""

from collections.abc import Iterable, Mapping
from typing import Final

from segel.v1 import resources_pb2
from segeld.model.algorithm import Algorithm, algorithms_for
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import Alias, KeyName
from segeld.model.token_state import TokenState
from segeld.policy import Policy, Verdict, algorithm_not_granted, key_not_found
from segeld.rpc import convert
from segeld.rpc.ports import Inventory

_WHY: Final[Mapping[TokenState, str]] = {
    TokenState.ACTIVE: "{} is ready",
    TokenState.ABSENT: "{} is in no slot",
    TokenState.INACTIVE: "{} waits for an officer's PIN",
    TokenState.STARTING: "{} is being started",
    TokenState.RECOVERING: "{} is being recovered",
    TokenState.LOCKED: "{} is locked and needs an officer",
    TokenState.QUARANTINED: "{} is in quarantine and needs an officer",
    TokenState.FAILED: "{} has failed and needs an officer",
}


def choose(policy: Policy, inventory: Inventory, caller: str, name: KeyName | Alias) -> KeyRecord:
    """The key of that name; of an alias the first that can sign, else the first that is there.

    :raises Fault: KEY_NOT_FOUND, the very same for a key that is unknown and for one that is not granted;
        TOKEN_RECOVERING for one that is granted and may be on a token that is not started yet.
    """
    names = policy.resolve(name, caller) if isinstance(name, Alias) else policy.visible_keys(caller, (name,))
    records = [record for each in names if (record := inventory.key(each)) is not None]
    if not records:
        if names and any(token.state is TokenState.STARTING for token in inventory.tokens()):
            raise Fault(
                Reason.TOKEN_RECOVERING,
                f"{name} is not found yet: tokens are being started; try again.",
                key=str(name),
            )
        raise key_not_found()
    return next((record for record in records if record.active), records[0])


def allow(policy: Policy, caller: str, record: KeyRecord, algorithm: Algorithm) -> None:
    """Whether the caller may have that from a key it can see.

    :raises Fault: KEY_NOT_FOUND, KEY_AMBIGUOUS, KEY_UNUSABLE, ALGORITHM_NOT_SUPPORTED, ALGORITHM_NOT_GRANTED.
    """
    verdict = policy.allows(caller, record.name, algorithm)
    if verdict is Verdict.KEY_HIDDEN:
        raise key_not_found()
    if record.unusable is not None:
        raise Fault(record.unusable, record.trouble, key=str(record.name))
    able = _able(record)
    if algorithm not in able:
        names = ", ".join(each.name for each in able)
        raise Fault(
            Reason.ALGORITHM_NOT_SUPPORTED,
            f"A key of kind {record.kind} cannot sign {algorithm.name}; it can {names}.",
            field="algorithm",
            algorithm=algorithm.name,
            supported=names,
        )
    if verdict is Verdict.ALGORITHM_DENIED:
        raise algorithm_not_granted(algorithm, policy.algorithms(caller, record.name))


def to_message(policy: Policy, caller: str, record: KeyRecord) -> resources_pb2.Key:
    """A key as its caller sees it."""
    granted = policy.algorithms(caller, record.name)
    state, why = _state(record)
    return resources_pb2.Key(
        name=str(record.name),
        aliases=[str(alias) for alias in policy.aliases_of(record.name, caller)],
        public_key=record.public_key,
        certificate_chain=record.chain,
        algorithms=[convert.to_number(each) for each in _able(record) if each in granted],
        state=state,
        state_reason=why,
    )


def whole_message(record: KeyRecord, aliases: Iterable[str]) -> resources_pb2.Key:
    """A key as officers see it: with all that it can do, whoever may ask for it."""
    state, why = _state(record)
    return resources_pb2.Key(
        name=str(record.name),
        aliases=aliases,
        public_key=record.public_key,
        certificate_chain=record.chain,
        algorithms=[convert.to_number(each) for each in _able(record)],
        state=state,
        state_reason=why,
    )


def _able(record: KeyRecord) -> tuple[Algorithm, ...]:
    return algorithms_for(record.kind) if record.kind is not None else ()


def _state(record: KeyRecord) -> tuple[resources_pb2.Key.State.ValueType, str]:
    if record.unusable is not None:
        return resources_pb2.Key.STATE_UNUSABLE, record.trouble
    if record.active:
        return resources_pb2.Key.STATE_ACTIVE, ""
    why = "; ".join(_WHY[state].format(f"token {token.word}") for token, state in record.tokens)
    return resources_pb2.Key.STATE_UNAVAILABLE, (why or "no token that holds it is there") + "."
