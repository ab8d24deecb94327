"""Keys of a PIV card sign, those that want the PIN each time among them; what the card refuses is said as it is."""

import hashlib

import pytest

from segeld.ipc import pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, KeyKind
from segeld.model.faults import Reason

DIGESTS = tuple(hashlib.sha256(b"letter %d" % number).digest() for number in range(3))
ALGORITHMS = {
    "9A": Algorithm.RSA_PKCS1_SHA256,
    "9C": Algorithm.RSA_PKCS1_SHA256,
    "9D": Algorithm.ECDSA_P256_SHA256,
    "9E": Algorithm.ECDSA_P256_SHA256,
}


def request(worker, keys, slot: str, inputs=DIGESTS) -> wire.Sign:
    return worker.sign_request(keys[slot].public_key, ALGORITHMS[slot], inputs)


def give(worker, pin: str) -> pin_wire.LoginEnded:
    """The keeper's part in one signature."""
    worker.hear_reaffirm()
    worker.send_login(pin.encode())
    return worker.hear_login()


def test_the_card_is_what_its_rig_says(worker) -> None:
    opened = worker.opened()
    assert (opened.token.label, opened.token.serial) == (worker.card.label, worker.card.serial)


def test_its_keys_are_found(worker) -> None:
    keys = worker.keys()
    assert {slot: key.kind for slot, key in keys.items()} == {
        "9A": KeyKind.RSA_2048,
        "9C": KeyKind.RSA_2048,
        "9D": KeyKind.P_256,
        "9E": KeyKind.P_256,
    }
    assert [slot for slot, key in keys.items() if key.always_authenticate] == ["9C"]
    assert not any(key.unusable for key in keys.values())
    assert all(key.certificates for key in keys.values())


@pytest.mark.parametrize("slot", ["9A", "9D", "9E"])
def test_it_signs_and_the_worker_verifies(worker, slot: str) -> None:
    keys = worker.keys()
    answer = worker.ask(request(worker, keys, slot))
    assert all(isinstance(outcome, bytes) for outcome in answer.outcomes), answer
    assert len(set(answer.outcomes)) == len(DIGESTS)
    counters = worker.card.control.status().counters
    assert counters.verifies == 1
    assert counters.signatures[slot] == len(DIGESTS)


def test_a_key_that_wants_its_pin_each_time_asks_the_keeper_each_time(worker) -> None:
    keys = worker.keys()
    asked = request(worker, keys, "9C")
    worker.tell(asked)
    for _ in DIGESTS:
        assert give(worker, worker.card.pin).outcome is pin_wire.LoginOutcome.OK
    answer = worker.hear()
    assert all(isinstance(outcome, bytes) for outcome in answer.outcomes), answer
    counters = worker.card.control.status().counters
    assert (counters.verifies, counters.wrong_pins) == (1 + len(DIGESTS), 0)
    assert counters.signatures["9C"] == len(DIGESTS)
    others = worker.ask(request(worker, keys, "9A"))  # the login of the token is as it was
    assert all(isinstance(outcome, bytes) for outcome in others.outcomes)


def test_a_wrong_pin_for_one_signature_costs_one_try_and_ends_the_worker(worker) -> None:
    keys = worker.keys()
    worker.tell(request(worker, keys, "9C"))
    ended = give(worker, "999999")
    assert ended.outcome is pin_wire.LoginOutcome.REFUSED
    first, *rest = worker.hear().outcomes
    assert (first.reason, first.remedy, first.certain) == (
        Reason.PIN_INCORRECT,
        wire.Remedy.LOCK,
        True,
    )
    assert not any(outcome.begun for outcome in rest)
    assert worker.card.control.status().pin_tries == 2
    after = worker.ask(request(worker, keys, "9A"))
    assert not any(outcome.begun for outcome in after.outcomes)
    assert worker.card.control.status().counters.signatures == {}


def test_a_keeper_that_gives_no_pin(worker) -> None:
    keys = worker.keys()
    worker.tell(request(worker, keys, "9C"))
    worker.hear_reaffirm()
    worker.deny()
    first, *rest = worker.hear().outcomes
    assert (first.reason, first.remedy, first.certain) == (
        Reason.TOKEN_NOT_ACTIVE,
        wire.Remedy.LOCK,
        True,
    )
    assert not any(outcome.begun for outcome in rest)
    assert worker.card.control.status().counters.verifies == 1


def test_a_keeper_that_goes_while_a_signature_waits(worker) -> None:
    keys = worker.keys()
    worker.tell(request(worker, keys, "9C"))
    worker.hear_reaffirm()
    worker.pin.close()
    assert worker.hear().outcomes[0].reason is Reason.TOKEN_NOT_ACTIVE


@pytest.mark.parametrize(("alone", "sessions"), [(False, 1), (True, 2)])
def test_such_a_key_wants_its_token_alone(worker, alone: bool, sessions: int) -> None:
    worker.load()
    worker.open(worker.card.label, sessions)
    worker.login(worker.card.pin.encode())
    found = {key.cka_id: key for key in worker.find(alone=alone)}
    assert found[b"\x02"].unusable is Reason.KEY_UNUSABLE
    assert "Set workers = 1 and sessions = 1" in found[b"\x02"].trouble
    assert found[b"\x01"].unusable is None


def test_three_wrong_pins_lock_it_and_no_fourth_is_sent(worker, start_on) -> None:
    card = worker.card
    outcomes = []
    for number in range(4):
        another = start_on(card)
        another.opened()
        outcomes.append(another.login(b"99999%d" % number, by_officer=True))
        another.close()
    assert [ended.outcome for ended in outcomes[:2]] == [pin_wire.LoginOutcome.REFUSED] * 2
    assert outcomes[2].outcome in (pin_wire.LoginOutcome.REFUSED, pin_wire.LoginOutcome.LOCKED)
    assert outcomes[3].outcome is pin_wire.LoginOutcome.LOCKED
    status = card.control.status()
    assert (status.pin_tries, status.counters.wrong_pins) == (0, 3)
    assert "CKF_USER_PIN_LOCKED" in outcomes[3].flags


def test_the_last_try_is_left_to_an_officer(worker) -> None:
    worker.card.control.set_tries(1)
    worker.opened()
    ended = worker.login(worker.card.pin.encode())
    assert (ended.outcome, ended.ckr) == (pin_wire.LoginOutcome.NOT_TRIED, 0)
    assert worker.card.control.status().counters.verifies == 0


def test_a_signature_that_is_wrong_does_not_leave(worker) -> None:
    keys = worker.keys()
    worker.card.control.corrupt_signatures(1)
    first, second, third = worker.ask(request(worker, keys, "9D")).outcomes
    assert first.reason is Reason.SIGNATURE_SELF_CHECK_FAILED
    assert isinstance(second, bytes)
    assert isinstance(third, bytes)
