"""What a login's answer means for the PIN, and which PIN is not even sent: everything else than success is a refusal."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.ipc import pin_wire
from segeld.ipc.pin_wire import Login, LoginOutcome, PadLogin
from segeld.ipc.worker_wire import TokenInfo
from segeld.model.secret import Pin
from segeld.worker import slots, tokens
from segeld.worker.ckr import Ckr
from segeld.worker.tokens import _untried

OTHERWISE = {
    0: LoginOutcome.OK,
    Ckr.PIN_LOCKED: LoginOutcome.LOCKED,
    Ckr.PIN_EXPIRED: LoginOutcome.EXPIRED,
    Ckr.DEVICE_REMOVED: LoginOutcome.REMOVED,
    Ckr.TOKEN_NOT_PRESENT: LoginOutcome.REMOVED,
    Ckr.USER_PIN_NOT_INITIALIZED: LoginOutcome.REMOVED,
}
FLAGS = [slots.USER_PIN_COUNT_LOW, slots.USER_PIN_FINAL_TRY, slots.USER_PIN_LOCKED, "CKF_LOGIN_REQUIRED"]
"""What tokens say of their tries, and something else."""


def outcome(ckr: int, *, is_user: bool = False) -> LoginOutcome:
    return tokens.Token._outcome(SimpleNamespace(_is_user=lambda: is_user), ckr)


@given(st.one_of(st.sampled_from(list(Ckr)), st.integers(0, 2**64 - 1)))
def test_whatever_is_not_known_to_cost_no_try_is_a_refusal(ckr: int) -> None:
    assert outcome(ckr) is OTHERWISE.get(ckr, LoginOutcome.REFUSED)


@pytest.mark.parametrize("ckr", [Ckr.GENERAL_ERROR, Ckr.DEVICE_ERROR, Ckr.FUNCTION_FAILED])
def test_errors_that_say_nothing_are_refusals(ckr: int) -> None:
    assert outcome(ckr) is LoginOutcome.REFUSED


def test_a_login_that_was_there_before_counts_if_it_is_confirmed() -> None:
    assert outcome(Ckr.USER_ALREADY_LOGGED_IN, is_user=True) is LoginOutcome.OK
    assert outcome(Ckr.USER_ALREADY_LOGGED_IN, is_user=False) is LoginOutcome.REFUSED


@given(
    flags=st.sets(st.sampled_from(FLAGS)),
    by_officer=st.booleans(),
    open_attempt=st.booleans(),
    length=st.integers(1, 20),
)
def test_no_pin_is_sent_by_itself_when_the_token_warns(flags, by_officer, open_attempt, length) -> None:
    token = TokenInfo("a", "0815", "", "", tuple(flags), min_pin=4, max_pin=8)
    against = _untried(length, token, by_officer=by_officer, open_attempt=open_attempt)
    final, low = slots.USER_PIN_FINAL_TRY in flags, slots.USER_PIN_COUNT_LOW in flags
    if slots.USER_PIN_LOCKED in flags:
        assert against is LoginOutcome.LOCKED
    elif not by_officer and (final or (low and open_attempt)):
        assert against is LoginOutcome.NOT_TRIED
    else:
        assert against is (None if 4 <= length <= 8 else LoginOutcome.LENGTH)


@pytest.mark.parametrize("by_pad", [True, False])
@pytest.mark.parametrize(("there", "sent"), [("0815", 1), ("4711", 0)])
def test_no_pin_goes_to_another_device_than_the_one_that_was_opened(monkeypatch, by_pad, there, sent) -> None:
    """The card was exchanged between the two; the attempt is written down for the first."""
    flags = (slots.PIN_PAD,)
    seen = TokenInfo("a", there, "", "", flags, min_pin=4, max_pin=8)
    monkeypatch.setattr(tokens.slots, "read_token", lambda *_: (0, seen))
    logins: list[int] = []

    def login(_session, user, *_) -> int:
        logins.append(user)
        return 0

    token = tokens.Token.__new__(tokens.Token)
    token._module = SimpleNamespace(functions=SimpleNamespace(login=login))
    token.slot_id, token.info = 1, TokenInfo("a", "0815", "", "", flags, min_pin=4, max_pin=8)
    token.sessions = [SimpleNamespace(handle=1)]
    field, _ = pin_wire.wrap(Pin(b"123456"))
    frame = PadLogin() if by_pad else Login(field, by_officer=True, open_attempt=False)
    ended = token.login(frame)
    assert (len(logins), ended.outcome) == (sent, LoginOutcome.OK if sent else LoginOutcome.REMOVED)
