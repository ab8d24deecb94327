"""One token: found by label or serial, opened, logged in at most once."""

import contextlib
import ctypes
from typing import Final

from pkcs11 import Session, exceptions
from pkcs11.attributes import AttributeMapper
from pkcs11.constants import Attribute

from segeld.ipc.pin_wire import Login, LoginEnded, LoginOutcome, unwrap
from segeld.ipc.worker_wire import OpenToken, Remedy, TokenInfo
from segeld.model.faults import Reason
from segeld.worker import cryptoki, faults, slots
from segeld.worker.ckr import Ckr
from segeld.worker.failure import Failure
from segeld.worker.module import Module

MAX_SESSIONS: Final = 256


class RawAttributes(AttributeMapper):
    """Attributes as the octets that the module gave: one value that is not as it should be hides no other."""

    def unpack_attributes(self, key: Attribute, value: bytes) -> bytes:  # noqa: ARG002
        return value


class Token:
    """An open token. Every session is logged in when one is; none is ever closed, so none logs the others out."""

    def __init__(self, module: Module, request: OpenToken) -> None:
        """:raises Failure: if it is not there, not the only one, or gives no session."""
        if request.label is None and request.serial is None:
            raise _not_valid("a token is named by its label, its serial, or both")
        if not 1 <= request.sessions <= MAX_SESSIONS:
            raise _not_valid(f"{request.sessions} sessions: 1 to {MAX_SESSIONS} can be opened")
        self._module: Final = module
        self.slot_id, self.info = _find(module, request)
        self.sessions: Final = _open(module, self.slot_id, request.sessions if module.locking else 1)

    def login(self, frame: Login) -> LoginEnded:
        """One C_Login as the user, if the token's own flags do not speak against it.

        The flags are read again just before: another program may have spent tries.

        :raises ValueError: if the frame's PIN field is not one.
        """
        with unwrap(frame.pin) as pin:
            ckr, before = slots.read_token(self._module.functions, self.slot_id)
            if before is None:
                return LoginEnded(LoginOutcome.NOT_TRIED, ckr, ())
            if (speaks_against := _untried(frame, len(pin), before)) is not None:
                return LoginEnded(speaks_against, 0, before.flags)
            with pin.view() as view:
                ckr = self._login(view)
        _, after = slots.read_token(self._module.functions, self.slot_id)
        return LoginEnded(self._outcome(ckr), ckr, after.flags if after is not None else before.flags)

    def _login(self, pin: memoryview) -> int:
        # The module reads the PIN where it lies; a reference that stays would keep the page from being wiped.
        place = (ctypes.c_char * len(pin)).from_buffer(pin)
        try:
            return self._module.functions.login(
                handle_of(self.sessions[0]), cryptoki.CKU_USER, ctypes.addressof(place), len(pin)
            )
        finally:
            del place

    def _outcome(self, ckr: int) -> LoginOutcome:
        match ckr:
            case 0:
                return LoginOutcome.OK
            case Ckr.USER_ALREADY_LOGGED_IN if self._is_user():
                return LoginOutcome.OK
            case Ckr.PIN_LOCKED:
                return LoginOutcome.LOCKED
            case Ckr.PIN_EXPIRED:
                return LoginOutcome.EXPIRED
            case Ckr.DEVICE_REMOVED | Ckr.TOKEN_NOT_PRESENT | Ckr.USER_PIN_NOT_INITIALIZED:
                return LoginOutcome.REMOVED
            case _:
                return LoginOutcome.REFUSED

    def _is_user(self) -> bool:
        info = cryptoki.SessionInfo()
        ckr = self._module.functions.get_session_info(handle_of(self.sessions[0]), ctypes.byref(info))
        return ckr == 0 and info.state in cryptoki.CKS_USER_STATES


def _untried(frame: Login, length: int, token: TokenInfo) -> LoginOutcome | None:
    """Why this PIN is not even sent; None if it may be."""
    if slots.USER_PIN_LOCKED in token.flags:
        return LoginOutcome.LOCKED
    risky = (
        {slots.USER_PIN_FINAL_TRY, slots.USER_PIN_COUNT_LOW}
        if frame.open_attempt
        else {slots.USER_PIN_FINAL_TRY}
    )
    if not frame.by_officer and risky.intersection(token.flags):
        return LoginOutcome.NOT_TRIED
    if length < token.min_pin or (token.max_pin and length > token.max_pin):
        return LoginOutcome.LENGTH
    return None


def handle_of(session: Session) -> int:
    """The CK_SESSION_HANDLE, which python-pkcs11 shows but does not declare."""
    return int(session.handle)  # type: ignore[attr-defined]


def _find(module: Module, request: OpenToken) -> tuple[int, TokenInfo]:
    found = []
    trouble = 0
    for slot_id in slots.slot_ids(module.functions, with_token=True):
        ckr, info = slots.read_token(module.functions, slot_id)
        if info is None:
            trouble = trouble or ckr
        elif request.label in (None, info.label) and request.serial in (None, info.serial):
            found.append((slot_id, info))
    asked = " and ".join(
        f"{what} {value!r}"
        for what, value in (("label", request.label), ("serial", request.serial))
        if value is not None
    )
    if not found:
        also = f"; a slot could not be read: {faults.name(trouble)}" if trouble else ""
        raise Failure(
            Reason.TOKEN_NOT_PRESENT, Remedy.ABSENT, f"no token with {asked} is there{also}", ckr=trouble
        )
    if len(found) > 1:
        raise _not_valid(
            f"{len(found)} tokens have {asked}: name the one that is meant by label and serial, or take the others out"
        )
    return found[0]


def _open(module: Module, slot_id: int, wanted: int) -> list[Session]:
    sessions: list[Session] = []
    try:
        slot = next(slot for slot in module.binding.get_slots(token_present=True) if slot.slot_id == slot_id)
        token = slot.get_token()
        while len(sessions) < wanted:
            sessions.append(token.open(attribute_mapper=RawAttributes()))
    except StopIteration:
        raise Failure.of(Ckr.SLOT_ID_INVALID, "C_GetSlotList") from None
    except exceptions.SessionCount as error:
        if not sessions:
            raise Failure.raised(error, "C_OpenSession") from None
    except exceptions.PKCS11Error as error:
        for session in sessions:
            with contextlib.suppress(exceptions.PKCS11Error):
                session.close()
        # python-pkcs11 lists no slot at all if one of them is bad; which one it was, a Survey says.
        raise Failure.raised(error, "listing slots and opening a session") from None
    return sessions


def _not_valid(text: str) -> Failure:
    return Failure(Reason.FIELD_INVALID, Remedy.LOCK, text)
