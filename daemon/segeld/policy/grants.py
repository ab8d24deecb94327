"""One caller's grants as they are read: several for one key add up, but must agree on who approves."""

from collections.abc import Callable

from segeld.model.algorithm import Algorithm
from segeld.model.names import KeyName
from segeld.policy.rules import Grants

Fault = Callable[[str, str], None]
"""Takes the key of the file and what is wrong there."""


class GrantBook:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._by_key: dict[KeyName, frozenset[Algorithm]] = {}
        self._on_every_key: frozenset[Algorithm] = frozenset()
        self._asked: dict[KeyName | None, tuple[str, frozenset[str]]] = {}
        """Where it was said who approves, and who; None stands for every key."""

    def key(self, at: str, key: KeyName, algorithms: frozenset[Algorithm], approvers: frozenset[str]) -> None:
        self._agree(at, key, approvers)
        self._by_key[key] = self._by_key.get(key, frozenset()) | algorithms

    def every_key(self, at: str, algorithms: frozenset[Algorithm], approvers: frozenset[str]) -> None:
        self._agree(at, None, approvers)
        self._on_every_key |= algorithms

    def _agree(self, at: str, key: KeyName | None, approvers: frozenset[str]) -> None:
        where, before = self._asked.setdefault(key, (at, approvers))
        if before != approvers:
            what = "every key" if key is None else str(key)
            self._fault(
                at,
                f"contradicts {where}: {what} is granted with {_who(approvers)} here, with {_who(before)} there; say "
                "the same in both, or take one out",
            )

    def grants(self) -> Grants:
        return Grants(
            self._by_key,
            self._on_every_key,
            {key: who for key, (_, who) in self._asked.items() if key is not None and who},
            self._asked.get(None, ("", frozenset[str]()))[1],
        )


def _who(approvers: frozenset[str]) -> str:
    return f"approval by {' or '.join(sorted(approvers))}" if approvers else "no approval"
