"""Work over which a worker had to be ended: each is tried once more, alone, where the fault must be its own.

A module that fails may be sick or may be made to fail by just this order. Sent on at once, such an input would
end worker after worker; blamed at once, it would pay for a token that lost its sessions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from segeld.dispatch.lanes import Item, Suits
from segeld.dispatch.work import Work
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
        self._blames: dict[Work, _Blame] = {}

    def blame(self, work: Work, position: int, token: TokenName, at: float) -> None:
        """A worker of `token` ended with this input; also after a trial that decided nothing."""
        self._blames[work] = _Blame(position, token, at)

    def clear(self, work: Work) -> None:
        self._blames.pop(work, None)

    def __contains__(self, work: Work) -> bool:
        return work in self._blames

    def __iter__(self) -> Iterator[Work]:
        return iter(self._blames)

    def __bool__(self) -> bool:
        return bool(self._blames)

    def on_trial(self, work: Work, position: int) -> bool:
        blame = self._blames.get(work)
        return blame is not None and blame.on_trial and blame.position == position

    def take(
        self, token: TokenName, proved: float, suits: Suits, held_back: Callable[[Work], bool]
    ) -> Item | None:
        """One input for a trial by a worker of `token` that was last known to work at `proved`.

        It must be known to work since the blame, or be of another token.
        """
        for work, blame in self._blames.items():
            fit = blame.token != token or proved > blame.at
            if fit and not blame.on_trial and work.waiting and suits(work.kind) and not held_back(work):
                if blame.position not in work.waiting:  # its time was up, or it was tried too often
                    blame.position = work.waiting[0]
                work.waiting.remove(blame.position)
                blame.on_trial = True
                return work, blame.position
        return None
