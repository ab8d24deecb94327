"""What the dispatcher asks of the layers below: narrow protocols, so that each side is tested without the other."""

from typing import Protocol

from segeld.model.algorithm import Algorithm
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName


class Tokens(Protocol):
    """What the dispatcher needs to know of tokens and keys."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def names_on(self, token: TokenName) -> frozenset[KeyName]: ...

    def patience_of(self, token: TokenName) -> float: ...

    def note_bad_signature(self, token: TokenName) -> None: ...


class Rules(Protocol):
    """What the dispatcher asks of the policy."""

    def weight(self, caller: str) -> int:
        """The caller's share, beside others'."""
        ...

    def permits(self, caller: str, key: KeyName, algorithm: Algorithm) -> bool:
        """Whether the caller may still have that signed."""
        ...

    def attempts(self, key: KeyName) -> int:
        """How often an input is tried whose outcome is unknown."""
        ...
