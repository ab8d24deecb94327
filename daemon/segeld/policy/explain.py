"""Why a caller may have something signed or not, step by step: pure. What the policy does not know is passed in."""

from collections.abc import Callable
from dataclasses import dataclass

from segeld.model.algorithm import Algorithm
from segeld.model.counts import counted, fitting
from segeld.model.names import Alias, KeyName
from segeld.model.principal import Role
from segeld.policy import remedies
from segeld.policy.rules import ANY_ALGORITHM, Grants, Policy


@dataclass(frozen=True, slots=True)
class Explanation:
    allowed: bool
    steps: tuple[str, ...]
    """In the order in which they are looked at. The last one says yes, or no and what can be done."""


@dataclass(frozen=True, slots=True)
class Held:
    """A key as its tokens have it."""

    algorithms: frozenset[Algorithm] = ANY_ALGORITHM
    """What it can do."""
    idle: str = ""
    """Sentences, if nothing can be signed with it just now: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Barred:
    """Nobody may use a key, whatever is granted."""

    why: str
    remedy: str


def explain(
    policy: Policy,
    caller: str,
    key: KeyName | Alias | None,
    algorithm: Algorithm | None,
    *,
    revoked: str = "",
    barred: Callable[[KeyName], Barred | None] = lambda key: None,  # noqa: ARG005
    held: Callable[[KeyName], Held | None] = lambda key: Held(),  # noqa: ARG005
) -> Explanation:
    """:param key: None for all that are granted.
    :param algorithm: None for all.
    :param revoked: a sentence, if the caller was revoked.
    :param barred: None if a key may be used.
    :param held: None if no token holds the key.
    """
    return _Explaining(policy, caller, revoked, barred, held).of(key, algorithm)


class _Explaining:
    def __init__(
        self,
        policy: Policy,
        caller: str,
        revoked: str,
        barred: Callable[[KeyName], Barred | None],
        held: Callable[[KeyName], Held | None],
    ) -> None:
        self._policy = policy
        self._caller = caller
        self._revoked = revoked
        self._barred = barred
        self._held = held
        self._steps: list[str] = []
        self._remedies: dict[str, None] = {}
        """In the order in which they were found."""

    def of(self, key: KeyName | Alias | None, algorithm: Algorithm | None) -> Explanation:
        """Each way either says no, or goes one step further."""
        if not self._is_caller() or self._is_revoked():
            return self._no()
        keys = self._keys(key)
        usable = [each for each in keys if self._is_usable(each, algorithm)]
        every = key is None and self._every_key(algorithm, besides=bool(keys))
        if not usable and not every:
            return self._no()
        self._limits()
        return self._yes(usable, every=every)

    def _no(self) -> Explanation:
        self._say(" ".join(["No: it may not.", *self._remedies]))
        return Explanation(allowed=False, steps=tuple(self._steps))

    def _yes(self, usable: list[KeyName], *, every: bool) -> Explanation:
        idle = [found.idle for each in usable if (found := self._held(each)) is not None and found.idle]
        if every or len(idle) < len(usable):
            self._say("Yes: it may.")
        else:
            self._say(f"Yes, it may; but just now nothing is signed: {' '.join(dict.fromkeys(idle))}")
        return Explanation(allowed=True, steps=tuple(self._steps))

    @property
    def _grants(self) -> Grants:
        return self._policy.grants.get(self._caller, Grants())

    def _say(self, text: str, remedy: str = "") -> None:
        self._steps.append(text)
        if remedy:
            self._remedies[remedy] = None

    def _is_caller(self) -> bool:
        role = self._policy.role(self._caller)
        if role is Role.CALLER:
            self._say(f"{self._caller} is a caller, known by {', '.join(self._policy.sans(self._caller))}.")
            return True
        if role is None:
            names = sorted(self._policy.grants)
            self._say(
                f"Nobody in the policy is called {self._caller}.", remedies.see_callers(self._caller, names)
            )
        else:
            self._say(f"{self._caller} is an {role}, and does not sign.", remedies.see_callers("", ()))
        return False

    def _is_revoked(self) -> bool:
        if self._revoked:
            self._say(self._revoked, remedies.let_in(self._caller))
        else:
            self._say(f"{self._caller} was not revoked.")
        return bool(self._revoked)

    def _keys(self, key: KeyName | Alias | None) -> tuple[KeyName, ...]:
        """Those that are granted, with a word about those that are not."""
        if isinstance(key, KeyName):
            return (key,)
        if key is None:
            found = tuple(sorted(self._grants.by_key))
            if not found and not self._grants.on_every_key:
                self._say(f"{self._caller} has no grant at all.", remedies.grant_anything(self._caller))
            return found
        keys = self._policy.aliases.get(key, ())
        if keys:
            self._say(f"{key} stands for {', '.join(map(str, keys))}.")
        else:
            aliases = [str(alias) for alias in self._policy.aliases]
            self._say(f"{key} is not among the aliases.", remedies.see_keys(str(key), aliases))
        return keys

    def _is_usable(self, key: KeyName, algorithm: Algorithm | None) -> bool:
        return self._is_granted(key, algorithm) and self._can(key, algorithm) and self._is_open(key)

    def _is_granted(self, key: KeyName, algorithm: Algorithm | None) -> bool:
        granted = self._policy.algorithms(self._caller, key)
        if not granted:
            self._say(
                f"No grant of {self._caller} names {key}, so to {self._caller} it does not exist.",
                remedies.grant(self._caller, str(key)),
            )
            return False
        through = "a grant that names it" if key in self._grants.by_key else 'a grant of every key ("*")'
        self._say(f"{key} is granted, by {through}: {_algorithms(granted)}.")
        if algorithm is not None and algorithm not in granted:
            self._say(f"{algorithm.name} is not granted on {key}.", remedies.grant_algorithm(algorithm.name))
            return False
        return True

    def _can(self, key: KeyName, algorithm: Algorithm | None) -> bool:
        """Whether it is there, and can do what is asked; of all that is asked if no algorithm is named, something."""
        found = self._held(key)
        if found is None:
            self._say(f"No token that was looked at holds {key}.", remedies.look_for_token())
            return False
        granted = self._policy.algorithms(self._caller, key)
        if found.algorithms & granted and (algorithm is None or algorithm in found.algorithms):
            return True
        if not found.algorithms:
            self._say(f"{key} is of a kind that segel does not sign with.", remedies.see_keys("", ()))
            return False
        what = _algorithms(granted) if algorithm is None else algorithm.name
        can = sorted(each.name for each in found.algorithms)
        self._say(f"{key} cannot do {what}.", remedies.another_algorithm(can))
        return False

    def _is_open(self, key: KeyName) -> bool:
        barred = self._barred(key)
        if barred is not None:
            self._say(barred.why, barred.remedy)
            return False
        asked = self._policy.approvers_for(self._caller, key)
        if asked:
            self._say(
                f"Jobs with {key} wait until {' or '.join(sorted(asked))} says yes; Sign and SignStream are refused."
            )
        return True

    def _every_key(self, algorithm: Algorithm | None, *, besides: bool) -> bool:
        granted = self._grants.on_every_key
        if not granted:
            return False
        which = "Every other key is granted too" if besides else "Every key is granted"
        self._say(f'{which} ("*"): {_algorithms(granted)}.')
        if asked := self._grants.approvers_on_every_key:
            self._say(f"Jobs with them wait until {' or '.join(sorted(asked))} says yes.")
        if algorithm is not None and algorithm not in granted:
            self._say(f"{algorithm.name} is not granted on them.", remedies.grant_algorithm(algorithm.name))
            return False
        return True

    def _limits(self) -> None:
        policy, caller = self._policy, self._caller
        if (rate := policy.rate(caller)) is not None:
            self._say(
                f"Sign and SignStream: at most {rate.per_second:g} {fitting(rate.per_second, 'signature')} a second, {rate.burst} after a quiet time."
            )
        if (most := policy.at_once(caller)) is not None:
            self._say(f"Sign and SignStream: at most {counted(most, 'input')} may wait.")
        self._say(
            f"Its work has weight {policy.weight(caller)} and at most priority "
            f"{policy.highest_priority(caller).name.lower()}."
        )


def _algorithms(algorithms: frozenset[Algorithm]) -> str:
    if algorithms == ANY_ALGORITHM:
        return "whatever it can do"
    return ", ".join(sorted(each.name for each in algorithms))
