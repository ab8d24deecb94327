"""How a worker ends: with a code that says why, at once, and without a word too many."""

import json
import os
import signal
import struct
import subprocess
import sys

import msgspec
import pytest

from segeld.ipc import framing, pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind

SIGN = wire.Sign(1, bytes(32), 1, EcdsaEncoding.DER, False, (), ())


@pytest.fixture(scope="module")
def token(box) -> str:
    box.token("ending")
    box.keypair("ending", "rsa:2048", "01")
    box.keypair("ending", "EC:prime256v1", "02")
    return "ending"


def only_line(err: str) -> dict[str, object]:
    (line,) = err.splitlines()
    return json.loads(line)


def test_at_the_end_of_the_control_pipe(worker) -> None:
    worker.load()
    worker.control.close()
    assert worker.ended() == (wire.Exit.DONE, "", "")


def test_in_the_middle_of_a_long_chunk(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token, sessions=2)}
    bulk = worker.sign_request(
        keys[KeyKind.RSA_2048].public_key, Algorithm.RSA_PKCS1_SHA256, (bytes(32),) * wire.MAX_INPUTS
    )
    quick = worker.sign_request(
        keys[KeyKind.P_256].public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),), urgent=True
    )
    worker.tell(bulk)
    assert worker.ask(quick).id == quick.id  # the bulk chunk was begun before, on one session or the other
    worker.control.close()
    assert worker.ended() == (wire.Exit.DONE, "", "")


def test_while_the_module_hangs(start_odd, token: str) -> None:
    worker = start_odd("hang")
    keys = {key.kind: key for key in worker.activate(token)}
    worker.tell(
        worker.sign_request(keys[KeyKind.P_256].public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),))
    )
    worker.control.close()
    code, _, err = worker.ended()
    assert (code, err) == (wire.Exit.DONE, "C_Login\n")


def test_killed_it_leaves_nothing_behind(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token)}
    worker.tell(
        worker.sign_request(
            keys[KeyKind.RSA_2048].public_key, Algorithm.RSA_PKCS1_SHA256, (bytes(32),) * wire.MAX_INPUTS
        )
    )
    worker.process.kill()
    with pytest.raises((EOFError, ConnectionError)):
        worker.hear()
    assert worker.ended() == (-signal.SIGKILL, "", "")


def test_after_a_kill_the_next_worker_signs(start, token: str) -> None:
    first = start()
    first.activate(token)
    first.process.kill()
    second = start()
    keys = {key.kind: key for key in second.activate(token)}
    request = second.sign_request(keys[KeyKind.P_256].public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),))
    assert isinstance(second.ask(request).outcomes[0], bytes)


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", framing.MAX_FRAME + 1),
        struct.pack(">I", 0xFFFFFFFF) + b"x" * 100,
        struct.pack(">I", 5) + b"\xc1\xff\x00\x01\x02",
        struct.pack(">I", 0),
        framing.encode(wire.Loaded(1, "", "", "", "", True)),
        struct.pack(">I", len(raw := msgspec.msgpack.encode({"type": "Load", "id": 1, "module": 7}))) + raw,
        struct.pack(">I", len(raw := msgspec.msgpack.encode({"type": "Survey", "id": 1, "x": 1}))) + raw,
    ],
    ids=["oversize", "huge", "garbage", "empty", "an answer", "wrong type", "unknown field"],
)
def test_a_frame_that_is_none(worker, frame: bytes) -> None:
    worker.control.sendall(frame)
    code, out, err = worker.ended()
    assert (code, out) == (wire.Exit.BAD_FRAME, "")
    assert only_line(err)["event"] == "bad frame"


@pytest.mark.parametrize(
    "request_", [wire.Survey(1), wire.OpenToken(1, "x", None, 1), wire.FindKeys(1), SIGN]
)
def test_too_early(worker, request_: wire.Request) -> None:
    worker.tell(request_)
    code, out, err = worker.ended()
    assert (code, out) == (wire.Exit.OUT_OF_PLACE, "")
    assert only_line(err)["error"] == f"{type(request_).__name__} in state NEW"


def test_a_sign_before_the_login(worker, token: str) -> None:
    worker.load()
    worker.open(token)
    worker.tell(SIGN)
    assert worker.ended()[0] == wire.Exit.OUT_OF_PLACE


def test_more_inputs_than_an_answer_can_hold(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token)}
    inputs = (bytes(32),) * (wire.MAX_INPUTS + 1)
    worker.tell(worker.sign_request(keys[KeyKind.P_256].public_key, Algorithm.ECDSA_P256_SHA256, inputs))
    assert worker.ended()[0] == wire.Exit.BAD_FRAME


def test_a_second_load(worker) -> None:
    worker.load()
    worker.tell(wire.Load(9, "x"))
    assert worker.ended()[0] == wire.Exit.OUT_OF_PLACE


def test_a_login_before_the_token_is_open(worker) -> None:
    worker.load()
    worker.send_login()
    code, _, err = worker.ended()
    assert code == wire.Exit.OUT_OF_PLACE
    assert "1234" not in err


@pytest.mark.parametrize(
    "frame",
    [
        framing.encode(pin_wire.Login(msgspec.Raw(b"\xa41234"), False, False)),
        framing.encode(pin_wire.Login(msgspec.Raw(b"\xc4\x00"), False, False)),
        framing.encode(wire.Survey(1)),
        struct.pack(">I", 5000),
        struct.pack(">I", 5) + b"\xa41234",
    ],
    ids=["text", "empty", "another frame", "oversize", "garbage"],
)
def test_a_login_that_is_none(worker, token: str, frame: bytes) -> None:
    worker.load()
    worker.open(token)
    worker.pin.sendall(frame)
    code, out, err = worker.ended()
    assert (code, out) == (wire.Exit.BAD_FRAME, "")
    assert "1234" not in err


def test_the_keepers_pipe_may_close(worker, token: str) -> None:
    keys = {key.kind: key for key in worker.activate(token)}
    worker.pin.close()
    request = worker.sign_request(keys[KeyKind.P_256].public_key, Algorithm.ECDSA_P256_SHA256, (bytes(32),))
    assert isinstance(worker.ask(request).outcomes[0], bytes)


@pytest.mark.parametrize("arguments", [(), ("--control", "3"), ("--control", "x", "--pin", "4"), ("--help",)])
def test_started_by_hand(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "segeld.worker", *arguments), capture_output=True, timeout=30, check=False
    )
    assert done.returncode == (0 if arguments == ("--help",) else wire.Exit.USAGE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_terminal_or_service_manager_is_the_fronts_business(worker, number: int) -> None:
    worker.load()
    os.kill(worker.process.pid, number)
    assert isinstance(worker.ask(wire.Survey(worker.number())), wire.Surveyed)
    worker.control.close()
    assert worker.ended() == (wire.Exit.DONE, "", "")
