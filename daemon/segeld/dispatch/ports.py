"""What the dispatcher asks of the layers below: narrow protocols, so that each side is tested without the other."""

from typing import Protocol

from segeld.model.activation import Reserved
from segeld.model.algorithm import Algorithm
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName


class Tokens(Protocol):
    """What the dispatcher needs to know of tokens and keys."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def names_on(self, token: TokenName) -> frozenset[KeyName]: ...

    def requestable_on(self, token: TokenName) -> frozenset[KeyName]:
        """Keys that may sign a request for their own certificate."""
        ...

    def patience_of(self, token: TokenName) -> float: ...

    def note_bad_signature(self, token: TokenName) -> None: ...

    def reserve(self, token: TokenName, most: int) -> Reserved:
        """The signatures that may be asked of it now, at most `most`: they are set aside until they are given back."""
        ...

    def give_back(self, token: TokenName, reserved: Reserved, *, made: int) -> bool:
        """What was set aside is over; so many signatures it may have made. Whether others may have the rest."""
        ...


class Rules(Protocol):
    """What the dispatcher asks of the policy."""

    def weight(self, caller: str) -> int:
        """The caller's share, beside others'."""
        ...

    def permits(self, caller: str, key: KeyName, algorithm: Algorithm) -> bool:
        """Whether the caller may still have that signed."""
        ...

    def approvers_for(self, caller: str, key: KeyName) -> frozenset[str]:
        """Who may say yes to what the caller signs with the key; empty: nobody is asked."""
        ...

    def bulk(self, key: KeyName) -> bool:
        """Whether jobs may use the key even if it asks for its PIN at every signature."""
        ...

    def attempts(self, key: KeyName) -> int:
        """How often an input is tried whose outcome is unknown."""
        ...
