"""How the daemon stands, of what it told: what signs, what does not, and what an officer has to do. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from segel.cli.exit_codes import ExitCode
from segeld.ctl.key_view import labels_of
from segeld.ctl.policy_aliases import aliases_of

if TYPE_CHECKING:
    from segel.models import Token
    from segel.models_changes import Changes
    from segel.models_keys import ManagedKey
    from segel.models_policy import Policy
    from segel.officer_log import LogState

_ON_ITS_WAY: Final = frozenset({"starting", "recovering"})


@dataclass(frozen=True)
class Standing:
    """What was told, each as it was when it was asked for."""

    target: str
    tokens: tuple["Token", ...]
    trouble: str
    """Why nothing is signed although tokens can; empty if all is well."""
    policy: "Policy"
    changes: "Changes"
    log: "LogState"
    keys: tuple["ManagedKey", ...]
    beside: tuple[str, ...] = field(default=())
    """Sentences on what is of no key."""

    # --- tokens

    @property
    def active(self) -> int:
        return sum(token.state == "active" for token in self.tokens)

    @property
    def waiting(self) -> frozenset[str]:
        """The states of tokens that do not sign."""
        return frozenset(str(token.state) for token in self.tokens if token.state != "active")

    # --- keys

    @cached_property
    def cannot_sign(self) -> tuple["ManagedKey", ...]:
        """Whatever their tokens can: ambiguous, refused by the policy, or disabled."""
        return tuple(key for key in self.keys if key.disable_time or key.key.state == "unusable")

    @cached_property
    def can_sign(self) -> tuple["ManagedKey", ...]:
        """Once one of their tokens is there."""
        return tuple(key for key in self.keys if key not in self.cannot_sign)

    @property
    def active_keys(self) -> int:
        return sum(key.key.state == "active" for key in self.can_sign)

    def nameless(self) -> Iterator[str]:
        """Private keys that cannot be used or asked for, as nobody knows what they are: a sentence each."""
        for token in self.tokens:
            for key in token.keys:
                if key.key is None:
                    yield f"{token.name}: {key.label or key.id.hex()}: {key.unusable_reason}"

    @cached_property
    def dead_aliases(self) -> Mapping[str, str]:
        """Aliases of which no key signs, whatever tokens do, and why."""
        able = {key.key.name for key in self.can_sign}
        seen = {key.key.name for key in self.keys}
        found = {}
        for alias, keys in aliases_of(self.policy.toml).items():
            if not keys & seen:
                found[alias] = "none of its keys is on a token that was seen."
            elif not keys & able:
                found[alias] = "none of its keys can sign."
        return found

    # --- the whole

    def why_not(self) -> tuple[str, ...]:
        """Why nothing is signed, a sentence each; empty if something is."""
        said = [self.trouble] if self.trouble else []
        if not self.tokens:
            said.append("No token is configured.")
        elif not self.active:
            said.append("No token is active.")
        elif not self.active_keys:
            said.append("No key can sign." if self.keys else "No key is on a token that is active.")
        return tuple(said)

    def code(self) -> ExitCode:
        """What needs somebody comes before what passes."""
        if not self.tokens or not self.waiting <= _ON_ITS_WAY or self._keys_need_somebody():
            return ExitCode.OFFICER_NEEDED
        return ExitCode.TRY_LATER if self.waiting or self.trouble else ExitCode.OK

    def _keys_need_somebody(self) -> bool:
        """What an officer disabled on purpose needs nobody, unless nothing else is there in its place."""
        if any(key.disable_time is None for key in self.cannot_sign):
            return True
        if self.waiting:  # what tokens hold that are not there yet is not known
            return False
        return bool(self.dead_aliases) or not self.can_sign


def named(key: "ManagedKey") -> str:
    """As people know it: by its aliases, or else by its label, and by its name."""
    called = ", ".join(key.key.aliases or labels_of(key))
    return f"{called} ({key.key.name})" if called else key.key.name


def witness_said(log: "LogState") -> str:
    if not log.witnessed:
        return "The audit log has no witness: nobody notices if all of it is put back ([audit.witness])."
    if log.witness_age < 0:
        return "The audit log's witness has not been given a checkpoint since the daemon was started."
    return f"The audit log's newest checkpoint was witnessed {log.witness_age:.0f} s ago."
