"""Who puts one token in quarantine, an officer or a second wrong signature, and who releases it."""

import asyncio
import time
from typing import Final, Protocol

from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.quarantine import Quarantine
from segeld.supervisor.isolation import Isolation

_BAD_SIGNATURES: Final = "It returned signatures that do not verify"


class Host(Protocol):
    """The token, as its quarantine needs it."""

    name: TokenName

    def end_all(self) -> None:
        """What is under way at it."""

    def is_released(self) -> None:
        """It may be used again."""

    def update(self) -> None:
        """Looks at everything anew."""


class Quarantining:
    def __init__(self, host: Host, isolation: Isolation) -> None:
        self._host = host
        self._isolation = isolation

    async def begin(self, reason: str, who: str) -> None:
        """Nothing of it is used until it is released, after a restart neither; what is under way there is ended.

        :raises Fault: TOKEN_STATE if an officer has done so before; STORAGE_… if it cannot be written down: it holds
            until a restart then.
        """
        before = self._isolation.quarantine
        if before is not None and before.by:
            raise Fault(
                Reason.TOKEN_STATE,
                f"{self._host.name} is in quarantine already: {before}",
                token=str(self._host.name),
            )
        try:
            await asyncio.shield(self._isolate(Quarantine(time.time(), who, reason)))
        except Fault as fault:
            raise Fault(
                fault.reason,
                f"{self._host.name} is in quarantine now, but that could not be written down: a restart of the daemon would lift "
                f"it. It is tried again until it is; see: segelctl token show {self._host.name.word}. {fault.text}",
                token=str(self._host.name),
            ) from fault

    async def release(self, who: str) -> None:
        """It is used again, with the PIN that is held; without one it waits for its activation.

        :raises Fault: TOKEN_STATE if it is in no quarantine; STORAGE_… if it cannot be written down: it stays there then.
        """
        if self._isolation.quarantine is None:
            raise Fault(
                Reason.TOKEN_STATE, f"{self._host.name} is not in quarantine.", token=str(self._host.name)
            )
        await self._isolation.end(who, "release")
        self._host.is_released()

    def note_bad_signature(self) -> None:
        """A second one within ten minutes quarantines the token."""
        if self._isolation.bad_signature() and self._isolation.quarantine is None:
            self._isolate(Quarantine(time.time(), "", _BAD_SIGNATURES))

    def _isolate(self, quarantine: Quarantine) -> "asyncio.Future[None]":
        """Gives when it was written down."""
        written = self._isolation.begin(quarantine)
        self._host.end_all()
        self._host.update()
        return written
