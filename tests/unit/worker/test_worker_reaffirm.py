"""The PIN for one signature more: every way in which it may not come, and what is signed then."""

import ctypes
import threading
from collections.abc import Callable

import msgspec
import pytest

from segeld.ipc import pin_wire
from segeld.ipc.pin_wire import Denied, LoginEnded, LoginOutcome
from segeld.ipc.worker_wire import Exit, ItemFailed, Remedy, Sign
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Reason
from segeld.model.secret import Pin
from segeld.worker.channel import Closed
from segeld.worker.reaffirm import Reaffirmer
from segeld.worker.requests import Violation
from segeld.worker.sign_each import sign_each

OK = LoginEnded(LoginOutcome.OK, 0, ())


def login(pin: bytes = b"123456") -> pin_wire.Login:
    field, _ = pin_wire.wrap(Pin(pin))
    return pin_wire.Login(field, by_officer=False, open_attempt=True)


class FakeToken:
    """Remembers what it was given, and whether that was wiped afterwards."""

    def __init__(self, ended: LoginEnded = OK) -> None:
        self.ended = ended
        self.given: list[tuple[bytes, bool, bool]] = []
        self.pin: Pin | None = None

    def reaffirm(self, pin: Pin, *, by_officer: bool, open_attempt: bool) -> LoginEnded:
        with pin.view() as view:
            self.given.append((bytes(view), by_officer, open_attempt))
        self.pin = pin
        return self.ended


class Keeper:
    """Answers each `Reaffirm` from another thread, as the reader does."""

    def __init__(self, *answers: Callable[[Reaffirmer], None]) -> None:
        self.said: list[pin_wire.FromWorker] = []
        self.reaffirmer = Reaffirmer(self.hear)
        self._answers = list(answers)

    def hear(self, frame: pin_wire.FromWorker) -> None:
        self.said.append(frame)
        if isinstance(frame, pin_wire.Reaffirm):
            answer = self._answers.pop(0)
            threading.Thread(target=answer, args=(self.reaffirmer,)).start()


def test_a_pin_is_used_once_told_and_wiped() -> None:
    keeper, token = Keeper(lambda reaffirmer: reaffirmer.answered(login())), FakeToken()
    assert keeper.reaffirmer.ask(token) == OK
    assert keeper.said == [pin_wire.Reaffirm(), OK]
    assert token.given == [(b"123456", False, True)]
    assert len(token.pin) == 0
    with pytest.raises(Violation) as caught:
        keeper.reaffirmer.answered(login())
    assert caught.value.code is Exit.OUT_OF_PLACE


@pytest.mark.parametrize(
    "answer", [lambda reaffirmer: reaffirmer.answered(Denied()), Reaffirmer.close], ids=["denied", "gone"]
)
def test_without_a_pin_the_token_is_not_asked(answer: Callable[[Reaffirmer], None]) -> None:
    keeper, token = Keeper(answer), FakeToken()
    assert keeper.reaffirmer.ask(token) is None
    assert token.given == []
    assert keeper.said == [pin_wire.Reaffirm()]


def test_a_keeper_that_is_gone_is_not_waited_for() -> None:
    keeper, token = Keeper(), FakeToken()
    keeper.reaffirmer.close()
    assert keeper.reaffirmer.ask(token) is None
    assert keeper.said == []


def test_a_keeper_that_does_not_hear_the_question() -> None:
    def closed(_: pin_wire.FromWorker) -> None:
        raise Closed

    assert Reaffirmer(closed).ask(FakeToken()) is None


def test_a_field_that_is_no_pin() -> None:
    keeper = Keeper()
    keeper.reaffirmer._asked = True
    with pytest.raises(ValueError, match="not a PIN field"):
        keeper.reaffirmer.answered(pin_wire.Login(msgspec.Raw(b"\xa1x"), False, False))


class FakePlan:
    """A key whose signatures are always right."""

    algorithm = Algorithm.ECDSA_P256_SHA256
    mechanism, handle, size, prefix = None, 1, 64, b""

    def check(self, given: bytes, data: bytes) -> bytes:
        return given


