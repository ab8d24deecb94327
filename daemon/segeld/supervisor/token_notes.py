"""What must be remembered of tokens across restarts, as the supervisor asks for it. It is kept by the layers above."""

from collections.abc import Mapping
from typing import Protocol

from segeld.model.activation import Limits
from segeld.model.inventory import Remembered
from segeld.model.names import TokenName
from segeld.model.quarantine import Quarantine


class TokenNotes(Protocol):
    """What is read is what was last written; each write is one with its leaf of the audit log, or nothing of it is."""

    def quarantine(self, token: TokenName) -> Quarantine | None: ...

    def limited_by(self, token: TokenName) -> str:
        """The officer who set limits for its last activation; empty if there were none."""
        ...

    async def isolate(self, token: TokenName, quarantine: Quarantine) -> None:
        """:raises Fault: STORAGE_…"""
        ...

    async def release(self, token: TokenName, who: str, how: str) -> None:
        """Its quarantine is over.

        :param how: which act of the officer ended it.
        :raises Fault: STORAGE_…
        """
        ...

    async def limit(self, token: TokenName, who: str, limits: Limits) -> None:
        """:raises Fault: STORAGE_…"""
        ...

    async def unlimit(self, token: TokenName, who: str) -> None:
        """It was activated without limits.

        :raises Fault: STORAGE_…
        """
        ...

    def remembered(self) -> Mapping[TokenName, Remembered]:
        """The keys that tokens held when they were last seen."""
        ...

    async def remember(self, token: TokenName, held: Remembered | None) -> None:
        """:param held: None: nothing is known of it any more.
        :raises Fault: STORAGE_…
        """
        ...


class OfThisRun:
    """Remembers as long as the process lives: where there is no database."""

    def __init__(self) -> None:
        self._quarantines: dict[TokenName, Quarantine] = {}
        self._limited: dict[TokenName, str] = {}
        self._held: dict[TokenName, Remembered] = {}

    def quarantine(self, token: TokenName) -> Quarantine | None:
        return self._quarantines.get(token)

    def limited_by(self, token: TokenName) -> str:
        return self._limited.get(token, "")

    async def isolate(self, token: TokenName, quarantine: Quarantine) -> None:
        self._quarantines[token] = quarantine

    async def release(self, token: TokenName, who: str, how: str) -> None:  # noqa: ARG002
        self._quarantines.pop(token, None)

    async def limit(self, token: TokenName, who: str, limits: Limits) -> None:  # noqa: ARG002
        self._limited[token] = who

    async def unlimit(self, token: TokenName, who: str) -> None:  # noqa: ARG002
        self._limited.pop(token, None)

    def remembered(self) -> Mapping[TokenName, Remembered]:
        return self._held

    async def remember(self, token: TokenName, held: Remembered | None) -> None:
        if held is None:
            self._held.pop(token, None)
        else:
            self._held[token] = held
