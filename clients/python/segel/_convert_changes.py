"""Between messages of changes and models: pure."""

import datetime as dt
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from segel import models_changes as models
from segel.v1 import changes_pb2 as wire

# A number that this version does not know becomes UNKNOWN: a newer daemon must not break an older client.
_STATE: Final = {
    wire.Change.State.Value(f"STATE_{state.name}"): state
    for state in models.ChangeState
    if state is not models.ChangeState.UNKNOWN
}


def change(message: wire.Change) -> models.Change:
    return models.Change(
        name=message.name,
        state=_STATE.get(message.state, models.ChangeState.UNKNOWN),
        state_reason=message.state_reason,
        action=_action(message.action),
        summary=tuple(message.summary),
        action_hash=message.action_hash,
        requested_by=message.requested_by,
        decided_by=message.decided_by,
        create_time=_time(message, "create_time"),
        decide_time=_time(message, "decide_time"),
        end_time=_time(message, "end_time"),
        expire_time=_time(message, "expire_time"),
        secrets=tuple(message.secrets),
    )


def _action(message: wire.Action) -> models.Action | None:
    match message.WhichOneof("action"):
        case "initialize_token":
            asked = message.initialize_token
            return models.InitializeToken(asked.token, asked.slot, asked.label)
        case "unblock_pin":
            return models.UnblockPin(message.unblock_pin.token)
        case "destroy_key":
            return models.DestroyKey(message.destroy_key.key)
        case "enable_key":
            return models.EnableKey(message.enable_key.key)
        case "apply_policy":
            return models.ApplyPolicy(message.apply_policy.toml, message.apply_policy.base)
        case "unrevoke_caller":
            return models.UnrevokeCaller(message.unrevoke_caller.caller)
        case "adopt_log":
            return models.AdoptLog()
    return None


def action_message(action: models.Action) -> wire.Action:
    match action:
        case models.InitializeToken(token, slot, label):
            return wire.Action(initialize_token=wire.InitializeToken(token=token, slot=slot, label=label))
        case models.UnblockPin(token):
            return wire.Action(unblock_pin=wire.UnblockPin(token=token))
        case models.DestroyKey(key):
            return wire.Action(destroy_key=wire.DestroyKey(key=key))
        case models.EnableKey(key):
            return wire.Action(enable_key=wire.EnableKey(key=key))
        case models.ApplyPolicy(toml, base):
            return wire.Action(apply_policy=wire.ApplyPolicy(toml=toml, base=base))
        case models.UnrevokeCaller(caller):
            return wire.Action(unrevoke_caller=wire.UnrevokeCaller(caller=caller))
        case models.AdoptLog():
            return wire.Action(adopt_log=wire.AdoptLog())


def _time(message: wire.Change, field: str) -> dt.datetime | None:
    if not message.HasField(field):  # type: ignore[arg-type]  # a name of its own fields
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(dt.UTC)
