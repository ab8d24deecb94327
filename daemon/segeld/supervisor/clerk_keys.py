"""Ceremonies as the user: objects are listed, keys made and destroyed, certificates stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from segeld.ipc import ceremony_wire as wire
from segeld.ipc.worker_wire import FoundKey
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault
from segeld.model.inventory import KeyMade
from segeld.model.names import KeyName
from segeld.model.weak_objects import PRIVATE, PUBLIC
from segeld.supervisor import one_shot
from segeld.supervisor.crew import Crew
from segeld.supervisor.half import Half, Known, Unanswered
from segeld.supervisor.login import Logins
from segeld.supervisor.login_faults import not_active, quarantined
from segeld.supervisor.one_shot import OneShot
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)
_GENERATE: Final = 300.0
"""Seconds: small devices take minutes for a long RSA key."""
_PATIENCE: Final = 120.0


class Host(one_shot.Host, Protocol):
    """The token, as these ceremonies need it."""

    def is_active(self) -> bool: ...

    def is_barred(self) -> bool:
        """Whether it is in quarantine."""
        ...

    def public_keys(self) -> tuple[bytes, ...]: ...

    async def know_anew(self, worker: WorkerHandle, found: tuple[FoundKey, ...]) -> None:
        """All its workers see these keys now."""

    async def destroyed(self, key: KeyName) -> None:
        """It is not on it any more, whoever looks when."""

    def outdated(self) -> None:
        """What is on it is another now, and no worker could tell yet: whichever comes next does."""


class KeyCeremonies:
    def __init__(self, host: Host, logins: Logins, crew: Crew) -> None:
        self._host = host
        self._logins = logins
        self._crew = crew
        self._desk = OneShot(host)

    def end(self, why: str) -> None:
        """Kills the worker of what is under way: that is not known to be done then."""
        self._desk.end(why)

    def require_active(self) -> None:
        """:raises Fault: TOKEN_QUARANTINED, TOKEN_NOT_ACTIVE."""
        if self._host.is_barred():
            raise quarantined(self._host.name)
        if not self._host.is_active():
            raise not_active(self._host.name)

    async def prove_pin(self) -> None:
        """One login with the PIN that is held, and nothing else: also if no other worker is ready.

        :raises Fault: why the token did not take it.
        """
        async with self._logged_in(writable=False):
            pass

    async def objects(self) -> tuple[wire.FoundObject, ...]:
        """:raises Fault: TOKEN_NOT_ACTIVE; what the token says."""
        async with self._user(writable=False) as worker:
            return await self._list(worker)

    async def public_objects(self) -> tuple[wire.FoundObject, ...]:
        """What it shows to anybody.

        :raises Fault: TOKEN_NOT_PRESENT; what else the token says.
        """
        async with self._desk.worker() as worker:
            await self._desk.open(worker, writable=False)
            return await self._list(worker)

    async def _list(self, worker: WorkerHandle) -> tuple[wire.FoundObject, ...]:
        return (await worker.perform(wire.ListObjects, wire.ObjectsListed, self._desk.patience)).objects

    async def generate_key(self, label: str, kind: KeyKind, cka_id: bytes) -> KeyMade:
        """Returns when every worker knows the key, or says what is missing.

        :raises Fault: no key was made.
        :raises Half: it may have been made, or is there in part.
        """
        try:
            async with self._user(writable=True) as worker:
                made = await self._desk.change(
                    worker,
                    lambda number: wire.GenerateKey(number, label, cka_id, kind),
                    wire.KeyGenerated,
                    _GENERATE,
                )
            public_key = made.public_key
        except Unanswered as lost:
            public_key = await self._look_for(label, cka_id, lost)
        missing = await self._show_anew(public_key)
        name = self._host.name
        return KeyMade(KeyName.of(public_key), kind, public_key, name, label, cka_id, missing)

    async def _look_for(self, label: str, cka_id: bytes, lost: Unanswered) -> bytes:
        """The public key of the key that was being made when its worker was lost.

        :raises Fault: it was not made.
        :raises Half: that cannot be told, or half of it is there.
        """
        what = f"the key {label!r} (CKA_ID {cka_id.hex()})"
        said = f"the device did not answer while {what} was being made ({lost})."
        look = f"segelctl token objects {self._host.name.word}"
        try:
            found = [one for one in await self.objects() if one.cka_id == cka_id]
        except Fault as fault:
            raise Half(
                self._desk.unknown(
                    f"{said} Whether it is there is not known, for the token cannot be looked at now: {fault.text} Look when it "
                    f"can be: {look}"
                ),
                Known.UNKNOWN,
            ) from fault
        whole = {one.object_class: one.public_key for one in found}
        if {PRIVATE, PUBLIC} <= whole.keys() and (public_key := whole[PUBLIC]) is not None:
            _log.warning("a key was made, and its worker lost", token=str(self._host.name), why=str(lost))
            return public_key
        if not found:
            raise self._desk.unknown(
                f"{said} No key was made: nothing with that CKA_ID is on the token. Try again."
            )
        raise Half(
            self._desk.unknown(
                f"{said} Of it the token has only: {', '.join(sorted(whole))}. That is no key to use; make another one, with "
                f"another label. See: {look}"
            ),
            Known.IN_PART,
        )

    async def store_certificates(self, public_key: bytes, chain: tuple[bytes, ...]) -> None:
        """:raises Fault: TOKEN_NOT_ACTIVE, TOKEN_NO_ROOM; what else the token says. They are not used from there."""
        try:
            async with self._user(writable=True) as worker:
                await self._desk.change(
                    worker,
                    lambda number: wire.StoreCertificates(
                        number, public_key, chain, self._host.public_keys()
                    ),
                    wire.CertificatesStored,
                    _PATIENCE,
                )
        except Unanswered as lost:
            raise self._desk.unknown(
                f"the device did not answer while the certificate was being stored ({lost})."
            ) from lost
        await self._show_anew()

    async def destroy_key(self, public_key: bytes) -> None:
        """:raises Fault: it is there still.
        :raises Half: it may be gone.
        """
        try:
            await self._destroy(public_key)
        except Unanswered as lost:
            # What is left of it is found by the public key again, so it can be asked once more.
            try:
                await self._destroy(public_key)
            except (Unanswered, Fault) as again:
                await self._show_anew()
                raise Half(
                    self._desk.unknown(
                        f"the device did not answer while {KeyName.of(public_key)} was being removed ({lost}), nor when that was "
                        f"tried again ({again}). Whether it is gone from there is not known. Look: segelctl token objects "
                        f"{self._host.name.word}"
                    ),
                    Known.UNKNOWN,
                ) from lost
        await self._host.destroyed(KeyName.of(public_key))
        await self._show_anew()

    async def _destroy(self, public_key: bytes) -> None:
        async with self._user(writable=True) as worker:
            done = await self._desk.change(
                worker,
                lambda number: wire.DestroyKey(number, public_key, self._host.public_keys()),
                wire.KeyDestroyed,
                _PATIENCE,
            )
        if done.left:
            _log.warning(
                "a destroyed key's public objects stay on the token",
                token=str(self._host.name),
                key=str(KeyName.of(public_key)),
                objects=done.left,
            )

    async def _show_anew(self, wanted: bytes | None = None) -> str:
        """Some modules see other objects only when they are loaded anew. Gives why `wanted` is not shown yet, and what
        to do; empty if it is.
        """
        host = self._host
        await self._crew.replace()
        worker = self._crew.ready()
        if worker is None:
            host.outdated()
            why = "has no worker at the moment" if host.is_active() else "is not active any more"
        else:
            try:
                found = await worker.find_keys(
                    host.public_keys(), self._desk.patience, alone=host.config.workers == 1
                )
                await host.know_anew(worker, found.keys)
            except (WorkerFailed, WorkerLost, Fault) as error:
                host.outdated()
                why = f"could not be looked through anew ({error})"
                _log.warning("new objects are not seen yet", token=str(host.name), why=str(error))
            else:
                if wanted is None or any(one.public_key == wanted for one in found.keys):
                    return ""
                why = "does not show it to a worker that was started since"
        return (
            f"The key was made, but is not used yet: {host.name} {why}. See: segelctl token show {host.name.word}. It is shown when "
            "the token is active again."
        )

    @asynccontextmanager
    async def _user(self, *, writable: bool) -> AsyncIterator[WorkerHandle]:
        """:raises Fault: TOKEN_NOT_ACTIVE; nothing was changed."""
        self.require_active()
        async with self._logged_in(writable=writable) as worker:
            yield worker

    @asynccontextmanager
    async def _logged_in(self, *, writable: bool) -> AsyncIterator[WorkerHandle]:
        async with self._desk.worker() as worker:
            opened = await self._desk.open(worker, writable=writable)
            await self._logins.log_in_once(worker, opened.serial)
            yield worker
