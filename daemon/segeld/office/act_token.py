"""Initialising tokens and setting PINs by the SO PIN, as changes."""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from segeld.audit.acts import Acts
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Survey, TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.office.actions import InitializeToken, UnblockPin
from segeld.office.executor import NEW_PIN, SO_PIN, Description, Partly
from segeld.office.expiry import facts_of
from segeld.supervisor.clerk import SetUpHalf

_SLOT: Final = re.compile(r"modules/([a-z0-9][a-z0-9-]*)/slots/([0-9]{1,20})")


class Tokens(Protocol):
    """The supervisor, as these changes need it."""

    def token(self, name: TokenName) -> TokenRecord | None: ...

    def key(self, name: KeyName) -> KeyRecord | None: ...

    async def survey(self) -> Survey: ...

    async def initialize(
        self, token: TokenName, slot: tuple[str, int] | None, label: str | None, so_pin: Pin, new_pin: Pin
    ) -> TokenRecord: ...

    async def unblock(self, token: TokenName, so_pin: Pin, new_pin: Pin) -> TokenRecord: ...


class InitializingToken:
    secrets: tuple[str, ...] = (SO_PIN, NEW_PIN)

    def __init__(self, tokens: Tokens, acts: Acts) -> None:
        self._tokens = tokens
        self._acts = acts

    async def describe(self, action: InitializeToken) -> Description:
        """:raises Fault: TOKEN_NOT_FOUND, FIELD_INVALID, SLOT_NOT_FOUND, TOKEN_STATE."""
        token, slot = _known(self._tokens, action.token), _slot(action.slot)
        if slot is None:
            lost = _lost(self._tokens, token)
            return Description(
                (
                    f"{action.token} (label {token.label!r}, serial number {token.serial or 'not seen yet'}) is erased: "
                    + (
                        "nothing is known to be on it." if not lost else "everything on it is lost, for ever:"
                    ),
                    *lost,
                ),
                needs_approval=True,
                binding=True,
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
            else (
                f"{action.token} in {action.slot} is erased: everything on it is lost, for ever:",
                *_lost(self._tokens, token),
            ),
            needs_approval=True,
            binding=True,
        )

    async def run(
        self, action: InitializeToken, who: str, secrets: Mapping[str, Pin], approved_by: str = ""
    ) -> None:
        name = TokenName.parse(action.token)
        facts = _facts(approved_by) | ({"slot": action.slot} if action.slot else {})
        await self._acts.note("token initialisation begun", who=who, subject=action.token, **facts)
        try:
            record = await self._tokens.initialize(
                name, _slot(action.slot), action.label or None, secrets[SO_PIN], secrets[NEW_PIN]
            )
        except SetUpHalf as half:
            self._acts.later(
                "token erased", who=who, subject=action.token, reason=half.fault.reason, pin="not set"
            )
            raise Partly(
                Fault(
                    half.fault.reason,
                    f"{action.token} is erased, but its PIN could not be set: {half.fault.text} Ask for it to be unblocked, "
                    f"with the SO PIN that was just typed: segelctl token pin-unblock {name.word}",
                    token=action.token,
                )
            ) from half
        except Fault as fault:
            self._acts.later(
                "token initialisation failed", who=who, subject=action.token, reason=fault.reason
            )
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
        lines = [f"{action.token} gets a new PIN, set with its SO PIN. Its keys stay."]
        if token.pin_tries:
            lines.append(token.pin_tries)
        return Description(tuple(lines), needs_approval=True)

    async def run(
        self, action: UnblockPin, who: str, secrets: Mapping[str, Pin], approved_by: str = ""
    ) -> None:
        facts = _facts(approved_by)
        await self._acts.note("token unblocking begun", who=who, subject=action.token, **facts)
        try:
            await self._tokens.unblock(TokenName.parse(action.token), secrets[SO_PIN], secrets[NEW_PIN])
        except Fault as fault:
            self._acts.later("token unblocking failed", who=who, subject=action.token, reason=fault.reason)
            raise
        self._acts.later("token unblocked", who=who, subject=action.token, **facts)


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


def _lost(tokens: Tokens, token: TokenRecord) -> tuple[str, ...]:
    lines = [
        f"The key {key.label!r} ({key.kind or 'of an unknown kind'}), {key.name or 'whose public key is not known'}"
        f"{_certificate(tokens, key)}."
        for key in token.keys
    ]
    if lines:  # no count: jobs come and go while others decide
        lines.append("Jobs that wait for these keys go on only if another token holds them.")
    return tuple(lines)


def _certificate(tokens: Tokens, key: TokenKey) -> str:
    """Whose the certificate is, as a sentence's end. One in the state folder counts too."""
    known = tokens.key(key.name) if key.name is not None else None
    chain = known.chain if known is not None else key.chain
    facts = facts_of(chain[0]) if chain else None
    return f", with the certificate of {facts.subject}" if facts is not None else ", without a certificate"


def _facts(approved_by: str) -> dict[str, str]:
    return {"approved_by": approved_by} if approved_by else {}
