"""Lanes: what waits, by caller; and the pure decision which caller is served next. No clock, no I/O.

Every step costs the same however much waits: a caller may have thousands of small orders here.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from segeld.dispatch.ticket import Kind, Ticket

MAX_OCTETS: Final = 1024 * 1024
"""Of one chunk: half a frame to a worker. One input is always far below it."""
_OVERHEAD: Final = 16
"""Octets that an input costs in a frame beside itself: its header, and its deadline."""

Suits = Callable[[Kind], bool]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a worker gets at once: inputs of one kind, of one caller."""

    kind: Kind
    parts: tuple[tuple[Ticket, int], ...]
    """Tickets, and the position in each."""

    @property
    def inputs(self) -> tuple[bytes, ...]:
        return tuple(ticket.order.inputs[position] for ticket, position in self.parts)

    @property
    def deadlines(self) -> tuple[int, ...]:
        """When each input is wanted no more: orders that share a chunk do not share their deadlines."""
        return tuple(ticket.order.deadline.at for ticket, _ in self.parts)


class Lanes:
    """Tickets by caller and kind. Callers take turns, chunk by chunk, in the order in which they came; so do the
    kinds of one caller.
    """

    def __init__(self) -> None:
        self._callers: OrderedDict[str, OrderedDict[Kind, OrderedDict[Ticket, None]]] = OrderedDict()

    def push(self, ticket: Ticket) -> None:
        self._lane(ticket)[ticket] = None

    def push_front(self, ticket: Ticket) -> None:
        """For inputs that come back from a worker: they go first among their caller's of that kind.

        The kind itself keeps its turn, so that one which comes back again and again keeps no other waiting.
        """
        lane = self._lane(ticket)
        lane[ticket] = None
        lane.move_to_end(ticket, last=False)

    def _lane(self, ticket: Ticket) -> OrderedDict[Ticket, None]:
        kinds = self._callers.setdefault(ticket.order.caller, OrderedDict())
        return kinds.setdefault(ticket.kind, OrderedDict())

    def withdraw(self, ticket: Ticket) -> None:
        caller, kind = ticket.order.caller, ticket.kind
        kinds = self._callers.get(caller)
        lane = kinds.get(kind) if kinds is not None else None
        if kinds is None or lane is None or ticket not in lane:
            return
        del lane[ticket]
        if not lane:
            del kinds[kind]
        if not kinds:
            del self._callers[caller]

    def __iter__(self) -> Iterator[Ticket]:
        return (ticket for kinds in self._callers.values() for lane in kinds.values() for ticket in lane)

    def next_kind(self, suits: Suits) -> Kind | None:
        """What `take` would serve next to a token that `suits`."""
        found = self._next(suits)
        return found[1] if found else None

    def take(self, suits: Suits, size: int) -> Chunk | None:
        """Up to `size` inputs, of `MAX_OCTETS` together, of the caller whose turn it is.

        That caller then goes to the end of the line, and the kind to the end of the caller's.
        """
        found = self._next(suits)
        if found is None:
            return None
        caller, kind = found
        kinds = self._callers[caller]
        parts = _taken(kinds[kind], size)
        if kinds[kind]:
            kinds.move_to_end(kind)
        else:
            del kinds[kind]
        if kinds:
            self._callers.move_to_end(caller)
        else:
            del self._callers[caller]
        return Chunk(kind, tuple(parts))

    def _next(self, suits: Suits) -> tuple[str, Kind] | None:
        for caller, kinds in self._callers.items():
            for kind in kinds:
                if suits(kind):
                    return caller, kind
        return None


def _taken(lane: OrderedDict[Ticket, None], size: int) -> list[tuple[Ticket, int]]:
    """Takes from the front of a lane; tickets of which nothing waits any more leave it."""
    parts: list[tuple[Ticket, int]] = []
    octets = 0
    while lane:
        ticket = next(iter(lane))
        while ticket.waiting:
            octets += len(ticket.order.inputs[ticket.waiting[0]]) + _OVERHEAD
            if len(parts) == size or (parts and octets > MAX_OCTETS):
                return parts
            parts.append((ticket, ticket.waiting.popleft()))
        del lane[ticket]
    return parts
