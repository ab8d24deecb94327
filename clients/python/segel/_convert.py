"""Between messages and models: pure, and the only place that knows both."""

import datetime as dt
from typing import Final

from segel import models
from segel._algorithms import Algorithm
from segel.v1 import resources_pb2 as resources
from segel.v1 import signing_pb2 as signing
from segel.v1 import tokens_pb2 as tokens

_PREFIX: Final = "SIGNATURE_ALGORITHM_"
NUMBER_OF: Final = {
    algorithm: resources.SignatureAlgorithm.Value(_PREFIX + algorithm.value) for algorithm in Algorithm
}
ALGORITHM_OF: Final = {number: algorithm for algorithm, number in NUMBER_OF.items()}

# A number that this version does not know becomes UNKNOWN: a newer daemon must not break an older client.
_KEY_STATE: Final = {
    resources.Key.State.Value(f"STATE_{state.name}"): state
    for state in models.KeyState
    if state is not models.KeyState.UNKNOWN
}
_TOKEN_STATE: Final = {
    resources.Token.State.Value(f"STATE_{state.name}"): state
    for state in models.TokenState
    if state is not models.TokenState.UNKNOWN
}


def who_am_i(message: signing.WhoAmIResponse) -> models.WhoAmI:
    return models.WhoAmI(
        caller=message.caller,
        role=message.role,
        identity=message.identity,
        daemon_version=message.daemon_version,
    )


def key(message: resources.Key) -> models.Key:
    return models.Key(
        name=message.name,
        aliases=tuple(message.aliases),
        public_key=message.public_key,
        certificate_chain=tuple(message.certificate_chain),
        algorithms=tuple(ALGORITHM_OF[number] for number in message.algorithms if number in ALGORITHM_OF),
        state=_KEY_STATE.get(message.state, models.KeyState.UNKNOWN),
        state_reason=message.state_reason,
    )


def slots(message: tokens.ListSlotsResponse) -> models.Slots:
    return models.Slots(
        slots=tuple(_slot(slot) for slot in message.slots), unreachable=tuple(message.unreachable)
    )


def _slot(message: resources.Slot) -> models.Slot:
    return models.Slot(
        name=message.name,
        description=message.description,
        manufacturer=message.manufacturer,
        token=_slot_token(message.token) if message.HasField("token") else None,
    )


def _slot_token(message: resources.SlotToken) -> models.SlotToken:
    return models.SlotToken(
        label=message.label,
        serial=message.serial,
        manufacturer=message.manufacturer,
        model=message.model,
        flags=tuple(message.flags),
        token=message.token or None,
    )


def token(message: resources.Token) -> models.Token:
    return models.Token(
        name=message.name,
        state=_TOKEN_STATE.get(message.state, models.TokenState.UNKNOWN),
        state_reason=message.state_reason,
        state_time=(message.state_time.ToDatetime(tzinfo=dt.UTC) if message.HasField("state_time") else None),
        label=message.label,
        serial=message.serial,
        manufacturer=message.manufacturer,
        model=message.model,
        flags=tuple(message.flags),
        workers_ready=message.workers_ready,
        workers_configured=message.workers_configured,
        keys=tuple(_token_key(one) for one in message.keys),
        pin_source=message.pin_source,
        pin_tries=message.pin_tries,
        active_until=(
            message.active_until.ToDatetime(tzinfo=dt.UTC) if message.HasField("active_until") else None
        ),
        signatures_left=message.signatures_left if message.HasField("signatures_left") else None,
        waiting_items=message.waiting_items,
    )


def _token_key(message: resources.TokenKey) -> models.TokenKey:
    return models.TokenKey(
        name=message.name or None,
        key=message.key or None,
        label=message.label,
        id=message.id,
        kind=message.kind,
        unusable_reason=message.unusable_reason,
    )
