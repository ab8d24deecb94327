"""Who may sign with what: pure questions to frozen answers. What is not granted is refused."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from segeld.model.algorithm import Algorithm
from segeld.model.faults import Fault, Reason
from segeld.model.names import Alias, KeyName
from segeld.model.principal import Principal, Role
from segeld.model.priority import Priority
from segeld.policy.key_options import LOOSE, KeyOptions

ANY_ALGORITHM = frozenset(Algorithm)
ATTEMPTS: Final = 3
"""How often an item is tried whose attempts end unknown."""


class Verdict(enum.Enum):
    """What the policy says to one caller about one key and one algorithm."""

    ALLOWED = enum.auto()
    KEY_HIDDEN = enum.auto()
    """No grant. To the caller the key does not exist."""
    ALGORITHM_DENIED = enum.auto()


@dataclass(frozen=True, slots=True)
class Grants:
    """All of one caller's grants, taken together: several for one key add up."""

    by_key: Mapping[KeyName, frozenset[Algorithm]] = field(default_factory=dict)
    on_every_key: frozenset[Algorithm] = frozenset()
    approvers: Mapping[KeyName, frozenset[str]] = field(default_factory=dict)
    """Who may say yes, by key; a key of `by_key` that is not here needs nobody's yes."""
    approvers_on_every_key: frozenset[str] = frozenset()
    """Of keys that are not in `by_key`."""

    def asked(self, key: KeyName) -> frozenset[str]:
        """Who may say yes to what is to be signed; empty: nobody is asked. A grant that names the key decides."""
        if key in self.by_key:
            return self.approvers.get(key, frozenset())
        return self.approvers_on_every_key

    def on(self, key: KeyName) -> frozenset[Algorithm]:
        """What may be asked of a key; empty if it is not granted."""
        return self.by_key.get(key, frozenset()) | self.on_every_key


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket of `burst` signatures that fills with `per_second`."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How one caller's work stands beside that of others."""

    weight: int = 1
    highest: Priority = Priority.INTERACTIVE
    rate: Rate | None = None
    at_once: int | None = None
    """Inputs of Sign and SignStream that may wait; None: as many as the configuration says."""
    cancelled: bool = False
    """Its jobs are cancelled when it is revoked; else they wait."""


