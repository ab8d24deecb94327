"""A key as a row, as facts and as a record."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from segel.cli.beginnings import shortened
from segel.cli.output import plain
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel.models_keys import ManagedKey

_WIDE: Final = ("ALIASES", "LABEL", "KIND", "STATE", "KEY", "CERTIFICATE UNTIL", "TO KNOW")
_NARROW: Final = ("ALIAS", "LABEL", "KIND", "STATE", "KEY", "TO KNOW")
_ROOM: Final = 12
"""Columns for a label, which is cut: no command takes it. Names and aliases are copied, and are not."""


def row(key: "ManagedKey") -> tuple[object, ...]:
    """For programs."""
    until = f"{key.not_after:%Y-%m-%d}" if key.not_after else ""
    aliases, labels = ",".join(key.key.aliases), ",".join(labels_of(key))
    return key.key.name, aliases, _state(key), key.kind, until, _to_know(key), labels


def rows_for_people(
    keys: Sequence["ManagedKey"], *, wide: bool
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Columns, and a row for each key, ordered by alias."""
    ordered = sorted(keys, key=lambda each: (not each.key.aliases, each.key.aliases, each.key.name))
    if wide:
        return _WIDE, [_wide(key) for key in ordered]
    short = shortened([key.key.name for key in ordered])
    return _NARROW, [
        (
            _first(key.key.aliases),
            _cut(labels_of(key)),
            key.kind or "-",
            _state(key),
            short[key.key.name],
            " ".join(filter(None, ["CHAIN GAP." if key.chain_gap else "", _to_know(key)])),
        )
        for key in ordered
    ]


def _wide(key: "ManagedKey") -> tuple[object, ...]:
    name, aliases, state, kind, until, known, labels = row(key)
    return aliases or "-", labels or "-", kind or "-", state, name, until or "-", known


def _first(aliases: Sequence[str]) -> str:
    more = f" +{len(aliases) - 1}" if len(aliases) > 1 else ""
    return f"{aliases[0].removeprefix('keys/')}{more}" if aliases else "-"


def _cut(words: Sequence[str]) -> str:
    text = plain(",".join(words)) or "-"
    return text if len(text) <= _ROOM else f"{text[: _ROOM - 1]}…"


def labels_of(key: "ManagedKey") -> tuple[str, ...]:
    """Those that it has on its tokens, each once."""
    return tuple(dict.fromkeys(place.label for place in key.places if place.label))


def _to_know(key: "ManagedKey") -> str:
    """Why it cannot sign comes first."""
    return " ".join(filter(None, [key.key.state_reason, _csr(key), *key.warnings]))


def facts(key: "ManagedKey") -> dict[str, object]:
    shown: dict[str, object] = {
        "name": key.key.name,
        "aliases": ", ".join(key.key.aliases),
        "state": _state(key),
        "why": key.key.state_reason,
        "kind": key.kind,
        "algorithms": ", ".join(key.key.algorithms),
        "disabled": f"{key.disable_time:%Y-%m-%d %H:%M UTC} by {key.disabled_by}: {key.disable_reason}"
        if key.disable_time
        else "",
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
        "kind": key.kind,
        "algorithms": list(key.key.algorithms),
        "places": [{"token": each.token, "label": each.label, "id": each.id.hex()} for each in key.places],
        "disable_time": _iso(key.disable_time),
        "disabled_by": key.disabled_by,
        "disable_reason": key.disable_reason,
        "csr_time": _iso(key.csr_time),
        "not_before": _iso(key.not_before),
        "not_after": _iso(key.not_after),
        "subject": key.subject,
        "issuer": key.issuer,
        "revocation": key.revocation,
        "warnings": list(key.warnings),
        "chain_gap": key.chain_gap,
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
