"""A change as a row, as facts and as a record."""

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from segel.models_changes import Change

_SECRETS: Final = {"so_pin": "SO PIN", "new_pin": "new PIN"}
COLUMNS: Final = ("CHANGE", "STATE", "ASKED BY", "UNTIL", "WHAT", "WHAT COMES NEXT")


def row(change: "Change") -> tuple[object, ...]:
    return (
        change.number,
        str(change.state),
        change.requested_by,
        moment(change.expire_time),
        change.summary[0] if change.summary else "",
        change.state_reason,
    )


def facts(change: "Change") -> dict[str, object]:
    shown: dict[str, object] = {
        "change": change.number,
        "state": str(change.state),
        "what": tuple(change.summary),
        "asked by": f"{change.requested_by}, {moment(change.create_time)}",
        "decided by": f"{change.decided_by}, {moment(change.decide_time)}" if change.decided_by else "",
        "until": moment(change.expire_time) if change.end_time is None else "",
        "ended": moment(change.end_time),
        "run with": " and ".join(_SECRETS.get(secret, secret) for secret in change.secrets),
        "hash": change.action_hash.hex(),
        "what comes next": change.state_reason,
    }
    return {name: value for name, value in shown.items() if value}


def summary(change: "Change") -> str:
    """One line for those who just did something with it."""
    return f"{change.name} is {change.state}. {change.state_reason}".rstrip()


def record(change: "Change") -> dict[str, Any]:
    return {
        "name": change.name,
        "state": str(change.state),
        "state_reason": change.state_reason,
        "kind": _kind(change),
        "summary": list(change.summary),
        "action_hash": change.action_hash.hex(),
        "requested_by": change.requested_by,
        "decided_by": change.decided_by,
        "create_time": _iso(change.create_time),
        "decide_time": _iso(change.decide_time),
        "end_time": _iso(change.end_time),
        "expire_time": _iso(change.expire_time),
        "secrets": list(change.secrets),
    }


def moment(time: dt.datetime | None) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M %Z}" if time else ""


def _iso(time: dt.datetime | None) -> str | None:
    return time.isoformat() if time else None


def _kind(change: "Change") -> str:
    """The action's name in `segel.v1.Action`."""
    name = type(change.action).__name__ if change.action is not None else "unknown"
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")
