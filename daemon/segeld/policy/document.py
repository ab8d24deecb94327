"""The policy file as it is written: `daemon/policy.example.toml` explains it to people."""

from msgspec import field

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


class PersonTable(Strict, frozen=True):
    name: str
    sans: tuple[str, ...]


class PolicyTable(Strict, frozen=True):
    """The whole file."""

    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    callers: tuple[CallerTable, ...] = ()
    officers: tuple[PersonTable, ...] = ()
    auditors: tuple[PersonTable, ...] = ()
    approvers: tuple[PersonTable, ...] = ()
