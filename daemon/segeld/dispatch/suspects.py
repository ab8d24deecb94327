"""Orders over which a worker had to be ended: each is tried once more, alone, where the fault must be its own.

A module that fails may be sick or may be made to fail by just this order. Sent on at once, such an order would
end worker after worker; blamed at once, it would pay for a token that lost its sessions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from segeld.dispatch.lanes import Chunk, Suits
from segeld.dispatch.ticket import Ticket
from segeld.model.names import TokenName


@dataclass(slots=True)
class _Blame:
    position: int
    token: TokenName
    at: float
    on_trial: bool = False


class Suspects:
    """They wait here, not in a lane, until their trial is over. There are never more than workers that ended."""

    def __init__(self) -> None:
        self._blames: dict[Ticket, _Blame] = {}

    def blame(self, ticket: Ticket, position: int, token: TokenName, at: float) -> None:
        """A worker of `token` ended with this input; also after a trial that decided nothing."""
        self._blames[ticket] = _Blame(position, token, at)

    def clear(self, ticket: Ticket) -> None:
        self._blames.pop(ticket, None)

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket in self._blames

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._blames)

    def __bool__(self) -> bool:
        return bool(self._blames)

    def on_trial(self, ticket: Ticket, position: int) -> bool:
        blame = self._blames.get(ticket)
        return blame is not None and blame.on_trial and blame.position == position

    def take(self, token: TokenName, proved: float, suits: Suits) -> Chunk | None:
        """One input for a trial by a worker of `token` that was last known to work at `proved`.

        It must be known to work since the blame, or be of another token.
        """
        for ticket, blame in self._blames.items():
            fit = blame.token != token or proved > blame.at
            if fit and not blame.on_trial and ticket.waiting and suits(ticket.kind):
                if blame.position not in ticket.waiting:  # its time was up, or it was tried too often
                    blame.position = ticket.waiting[0]
                ticket.waiting.remove(blame.position)
                blame.on_trial = True
                return Chunk(ticket.kind, ((ticket, blame.position),))
        return None
