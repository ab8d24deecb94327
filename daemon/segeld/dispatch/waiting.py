"""Where tickets wait, and the pumps that look for them: each ticket is in one lane, or a suspect, or all with workers.

Two classes of lanes: urgent (small orders, which a worker signs between two signatures of others) and bulk.
"""

import time
from collections.abc import Callable
from typing import Final

from segeld.dispatch import outcomes
from segeld.dispatch.breaker import Asked, Breaker
from segeld.dispatch.idle import Idle
from segeld.dispatch.lanes import Chunk, Lanes, Suits
from segeld.dispatch.ports import Tokens
from segeld.dispatch.suspects import Suspects
from segeld.dispatch.ticket import Kind, Ticket
from segeld.model.faults import Fault
from segeld.model.names import TokenName
from segeld.model.token_state import COMING_BACK, TokenState

URGENT_INPUTS: Final = 8
"""Orders up to this size are urgent."""


class WaitingRoom:
    """Tickets enter and leave with their callers; in between feeds take parts and bring some of them back."""

    def __init__(self, tokens: Callable[[], Tokens]) -> None:
        self._tokens = tokens
        self._tickets: set[Ticket] = set()
        self.urgent: Final = Lanes()
        self.bulk: Final = Lanes()
        self.suspects: Final = Suspects()
        self.breaker: Final = Breaker()
        self.idle: Final = {self.urgent: Idle(), self.bulk: Idle()}
        self.idle_suspects: Final = Idle()

    # --- with their callers

    def enter(self, ticket: Ticket) -> None:
        self._tickets.add(ticket)
        self.lanes(ticket).push(ticket)
        self.wake(ticket)

    def expire(self, ticket: Ticket) -> None:
        """Its time is up: what no worker holds ends."""
        self.withdraw(ticket)
        ticket.end_waiting(self._late(ticket))

    def leave(self, ticket: Ticket) -> None:
        """Nobody waits for it any more; what a worker holds of it is dropped when it comes back."""
        self._tickets.discard(ticket)
        self.withdraw(ticket)

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket in self._tickets

    def refusal(self, kind: Kind) -> Fault | None:
        """Why no token can sign this way with this key, now or soon; None if one can."""
        key = self._tokens().key(kind.key)
        fault = outcomes.no_replica(kind.key, key)
        if fault is not None or key is None:
            return fault
        now = time.monotonic()
        pauses = [
            self.breaker.pause(Asked(token, kind.key, kind.algorithm), now)
            for token, state in key.tokens
            if state is TokenState.ACTIVE or state in COMING_BACK
        ]
        return outcomes.paused(kind, min(pauses)) if all(pauses) else None

    def review(self) -> None:
        """What no token can sign any more, nor soon, ends now; and all pumps look again."""
        faults: dict[Kind, Fault | None] = {}  # thousands may wait, of a few kinds
        for ticket in [*self.urgent, *self.bulk, *self.suspects]:
            if ticket.kind not in faults:
                faults[ticket.kind] = self.refusal(ticket.kind)
            if (fault := faults[ticket.kind]) is not None:
                self.withdraw(ticket)
                ticket.end_waiting(fault)
        self.wake_all()

    # --- with the feeds

    def lanes(self, ticket: Ticket) -> Lanes:
        return self.urgent if len(ticket.order.inputs) <= URGENT_INPUTS else self.bulk

    def withdraw(self, ticket: Ticket) -> None:
        self.lanes(ticket).withdraw(ticket)
        self.suspects.clear(ticket)

    def suits(self, token: TokenName) -> Suits:
        """What a token may be asked for now."""
        names, now = self._tokens().names_on(token), time.monotonic()
        return lambda kind: (
            kind.key in names and not self.breaker.pause(Asked(token, kind.key, kind.algorithm), now)
        )

    def take(self, token: TokenName, lanes: Lanes, size: Callable[[Kind], int]) -> Chunk | None:
        """The next chunk for a token, without what nobody waits for any more: it may be empty then."""
        suits = self.suits(token)
        kind = lanes.next_kind(suits)
        chunk = lanes.take(suits, size(kind)) if kind is not None else None
        if chunk is None:
            return None
        if (more := lanes.next_kind(suits)) is not None:
            self._wake_for(lanes, more)
        return Chunk(chunk.kind, tuple(part for part in chunk.parts if self.is_wanted(*part)))

    def is_wanted(self, ticket: Ticket, position: int) -> bool:
        """Whether somebody still waits for an input that was taken out; ends it if not."""
        if ticket not in self._tickets:
            ticket.end(position, outcomes.gave_up())
        elif ticket.order.deadline.passed():
            ticket.end(position, self._late(ticket))
        else:
            return True
        return False

    def put_back(self, ticket: Ticket, position: int, *, attempted: bool) -> None:
        """Back to where it waited, if somebody still waits for it and it was not tried too often."""
        if not self.is_wanted(ticket, position):
            return
        if (fault := self.refusal(ticket.kind)) is not None:
            ticket.end(position, fault)
        elif not ticket.again(position, attempted=attempted):
            ticket.end(position, outcomes.lost_too_often())
        elif ticket in self.suspects:
            self.idle_suspects.wake_all()
        else:
            self.lanes(ticket).push_front(ticket)
            self.wake(ticket)

    def suspect(self, ticket: Ticket, position: int, token: TokenName) -> None:
        """It goes to no worker but for its trial."""
        if ticket in self._tickets:
            self.lanes(ticket).withdraw(ticket)
            self.suspects.blame(ticket, position, token, time.monotonic())
            self.idle_suspects.wake_all()

    def after_trial(self, ticket: Ticket, position: int, token: TokenName) -> None:
        if ticket not in self.suspects:
            return
        if position in ticket.waiting:  # it decided nothing: the worker ended for another reason
            self.suspect(ticket, position, token)
            return
        self.suspects.clear(ticket)
        if ticket.waiting:
            self.lanes(ticket).push_front(ticket)
            self.wake(ticket)

    def _late(self, ticket: Ticket) -> Fault:
        return outcomes.too_late(self._tokens().key(ticket.order.key))

    # --- who looks again

    def wake(self, ticket: Ticket) -> None:
        self._wake_for(self.lanes(ticket), ticket.kind)

    def _wake_for(self, lanes: Lanes, kind: Kind) -> None:
        """One pump is enough: it wakes the next if it leaves something."""
        self.idle[lanes].wake_one(lambda token: self.suits(token)(kind))

    def wake_all(self) -> None:
        for idle in (*self.idle.values(), self.idle_suspects):
            idle.wake_all()
