"""The policy file as it is written: `daemon/policy.example.toml` explains it to people."""

from typing import Annotated, Literal

from msgspec import Meta, field

from segeld.config.strict import Strict


class GrantTable(Strict, frozen=True):
    keys: tuple[str, ...]
    """`keys/{alias}`, `keys/sha256-…`, or `*` for every key there is."""
    algorithms: tuple[str, ...] | None = None
    """Names without the prefix of `segel.v1.SignatureAlgorithm`. None: whatever the key can do."""
    approval: tuple[str, ...] | None = None
    """Approvers, by name: the caller's jobs on these keys wait until one of them says yes. None: nobody is asked."""


class CallerTable(Strict, frozen=True):
    name: str
    sans: tuple[str, ...]
    """`uri:…`, `dns:…`, `email:…`, each compared octet by octet with the certificate's."""
    grants: tuple[GrantTable, ...] = ()
    weight: Annotated[int, Meta(ge=1, le=100)] = 1
    """Its share of a token's time, beside the weights of others at the same priority."""
    max_priority: Literal["interactive", "normal", "low"] = "interactive"
    """The highest that its work gets."""
    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    """Signatures a second that Sign and SignStream may ask for, on average. None: as many as the tokens make."""
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """How many of them at once after a quiet time. None: those of one second."""
    at_once: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Inputs of Sign and SignStream that may wait for their signatures. None: `limits.queue_per_caller`."""
    on_revoke: Literal["hold", "cancel"] = "hold"
    """What becomes of its jobs when it is revoked, or when what they ask for is not granted any more."""


class KeyTable(Strict, frozen=True):
    """What holds for a key, whoever uses it."""

    on_unknown: Literal["retry", "fail"] = "retry"
    """What becomes of an item whose worker was lost while it held it."""
    bulk: bool = False
    """Whether a key that asks for its PIN at every signature may be used by jobs."""
    without_certificate: Literal["allow", "refuse"] | None = None
    expired: Literal["allow", "refuse"] | None = None
    revoked: Literal["allow", "refuse"] | None = None
    """Whether the key signs if it has no certificate, or one that is over, or was revoked. None: as `defaults` says."""


class DefaultsTable(Strict, frozen=True):
    """What holds for keys of which nothing else is said."""

    without_certificate: Literal["allow", "refuse"] = "allow"
    expired: Literal["allow", "refuse"] = "allow"
    revoked: Literal["allow", "refuse"] = "allow"


class PersonTable(Strict, frozen=True):
    name: str
    sans: tuple[str, ...]


class PolicyTable(Strict, frozen=True):
    """The whole file."""

    two_person: bool = True
    """Whether what is dangerous needs two officers."""
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[str, KeyTable] = field(default_factory=dict)
    """By alias or by a key's own name, with or without `keys/`."""
    defaults: DefaultsTable = field(default_factory=DefaultsTable)
    callers: tuple[CallerTable, ...] = ()
    officers: tuple[PersonTable, ...] = ()
    auditors: tuple[PersonTable, ...] = ()
    approvers: tuple[PersonTable, ...] = ()
