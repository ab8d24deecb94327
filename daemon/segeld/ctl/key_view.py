"""A key as a row, as facts and as a record."""

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel.models_keys import ManagedKey

COLUMNS: Final = ("KEY", "ALIASES", "STATE", "CERTIFICATE UNTIL", "TO KNOW")


def row(key: "ManagedKey") -> tuple[object, ...]:
    until = f"{key.not_after:%Y-%m-%d}" if key.not_after else ""
    known = " ".join([*filter(None, [_csr(key)]), *key.warnings])
    return key.key.name, ",".join(key.key.aliases), _state(key), until, known or key.key.state_reason


def facts(key: "ManagedKey") -> dict[str, object]:
    shown: dict[str, object] = {
        "name": key.key.name,
        "aliases": ", ".join(key.key.aliases),
        "state": _state(key),
        "why": key.key.state_reason,
        "algorithms": ", ".join(key.key.algorithms),
        "disabled": f"{key.disable_time:%Y-%m-%d %H:%M UTC} by {key.disabled_by}" if key.disable_time else "",
        "request": _csr(key),
        "certificate": key.subject,
        "issued by": key.issuer,
        "valid": f"{key.not_before:%Y-%m-%d} to {key.not_after:%Y-%m-%d}"
        if key.not_before and key.not_after
        else "",
        "revocation": key.revocation,
        "callers": ", ".join(key.callers),
    }
    for place in key.places:
        shown[f"on {place.token}"] = f"{place.label} (id {place.id.hex()})"
    if key.warnings:
        shown["to know"] = " ".join(key.warnings)
    return {name: value for name, value in shown.items() if value}


def record(key: "ManagedKey") -> dict[str, Any]:
    return {
        "name": key.key.name,
        "aliases": list(key.key.aliases),
        "state": str(key.key.state),
        "state_reason": key.key.state_reason,
        "algorithms": list(key.key.algorithms),
        "places": [{"token": each.token, "label": each.label, "id": each.id.hex()} for each in key.places],
        "disable_time": _iso(key.disable_time),
        "disabled_by": key.disabled_by,
        "csr_time": _iso(key.csr_time),
        "not_before": _iso(key.not_before),
        "not_after": _iso(key.not_after),
        "subject": key.subject,
        "issuer": key.issuer,
        "revocation": key.revocation,
        "warnings": list(key.warnings),
        "callers": list(key.callers),
    }


def _state(key: "ManagedKey") -> str:
    return "disabled" if key.disable_time else str(key.key.state)


def _csr(key: "ManagedKey") -> str:
    return f"CSR made {ago(key.csr_time, dt.datetime.now(dt.UTC))}." if key.csr_time else ""


def ago(then: dt.datetime, now: dt.datetime) -> str:
    """Such as `3 days ago`."""
    days = (now - then).days
    if days < 1:
        return "today"
    return f"{counted(days, 'day')} ago"


def _iso(time: dt.datetime | None) -> str | None:
    return time.isoformat() if time else None