class FakeDesk:
    """The module: notes the order of calls."""

    def __init__(self, init: int = 0, signed: int = 0) -> None:
        self.calls: list[str] = []
        self.session = 1
        self.buffer = (ctypes.c_ubyte * 64)()
        self.length = ctypes.c_ulong()
        self._init, self._signed = init, signed

    def sign_init(self, *_: object) -> int:
        self.calls.append("init")
        return self._init

    def sign(self, *_: object) -> int:
        self.calls.append("sign")
        return self._signed


def run(desk: FakeDesk, *logins: LoginEnded | None, inputs: int = 2, deadline: int = 100):
    left = list(logins)

    def reaffirm() -> LoginEnded | None:
        desk.calls.append("login")
        return left.pop(0)

    request = Sign(
        7, b"", 1, EcdsaEncoding.DER, False, (deadline,) * inputs, tuple(bytes(32) for _ in range(inputs))
    )
    return sign_each(
        request, FakePlan(), desk, reaffirm, urgent=(), serve_urgent=pytest.fail, clock=lambda: 50
    )


def test_the_login_is_between_the_two_calls_of_each_signature() -> None:
    desk = FakeDesk()
    assert run(desk, OK, OK).outcomes == (bytes(64), bytes(64))
    assert desk.calls == ["init", "login", "sign"] * 2


@pytest.mark.parametrize(
    ("ended", "reason", "remedy"),
    [
        (None, Reason.TOKEN_NOT_ACTIVE, Remedy.LOCK),
        (LoginEnded(LoginOutcome.REFUSED, 0xA0, ()), Reason.PIN_INCORRECT, Remedy.LOCK),
        (LoginEnded(LoginOutcome.REFUSED, 0x05, ()), Reason.PIN_INCORRECT, Remedy.LOCK),
        (LoginEnded(LoginOutcome.LOCKED, 0xA4, ()), Reason.PIN_LOCKED, Remedy.LOCK),
        (LoginEnded(LoginOutcome.EXPIRED, 0xA3, ()), Reason.PIN_EXPIRED, Remedy.LOCK),
        (LoginEnded(LoginOutcome.LENGTH, 0, ()), Reason.PIN_LENGTH, Remedy.LOCK),
        (LoginEnded(LoginOutcome.NOT_TRIED, 0, ()), Reason.TOKEN_LOCKED, Remedy.LOCK),
        (LoginEnded(LoginOutcome.REMOVED, 0xE0, ()), Reason.TOKEN_NOT_PRESENT, Remedy.ABSENT),
        (LoginEnded(LoginOutcome.NOT_TRIED, 0x07, ()), Reason.INTERNAL, Remedy.REPLACE),
    ],
)
def test_without_its_login_nothing_is_signed_and_the_worker_ends(
    ended: LoginEnded | None, reason: Reason, remedy: Remedy
) -> None:
    desk = FakeDesk()
    first, second = run(desk, ended).outcomes
    assert isinstance(first, ItemFailed)
    assert (first.reason, first.remedy, first.certain) == (reason, remedy, True)
    assert isinstance(second, ItemFailed)
    assert not second.begun
    assert desk.calls == ["init", "login"]


def test_a_signature_that_is_not_begun_costs_no_login() -> None:
    desk = FakeDesk(init=0x70)
    assert all(isinstance(outcome, ItemFailed) and outcome.certain for outcome in run(desk).outcomes)
    assert desk.calls == ["init", "init"]


def test_a_login_that_the_card_dropped_ends_the_worker() -> None:
    """OpenSC, after a signature without a PIN somewhere else: CKR_OPERATION_NOT_INITIALIZED."""
    first, second = run(FakeDesk(signed=0x91), OK).outcomes
    assert isinstance(first, ItemFailed)
    assert (first.remedy, second.begun) == (Remedy.REPLACE, False)


def test_what_is_late_is_not_begun() -> None:
    desk = FakeDesk()
    assert {outcome.reason for outcome in run(desk, deadline=50).outcomes} == {Reason.DEADLINE_PASSED}
    assert desk.calls == []
