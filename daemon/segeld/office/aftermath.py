"""What officers decided after a backup, as the log has it: in net effect, the last act on each of them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from segeld.audit.leaf import Act

MOST: Final = 10_000
"""Subjects that are told apart."""

_NARROWS: Final = {
    "caller revoked": "caller",
    "key disabled": "key",
    "token quarantine": "token",
    "token limits set": "limits",
}
_WIDENS: Final = {
    "caller let in again": "caller",
    "key enabled": "key",
    "token release": "token",
    "token limits lifted": "limits",
}
OFFICERS: Final = "officers"
"""The fact of `policy applied` that has the SANs of its officers, between spaces."""


class Where(Protocol):
    """The place of an act in a log; for people as text."""


@dataclass(frozen=True, slots=True)
class Happened:
    where: Where
    act: Act


class Aftermath:
    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Happened] = {}
        self.policy: Happened | None = None
        """The last that was put in force."""
        self.too_many = False

    def take(self, where: Where, act: Act) -> None:
        """The next act of the log."""
        if act.what == "policy applied":
            self.policy = Happened(where, act)
        elif (what := _NARROWS.get(act.what) or _WIDENS.get(act.what)) is not None:
            place = (what, act.subject)
            if place in self._last or len(self._last) < MOST:
                self._last[place] = Happened(where, act)
            else:
                self.too_many = True

    def shut(self, what: str) -> Iterator[tuple[str, Happened]]:
        """:param what: caller, key, token or limits: the subjects that were left shut out, disabled and so on."""
        return self._of(what, narrows=True)

    def opened(self, what: str) -> Iterator[tuple[str, Happened]]:
        """The subjects that were left let in, enabled and so on."""
        return self._of(what, narrows=False)

    def _of(self, wanted: str, *, narrows: bool) -> Iterator[tuple[str, Happened]]:
        for (what, subject), happened in self._last.items():
            if what == wanted and (happened.act.what in _NARROWS) == narrows:
                yield subject, happened

    def officers(self) -> frozenset[str] | None:
        """The SANs of the officers of the last policy; None if the log does not say."""
        if self.policy is None or OFFICERS not in self.policy.act.facts:
            return None
        return frozenset(self.policy.act.facts[OFFICERS].split())
