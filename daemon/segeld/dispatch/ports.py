"""What the dispatcher asks of the layer below: a narrow protocol, so that each side is tested without the other."""

from typing import Protocol

from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName


class Tokens(Protocol):
    """What the dispatcher needs to know of tokens and keys."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def names_on(self, token: TokenName) -> frozenset[KeyName]: ...

    def patience_of(self, token: TokenName) -> float: ...

    def note_bad_signature(self, token: TokenName) -> None: ...
