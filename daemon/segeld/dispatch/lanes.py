"""Lanes: what waits at one priority, by caller. No clock, no I/O.

Every step costs the same however much waits: a caller may have thousands of small orders here.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from segeld.dispatch.fairness import Waiting
from segeld.dispatch.work import Work
from segeld.model.kind import Kind

MAX_OCTETS: Final = 1024 * 1024
"""Of one chunk: half a frame to a worker. One input is always far below it."""
_OVERHEAD: Final = 16
"""Octets that an input costs in a frame beside itself: its header, and its deadline."""

Suits = Callable[[Kind], bool]
Item = tuple[Work, int]
"""One input: whose, and its position there."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a worker gets at once: inputs of one kind, of one caller."""

    kind: Kind
    items: tuple[Item, ...]


class Lanes:
    """Works by caller and kind. Which caller is next is decided elsewhere; its kinds take turns, chunk by chunk, and
    so do the works of one kind.
    """

    def __init__(self) -> None:
        self._callers: dict[str, OrderedDict[Kind, OrderedDict[Work, None]]] = {}
        self._since: dict[str, int] = {}
        self._entries = count(1)

    def push(self, work: Work) -> None:
        self._lane(work)[work] = None

    def push_front(self, work: Work) -> None:
        """For inputs that come back from a worker: they go first among their caller's of that kind.

        The kind itself keeps its turn, so that one which comes back again and again keeps no other waiting.
        """
        lane = self._lane(work)
        lane[work] = None
        lane.move_to_end(work, last=False)

    def _lane(self, work: Work) -> OrderedDict[Work, None]:
        kinds = self._callers.get(work.caller)
        if kinds is None:
            kinds = self._callers[work.caller] = OrderedDict()
            self._since[work.caller] = next(self._entries)
        return kinds.setdefault(work.kind, OrderedDict())

    def withdraw(self, work: Work) -> None:
        kinds = self._callers.get(work.caller)
        lane = kinds.get(work.kind) if kinds is not None else None
        if kinds is None or lane is None or work not in lane:
            return
        del lane[work]
        self._clean(work.caller, kinds, work.kind)

    def _clean(self, caller: str, kinds: OrderedDict[Kind, OrderedDict[Work, None]], kind: Kind) -> None:
        if not kinds[kind]:
            del kinds[kind]
        if not kinds:
            del self._callers[caller]

    def __iter__(self) -> Iterator[Work]:
        return (work for kinds in self._callers.values() for lane in kinds.values() for work in lane)

    def __bool__(self) -> bool:
        return bool(self._callers)

    def waiting(self, suits: Suits) -> list[Waiting]:
        """The callers that have something a token `suits`."""
        return [
            Waiting(caller, self._since[caller])
            for caller, kinds in self._callers.items()
            if any(suits(kind) for kind in kinds)
        ]

    def next_kind(self, caller: str, suits: Suits) -> Kind | None:
        """What `take` would serve of a caller."""
        return next((kind for kind in self._callers.get(caller, ()) if suits(kind)), None)

    def count(self, caller: str, kind: Kind, most: int) -> int:
        """Inputs that wait; counted no further than `most`."""
        count = 0
        for work in self._callers[caller][kind]:
            count += len(work.waiting)
            if count >= most:
                return most
        return count

    def take(self, caller: str, kind: Kind, size: int) -> Chunk:
        """Up to `size` inputs, of `MAX_OCTETS` together. The kind then goes to the end of the caller's."""
        kinds = self._callers[caller]
        items = _taken(kinds[kind], size)
        if kinds[kind]:
            kinds.move_to_end(kind)
        self._clean(caller, kinds, kind)
        return Chunk(kind, tuple(items))


def _taken(lane: OrderedDict[Work, None], size: int) -> list[Item]:
    """Takes from the front of a lane. A work of which nothing waits any more leaves it, one that fills the chunk goes
    to its end.
    """
    items: list[Item] = []
    octets = 0
    while lane:
        work = next(iter(lane))
        while work.waiting:
            octets += len(work.input(work.waiting[0])) + _OVERHEAD
            size = min(size, work.company(work.waiting[0]))
            if len(items) >= size or (items and octets > MAX_OCTETS):
                lane.move_to_end(work)
                return items
            items.append((work, work.waiting.popleft()))
        del lane[work]
    return items
