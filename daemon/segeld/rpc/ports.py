"""What the services ask of the layers below: two narrow protocols, so that each side is tested without the other."""

from typing import Protocol

from segeld.model.faults import Fault
from segeld.model.inventory import KeyRecord, Order, Survey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin


class Dispatch(Protocol):
    """Signs what was checked and allowed."""

    async def sign(self, order: Order) -> tuple[bytes | Fault, ...]:
        """One signature or Fault for each input, in order. Cancelling the call gives up what is not begun.

        :raises Fault: if the order as a whole is refused: queue full, no healthy token, stopping.
        """
        ...


class Inventory(Protocol):
    """Keys and tokens, as they are now."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def keys(self) -> tuple[KeyRecord, ...]: ...

    def token(self, name: TokenName) -> TokenRecord | None: ...

    def tokens(self) -> tuple[TokenRecord, ...]: ...

    async def survey(self) -> Survey:
        """Asks every configured module for its slots, each in a process of its own."""
        ...

    async def activate(self, name: TokenName, pin: Pin) -> TokenRecord:
        """Logs the token in; returns when its first worker is ready. Takes and wipes the PIN.

        :raises Fault: TOKEN_NOT_FOUND, TOKEN_NOT_PRESENT, PIN_INCORRECT, PIN_LOCKED, PIN_LENGTH, …
        """
        ...

    async def deactivate(self, name: TokenName) -> TokenRecord:
        """Forgets the PIN and ends the workers when what they hold is done.

        :raises Fault: TOKEN_NOT_FOUND.
        """
        ...
