"""The part of `TokenAdmin` about keys and their certificates. Whatever changes one is recorded with it."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import grpc

from segel.v1 import token_admin_pb2
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyMade, KeyRecord
from segeld.model.names import KeyName
from segeld.office.expiry import facts_of
from segeld.office.key_desk import KeyDesk
from segeld.policy import Policy
from segeld.rpc import call as calls
from segeld.rpc import convert, keys
from segeld.rpc.outcomes import Outcomes
from segeld.rpc.ports import Inventory

Context = grpc.aio.ServicerContext[Any, Any]
_DECIDED: Final = frozenset({Reason.KEY_DISABLED, Reason.KEY_CERTIFICATE})
"""What officers can change: they are told more of it than callers."""


class KeyAdmin:
    """A mixin: `TokenAdmin` gives it what it needs."""

    _inventory: Inventory
    _key_desk: KeyDesk
    _outcomes: Outcomes
    _policy: Callable[[], Policy]

    async def ListManagedKeys(
        self, request: token_admin_pb2.ListManagedKeysRequest, context: Context
    ) -> token_admin_pb2.ListManagedKeysResponse:
        return token_admin_pb2.ListManagedKeysResponse(
            keys=[self._managed(record) for record in self._inventory.keys()],  # noqa: SIM118 # a method
            warnings=self._key_desk.beside(),
        )

    async def CreateCsr(
        self, request: token_admin_pb2.CreateCsrRequest, context: Context
    ) -> token_admin_pb2.CreateCsrResponse:
        key = self._key(request.key, "key")
        who = calls.principal().name
        pem, subject = await self._outcomes.recorded(
            self._key_desk.certificates.request(key, who, request.subject, request.like),
            "certificate request not made",
            who,
            str(key),
        )
        return token_admin_pb2.CreateCsrResponse(pem=pem, subject=subject)

    async def ImportCertificate(
        self, request: token_admin_pb2.ImportCertificateRequest, context: Context
    ) -> token_admin_pb2.ImportCertificateResponse:
        wanted = self._key(request.key, "key") if request.key else None
        taken = self._key_desk.certificates.examine(request.data, wanted)
        stored: tuple[str, ...] = ()
        more: tuple[str, ...] = ()
        if not request.dry_run:
            who = calls.principal().name
            stored, more = await self._outcomes.recorded(
                self._key_desk.certificates.take(taken, who),
                "certificate import failed",
                who,
                str(taken.key),
            )
        record = self._key_desk.standing.require(taken.key)
        if not request.dry_run and record.chain[:1] != taken.der[:1]:
            more = (*more, "A younger certificate of the key is on its token, and goes on being used.")
        as_it_would_be = replace(record, chain=taken.der) if request.dry_run else record
        return token_admin_pb2.ImportCertificateResponse(
            key=self._managed(as_it_would_be), stored=stored, warnings=(*taken.warnings, *more)
        )

    async def DisableKey(
        self, request: token_admin_pb2.DisableKeyRequest, context: Context
    ) -> token_admin_pb2.ManagedKey:
        key = self._key(request.key, "key")
        await self._key_desk.withdrawal.disable(key, calls.principal().name, request.reason)
        return self._managed(self._key_desk.standing.require(key))

    def _key(self, text: str, field: str) -> KeyName:
        """:raises Fault: FIELD_INVALID, KEY_NOT_FOUND, KEY_AMBIGUOUS for an alias of several keys."""
        name = convert.key_or_alias(text, field)
        if isinstance(name, KeyName):
            return name
        named = self._policy().aliases.get(name, ())
        if not named:
            raise Fault(Reason.KEY_NOT_FOUND, f"The policy knows no alias {name}.", key=str(name))
        if len(named) > 1:
            which = ", ".join(map(str, named))
            raise Fault(
                Reason.KEY_AMBIGUOUS, f"{name} names {len(named)} keys; say which: {which}.", key=str(name)
            )
        return named[0]

    def _managed(self, record: KeyRecord) -> token_admin_pb2.ManagedKey:
        policy, standing = self._policy(), self._key_desk.standing
        note, gap = standing.note(record.name), standing.gap(record)
        aliases = sorted(str(alias) for alias, named in policy.aliases.items() if record.name in named)
        message = token_admin_pb2.ManagedKey(
            key=keys.whole_message(record, aliases),
            places=self._places(record.name),
            disabled_by=note.disabled_by,
            revocation=standing.revocation(record),
            warnings=(*standing.warnings(record), *filter(None, [gap]), *self._weak(record.name)),
            callers=sorted(name for name, grants in policy.grants.items() if grants.on(record.name)),
            disable_reason=note.disabled_why,
            chain_gap=gap,
            kind=record.kind or "",
        )
        if record.unusable in _DECIDED and (why := standing.withdrawn(record)):
            message.key.state_reason = why
        if note.disabled_at:
            message.disable_time.FromMicroseconds(round(note.disabled_at * 1e6))
        if note.csr_at:
            message.csr_time.FromMicroseconds(round(note.csr_at * 1e6))
        if record.chain:
            _show_certificate(message, record.chain[0])
        return message

    def _made(self, made: KeyMade) -> token_admin_pb2.ManagedKey:
        """A key that was just made, also if nobody has seen it on its token yet."""
        record = self._inventory.key(made.name)
        message = self._managed(
            record
            or KeyRecord(made.name, made.kind, made.public_key, (), (), Reason.TOKEN_RECOVERING, made.missing)
        )
        if record is None:
            message.places.add(token=str(made.token), label=made.label, id=made.cka_id)
        if made.missing:
            message.warnings.append(made.missing)
        return message

    def _weak(self, key: KeyName) -> list[str]:
        """What makes it weak, on each of its tokens."""
        places = [
            (token.name, each.weak)
            for token in self._inventory.tokens()
            for each in token.keys
            if each.name == key
        ]
        if len(places) == 1:
            return list(places[0][1])
        return [f"On {token}: {text}" for token, weak in places for text in weak]

    def _places(self, key: KeyName) -> list[token_admin_pb2.ManagedKey.Place]:
        return [
            token_admin_pb2.ManagedKey.Place(token=str(token.name), label=each.label, id=each.cka_id)
            for token in self._inventory.tokens()
            for each in token.keys
            if each.name == key
        ]


def _show_certificate(message: token_admin_pb2.ManagedKey, der: bytes) -> None:
    facts = facts_of(der)
    if facts is None:
        return
    message.not_before.FromMicroseconds(round(facts.not_before * 1e6))
    message.not_after.FromMicroseconds(round(facts.not_after * 1e6))
    message.subject, message.issuer = facts.subject, facts.issuer
