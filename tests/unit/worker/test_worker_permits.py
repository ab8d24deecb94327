"""The permit table, walked: every request has a row, and every other state refuses."""

import itertools
from typing import get_args

import msgspec
import pytest

from segeld.ipc import ceremony_wire as ceremony
from segeld.ipc import pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import EcdsaEncoding, KeyKind
from segeld.worker.requests import PERMITS, State, Violation, check
from segeld.worker.worker import Worker

REQUESTS = {
    wire.Load: wire.Load(1, "module.so"),
    wire.Survey: wire.Survey(1),
    wire.OpenToken: wire.OpenToken(1, "label", None, 1),
    wire.FindKeys: wire.FindKeys(1),
    wire.Sign: wire.Sign(1, b"", 1, EcdsaEncoding.DER, False, (), ()),
    pin_wire.Login: pin_wire.Login(msgspec.Raw(b"\xc4\x01x"), False, False),
    pin_wire.PadLogin: pin_wire.PadLogin(),
    pin_wire.Denied: pin_wire.Denied(),
    pin_wire.Secrets: pin_wire.Secrets(msgspec.Raw(b"\xc4\x01x"), msgspec.Raw(b"\xc4\x01y")),
    ceremony.InitToken: ceremony.InitToken(1, 0, "", "label"),
    ceremony.InitPin: ceremony.InitPin(1, 0, None),
    ceremony.ChangePin: ceremony.ChangePin(1),
    ceremony.ListObjects: ceremony.ListObjects(1),
    ceremony.GenerateKey: ceremony.GenerateKey(1, "label", b"i", KeyKind.P_256),
    ceremony.StoreCertificates: ceremony.StoreCertificates(1, b"", ()),
    ceremony.DestroyKey: ceremony.DestroyKey(1, b""),
}


def test_every_request_of_the_wire_has_a_permit() -> None:
    assert set(PERMITS) == {*wire.Request.__subclasses__(), *get_args(pin_wire.ToWorker)}
    assert all(PERMITS.values())


@pytest.mark.parametrize(("kind", "state"), list(itertools.product(PERMITS, State)))
def test_a_request_is_allowed_where_the_table_says_and_nowhere_else(kind: type, state: State) -> None:
    if state in PERMITS[kind]:
        check(REQUESTS[kind], state)
    else:
        with pytest.raises(Violation) as caught:
            check(REQUESTS[kind], state)
        assert caught.value.code is wire.Exit.OUT_OF_PLACE


def test_signing_needs_a_login_and_a_login_is_tried_once() -> None:
    assert PERMITS[wire.Sign] == {State.USER}
    assert PERMITS[pin_wire.Login] == {State.PUBLIC, State.USER}
    assert State.SPENT not in PERMITS[pin_wire.Login] | PERMITS[pin_wire.PadLogin]


@pytest.mark.parametrize("kind", [pin_wire.Login, pin_wire.Denied])
def test_a_pin_that_was_not_asked_for_is_out_of_place(kind: type) -> None:
    worker = Worker(pytest.fail, pytest.fail)
    worker.state = State.USER
    with pytest.raises(Violation) as caught:
        worker.hear_keeper(REQUESTS[kind])
    assert caught.value.code is wire.Exit.OUT_OF_PLACE


def test_the_worker_asks_the_table_before_it_does_anything() -> None:
    worker = Worker(pytest.fail, pytest.fail)
    for request in (wire.Survey(1), wire.OpenToken(1, "x", None, 1), wire.FindKeys(1)):
        with pytest.raises(Violation):
            worker.answer(request)
    with pytest.raises(Violation):
        worker.hear_keeper(pin_wire.Login(msgspec.Raw(b"\xc4\x01x"), False, False))


def test_what_changes_a_token_needs_a_login_or_none_at_all() -> None:
    for request in (
        ceremony.ChangePin,
        ceremony.GenerateKey,
        ceremony.StoreCertificates,
        ceremony.DestroyKey,
    ):
        assert PERMITS[request] == {State.USER}
    for request in (ceremony.InitToken, ceremony.InitPin):
        assert PERMITS[request] == {State.LOADED}


def test_secrets_are_for_one_ceremony() -> None:
    worker = Worker(pytest.fail, pytest.fail)
    worker.state = State.LOADED
    with pytest.raises(Violation, match="without its secrets"):
        worker.answer(ceremony.InitPin(1, 0, None))
    worker.hear_secrets(REQUESTS[pin_wire.Secrets])
    with pytest.raises(Violation, match="second ceremony"):
        worker.hear_secrets(REQUESTS[pin_wire.Secrets])
