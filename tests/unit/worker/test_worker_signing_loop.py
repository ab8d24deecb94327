"""The signing loop against a module made of Python: order, deadlines, failures, and what is certain."""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from segeld.ipc.framing import FrameError, decode
from segeld.ipc.worker_wire import REQUESTS, ItemFailed, Remedy, Sign
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Reason
from segeld.worker.ckr import Ckr
from segeld.worker.keys import Plan
from segeld.worker.sign import Desk, sign

KEY = ec.generate_private_key(ec.SECP256R1())
INPUTS = tuple(bytes([number]) * 32 for number in range(5))


class FakeModule:
    """Signs with a key of `cryptography`; `answers` overrides what a call returns, by the input's first octet."""

    def __init__(self) -> None:
        self.at_init: dict[int, int] = {}
        self.at_sign: dict[int, int] = {}
        self.spoil: set[int] = set()
        self.sizes: list[int] = []
        self.signed: list[bytes] = []
        self.inits = 0
        self.functions = SimpleNamespace(sign_init=self.sign_init, sign=self.sign)

    def sign_init(self, session: int, mechanism: int, handle: int) -> int:
        assert (session, handle) == (7, 42)
        assert mechanism
        self.inits += 1
        return self.at_init.get(self.inits - 1, 0)

    def sign(self, session: int, data: bytes, size: int, buffer: int, length: int) -> int:
        assert len(data) == size
        written = ctypes.c_ulong.from_address(length)
        self.sizes.append(written.value)
        if ckr := self.at_sign.get(data[0], 0):
            return ckr
        self.signed.append(data)
        r, s = decode_dss_signature(KEY.sign(data, ec.ECDSA(Prehashed(hashes.SHA256()))))
        raw = r.to_bytes(32) + s.to_bytes(32)
        if data[0] in self.spoil:
            raw = raw[:-1] + bytes([raw[-1] ^ 1])
        ctypes.memmove(buffer, raw, len(raw))
        written.value = len(raw)
        return 0


@pytest.fixture
def fake() -> FakeModule:
    return FakeModule()


def run(
    fake: FakeModule,
    inputs: tuple[bytes, ...] = INPUTS,
    *,
    deadlines: tuple[int, ...] | None = None,
    clock: Callable[[], int] = lambda: 0,
    urgent: list[int] | None = None,
    serve_urgent: Callable[[], None] = lambda: None,
) -> tuple[bytes | ItemFailed, ...]:
    until = (1000,) * len(inputs) if deadlines is None else deadlines
    request = Sign(3, b"", Algorithm.ECDSA_P256_SHA256.number, EcdsaEncoding.DER, False, until, inputs)
    plan = Plan(42, KEY.public_key(), Algorithm.ECDSA_P256_SHA256, EcdsaEncoding.DER)
    desk = Desk(fake.functions, 7)
    answer = sign(
        request, plan, desk, urgent=[] if urgent is None else urgent, serve_urgent=serve_urgent, clock=clock
    )
    assert answer.id == 3
    assert len(answer.outcomes) == len(inputs)
    return answer.outcomes


def test_one_call_for_each_input_in_order_with_a_buffer_of_the_keys_size(fake: FakeModule) -> None:
    outcomes = run(fake)
    for data, signature in zip(INPUTS, outcomes, strict=True):
        assert isinstance(signature, bytes)
        KEY.public_key().verify(signature, data, ec.ECDSA(Prehashed(hashes.SHA256())))
    assert fake.signed == list(INPUTS)
    assert fake.sizes == [64] * 5
    assert fake.inits == 5


def test_a_bad_signature_does_not_leave(fake: FakeModule) -> None:
    fake.spoil = {2}
    outcomes = run(fake)
    assert outcomes[2] == ItemFailed(Reason.SIGNATURE_SELF_CHECK_FAILED, 0, Remedy.ITEM, certain=False)
    assert all(isinstance(outcome, bytes) for place, outcome in enumerate(outcomes) if place != 2)


