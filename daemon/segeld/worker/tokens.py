"""One token: found by label or serial, opened, logged in once; and again for each signature with keys that want that."""

import contextlib
import ctypes
from typing import Final

from pkcs11 import Session, exceptions
from pkcs11.attributes import AttributeMapper
from pkcs11.constants import Attribute

from segeld.ipc.pin_wire import Login, LoginEnded, LoginOutcome, PadLogin, unwrap
from segeld.ipc.worker_wire import OpenToken, Remedy, TokenInfo
from segeld.model.faults import Reason
from segeld.model.secret import Pin
from segeld.worker import cryptoki, faults, slots
from segeld.worker.ckr import Ckr
from segeld.worker.failure import Failure
from segeld.worker.module import Module

MAX_SESSIONS: Final = 256
_MAX_BLANK: Final = 4
"""Slots with blank tokens that are named."""

_CANCELLED: Final = frozenset({Ckr.FUNCTION_CANCELED, Ckr.CANCEL})
"""At a pad: the person did not want to, or was too slow."""
_ALWAYS: Final = "It wants its PIN before every signature (CKA_ALWAYS_AUTHENTICATE)"
_ALWAYS_BY_PAD: Final = f"{_ALWAYS}, which would have to be typed at the reader's pad each time. Use a reader without a pad, or another key."
_ALWAYS_ALONE: Final = f"{_ALWAYS}, and another signature must not come between the two. Set workers = 1 and sessions = 1 for its token."


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
        self._by_pad = False
        self.sessions: Final = _open(
            module, self.slot_id, request.sessions if module.locking else 1, writable=request.writable
        )

    def login(self, frame: Login | PadLogin) -> LoginEnded:
        """One C_Login as the user, if the token's own flags do not speak against it.

        :raises ValueError: if the frame's PIN field is not one.
        """
        if isinstance(frame, PadLogin):
            self._by_pad = True
            return self._try_pad()
        with unwrap(frame.pin) as pin:
            return self._try(
                pin, cryptoki.CKU_USER, by_officer=frame.by_officer, open_attempt=frame.open_attempt
            )

    def reaffirm(self, pin: Pin, *, by_officer: bool, open_attempt: bool) -> LoginEnded:
        """C_Login once more, for the signature that is begun in the one session. What follows must be its C_Sign."""
        return self._try(pin, cryptoki.CKU_CONTEXT_SPECIFIC, by_officer=by_officer, open_attempt=open_attempt)

    def no_always(self, *, alone: bool) -> str | None:
        """Why keys that want their PIN before each signature cannot be used here; None if they can.

        :param alone: no other worker signs with this token.
        """
        if self._by_pad:
            return _ALWAYS_BY_PAD
        return None if alone and len(self.sessions) == 1 else _ALWAYS_ALONE

    def _try(self, pin: Pin, user: int, *, by_officer: bool, open_attempt: bool) -> LoginEnded:
        """The flags are read again just before: another program may have spent tries."""
        ckr, before = slots.read_token(self._module.functions, self.slot_id)
        if before is None:
            return LoginEnded(LoginOutcome.NOT_TRIED, ckr, ())
        if before.serial != self.info.serial:  # exchanged: the attempt was noted for the other one
            return LoginEnded(LoginOutcome.REMOVED, 0, ())
        against = _untried(len(pin), before, by_officer=by_officer, open_attempt=open_attempt)
        if against is not None:
            return LoginEnded(against, 0, before.flags)
        with pin.view() as view:
            ckr = self._login(user, view)
        if ckr == 0 and user == cryptoki.CKU_CONTEXT_SPECIFIC:
            return LoginEnded(
                LoginOutcome.OK, ckr, before.flags
            )  # a card forgets it when it is asked anything now
        return self._ended(self._outcome(ckr), ckr, before)

    def _try_pad(self) -> LoginEnded:
        """A person types the PIN: whatever tries are left, they are that person's to spend."""
        ckr, before = slots.read_token(self._module.functions, self.slot_id)
        if before is None:
            return LoginEnded(LoginOutcome.NOT_TRIED, ckr, ())
        if before.serial != self.info.serial:  # exchanged: the attempt was noted for the other one
            return LoginEnded(LoginOutcome.REMOVED, 0, ())
        if slots.USER_PIN_LOCKED in before.flags:
            return LoginEnded(LoginOutcome.LOCKED, 0, before.flags)
        if slots.PIN_PAD not in before.flags:
            # Some modules take no PIN for an empty one, and spend a try.
            return LoginEnded(LoginOutcome.NOT_TRIED, Ckr.ARGUMENTS_BAD, before.flags)
        ckr = self._module.functions.login(handle_of(self.sessions[0]), cryptoki.CKU_USER, None, 0)
        outcome = LoginOutcome.CANCELLED if ckr in _CANCELLED else self._outcome(ckr)
        return self._ended(outcome, ckr, before)

    def _ended(self, outcome: LoginOutcome, ckr: int, before: TokenInfo) -> LoginEnded:
        _, after = slots.read_token(self._module.functions, self.slot_id)
        return LoginEnded(outcome, ckr, after.flags if after is not None else before.flags)

    def _login(self, user: int, pin: memoryview) -> int:
        # The module reads the PIN where it lies; a reference that stays would keep the page from being wiped.
        place = (ctypes.c_char * len(pin)).from_buffer(pin)
        try:
            return self._module.functions.login(
                handle_of(self.sessions[0]), user, ctypes.addressof(place), len(pin)
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


def _untried(length: int, token: TokenInfo, *, by_officer: bool, open_attempt: bool) -> LoginOutcome | None:
    """Why this PIN is not even sent; None if it may be."""
    if slots.USER_PIN_LOCKED in token.flags:
        return LoginOutcome.LOCKED
    risky = (
        {slots.USER_PIN_FINAL_TRY, slots.USER_PIN_COUNT_LOW} if open_attempt else {slots.USER_PIN_FINAL_TRY}
    )
    if not by_officer and risky.intersection(token.flags):
        return LoginOutcome.NOT_TRIED
    if length < token.min_pin or (token.max_pin and length > token.max_pin):
        return LoginOutcome.LENGTH
    return None


def handle_of(session: Session) -> int:
    """The CK_SESSION_HANDLE, which python-pkcs11 shows but does not declare."""
    return int(session.handle)  # type: ignore[attr-defined]


def _find(module: Module, request: OpenToken) -> tuple[int, TokenInfo]:
    found, blank = [], []
    trouble = 0
    for slot_id in slots.slot_ids(module.functions, with_token=True):
        ckr, info = slots.read_token(module.functions, slot_id)
        if info is None:
            trouble = trouble or ckr
        elif request.label in (None, info.label) and request.serial in (None, info.serial):
            found.append((slot_id, info))
        elif slots.INITIALIZED not in info.flags and request.serial in (None, info.serial):
            blank.append(slot_id)
    asked = " and ".join(
        f"{what} {value!r}"
        for what, value in (("label", request.label), ("serial", request.serial))
        if value is not None
    )
    if not found:
        also = f"; a slot could not be read: {faults.name(trouble)}" if trouble else ""
        raise Failure(
            Reason.TOKEN_NOT_PRESENT,
            Remedy.ABSENT,
            f"no token with {asked} is there{also}",
            ckr=trouble,
            blank=tuple(blank[:_MAX_BLANK]),
        )
    if len(found) > 1:
        raise _not_valid(
            f"{len(found)} tokens have {asked}: name the one that is meant by label and serial, or take the others out"
        )
    return found[0]


def _open(module: Module, slot_id: int, wanted: int, *, writable: bool) -> list[Session]:
    sessions: list[Session] = []
    try:
        slot = next(slot for slot in module.binding.get_slots(token_present=True) if slot.slot_id == slot_id)
        token = slot.get_token()
        while len(sessions) < wanted:
            sessions.append(token.open(rw=writable, attribute_mapper=RawAttributes()))
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
