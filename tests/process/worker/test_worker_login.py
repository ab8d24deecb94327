"""One login for one worker."""

import pytest

from segeld.ipc import pin_wire
from segeld.ipc import worker_wire as wire


@pytest.fixture(scope="module")
def token(box) -> str:
    box.token("login")
    box.keypair("login", "EC:prime256v1", "01")
    return "login"


def test_a_wrong_pin_is_refused_once_and_said(worker, token: str) -> None:
    worker.load()
    worker.open(token, sessions=2)
    ended = worker.login(b"9999")
    assert (ended.outcome, ended.ckr) == (pin_wire.LoginOutcome.REFUSED, 0xA0)
    assert "CKF_USER_PIN_COUNT_LOW" in ended.flags
    assert [key.label for key in worker.find()] == ["key"]  # its sessions are as they were
    worker.send_login()
    code, _, err = worker.ended()
    assert code == wire.Exit.OUT_OF_PLACE
    assert "Login in state SPENT" in err
    assert "9999" not in err


def test_a_fresh_worker_with_the_right_pin(start, token: str) -> None:
    first, second = start(), start()
    first.load()
    first.open(token)
    assert first.login(b"0000").outcome is pin_wire.LoginOutcome.REFUSED
    assert second.activate(token)


@pytest.mark.parametrize("pin", [b"1", b"123"])
def test_a_pin_outside_the_tokens_limits_is_not_tried(worker, token: str, pin: bytes) -> None:
    worker.load()
    worker.open(token)
    ended = worker.login(pin)
    assert (ended.outcome, ended.ckr) == (pin_wire.LoginOutcome.LENGTH, 0)


def test_a_second_login_is_a_violation(worker, token: str) -> None:
    worker.activate(token)
    worker.send_login()
    assert worker.ended()[0] == wire.Exit.OUT_OF_PLACE
