"""A PIN that is typed at the reader, and keys that want it each time, on soft tokens: no card is needed."""

import hashlib
from pathlib import Path

import pytest

from segel_cards import PinModule
from segeld.ipc import pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm
from segeld.model.faults import Reason

DIGESTS = tuple(hashlib.sha256(b"letter %d" % number).digest() for number in range(2))


@pytest.fixture(scope="module")
def token(box) -> str:
    box.token("pad")
    box.keypair("pad", "EC:prime256v1", "01")
    box.tool("pad", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "02", "--always-auth")
    return "pad"


@pytest.fixture
def counting(tmp_path: Path, module: str) -> PinModule:
    return PinModule(tmp_path, Path(module))


@pytest.fixture
def worker(start, counting: PinModule, token: str):
    worker = start(str(counting.path), **counting.environment)
    worker.load()
    return worker


def opened(worker, token: str) -> None:
    assert isinstance(worker.open(token), wire.TokenOpened)


def sign(worker, cka_id: bytes) -> wire.Sign:
    key = next(key for key in worker.find() if key.cka_id == cka_id)
    return worker.sign_request(key.public_key, Algorithm.ECDSA_P256_SHA256, DIGESTS)


def test_a_person_types_the_pin(worker, counting: PinModule, token: str) -> None:
    counting.have_pad()
    opened(worker, token)
    worker.type_on_pad()
    counting.type_pin("1234")
    assert worker.hear_login().outcome is pin_wire.LoginOutcome.OK
    assert all(isinstance(outcome, bytes) for outcome in worker.ask(sign(worker, b"\1")).outcomes)
    assert counting.logins == ["user pad"]


def test_a_person_cancels(worker, counting: PinModule, token: str) -> None:
    counting.have_pad()
    opened(worker, token)
    worker.type_on_pad()
    counting.cancel()
    ended = worker.hear_login()
    assert (ended.outcome, ended.ckr) == (pin_wire.LoginOutcome.CANCELLED, 0x50)
    assert counting.wrong_pins == 0


def test_a_person_types_a_wrong_pin(worker, counting: PinModule, token: str) -> None:
    counting.have_pad()
    opened(worker, token)
    worker.type_on_pad()
    counting.type_pin("4321")
    assert worker.hear_login().outcome is pin_wire.LoginOutcome.REFUSED
    assert counting.wrong_pins == 1


def test_a_pad_that_nobody_uses_ends_with_the_worker(worker, counting: PinModule, token: str) -> None:
    counting.have_pad()
    opened(worker, token)
    worker.type_on_pad()
    worker.process.kill()
    assert worker.process.wait(timeout=30)
    assert counting.wrong_pins == 0


def test_a_token_without_a_pad_is_not_asked_without_a_pin(worker, counting: PinModule, token: str) -> None:
    opened(worker, token)
    worker.type_on_pad()
    assert worker.hear_login().outcome is pin_wire.LoginOutcome.NOT_TRIED
    assert counting.logins == []


def test_a_key_that_wants_its_pin_each_time_is_not_for_a_pad(worker, counting: PinModule, token: str) -> None:
    counting.have_pad()
    opened(worker, token)
    worker.type_on_pad()
    counting.type_pin("1234")
    assert worker.hear_login().outcome is pin_wire.LoginOutcome.OK
    found = {key.cka_id: key for key in worker.find()}
    assert found[b"\2"].unusable is Reason.KEY_UNUSABLE
    assert "typed at the reader's pad each time" in found[b"\2"].trouble
    assert found[b"\1"].unusable is None


def test_a_key_that_wants_its_pin_each_time_gets_it_each_time(
    worker, counting: PinModule, token: str
) -> None:
    opened(worker, token)
    assert worker.login().outcome is pin_wire.LoginOutcome.OK
    worker.tell(sign(worker, b"\2"))
    for _ in DIGESTS:
        worker.hear_reaffirm()
        worker.send_login()
        assert worker.hear_login().outcome is pin_wire.LoginOutcome.OK
    assert all(isinstance(outcome, bytes) for outcome in worker.hear().outcomes)
    assert counting.logins == ["user", "context", "context"]


def test_the_third_wrong_pin_locks(start, counting: PinModule, token: str) -> None:
    for expected in ["", "CKF_USER_PIN_FINAL_TRY", "CKF_USER_PIN_LOCKED"]:
        worker = start(str(counting.path), **counting.environment)
        worker.load()
        opened(worker, token)
        ended = worker.login(b"9999", by_officer=True)
        assert ended.outcome is pin_wire.LoginOutcome.REFUSED
        assert "CKF_USER_PIN_COUNT_LOW" in ended.flags
        assert not expected or expected in ended.flags
    worker = start(str(counting.path), **counting.environment)
    worker.load()
    opened(worker, token)
    assert worker.login(by_officer=True).outcome is pin_wire.LoginOutcome.LOCKED
    assert len(counting.logins) == 3
