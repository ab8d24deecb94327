"""What officers do to a token, by a real worker on SoftHSM2: from a blank slot to a key that signs, and to none."""

import hashlib

import pytest
from ceremony_desk import issue
from worker_process import PIN, WorkerProcess

from segeld.ipc import ceremony_wire as ceremony
from segeld.ipc import framing, pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import KeyKind, algorithms_for
from segeld.model.faults import Reason
from segeld.model.secret import Pin

SO_PIN, NEW_PIN = b"so-pin-87654321", b"new-pin-4321"


def tell_secrets(worker: WorkerProcess, present: bytes, new: bytes) -> None:
    fields = [pin_wire.wrap(Pin(secret))[0] for secret in (present, new)]
    worker.pin.sendall(framing.encode(pin_wire.Secrets(*fields)))


def set_up(start, label: str, *, so_pin: bytes = SO_PIN, pin: bytes = PIN):
    """A token in the blank slot; gives what it is."""
    worker = start()
    worker.load()
    slots = worker.ask(wire.Survey(worker.number())).slots
    blank = next(slot for slot in slots if "CKF_TOKEN_INITIALIZED" not in slot.token.flags)
    tell_secrets(worker, so_pin, pin)
    made = worker.ask(ceremony.InitToken(worker.number(), blank.slot_id, blank.token.serial, label))
    assert isinstance(made, ceremony.TokenSet), made
    ready = worker.ask(ceremony.InitPin(worker.number(), blank.slot_id, None))
    assert isinstance(ready, ceremony.TokenSet), ready
    worker.close()
    return ready.token


def as_user(start, label: str, pin: bytes = PIN, secrets: tuple[bytes, bytes] | None = None) -> WorkerProcess:
    worker = start()
    worker.load()
    opened = worker.ask(wire.OpenToken(worker.number(), label, None, 1, writable=True))
    assert isinstance(opened, wire.TokenOpened), opened
    if secrets is not None:
        tell_secrets(worker, *secrets)
    assert worker.login(pin).outcome is pin_wire.LoginOutcome.OK
    return worker


def generate(worker: WorkerProcess, label: str, kind: KeyKind, cka_id: bytes):
    return worker.ask(ceremony.GenerateKey(worker.number(), label, cka_id, kind))


@pytest.fixture
def sealed(start, request):
    """The label of a fresh token."""
    label = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    set_up(start, label)
    return label


def test_a_blank_slot_becomes_a_token_with_a_pin(start) -> None:
    token = set_up(start, "kantor pusat")
    assert token.label == "kantor pusat"
    assert {"CKF_TOKEN_INITIALIZED", "CKF_USER_PIN_INITIALIZED"} <= set(token.flags)
    as_user(start, "kantor pusat")


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_of_each_kind_is_made_as_it_should_be_and_signs(start, sealed, kind: KeyKind) -> None:
    worker = as_user(start, sealed)
    made = generate(worker, "seal", kind, b"\x01" * 16)
    assert isinstance(made, ceremony.KeyGenerated), made
    objects = worker.ask(ceremony.ListObjects(worker.number())).objects
    private = next(one for one in objects if one.object_class == "private key")
    assert (private.label, private.cka_id, private.public_key) == ("seal", b"\x01" * 16, made.public_key)
    assert private.kind == str(kind)
    assert {"SENSITIVE", "PRIVATE", "SIGN", "LOCAL", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE"} <= set(
        private.attributes
    )
    assert {"EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE", "SIGN_RECOVER"} <= set(private.denied)
    public = next(one for one in objects if one.object_class == "public key")
    assert "VERIFY" in public.attributes
    assert {"ENCRYPT", "WRAP"} <= set(public.denied)
    (key,) = worker.find()
    assert key.public_key == made.public_key
    algorithm = algorithms_for(kind)[0]
    data = hashlib.new(algorithm.hash_name, b"x").digest() if algorithm.hash_name else b"x"
    signed = worker.ask(worker.sign_request(made.public_key, algorithm, (data,)))
    assert isinstance(signed.outcomes[0], bytes)


@pytest.mark.parametrize(("label", "cka_id"), [("first", b"\x02"), ("second", b"\x01")])
def test_a_label_or_an_id_that_is_there_is_refused(start, sealed, label: str, cka_id: bytes) -> None:
    worker = as_user(start, sealed)
    generate(worker, "first", KeyKind.P_256, b"\x01")
    again = generate(worker, label, KeyKind.P_256, cka_id)
    assert (again.reason, again.remedy) == (Reason.KEY_EXISTS, wire.Remedy.ITEM)
    assert len(worker.find()) == 1


def test_a_certificate_is_stored_once_beside_its_key_and_goes_with_it(start, sealed) -> None:
    worker = as_user(start, sealed)
    made = [generate(worker, f"seal {n}", KeyKind.P_256, bytes([n])).public_key for n in (1, 2)]
    certificates = [issue(public_key) for public_key in made]
    for public_key, der in zip(made, certificates, strict=True):
        stored = worker.ask(ceremony.StoreCertificates(worker.number(), public_key, (der,)))
        assert stored.stored == 1
    again = worker.ask(ceremony.StoreCertificates(worker.number(), made[0], certificates[:1]))
    assert again.stored == 0
    assert {key.public_key: key.certificates for key in worker.find()} == {
        public_key: (der,) for public_key, der in zip(made, certificates, strict=True)
    }
    gone = worker.ask(ceremony.DestroyKey(worker.number(), made[0]))
    assert gone.removed == 3
    left = worker.ask(ceremony.ListObjects(worker.number())).objects
    assert sorted(one.object_class for one in left) == ["certificate", "private key", "public key"]
    assert {one.public_key for one in left} == {made[1]}
    assert worker.ask(ceremony.DestroyKey(worker.number(), made[0])).removed == 0


