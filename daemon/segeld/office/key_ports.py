"""What the office needs of the rest of the daemon to decide of keys."""

from typing import Protocol

from segeld.model.inventory import KeyRecord, Order, Signed
from segeld.model.names import KeyName, TokenName
from segeld.office.key_rules import Options


class Policy(Protocol):
    def options_of(self, key: KeyName) -> Options: ...


class Signer(Protocol):
    async def sign(self, order: Order) -> Signed: ...


class Tokens(Protocol):
    """The supervisor, as the desk of keys needs it."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def keys(self) -> tuple[KeyRecord, ...]: ...

    def review(self) -> None: ...


class Ceremonies(Protocol):
    """What is done on tokens beside signing."""

    async def store_certificates(self, key: KeyName, chain: tuple[bytes, ...]) -> tuple[TokenName, ...]:
        """The tokens that took them.

        :raises Fault: why none did.
        """
        ...

    async def destroy_key(self, key: KeyName) -> tuple[TokenName, ...]:
        """The tokens that held it.

        :raises Fault: if it is on a token that cannot be reached.
        :raises DestroyedHalf: if some token has destroyed it before another failed.
        """
        ...
