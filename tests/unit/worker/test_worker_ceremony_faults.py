"""What a CKR means when a token is being changed: what was refused, and whether that is sure."""

import pytest

from segeld.ipc.worker_wire import Remedy, TokenInfo
from segeld.model.faults import Reason
from segeld.worker import faults
from segeld.worker.ceremony_faults import NEW_PIN, SO_PIN, check_length, check_so_pin, failed
from segeld.worker.ckr import Ckr
from segeld.worker.failure import Failure

TOKEN = TokenInfo("Seal", "0042", "ACME", "One", ("CKF_TOKEN_INITIALIZED",), 4, 8)


@pytest.mark.parametrize(
    ("ckr", "reason", "words"),
    [
        (Ckr.PIN_INCORRECT, Reason.PIN_INCORRECT, "refused the SO PIN"),
        (Ckr.PIN_LOCKED, Reason.PIN_LOCKED, "its SO PIN is locked"),
        (Ckr.PIN_INVALID, Reason.PIN_INVALID, "does not take this new PIN"),
        (Ckr.PIN_LEN_RANGE, Reason.PIN_LENGTH, "at least 4 and at most 8 characters"),
        (Ckr.DEVICE_MEMORY, Reason.TOKEN_NO_ROOM, "no room"),
        (Ckr.TOKEN_WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
        (Ckr.SESSION_EXISTS, Reason.TOKEN_BUSY, "Another program"),
        (Ckr.MECHANISM_INVALID, Reason.ALGORITHM_NOT_SUPPORTED, "cannot do that"),
        (Ckr.TEMPLATE_INCONSISTENT, Reason.FIELD_INVALID, "an object like that"),
    ],
)
def test_what_is_refused_is_named_and_surely_changed_nothing(ckr, reason, words) -> None:
    failure = failed(ckr, "C_X", entered=SO_PIN, after=TOKEN, changing=True)
    assert (failure.reason, failure.remedy, failure.ckr, failure.certain) == (reason, Remedy.ITEM, ckr, True)
    assert words in failure.text
    assert faults.name(ckr) in failure.text


@pytest.mark.parametrize(
    "ckr", [Ckr.DEVICE_ERROR, Ckr.GENERAL_ERROR, Ckr.FUNCTION_FAILED, Ckr.DEVICE_REMOVED, 0x80000001]
)
def test_an_answer_that_leaves_it_open_is_not_certain_where_something_changes(ckr) -> None:
    assert not failed(ckr, "C_SetPIN", changing=True).certain
    assert failed(ckr, "C_OpenSession").certain
    assert not failed(ckr, "C_SetPIN", changing=True).answer(1).certain


@pytest.mark.parametrize("ckr", Ckr)
def test_every_code_has_a_meaning_and_none_is_taken_for_done(ckr) -> None:
    failure = failed(ckr, "C_X", changing=True)
    assert failure.text
    assert failure.ckr == ckr


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("CKF_SO_PIN_COUNT_LOW", "few tries of its SO PIN"),
        ("CKF_SO_PIN_FINAL_TRY", "one try of its SO PIN"),
        ("CKF_SO_PIN_LOCKED", "its SO PIN is locked now"),
    ],
)
def test_how_many_tries_of_the_so_pin_are_left_is_said(flag, words) -> None:
    after = TokenInfo("Seal", "0042", "ACME", "One", (flag,), 4, 8)
    assert words in failed(Ckr.PIN_INCORRECT, "C_InitToken", entered=SO_PIN, after=after).text


@pytest.mark.parametrize(("length", "fits"), [(3, False), (4, True), (8, True), (9, False)])
def test_a_pin_of_a_wrong_length_is_not_sent(length, fits) -> None:
    if fits:
        check_length(length, TOKEN, NEW_PIN)
        return
    with pytest.raises(Failure, match="was not sent, and no try was spent") as failure:
        check_length(length, TOKEN, NEW_PIN)
    assert failure.value.reason is Reason.PIN_LENGTH


def test_a_locked_so_pin_is_not_sent_but_a_blank_token_has_none() -> None:
    blank = TokenInfo("", "", "ACME", "One", ("CKF_SO_PIN_LOCKED",), 4, 8)
    check_so_pin(blank)
    locked = TokenInfo("Seal", "0042", "ACME", "One", ("CKF_TOKEN_INITIALIZED", "CKF_SO_PIN_LOCKED"), 4, 8)
    with pytest.raises(Failure, match="nothing was sent"):
        check_so_pin(locked)
