"""What may be asked of a worker, and when: this table is its whole attack surface.

A request that is not permitted in the state the worker is in ends the process (`Exit.OUT_OF_PLACE`): the other
side is broken, or not who it should be. What the module answers is never a reason to end; it is an answer.
"""

import enum
from collections.abc import Mapping
from typing import Final

from segeld.ipc import ceremony_wire, pin_wire, worker_wire


class State(enum.Enum):
    """How far the worker has come. There is no way back: another worker begins anew."""

    NEW = enum.auto()
    LOADED = enum.auto()
    """The module is initialised."""
    PUBLIC = enum.auto()
    """The token is open, nobody is logged in."""
    SPENT = enum.auto()
    """The one login that a worker may try was not a success."""
    USER = enum.auto()
    """The user is logged in: keys sign."""


PERMITS: Final[Mapping[type, frozenset[State]]] = {
    worker_wire.Load: frozenset({State.NEW}),
    worker_wire.Survey: frozenset({State.LOADED}),
    worker_wire.OpenToken: frozenset({State.LOADED}),
    worker_wire.FindKeys: frozenset({State.PUBLIC, State.SPENT, State.USER}),
    worker_wire.Sign: frozenset({State.USER}),
    ceremony_wire.InitToken: frozenset({State.LOADED}),
    ceremony_wire.InitPin: frozenset({State.LOADED}),
    ceremony_wire.ChangePin: frozenset({State.USER}),
    ceremony_wire.ListObjects: frozenset({State.PUBLIC, State.USER}),
    ceremony_wire.GenerateKey: frozenset({State.USER}),
    ceremony_wire.StoreCertificates: frozenset({State.USER}),
    ceremony_wire.DestroyKey: frozenset({State.USER}),
    # Before anybody can have logged in: the socket is the front's until then.
    pin_wire.Secrets: frozenset({State.LOADED, State.PUBLIC}),
    # The second one answers a `Reaffirm`, and is out of place if there was none.
    pin_wire.Login: frozenset({State.PUBLIC, State.USER}),
    pin_wire.PadLogin: frozenset({State.PUBLIC}),
    pin_wire.Denied: frozenset({State.USER}),
}


class Violation(Exception):
    """The other side asked for what it may not ask, or broke a frame."""

    def __init__(self, code: worker_wire.Exit, text: str) -> None:
        super().__init__(text)
        self.code: Final = code


def check(request: worker_wire.AnyRequest | pin_wire.ToWorker, state: State) -> None:
    """:raises Violation: if this may not be asked now, or is more than may be asked."""
    if state not in PERMITS[type(request)]:
        raise Violation(worker_wire.Exit.OUT_OF_PLACE, f"{type(request).__name__} in state {state.name}")
    if isinstance(request, worker_wire.Sign) and len(request.inputs) > worker_wire.MAX_INPUTS:
        raise Violation(worker_wire.Exit.BAD_FRAME, f"a Sign with {len(request.inputs)} inputs")
