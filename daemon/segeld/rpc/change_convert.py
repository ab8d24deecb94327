"""Changes and their actions as messages, and back: pure."""

import re
from typing import Final

from segel.v1 import changes_pb2
from segeld.model.names import BadName, KeyName
from segeld.office.actions import (
    Action,
    AdoptLog,
    ApplyPolicy,
    DestroyKey,
    EnableKey,
    InitializeToken,
    UnblockPin,
    UnrevokeCaller,
    kind,
)
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import Change, ChangeState
from segeld.rpc import convert

_SLOT: Final = re.compile(r"modules/[^/]{1,63}/slots/[0-9]{1,20}")
_LABEL: Final = 32
"""Octets of a token's label in PKCS #11."""
_HASH: Final = 32


def action_of(message: changes_pb2.Action) -> Action:
    """What is asked for, in its form: whether it can be done its executor says.

    :raises Fault: FIELD_INVALID.
    """
    match message.WhichOneof("action"):
        case "initialize_token":
            return _initialize(message.initialize_token)
        case "unblock_pin":
            return UnblockPin(str(convert.token_name(message.unblock_pin.token, "action.unblock_pin.token")))
        case "destroy_key":
            return DestroyKey(_key(message.destroy_key.key, "action.destroy_key.key"))
        case "enable_key":
            return EnableKey(_key(message.enable_key.key, "action.enable_key.key"))
        case "apply_policy":
            wanted = message.apply_policy
            if len(wanted.base) not in {0, _HASH}:
                raise convert.invalid("action.apply_policy.base", f"is not the {_HASH} octets of a SHA-256")
            return ApplyPolicy(wanted.toml, wanted.base)
        case "unrevoke_caller":
            convert.check_name_length(message.unrevoke_caller.caller, "action.unrevoke_caller.caller")
            if not message.unrevoke_caller.caller:
                raise convert.invalid("action.unrevoke_caller.caller", "is missing")
            return UnrevokeCaller(message.unrevoke_caller.caller)
        case "adopt_log":
            return AdoptLog()
        case _:
            raise convert.invalid("action", "is missing, or not known to this daemon")


def _initialize(wanted: changes_pb2.InitializeToken) -> InitializeToken:
    token = convert.token_name(wanted.token, "action.initialize_token.token")
    if wanted.slot and not _SLOT.fullmatch(wanted.slot):
        raise convert.invalid("action.initialize_token.slot", "is not modules/{module}/slots/{slot id}")
    if len(wanted.label.encode()) > _LABEL:
        raise convert.invalid("action.initialize_token.label", f"is longer than {_LABEL} octets")
    if not wanted.label.isprintable():
        raise convert.invalid("action.initialize_token.label", "has characters that cannot be printed")
    return InitializeToken(str(token), wanted.slot, wanted.label)


def _key(text: str, field: str) -> str:
    convert.check_name_length(text, field)
    try:
        return str(KeyName.parse(text))
    except BadName as error:
        raise convert.invalid(field, str(error)) from None


def _action_message(action: Action, *, brief: bool) -> changes_pb2.Action:
    message = changes_pb2.Action()
    match action:
        case InitializeToken():
            message.initialize_token.MergeFrom(
                changes_pb2.InitializeToken(
                    token=action.token, slot=action.slot, label=action.label, serial=action.serial
                )
            )
        case UnblockPin():
            message.unblock_pin.MergeFrom(changes_pb2.UnblockPin(token=action.token, serial=action.serial))
        case DestroyKey():
            message.destroy_key.key = action.key
        case EnableKey():
            message.enable_key.MergeFrom(changes_pb2.EnableKey(key=action.key, disabled=action.disabled))
        case ApplyPolicy():
            message.apply_policy.MergeFrom(
                changes_pb2.ApplyPolicy(
                    toml="" if brief else action.toml, base=action.base, number=action.number
                )
            )
        case UnrevokeCaller():
            message.unrevoke_caller.MergeFrom(
                changes_pb2.UnrevokeCaller(caller=action.caller, revoked=action.revoked)
            )
        case AdoptLog():
            message.adopt_log.seen = action.seen
    getattr(message, kind(action)).SetInParent()
    return message


def change_message(desk: ChangeDesk, change: Change, *, brief: bool = False) -> changes_pb2.Change:
    """:param brief: without the text of a policy and with the first line of the summary alone, for lists."""
    summary = change.summary[:1] if brief else change.summary
    message = changes_pb2.Change(
        name=change.name if change.number else "",
        state=_STATES[change.state],
        state_reason=desk.next_step(change) if change.number else "",
        action=_action_message(change.action, brief=brief),
        summary=summary,
        action_hash=change.hash,
        requested_by=change.asked.name,
        decided_by=change.decided.name if change.decided else "",
        secrets=desk.secrets(change.action),
    )
    message.create_time.FromMicroseconds(round(change.asked_at * 1e6))
    message.expire_time.FromMicroseconds(round(change.expires_at * 1e6))
    if change.decided_at is not None:
        message.decide_time.FromMicroseconds(round(change.decided_at * 1e6))
    if change.ended_at is not None:
        message.end_time.FromMicroseconds(round(change.ended_at * 1e6))
    return message


_STATES = {state: changes_pb2.Change.State.Value(f"STATE_{state.name}") for state in ChangeState}
