"""Why a caller may have something signed or not, step by step: pure. What the policy does not know is passed in."""

from collections.abc import Callable
from dataclasses import dataclass

from segeld.model.algorithm import Algorithm
from segeld.model.names import Alias, KeyName
from segeld.model.principal import Role
from segeld.policy.rules import ANY_ALGORITHM, Grants, Policy


@dataclass(frozen=True, slots=True)
class Explanation:
    allowed: bool
    steps: tuple[str, ...]
    """In the order in which they are looked at; the last one decided."""


def explain(
    policy: Policy,
    caller: str,
    key: KeyName | Alias | None,
    algorithm: Algorithm | None,
    *,
    revoked: str = "",
    barred: Callable[[KeyName], str] = lambda key: "",  # noqa: ARG005
) -> Explanation:
    """:param key: None for all that are granted.
    :param algorithm: None for all.
    :param revoked: a sentence, if the caller was revoked.
    :param barred: a sentence why nobody may use a key now; empty if they may.
    """
    return _Explaining(policy, caller, revoked, barred).of(key, algorithm)


class _Explaining:
    def __init__(self, policy: Policy, caller: str, revoked: str, barred: Callable[[KeyName], str]) -> None:
        self._policy = policy
        self._caller = caller
        self._revoked = revoked
        self._barred = barred
        self._steps: list[str] = []

    def of(self, key: KeyName | Alias | None, algorithm: Algorithm | None) -> Explanation:
        """Each way either says no, or goes one step further."""
        if not self._is_caller():
            return self._end(allowed=False)
        if self._revoked:
            self._say(self._revoked)
            return self._end(allowed=False)
        self._say(f"{self._caller} was not revoked.")
        keys = self._keys(key)
        if not keys and not (key is None and self._grants.on_every_key):
            return self._end(allowed=False)
        usable = [each for each in keys if self._is_usable(each, algorithm)]
        every = key is None and self._every_key(algorithm)
        if not usable and not every:
            return self._end(allowed=False)
        self._limits()
        self._say("Yes: it may, as far as the policy goes.")
        return self._end(allowed=True)

    @property
    def _grants(self) -> Grants:
        return self._policy.grants.get(self._caller, Grants())

    def _say(self, text: str) -> None:
        self._steps.append(text)

    def _end(self, *, allowed: bool) -> Explanation:
        return Explanation(allowed, tuple(self._steps))

    def _is_caller(self) -> bool:
        role = self._policy.role(self._caller)
        if role is Role.CALLER:
            self._say(f"{self._caller} is a caller, known by {', '.join(self._policy.sans(self._caller))}.")
            return True
        if role is None:
            self._say(f"Nobody in the policy is called {self._caller}.")
        else:
            self._say(f"{self._caller} is an {role}, and does not sign.")
        return False

    def _keys(self, key: KeyName | Alias | None) -> tuple[KeyName, ...]:
        """Those that are granted, with a word about those that are not."""
        if isinstance(key, KeyName):
            return (key,)
        if key is None:
            found = tuple(sorted(self._grants.by_key))
            if not found and not self._grants.on_every_key:
                self._say(f"{self._caller} has no grant at all.")
            return found
        keys = self._policy.aliases.get(key, ())
        if keys:
            self._say(f"{key} stands for {', '.join(map(str, keys))}.")
        else:
            self._say(f"{key} is not among the aliases.")
        return keys

    def _is_usable(self, key: KeyName, algorithm: Algorithm | None) -> bool:
        granted = self._policy.algorithms(self._caller, key)
        if not granted:
            self._say(f"No grant of {self._caller} names {key}, so to {self._caller} it does not exist.")
            return False
        through = "a grant that names it" if key in self._grants.by_key else 'a grant of every key ("*")'
        self._say(f"{key} is granted, by {through}: {_algorithms(granted)}.")
        if algorithm is not None and algorithm not in granted:
            self._say(f"{algorithm.name} is not granted on {key}.")
            return False
        if why := self._barred(key):
            self._say(why)
            return False
        asked = self._policy.approvers_for(self._caller, key)
        if asked:
            self._say(
                f"Jobs with {key} wait until {' or '.join(sorted(asked))} says yes; Sign and SignStream are refused."
            )
        return True

    def _every_key(self, algorithm: Algorithm | None) -> bool:
        granted = self._grants.on_every_key
        if not granted:
            return False
        self._say(f'Every other key is granted too ("*"): {_algorithms(granted)}.')
        if asked := self._grants.approvers_on_every_key:
            self._say(f"Jobs with them wait until {' or '.join(sorted(asked))} says yes.")
        if algorithm is not None and algorithm not in granted:
            self._say(f"{algorithm.name} is not granted on them.")
            return False
        return True

    def _limits(self) -> None:
        policy, caller = self._policy, self._caller
        if (rate := policy.rate(caller)) is not None:
            self._say(
                f"Sign and SignStream: at most {rate.per_second:g} signatures a second, {rate.burst} after a quiet time."
            )
        if (most := policy.at_once(caller)) is not None:
            self._say(f"Sign and SignStream: at most {most} inputs may wait.")
        self._say(
            f"Its work has weight {policy.weight(caller)} and at most priority "
            f"{policy.highest_priority(caller).name.lower()}."
        )


def _algorithms(algorithms: frozenset[Algorithm]) -> str:
    if algorithms == ANY_ALGORITHM:
        return "whatever it can do"
    return ", ".join(sorted(each.name for each in algorithms))
