"""What officers do to tokens and keys, by name: the part of the supervisor that is about it."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from segeld.ipc.ceremony_wire import FoundObject
from segeld.model import weak_objects
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyMade, KeyRecord, ObjectRecord, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.supervisor.half import Half
from segeld.supervisor.token import TokenSupervisor

KINDS: Final = {kind.value.replace("-", "").lower(): kind for kind in KeyKind}
"""By the words of the commands and the wire: rsa2048, p256, ed25519."""
MAX_LABEL: Final = 64
MAX_ID: Final = 64
_ID: Final = 16


class DestroyedHalf(Exception):
    """A key is gone from some of its tokens, or may be, and something failed then."""

    def __init__(self, fault: Fault, gone: tuple[TokenName, ...], unsure: tuple[TokenName, ...] = ()) -> None:
        """:param gone: the tokens that do not hold it any more.
        :param unsure: those of which that is not known.
        """
        super().__init__(fault.text)
        self.fault: Final = fault
        self.gone: Final = gone
        self.unsure: Final = unsure


class Ceremonies:
    """A mixin: `Supervisor` gives it what it needs."""

    _tokens: Mapping[TokenName, TokenSupervisor]

    def token(self, name: TokenName) -> TokenRecord | None:
        raise NotImplementedError

    def key(self, name: KeyName) -> KeyRecord | None:
        raise NotImplementedError

    def _require(self, name: TokenName) -> TokenSupervisor:
        raise NotImplementedError

    def _now(self, name: TokenName) -> TokenRecord:
        record = self.token(name)
        assert record is not None
        return record

    async def initialize(
        self,
        token: TokenName,
        slot: tuple[str, int] | None,
        label: str | None,
        so_pin: Pin,
        new_pin: Pin,
        serial: str | None = None,
    ) -> TokenRecord:
        """Erases a token, or makes a blank one usable. It waits for its activation then.

        :param slot: the module's configured name and the slot's number, of a blank token; None: found as configured.
        :param serial: of the device that is meant; None: whichever is there.
        :raises Fault: nothing was changed.
        :raises Half: it is erased, or may be.
        """
        await self._require(token).clerk.initialize(slot, label, so_pin, new_pin, serial)
        return self._now(token)

    async def unblock(
        self, token: TokenName, so_pin: Pin, new_pin: Pin, serial: str | None = None
    ) -> TokenRecord:
        """:param serial: of the device that is meant; None: whichever is there.
        :raises Fault: the PIN is what it was.
        :raises Half: it is the new one, or may be.
        """
        await self._require(token).clerk.unblock(so_pin, new_pin, serial)
        return self._now(token)

    async def change_pin(self, token: TokenName, pin: Pin, new_pin: Pin) -> str:
        """Gives what the officer has to do then; empty if nothing. Whoever calls wipes both.

        :raises Fault: the PIN is what it was.
        :raises Half: it is the new one, or may be.
        """
        return await self._require(token).clerk.change_pin(pin, new_pin)

    async def objects(self, token: TokenName) -> tuple[ObjectRecord, ...]:
        """:raises Fault: TOKEN_NOT_FOUND, TOKEN_NOT_ACTIVE."""
        return _records(await self._require(token).clerk.objects())

    async def public_objects(self, token: TokenName) -> tuple[ObjectRecord, ...]:
        """What it shows without a login: no private keys, and not all that is there.

        :raises Fault: TOKEN_NOT_FOUND, TOKEN_NOT_PRESENT; what else the token says.
        """
        return _records(await self._require(token).clerk.public_objects())

    async def generate_key(self, token: TokenName, label: str, kind: str, cka_id: bytes) -> KeyMade:
        """:param cka_id: empty: random octets.
        :raises Fault: TOKEN_NOT_FOUND, TOKEN_NOT_ACTIVE, FIELD_INVALID, KEY_EXISTS, TOKEN_NO_ROOM, …; no key was made.
        :raises Half: it may have been made.
        """
        known = self._require(token)
        if kind not in KINDS:
            raise _invalid("kind", f"{kind!r} is none of {', '.join(KINDS)}")
        if not label.isprintable() or not 1 <= len(label) <= MAX_LABEL:
            raise _invalid("label", f"1 to {MAX_LABEL} printable characters are wanted")
        if len(cka_id) > MAX_ID:
            raise _invalid("id", f"at most {MAX_ID} octets are wanted, not {len(cka_id)}")
        return await known.clerk.generate_key(label, KINDS[kind], cka_id or secrets.token_bytes(_ID))

    async def store_certificates(self, key: KeyName, chain: tuple[bytes, ...]) -> tuple[TokenName, ...]:
        """The tokens that took them.

        :raises Fault: why none did.
        """
        record = self._require_key(key)
        took: list[TokenName] = []
        failed: Fault | None = None
        for token in self._holding(key):
            try:
                await token.clerk.store_certificates(record.public_key, chain)
            except Fault as fault:
                failed = failed or fault
            else:
                took.append(token.name)
        if not took:
            raise failed or Fault(Reason.KEY_NOT_FOUND, f"No token holds {key} now.", key=str(key))
        return tuple(took)

    async def destroy_key(self, key: KeyName) -> tuple[TokenName, ...]:
        """Removes it from all the tokens that hold it: these must all be active.

        :raises Fault: KEY_NOT_FOUND, TOKEN_NOT_ACTIVE; what the first token says. It is on all of them still.
        :raises DestroyedHalf: what a later one says; or the first, if it may have removed it.
        """
        record, holding = self._require_key(key), self._holding(key)
        for token in holding:
            if not token.is_active():
                raise _not_all_active(key, token.record(), [each.name for each in holding])
        gone: list[TokenName] = []
        for token in holding:
            try:
                await token.clerk.destroy_key(record.public_key)
            except Half as half:
                raise DestroyedHalf(half.fault, tuple(gone), (token.name,)) from half
            except Fault as fault:
                if gone:
                    raise DestroyedHalf(fault, tuple(gone)) from fault
                raise
            gone.append(token.name)
        return tuple(gone)

    async def quarantine(self, token: TokenName, reason: str, who: str = "An officer") -> TokenRecord:
        """:raises Fault: TOKEN_NOT_FOUND; TOKEN_STATE if it is in quarantine already; STORAGE_… if only a restart lifts it."""
        await self._require(token).quarantine(reason, who)
        return self._now(token)

    async def release(self, token: TokenName, who: str = "An officer") -> TokenRecord:
        """:raises Fault: TOKEN_NOT_FOUND; TOKEN_STATE if it is in none; STORAGE_…"""
        await self._require(token).release(who)
        return self._now(token)

    def _require_key(self, key: KeyName) -> KeyRecord:
        record = self.key(key)
        if record is None:
            raise Fault(Reason.KEY_NOT_FOUND, f"No token that was seen holds {key}.", key=str(key))
        return record

    def _holding(self, key: KeyName) -> Sequence[TokenSupervisor]:
        """Also tokens that are away: what is remembered of them counts."""
        return [token for token in self._tokens.values() if _holds(token.record(), key)]


def _not_all_active(key: KeyName, token: TokenRecord, holding: Sequence[TokenName]) -> Fault:
    also = (
        f" It is on {', '.join(map(str, holding))}, and goes from all of them together."
        if len(holding) > 1
        else ""
    )
    away = key not in token.key_names
    absent = away or token.state is TokenState.ABSENT
    how = "not there, but another device in its place" if away else token.state.lower()
    todo = (
        "Put it in and activate it. If it is gone for good, take it out of the configuration first."
        if absent
        else f"Run: segelctl token activate {token.name.word}"
    )
    return Fault(
        Reason.TOKEN_NOT_ACTIVE,
        f"Nothing was removed: {token.name}, which holds {key}, is {how}.{also} {todo}",
        token=str(token.name),
        key=str(key),
    )


def _holds(token: TokenRecord, key: KeyName) -> bool:
    return key in token.key_names or any(one.name == key for one in token.away)


def _records(found: Sequence[FoundObject]) -> tuple[ObjectRecord, ...]:
    warnings = weak_objects.warnings([_facts(one) for one in found])
    return tuple(_record(one, weak) for one, weak in zip(found, warnings, strict=True))


def _facts(found: FoundObject) -> weak_objects.Facts:
    return weak_objects.Facts(
        found.object_class,
        found.cka_id,
        found.bits,
        found.public_key,
        frozenset(found.attributes),
        frozenset(found.denied),
    )


def _record(found: FoundObject, warnings: Collection[str]) -> ObjectRecord:
    return ObjectRecord(
        object_class=found.object_class,
        label=found.label,
        cka_id=found.cka_id,
        kind=found.kind,
        key=KeyName.of(found.public_key) if found.public_key is not None else None,
        attributes=found.attributes,
        warnings=tuple(warnings),
    )


def _invalid(field: str, text: str) -> Fault:
    return Fault(Reason.FIELD_INVALID, f"{field}: {text}.", field=field)
