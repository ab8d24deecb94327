"""The policy file as it is written: `daemon/policy.example.toml` explains it to people."""

from typing import Annotated, Literal

from msgspec import Meta, field

from segeld.config.strict import Strict


class GrantTable(Strict, frozen=True):
    keys: tuple[str, ...]
    """`keys/{alias}`, `keys/sha256-…`, or `*` for every key there is."""
    algorithms: tuple[str, ...] | None = None
    """Names without the prefix of `segel.v1.SignatureAlgorithm`. None: whatever the key can do."""


class CallerTable(Strict, frozen=True):
    name: str
    sans: tuple[str, ...]
    """`uri:…`, `dns:…`, `email:…`, each compared octet by octet with the certificate's."""
    grants: tuple[GrantTable, ...] = ()
    weight: Annotated[int, Meta(ge=1, le=100)] = 1
    """Its share of a token's time, beside the weights of others at the same priority."""
    max_priority: Literal["interactive", "normal", "low"] = "interactive"
    """The highest that its work gets."""


class KeyTable(Strict, frozen=True):
    """What holds for a key, whoever uses it."""

    on_unknown: Literal["retry", "fail"] = "retry"
    """What becomes of an item whose worker was lost while it held it."""


class PersonTable(Strict, frozen=True):
    name: str
    sans: tuple[str, ...]


class PolicyTable(Strict, frozen=True):
    """The whole file."""

    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[str, KeyTable] = field(default_factory=dict)
    """By alias or by a key's own name, with or without `keys/`."""
    callers: tuple[CallerTable, ...] = ()
    officers: tuple[PersonTable, ...] = ()
    auditors: tuple[PersonTable, ...] = ()
    approvers: tuple[PersonTable, ...] = ()
