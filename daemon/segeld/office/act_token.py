"""Initialising tokens and setting PINs by the SO PIN, as changes."""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from msgspec.structs import replace

from segeld.audit.acts import Acts
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Survey, TokenRecord
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.office import lost_objects
from segeld.office.actions import InitializeToken, UnblockPin
from segeld.office.executor import NEW_PIN, SO_PIN, Description, Partly
from segeld.office.lost_objects import lost_with, to_see_all, which
from segeld.supervisor.half import Half, Known

_BEFALLEN: Final = {
    Known.DONE: "token initialised, not wholly recorded",
    Known.IN_PART: "token erased, pin not set",
    Known.UNKNOWN: "token perhaps erased",
}
_REFUSED: Final = frozenset({Reason.PIN_INCORRECT, Reason.PIN_EXPIRED})
_ANSWERED: Final = frozenset({Reason.PIN_LOCKED, Reason.DEVICE_ERROR})
"""If the module said so. These can also be said before anything was sent."""
_SLOT: Final = re.compile(r"modules/([a-z0-9][a-z0-9-]*)/slots/([0-9]{1,20})")


class Tokens(lost_objects.Tokens, Protocol):
    """The supervisor, as these changes need it."""

    def token(self, name: TokenName) -> TokenRecord | None: ...

    async def survey(self) -> Survey: ...

    async def initialize(
        self,
        token: TokenName,
        slot: tuple[str, int] | None,
        label: str | None,
        so_pin: Pin,
        new_pin: Pin,
        serial: str | None = None,
    ) -> TokenRecord: ...

    async def unblock(
        self, token: TokenName, so_pin: Pin, new_pin: Pin, serial: str | None = None
    ) -> TokenRecord: ...


class InitializingToken:
    secrets: tuple[str, ...] = (SO_PIN, NEW_PIN)

    def __init__(self, tokens: Tokens, acts: Acts) -> None:
        self._tokens = tokens
        self._acts = acts

    async def describe(self, action: InitializeToken) -> Description:
        """:raises Fault: TOKEN_NOT_FOUND, FIELD_INVALID, SLOT_NOT_FOUND, TOKEN_STATE."""
        token, slot = _known(self._tokens, action.token), _slot(action.slot)
        if slot is None:
            return Description(
                await lost_with(self._tokens, token),
                needs_approval=True,
                binding=True,
                to_see_all=to_see_all(token),
                action=replace(action, serial=token.serial),
            )
        survey = await self._tokens.survey()
        found = next((one for one in survey.slots if (one.module, one.slot_id) == slot), None)
        if found is None or found.token_label is None:
            raise Fault(
                Reason.SLOT_NOT_FOUND,
                f"{action.slot}: there is no such slot, or no token in it. See: segelctl slot list",
                field="action.initialize_token.slot",
            )
        if "CKF_TOKEN_INITIALIZED" in found.token_flags and found.token != token.name:
            raise Fault(
                Reason.TOKEN_STATE,
                f"The token in {action.slot} is another ({found.token_label!r}, {found.token_serial}) and is not blank.",
                field="action.initialize_token.slot",
            )
        return Description(
            (_made_usable(action, token),)
            if found.token != token.name
            else await lost_with(self._tokens, token),
            needs_approval=True,
            binding=True,
            to_see_all=to_see_all(token) if found.token == token.name else "",
            action=replace(action, serial=found.token_serial),
        )

    async def run(
        self, action: InitializeToken, who: str, secrets: Mapping[str, Pin], approved_by: str = ""
    ) -> None:
        name = TokenName.parse(action.token)
        facts = _facts(approved_by) | ({"slot": action.slot} if action.slot else {})
        await self._acts.note("token initialisation begun", who=who, subject=action.token, **facts)
        try:
            record = await self._tokens.initialize(
                name,
                _slot(action.slot),
                action.label or None,
                secrets[SO_PIN],
                secrets[NEW_PIN],
                action.serial,
            )
        except Half as half:
            self._acts.later(_BEFALLEN[half.known], who=who, subject=action.token, reason=half.fault.reason)
            raise Partly(half.fault) from half
        except Fault as fault:
            self._acts.later(
                "token initialisation failed", who=who, subject=action.token, reason=fault.reason
            )
            _require_untried(fault)
            raise
        self._acts.later("token initialised", who=who, subject=action.token, serial=record.serial, **facts)


class UnblockingPin:
    secrets: tuple[str, ...] = (SO_PIN, NEW_PIN)

    def __init__(self, tokens: Tokens, acts: Acts) -> None:
        self._tokens = tokens
        self._acts = acts

    async def describe(self, action: UnblockPin) -> Description:
        """:raises Fault: TOKEN_NOT_FOUND."""
        token = _known(self._tokens, action.token)
        line = f"{action.token} ({which(token)}) gets a new PIN, set with its SO PIN. Its keys stay."
        # Bound to that device: how many tries it says are left moves, and is not said here.
        fixed = replace(action, serial=token.serial)
        return Description((line,), needs_approval=True, binding=True, action=fixed)

    async def run(
        self, action: UnblockPin, who: str, secrets: Mapping[str, Pin], approved_by: str = ""
    ) -> None:
        facts = _facts(approved_by)
        await self._acts.note("token unblocking begun", who=who, subject=action.token, **facts)
        try:
            await self._tokens.unblock(
                TokenName.parse(action.token), secrets[SO_PIN], secrets[NEW_PIN], action.serial
            )
        except Half as half:
            self._acts.later(
                "token unblocking not ended",
                who=who,
                subject=action.token,
                reason=half.fault.reason,
                known=half.known,
            )
            raise Partly(half.fault) from half
        except Fault as fault:
            self._acts.later("token unblocking failed", who=who, subject=action.token, reason=fault.reason)
            _require_untried(fault)
            raise
        self._acts.later("token unblocked", who=who, subject=action.token, **facts)


def _require_untried(fault: Fault) -> None:
    """What two officers agreed to is one try of the SO PIN: whoever runs it could lock it else, a try after another.

    :raises Partly: if one may be spent. An answer of the module that says nothing of it counts as a refusal.
    """
    answered = int(fault.facts.get("ckr", "0"), 16)
    if fault.reason in _REFUSED or (fault.reason in _ANSWERED and answered):
        text = f"{fault.text} A try of the SO PIN may be spent, and two officers agreed to one: ask anew."
        ended = Fault(fault.reason, text, field=fault.field, retry_after=fault.retry_after, **fault.facts)
        raise Partly(ended, "a try of the SO PIN is spent") from fault


def _known(tokens: Tokens, name: str) -> TokenRecord:
    record = tokens.token(TokenName.parse(name))
    if record is None:
        raise Fault(Reason.TOKEN_NOT_FOUND, f"No token {name} is configured.", token=name)
    return record


def _slot(name: str) -> tuple[str, int] | None:
    if not name:
        return None
    found = _SLOT.fullmatch(name)
    if found is None:
        raise Fault(
            Reason.FIELD_INVALID,
            f"{name!r} is no slot: modules/MODULE/slots/NUMBER is wanted. See: segelctl slot list",
            field="action.initialize_token.slot",
        )
    return found[1], int(found[2])


def _made_usable(action: InitializeToken, token: TokenRecord) -> str:
    return (
        f"The blank token in {action.slot} becomes {action.token}, with the label {action.label or token.label!r}. Nothing "
        "is on it that could be lost."
    )


def _facts(approved_by: str) -> dict[str, str]:
    return {"approved_by": approved_by} if approved_by else {}
