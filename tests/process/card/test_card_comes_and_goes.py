"""A card that is pulled out and put back: what the worker says, and that a fresh one signs again."""

import hashlib

import pytest

from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm

DIGEST = (hashlib.sha256(b"letter").digest(),)


def sign(worker, keys) -> wire.Signed:
    return worker.ask(worker.sign_request(keys["9A"].public_key, Algorithm.RSA_PKCS1_SHA256, DIGEST))


def test_out_and_back_needs_a_fresh_worker_and_no_more(worker, start_on) -> None:
    keys = worker.keys()
    assert isinstance(sign(worker, keys).outcomes[0], bytes)
    worker.card.control.remove()
    failed = sign(worker, keys).outcomes[0]
    assert isinstance(failed, wire.ItemFailed)
    assert failed.remedy in (wire.Remedy.ABSENT, wire.Remedy.REPLACE)

    away = start_on(worker.card)
    away.load()
    opened = away.open(worker.card.label)
    assert isinstance(opened, wire.Failed)
    assert opened.remedy is wire.Remedy.ABSENT

    worker.card.control.insert()
    again = start_on(worker.card)
    assert isinstance(sign(again, again.keys()).outcomes[0], bytes)
    assert worker.card.control.status().counters.wrong_pins == 0


@pytest.mark.parametrize("how", ["pulled out", "status word"])
def test_a_signature_that_breaks_off_is_not_certain(worker, how: str) -> None:
    keys = worker.keys()
    control = worker.card.control
    if how == "pulled out":
        control.remove_in_next_signature()
    else:
        control.refuse_signatures(0x6F00, 2)  # OpenSC tries a failed signature once more by itself
    failed = sign(worker, keys).outcomes[0]
    assert isinstance(failed, wire.ItemFailed)
    assert not failed.certain
    assert failed.remedy is not wire.Remedy.ITEM
