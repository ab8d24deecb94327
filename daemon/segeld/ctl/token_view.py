"""A token as a row, as facts and as a record."""

from typing import TYPE_CHECKING, Any, Final

from segeld.ctl.token_limits import said
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel.models import Token

COLUMNS: Final = ("NAME", "STATE", "KEYS", "WORKERS", "SINCE", "WHAT TO DO")


def row(token: "Token") -> tuple[object, ...]:
    return (
        token.name,
        str(token.state),
        len(token.keys),
        f"{token.workers_ready}/{token.workers_configured}",
        _since(token),
        token.state_reason,
    )


def facts(token: "Token") -> dict[str, object]:
    shown: dict[str, object] = {
        "name": token.name,
        "state": str(token.state),
        "what to do": token.state_reason,
        "since": _since(token),
        "label": token.label,
        "serial": token.serial,
        "made by": " ".join(filter(None, (token.manufacturer, token.model))),
        "flags": ", ".join(flag.removeprefix("CKF_") for flag in token.flags),
        "workers": f"{token.workers_ready} of {token.workers_configured} ready",
        "PIN from": token.pin_source,
        "PIN tries": token.pin_tries,
        "active": said(token).removeprefix(", "),
        "waiting": counted(token.waiting_items, "item") if token.waiting_items else "",
    }
    for key in token.keys:
        name = f"key {key.label}" if key.label and f"key {key.label}" not in shown else f"key {key.id.hex()}"
        shown[name] = ", ".join(filter(None, (key.kind, key.key, key.unusable_reason)))
    return {name: value for name, value in shown.items() if value}


def summary(token: "Token") -> str:
    """One line for those who just activated it."""
    keys = counted(len(token.keys), "key")
    line = (
        f"{token.name} is {token.state}: {token.workers_ready} of {token.workers_configured} workers, {keys}"
        f"{said(token)}"
    )
    return f"{line}. {token.state_reason}" if token.state_reason else line


def record(token: "Token") -> dict[str, Any]:
    return {
        "name": token.name,
        "state": str(token.state),
        "state_reason": token.state_reason,
        "state_time": token.state_time.isoformat() if token.state_time else None,
        "label": token.label,
        "serial": token.serial,
        "manufacturer": token.manufacturer,
        "model": token.model,
        "flags": list(token.flags),
        "workers_ready": token.workers_ready,
        "workers_configured": token.workers_configured,
        "pin_source": token.pin_source,
        "pin_tries": token.pin_tries,
        "active_until": token.active_until.isoformat() if token.active_until else None,
        "signatures_left": token.signatures_left,
        "waiting_items": token.waiting_items,
        "keys": [
            {
                "name": key.name,
                "key": key.key,
                "label": key.label,
                "id": key.id.hex(),
                "kind": key.kind,
                "unusable_reason": key.unusable_reason,
            }
            for key in token.keys
        ],
    }


def _since(token: "Token") -> str:
    return f"{token.state_time.astimezone():%Y-%m-%d %H:%M:%S %Z}" if token.state_time else ""