def test_the_deadline_is_looked_at_before_each_input(fake: FakeModule) -> None:
    ticks = iter(range(100))
    outcomes = run(fake, deadlines=(4,) * 5, clock=lambda: next(ticks))
    assert isinstance(outcomes[0], bytes)
    assert isinstance(outcomes[1], bytes)
    assert outcomes[2:] == (ItemFailed(Reason.DEADLINE_PASSED, 0, Remedy.ITEM, certain=True),) * 3
    assert fake.inits == 2


def test_each_input_has_its_own_deadline(fake: FakeModule) -> None:
    outcomes = run(fake, deadlines=(9, 5, 9, 4, 5), clock=lambda: 5)
    assert [isinstance(outcome, bytes) for outcome in outcomes] == [True, False, True, False, False]
    assert fake.signed == [INPUTS[0], INPUTS[2]]


def test_a_request_without_a_deadline_for_each_input_is_a_bad_frame() -> None:
    frame = msgspec.msgpack.encode(
        {
            **msgspec.to_builtins(Sign(1, b"", 1, EcdsaEncoding.DER, False, (), ())),
            "deadlines": [1],
            "inputs": [b"one", b"two"],
            "key": b"",
        }
    )
    with pytest.raises(FrameError, match="one deadline for each input"):
        decode(REQUESTS, frame)


def test_another_length_never_reaches_the_module(fake: FakeModule) -> None:
    outcomes = run(fake, (b"x" * 20, INPUTS[1], b"", b"x" * 64))
    assert [isinstance(outcome, bytes) for outcome in outcomes] == [False, True, False, False]
    assert outcomes[0] == ItemFailed(Reason.DIGEST_LENGTH, 0, Remedy.ITEM, certain=True)
    assert fake.inits == 1


def test_a_failure_of_the_item_lets_the_next_one_work(fake: FakeModule) -> None:
    fake.at_sign = {1: Ckr.FUNCTION_CANCELED}
    outcomes = run(fake)
    assert outcomes[1] == ItemFailed(Reason.CANCELLED, Ckr.FUNCTION_CANCELED, Remedy.ITEM, certain=True)
    assert sum(isinstance(outcome, bytes) for outcome in outcomes) == 4


def test_after_a_failure_that_ends_the_worker_the_rest_is_not_begun(fake: FakeModule) -> None:
    fake.at_sign = {1: Ckr.DEVICE_ERROR}
    outcomes = run(fake)
    assert isinstance(outcomes[0], bytes)
    assert outcomes[1] == ItemFailed(Reason.DEVICE_ERROR, 0x30, Remedy.REPLACE, certain=False)
    assert (
        outcomes[2:]
        == (ItemFailed(Reason.DEVICE_ERROR, 0x30, Remedy.REPLACE, certain=True, begun=False),) * 3
    )
    assert fake.inits == 2


def test_what_failed_in_sign_init_was_surely_not_signed(fake: FakeModule) -> None:
    fake.at_init = {0: Ckr.GENERAL_ERROR}
    outcomes = run(fake)
    assert outcomes[0] == ItemFailed(Reason.DEVICE_ERROR, 5, Remedy.REPLACE, certain=True)
    assert (
        outcomes[1:] == (ItemFailed(Reason.DEVICE_ERROR, 5, Remedy.REPLACE, certain=True, begun=False),) * 4
    )


def test_urgent_work_is_served_between_two_signatures(fake: FakeModule) -> None:
    waiting: list[int] = []
    signed_before: list[int] = []
    sign_really = fake.functions.sign

    def sign_and_have_urgent_work_come(*arguments: int) -> int:
        if len(fake.signed) == 2:
            waiting.append(1)
        return sign_really(*arguments)

    def serve() -> None:
        signed_before.append(len(fake.signed))
        waiting.clear()

    fake.functions.sign = sign_and_have_urgent_work_come
    run(fake, urgent=waiting, serve_urgent=serve)
    assert signed_before == [3]