_NOTHING = Grants()
_EQUAL = Standing()


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as a value: asked on every call, replaced as a whole."""

    principals: Mapping[str, Principal] = field(default_factory=dict)
    """By SAN; each belongs to exactly one."""
    aliases: Mapping[Alias, tuple[KeyName, ...]] = field(default_factory=dict)
    grants: Mapping[str, Grants] = field(default_factory=dict)
    """By the caller's name. Officers, auditors and approvers have none."""
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """By the caller's name."""
    tried_once: frozenset[KeyName] = frozenset()
    """Keys of which no attempt is repeated after one whose outcome is unknown."""
    options: Mapping[KeyName, KeyOptions] = field(default_factory=dict)
    """Of keys of which something is said."""
    default_options: KeyOptions = LOOSE
    """Of all others."""
    two_person: bool = True
    """Whether what is dangerous needs two officers."""

    def approvers_for(self, caller: str, key: KeyName) -> frozenset[str]:
        """Who may say yes to what the caller signs with the key; empty: nobody is asked."""
        return self.grants.get(caller, _NOTHING).asked(key)

    def keys(self) -> frozenset[KeyName]:
        """All that the policy names, by alias, grant or option."""
        granted = (grants.by_key for grants in self.grants.values())
        return frozenset().union(*self.aliases.values(), *granted, self.options)

    def options_of(self, key: KeyName) -> KeyOptions:
        return self.options.get(key, self.default_options)

    def bulk(self, key: KeyName) -> bool:
        """Whether jobs may use the key even if it asks for its PIN at every signature."""
        return self.options_of(key).bulk

    def rate(self, caller: str) -> Rate | None:
        """How fast the caller may ask for signatures; None: as fast as they are made."""
        return self.standings.get(caller, _EQUAL).rate

    def at_once(self, caller: str) -> int | None:
        """How many of its inputs may wait for their signatures; None: the policy does not say."""
        return self.standings.get(caller, _EQUAL).at_once

    def cancels(self, caller: str) -> bool:
        """Whether the caller's jobs are cancelled when it is revoked; else they wait."""
        return self.standings.get(caller, _EQUAL).cancelled

    def names(self, role: Role) -> tuple[str, ...]:
        """The principals of a role, in order."""
        return tuple(sorted({each.name for each in self.principals.values() if each.role is role}))

    def role(self, name: str) -> Role | None:
        """Of a principal, by its name; None if there is none."""
        return next((each.role for each in self.principals.values() if each.name == name), None)

    def sans(self, name: str) -> tuple[str, ...]:
        """A principal's names in certificates, in order."""
        return tuple(sorted(san for san, each in self.principals.items() if each.name == name))

    def principal(self, sans: Iterable[str]) -> Principal | None:
        """Who a certificate with these SANs is; None if it is nobody, or more than one."""
        found = [match for san in sans if (match := self.principals.get(san)) is not None]
        return found[0] if len({match.name for match in found}) == 1 else None

    def allows(self, caller: str, key: KeyName, algorithm: Algorithm) -> Verdict:
        granted = self.algorithms(caller, key)
        if not granted:
            return Verdict.KEY_HIDDEN
        return Verdict.ALLOWED if algorithm in granted else Verdict.ALGORITHM_DENIED

    def permits(self, caller: str, key: KeyName, algorithm: Algorithm) -> bool:
        """The same, for work that was accepted before."""
        return self.allows(caller, key, algorithm) is Verdict.ALLOWED

    def algorithms(self, caller: str, key: KeyName) -> frozenset[Algorithm]:
        """What the caller may ask of the key, whether or not the key can do it; empty: the key is hidden."""
        return self.grants.get(caller, _NOTHING).on(key)

    def resolve(self, alias: Alias, caller: str) -> tuple[KeyName, ...]:
        """The keys of an alias that are granted to the caller, in the policy's order; empty: it is hidden."""
        return self.visible_keys(caller, self.aliases.get(alias, ()))

    def visible_keys(self, caller: str, keys: Iterable[KeyName]) -> tuple[KeyName, ...]:
        """Those of `keys` that the caller may know of, in their order."""
        grants = self.grants.get(caller, _NOTHING)
        return tuple(key for key in keys if grants.on(key))

    def aliases_of(self, key: KeyName, caller: str) -> tuple[Alias, ...]:
        """The names of a key, in order, if the caller may know of it."""
        if not self.algorithms(caller, key):
            return ()
        return tuple(sorted(alias for alias, keys in self.aliases.items() if key in keys))

    def weight(self, caller: str) -> int:
        """The caller's share of a token's time, beside the weights of others."""
        return self.standings.get(caller, _EQUAL).weight

    def highest_priority(self, caller: str) -> Priority:
        """The highest priority that the caller's work gets, whatever it asks for."""
        return self.standings.get(caller, _EQUAL).highest

    def attempts(self, key: KeyName) -> int:
        """How many attempts with unknown outcome end an item of that key."""
        return 1 if key in self.tried_once else ATTEMPTS


def key_not_found() -> Fault:
    """The one answer for a key that is unknown and for one that is another's: it tells nothing, not even a name."""
    return Fault(Reason.KEY_NOT_FOUND, "No such key, or not granted to you.")


def algorithm_not_granted(algorithm: Algorithm, granted: Iterable[Algorithm]) -> Fault:
    names = ", ".join(sorted(each.name for each in granted))
    return Fault(
        Reason.ALGORITHM_NOT_GRANTED,
        f"Your grant on this key does not name {algorithm.name}; it names {names}.",
        algorithm=algorithm.name,
        granted=names,
    )
