"""Whether the daemon can record: while it cannot, it signs nothing, and its health says so."""

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

import structlog

_log: Final = structlog.get_logger(__name__)


class Show(Protocol):
    """Makes health say how the services are."""

    def __call__(self, *, serving: bool, publishing: bool) -> Awaitable[None]: ...


class Condition:
    """`tell` when it changes; `show` goes on until it is cancelled."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}
        self._unpublished = False
        self._changed = asyncio.Event()

    def tell_published(self, trouble: str | None) -> None:
        """:param trouble: why the audit log's files cannot be written; signing goes on meanwhile."""
        self._unpublished = trouble is not None
        self._changed.set()

    def tell(self, trouble: str | None, of: str = "database") -> None:
        """:param trouble: why nothing can be recorded; None if all is well.
        :param of: what is in trouble.
        """
        if trouble == self._troubles.get(of):
            return
        if trouble is None:
            _log.info(f"the {of} is well again")
            del self._troubles[of]
        else:
            _log.error(f"the {of} is in trouble: nothing is signed until it is well", why=trouble)
            self._troubles[of] = trouble
        self._changed.set()

    @property
    def trouble(self) -> str:
        """Why nothing can be recorded; empty if all is well."""
        return " ".join(self._troubles.values())

    async def show(self, show: Show) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await show(serving=not self._troubles, publishing=not self._unpublished)
