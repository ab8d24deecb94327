"""Lanes: what waits, by caller; and the pure decision which caller is served next. No clock, no I/O."""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from segeld.dispatch.ticket import Kind, Ticket
from segeld.model.names import KeyName


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
    def deadline(self) -> int:
        """The latest of its tickets' deadlines; earlier ones are looked at when the answer is there."""
        return max(ticket.order.deadline.at for ticket, _ in self.parts)


class Lanes:
    """Tickets by caller; callers take turns, chunk by chunk, in the order in which they came."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, deque[Ticket]] = OrderedDict()

    def push(self, ticket: Ticket) -> None:
        self._callers.setdefault(ticket.order.caller, deque()).append(ticket)

    def push_front(self, ticket: Ticket) -> None:
        """For inputs that come back from a worker: they go first in their caller's lane."""
        lane = self._callers.setdefault(ticket.order.caller, deque())
        if ticket not in lane:
            lane.appendleft(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        lane = self._callers.get(ticket.order.caller)
        if lane is not None and ticket in lane:
            lane.remove(ticket)
            if not lane:
                del self._callers[ticket.order.caller]

    def __iter__(self) -> Iterator[Ticket]:
        return (ticket for lane in self._callers.values() for ticket in lane)

    def next_kind(self, keys: Collection[KeyName]) -> Kind | None:
        """What `take` would serve next to a token that holds `keys`."""
        found = self._next(keys)
        return found[1].kind if found else None

    def take(self, keys: Collection[KeyName], size: int) -> Chunk | None:
        """Up to `size` inputs of the caller whose turn it is; that caller then goes to the end of the line."""
        found = self._next(keys)
        if found is None:
            return None
        caller, first = found
        lane = self._callers[caller]
        parts: list[tuple[Ticket, int]] = []
        for ticket in [ticket for ticket in lane if ticket.kind == first.kind]:
            while ticket.waiting and len(parts) < size:
                parts.append((ticket, ticket.waiting.popleft()))
            if not ticket.waiting:
                lane.remove(ticket)
            if len(parts) == size:
                break
        if lane:
            self._callers.move_to_end(caller)
        else:
            del self._callers[caller]
        return Chunk(first.kind, tuple(parts))

    def _next(self, keys: Collection[KeyName]) -> tuple[str, Ticket] | None:
        for caller, lane in self._callers.items():
            for ticket in lane:
                if ticket.order.key in keys:
                    return caller, ticket
        return None
