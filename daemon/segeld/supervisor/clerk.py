"""What officers do to one token beside activating it: one thing at a time, each to its end even if nobody waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol, TypeVar

from segeld.ipc import ceremony_wire as wire
from segeld.model.algorithm import KeyKind
from segeld.model.inventory import KeyMade
from segeld.model.secret import Pin
from segeld.supervisor import clerk_keys, clerk_pins
from segeld.supervisor.clerk_keys import KeyCeremonies
from segeld.supervisor.clerk_pins import PinCeremonies
from segeld.supervisor.crew import Crew
from segeld.supervisor.login import Logins
from segeld.supervisor.pin import TokenPin

T = TypeVar("T")
_LAST_WHILE: Final = 10.0
"""Seconds."""
_LAST_WORDS: Final = 2.0
"""Seconds in which a ceremony that has lost its worker says what is known of it."""


class Host(clerk_pins.Host, clerk_keys.Host, Protocol):
    """The token, as its clerk needs it."""


class Clerk:
    def __init__(
        self, host: Host, pin: TokenPin, logins: Logins, crew: Crew, *, last_while: float = _LAST_WHILE
    ) -> None:
        """:param last_while: seconds that what is under way has when the daemon stops."""
        self._name: Final = host.name
        self._while: Final = last_while
        self._pins: Final = PinCeremonies(host, pin, logins, crew)
        self._keys: Final = KeyCeremonies(host, logins, crew)
        self._turn: Final = asyncio.Lock()
        self._working: set[asyncio.Task[Any]] = set()

    def end(self, why: str) -> None:
        """Kills the worker of what is under way: whoever asked for it hears what is known then."""
        self._pins.end(why)
        self._keys.end(why)

    async def stop(self) -> None:
        """The daemon stops: what is under way has a while to come to its end, and leaves no process behind."""
        working = set(self._working)
        if not working:
            return
        _, left = await asyncio.wait(working, timeout=self._while)
        if not left:
            return
        self.end("the daemon stops")
        _, left = await asyncio.wait(left, timeout=_LAST_WORDS)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def initialize(
        self,
        slot: tuple[str, int] | None,
        label: str | None,
        so_pin: Pin,
        new_pin: Pin,
        serial: str | None = None,
    ) -> None:
        """Erases the token, or makes a blank one usable. It waits for its activation then.

        :param serial: of the device that is meant; None: whichever is there.
        :raises Fault: nothing was changed.
        :raises Half: it is erased, or may be.
        """
        await self._to_the_end(self._pins.initialize(slot, label, so_pin, new_pin, serial))

    async def unblock(self, so_pin: Pin, new_pin: Pin, serial: str | None = None) -> None:
        """:param serial: of the device that is meant; None: whichever is there.
        :raises Fault: the PIN is what it was.
        :raises Half: it is the new one, or may be.
        """
        await self._to_the_end(self._pins.unblock(so_pin, new_pin, serial))

    async def change_pin(self, pin: Pin, new_pin: Pin) -> str:
        """Takes and wipes both. Gives what an officer has to do then; empty if nothing.

        :raises Fault: the PIN is what it was.
        :raises Half: it is the new one, or may be.
        """
        return await self._to_the_end(self._pins.change_pin(pin, new_pin))

    async def prove_pin(self) -> None:
        """One login with the PIN that is held, and nothing else.

        :raises Fault: why the token did not take it.
        """
        await self._to_the_end(self._keys.prove_pin())

    async def objects(self) -> tuple[wire.FoundObject, ...]:
        """:raises Fault: TOKEN_NOT_ACTIVE; what the token says."""
        return await self._to_the_end(self._keys.objects())

    async def public_objects(self) -> tuple[wire.FoundObject, ...]:
        """What it shows without a login.

        :raises Fault: TOKEN_NOT_PRESENT; what else the token says.
        """
        return await self._to_the_end(self._keys.public_objects())

    async def generate_key(self, label: str, kind: KeyKind, cka_id: bytes) -> KeyMade:
        """Returns when every worker knows the key, or says what is missing.

        :raises Fault: TOKEN_NOT_ACTIVE, KEY_EXISTS, TOKEN_NO_ROOM, ALGORITHM_NOT_SUPPORTED; what else the token says.
        :raises Half: it may have been made.
        """
        return await self._to_the_end(self._keys.generate_key(label, kind, cka_id))

    async def store_certificates(self, public_key: bytes, chain: tuple[bytes, ...]) -> None:
        """:raises Fault: TOKEN_NOT_ACTIVE, TOKEN_NO_ROOM; what else the token says."""
        await self._to_the_end(self._keys.store_certificates(public_key, chain))

    async def destroy_key(self, public_key: bytes) -> None:
        """:raises Fault: TOKEN_NOT_ACTIVE; what the token says: it is there still.
        :raises Half: it may be gone.
        """
        await self._to_the_end(self._keys.destroy_key(public_key))

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        async def in_turn() -> T:
            async with self._turn:
                return await work

        task = asyncio.create_task(in_turn(), name=f"{self._name} ceremony")
        self._working.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # it was told to the officer, or there is nobody to hear of it
