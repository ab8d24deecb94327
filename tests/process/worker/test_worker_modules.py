"""Modules that are missing, are none, or behave oddly; tokens that are not there or not alone."""

from pathlib import Path

import pytest

from segeld.ipc import pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, KeyKind
from segeld.model.faults import Reason


@pytest.fixture(scope="module")
def token(box) -> str:
    box.token("odd")
    box.keypair("odd", "EC:prime256v1", "01")
    return "odd"


def p256(worker, token: str, sessions: int = 1) -> wire.Sign:
    keys = {key.kind: key for key in worker.activate(token, sessions)}
    public_key = keys[KeyKind.P_256].public_key
    return worker.sign_request(public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),) * 3)


def test_no_such_file(start, tmp_path: Path) -> None:
    failed = start(str(tmp_path / "none.so")).load()
    assert isinstance(failed, wire.Failed)
    assert (failed.reason, failed.remedy) == (Reason.FIELD_INVALID, wire.Remedy.LOCK)
    assert failed.text == f"the module cannot be loaded: {tmp_path / 'none.so'}: no such file"


def test_not_a_shared_object(start, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library\n")
    failed = start(str(tmp_path / "text.so")).load()
    assert isinstance(failed, wire.Failed)
    assert "text.so: file too short" in failed.text or "invalid ELF header" in failed.text


def test_a_shared_object_that_is_no_module(start) -> None:
    failed = start("libm.so.6").load()
    assert isinstance(failed, wire.Failed)
    assert "no C_GetFunctionList" in failed.text


def test_a_module_that_does_not_initialise(start, tmp_path: Path) -> None:
    failed = start(SOFTHSM2_CONF=str(tmp_path / "no.conf")).load()
    assert isinstance(failed, wire.Failed)
    assert failed.text.startswith("C_Initialize: the module answered CKR_")
    assert failed.ckr


def test_what_a_module_prints_harms_nobody(start_odd, token: str) -> None:
    worker = start_odd("noisy")
    assert all(isinstance(outcome, bytes) for outcome in worker.ask(p256(worker, token)).outcomes)
    worker.control.close()
    assert worker.ended()[1] == ""


def test_a_module_that_cannot_lock_gets_one_session(start_odd, token: str) -> None:
    worker = start_odd("cant-lock")
    loaded = worker.load()
    assert isinstance(loaded, wire.Loaded)
    assert not loaded.locking
    opened = worker.open(token, sessions=4)
    assert isinstance(opened, wire.TokenOpened)
    assert opened.sessions == 1


def test_one_bad_slot_hides_no_other(start_odd, token: str) -> None:
    worker = start_odd("bad-slot")
    worker.load()
    surveyed = worker.ask(wire.Survey(worker.number()))
    assert isinstance(surveyed, wire.Surveyed)
    bad = [slot for slot in surveyed.slots if slot.trouble]
    assert [(slot.slot_id, slot.trouble) for slot in bad] == [
        (1, "C_GetSlotInfo answered CKR_DEVICE_ERROR (0x30)")
    ]
    found = next(slot for slot in surveyed.slots if slot.token and slot.token.label == token)
    assert "CKM_ECDSA" in found.mechanisms
    assert "CKF_TOKEN_INITIALIZED" in found.token.flags


def test_fewer_sessions_than_asked_for(start_odd, token: str) -> None:
    worker = start_odd("two-sessions")
    worker.load()
    opened = worker.open(token, sessions=5)
    assert isinstance(opened, wire.TokenOpened)
    assert opened.sessions == 2


def test_a_wrong_signature_does_not_leave(start_odd, token: str) -> None:
    worker = start_odd("wrong")
    answer = worker.ask(p256(worker, token))
    bad = wire.ItemFailed(Reason.SIGNATURE_SELF_CHECK_FAILED, 0, wire.Remedy.ITEM, certain=False)
    assert answer.outcomes == (bad,) * 3


def test_after_a_device_error_nothing_is_begun_any_more(start_odd, token: str) -> None:
    worker = start_odd("device-error")
    request = p256(worker, token)
    first = wire.ItemFailed(Reason.DEVICE_ERROR, 0x30, wire.Remedy.REPLACE, certain=False)
    rest = wire.ItemFailed(Reason.DEVICE_ERROR, 0x30, wire.Remedy.REPLACE, certain=True, begun=False)
    assert worker.ask(request).outcomes == (first, rest, rest)
    assert worker.ask(request).outcomes == (rest, rest, rest)


def test_a_token_that_is_not_there(worker, token: str) -> None:
    worker.load()
    surveyed = worker.ask(wire.Survey(worker.number()))
    failed = worker.open("another")
    assert isinstance(failed, wire.Failed)
    assert (failed.reason, failed.remedy) == (Reason.TOKEN_NOT_PRESENT, wire.Remedy.ABSENT)
    assert failed.text == "no token with label 'another' is there"
    blank = [slot.slot_id for slot in surveyed.slots if "CKF_TOKEN_INITIALIZED" not in slot.token.flags]
    assert (len(blank), failed.blank) == (1, tuple(blank))


def test_two_tokens_with_one_label_are_told_apart_by_the_serial(worker, box) -> None:
    box.token("twin")
    box.token("twin")
    worker.load()
    failed = worker.open("twin")
    assert isinstance(failed, wire.Failed)
    assert failed.reason is Reason.FIELD_INVALID
    assert failed.text.startswith("2 tokens have label 'twin'")
    surveyed = worker.ask(wire.Survey(worker.number()))
    serial = next(slot.token.serial for slot in surveyed.slots if slot.token and slot.token.label == "twin")
    opened = worker.ask(wire.OpenToken(worker.number(), "twin", serial, 1))
    assert isinstance(opened, wire.TokenOpened)
    assert opened.token.serial == serial


@pytest.mark.parametrize(
    ("label", "serial", "sessions"), [(None, None, 1), ("odd", None, 0), ("odd", None, 9999)]
)
def test_an_order_that_makes_no_sense(
    worker, token: str, label: str | None, serial: str | None, sessions: int
) -> None:
    worker.load()
    failed = worker.ask(wire.OpenToken(worker.number(), label, serial, sessions))
    assert isinstance(failed, wire.Failed)
    assert failed.reason is Reason.FIELD_INVALID


def test_final_try_needs_an_officer(start_odd, token: str) -> None:
    worker = start_odd("final-try")
    worker.load()
    worker.open(token)
    ended = worker.login()
    assert ended.outcome is pin_wire.LoginOutcome.NOT_TRIED
    assert "CKF_USER_PIN_FINAL_TRY" in ended.flags
    worker.control.close()
    assert worker.ended()[2] == ""  # the module writes a line when C_Login is called


def test_an_officer_may_spend_the_final_try(start_odd, token: str) -> None:
    worker = start_odd("final-try")
    worker.load()
    worker.open(token)
    assert worker.login(by_officer=True).outcome is pin_wire.LoginOutcome.OK


def test_a_locked_token_is_not_tried_at_all(start_odd, token: str) -> None:
    worker = start_odd("locked")
    worker.load()
    worker.open(token)
    ended = worker.login(by_officer=True)
    assert (ended.outcome, ended.ckr) == (pin_wire.LoginOutcome.LOCKED, 0)
    worker.control.close()
    assert worker.ended()[2] == ""


@pytest.mark.parametrize(
    ("words", "outcome", "ckr"),
    [
        ("answers-length", pin_wire.LoginOutcome.REFUSED, 0xA2),
        ("answers-lock", pin_wire.LoginOutcome.LOCKED, 0xA4),
    ],
)
def test_what_the_module_answered_was_tried(
    start_odd, token: str, words: str, outcome: pin_wire.LoginOutcome, ckr: int
) -> None:
    worker = start_odd(words)
    worker.load()
    worker.open(token)
    ended = worker.login()
    assert (ended.outcome, ended.ckr) == (outcome, ckr)


@pytest.mark.parametrize("words", ["count-low", "final-try"])
def test_after_an_open_attempt_a_low_count_is_not_risked(start_odd, token: str, words: str) -> None:
    worker = start_odd(words)
    worker.load()
    worker.open(token)
    ended = worker.login(open_attempt=True)
    assert (ended.outcome, ended.ckr) == (pin_wire.LoginOutcome.NOT_TRIED, 0)
    worker.control.close()
    assert worker.ended()[2] == ""


@pytest.mark.parametrize("how", [{"open_attempt": True, "by_officer": True}, {}])
def test_a_low_count_alone_holds_nobody_back(start_odd, token: str, how: dict[str, bool]) -> None:
    worker = start_odd("count-low")
    worker.load()
    worker.open(token)
    assert worker.login(**how).outcome is pin_wire.LoginOutcome.OK


def test_after_an_open_attempt_a_token_that_shows_nothing_is_tried(worker, token: str) -> None:
    worker.load()
    worker.open(token)
    assert worker.login(open_attempt=True).outcome is pin_wire.LoginOutcome.OK