def test_a_key_whose_public_key_the_configuration_alone_knows_is_destroyed_too(box, start, sealed) -> None:
    worker = as_user(start, sealed)
    made = generate(worker, "seal", KeyKind.P_256, b"\x01").public_key
    worker.close()
    box.remove_public(sealed, "01")
    worker = as_user(start, sealed)
    assert worker.ask(ceremony.DestroyKey(worker.number(), made)).removed == 0
    assert worker.ask(ceremony.DestroyKey(worker.number(), made, (made,))).removed == 1
    assert worker.ask(ceremony.ListObjects(worker.number())).objects == ()


def test_without_a_login_what_is_public_is_listed(start, sealed) -> None:
    made = generate(as_user(start, sealed), "seal", KeyKind.P_256, b"\x01").public_key
    worker = start()
    worker.load()
    worker.open(sealed)
    (shown,) = worker.ask(ceremony.ListObjects(worker.number())).objects
    assert (shown.object_class, shown.public_key) == ("public key", made)


def test_a_certificate_for_a_key_that_is_not_there_is_refused(start, sealed) -> None:
    worker = as_user(start, sealed)
    made = generate(worker, "seal", KeyKind.P_256, b"\x01").public_key
    worker.ask(ceremony.DestroyKey(worker.number(), made))
    refused = worker.ask(ceremony.StoreCertificates(worker.number(), made, (issue(made),)))
    assert refused.reason is Reason.KEY_NOT_FOUND


def test_the_pin_is_changed_and_the_new_one_logs_in(start, sealed) -> None:
    worker = as_user(start, sealed, secrets=(PIN, NEW_PIN))
    assert isinstance(worker.ask(ceremony.ChangePin(worker.number())), ceremony.PinChanged)
    as_user(start, sealed, NEW_PIN)
    other = start()
    other.load()
    other.open(sealed)
    assert other.login(PIN).outcome is pin_wire.LoginOutcome.REFUSED


def test_a_pin_of_a_length_that_the_token_does_not_take_is_not_sent(start, sealed) -> None:
    worker = as_user(start, sealed, secrets=(PIN, b"1"))
    refused = worker.ask(ceremony.ChangePin(worker.number()))
    assert (refused.reason, refused.ckr) == (Reason.PIN_LENGTH, 0)
    assert "at least 4" in refused.text
    as_user(start, sealed)


def found(worker: WorkerProcess, label: str):
    worker.load()
    slots = worker.ask(wire.Survey(worker.number())).slots
    return next(slot for slot in slots if slot.token.label == label)


def test_the_so_pin_sets_a_new_pin(start, sealed) -> None:
    worker = start()
    slot = found(worker, sealed)
    tell_secrets(worker, SO_PIN, NEW_PIN)
    ready = worker.ask(ceremony.InitPin(worker.number(), slot.slot_id, slot.token.serial))
    assert isinstance(ready, ceremony.TokenSet), ready
    as_user(start, sealed, NEW_PIN)


def test_a_wrong_so_pin_is_named_as_such(start, sealed) -> None:
    worker = start()
    slot = found(worker, sealed)
    tell_secrets(worker, b"wrong-so-pin", NEW_PIN)
    refused = worker.ask(ceremony.InitPin(worker.number(), slot.slot_id, slot.token.serial))
    assert refused.reason is Reason.PIN_INCORRECT
    assert "SO PIN" in refused.text
    as_user(start, sealed)


def test_a_wrong_so_pin_erases_nothing(start, sealed) -> None:
    generate(as_user(start, sealed), "seal", KeyKind.P_256, b"\x01")
    worker = start()
    slot = found(worker, sealed)
    tell_secrets(worker, b"wrong-so-pin", NEW_PIN)
    refused = worker.ask(ceremony.InitToken(worker.number(), slot.slot_id, slot.token.serial, "other"))
    assert (refused.reason, "SO PIN" in refused.text) == (Reason.PIN_INCORRECT, True)
    assert len(as_user(start, sealed).find()) == 1


def test_a_token_is_initialised_anew_and_is_empty(start, sealed) -> None:
    generate(as_user(start, sealed), "seal", KeyKind.P_256, b"\x01")
    worker = start()
    slot = found(worker, sealed)
    tell_secrets(worker, SO_PIN, NEW_PIN)
    made = worker.ask(ceremony.InitToken(worker.number(), slot.slot_id, slot.token.serial, sealed))
    assert isinstance(made, ceremony.TokenSet), made
    ready = worker.ask(ceremony.InitPin(worker.number(), slot.slot_id, None))
    assert isinstance(ready, ceremony.TokenSet), ready
    assert as_user(start, sealed, NEW_PIN).ask(ceremony.ListObjects(9)).objects == ()


def test_another_token_in_the_slot_is_left_alone(start, sealed) -> None:
    worker = start()
    slot = found(worker, sealed)
    tell_secrets(worker, SO_PIN, NEW_PIN)
    refused = worker.ask(ceremony.InitToken(worker.number(), slot.slot_id, "another serial", "other"))
    assert refused.reason is Reason.TOKEN_NOT_PRESENT
    as_user(start, sealed)


def test_a_session_for_reading_makes_no_key(start, sealed) -> None:
    worker = start()
    worker.activate(sealed)
    refused = generate(worker, "seal", KeyKind.P_256, b"\x01")
    assert (refused.reason, refused.remedy) == (Reason.TOKEN_STATE, wire.Remedy.ITEM)
