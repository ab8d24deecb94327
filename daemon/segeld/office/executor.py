"""What carries out a kind of change. One is registered for each action of `segeld.office.actions`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from segeld.model.faults import Fault
from segeld.model.secret import Pin

SO_PIN: Final = "so_pin"
NEW_PIN: Final = "new_pin"


@dataclass(frozen=True, slots=True)
class Description:
    """What would be done, for those who decide."""

    summary: tuple[str, ...]
    """Sentences: the first says it all; the others name what is gained or lost."""
    needs_approval: bool
    """Whether it is for two persons, in an office that has two."""
    binding: bool = False
    """Whether the summary must be the same when the change is run as it was when it was asked for: what it does
    depends on something that may have moved meanwhile."""
    to_see_all: str = ""
    """The command after which all of it is known; empty if it is."""
    action: Any = None
    """The action with what it leans on written into it, which is what is approved; None: as it was asked for."""


class Partly(Exception):
    """It failed after something was changed."""

    def __init__(self, fault: Fault, left: str = "something changed") -> None:
        """:param fault: what happened, what was changed, and what to do.
        :param left: the same in two words, for the log.
        """
        super().__init__(fault.text)
        self.fault: Final = fault
        self.left: Final = left


class Executor(Protocol):
    """Does one kind of action. Everything it changes is audited by it, or by what it calls."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Of `SO_PIN`, `NEW_PIN`: what `run` needs, no more and no less. A plain class attribute will do."""
        ...

    async def describe(self, action: Any) -> Description:
        """What the action would do now. Changes nothing. Asked when it is proposed, and again before it is run.

        :raises Fault: if it cannot be done: no such token, a policy with faults, …
        """
        ...

    async def run(self, action: Any, who: str, secrets: Mapping[str, Pin], approved_by: str = "") -> None:
        """Does it. Whoever calls wipes the secrets. It is not cancelled when the officer's connection breaks.

        :param who: the officer who asked for it and runs it.
        :param approved_by: the officer who approved it; empty if nobody had to.
        :raises Fault: if nothing was changed: the change can be run again.
        :raises Partly: if something was.
        """
        ...
