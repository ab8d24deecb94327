"""Removing a key: what is told of it when the token shows something odd, or fails between two steps."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import exceptions
from pkcs11.constants import Attribute, ObjectClass

from segeld.ipc.ceremony_wire import (
    CertificatesStored,
    DestroyKey,
    GenerateKey,
    KeyDestroyed,
    StoreCertificates,
)
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Reason
from segeld.worker import ceremony_certificates, ceremony_keys, public_keys
from segeld.worker.failure import Failure
from segeld.worker.objects import Objects, PrivateObject, PublicObject

ID = b"1"
KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(2))
REQUEST = DestroyKey(1, public_keys.to_spki(KEY))


class FakeObject:
    def __init__(self, handle: int) -> None:
        self.handle, self.destroyed = handle, False

    def destroy(self) -> None:
        self.destroyed = True


class FakeSession:
    """Finds one private object; `error` is what it says when it is asked for anything else."""

    def __init__(self, error: exceptions.PKCS11Error | None = None) -> None:
        self.private, self.error = FakeObject(7), error

    def get_objects(self, wanted):
        if wanted[Attribute.CLASS] is ObjectClass.PRIVATE_KEY:
            return [self.private]
        if self.error is not None:
            raise self.error
        return []


def there(monkeypatch, *public, private: bool = True) -> None:
    key = PrivateObject(7, "key", ID, public_keys.key_type(KEY), KeyKind.P_256, True, False, None)
    found = Objects((key,) if private else (), tuple(PublicObject("key", ID, each) for each in public), ())
    monkeypatch.setattr(ceremony_keys.objects, "read", lambda session: found)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.SessionHandleInvalid,
        exceptions.TokenNotPresent,
        exceptions.DeviceRemoved,
        exceptions.DeviceMemory,
    ],
)
def test_a_token_that_is_pulled_when_the_private_object_has_gone_is_not_said_to_be_as_it_was(
    monkeypatch, error
) -> None:
    there(monkeypatch, KEY)
    session = FakeSession(error())
    with pytest.raises(Failure) as failed:
        ceremony_keys.destroy(session, REQUEST)
    assert session.private.destroyed
    assert not failed.value.certain


def test_a_private_object_that_could_be_another_keys_is_left_and_that_is_said(monkeypatch) -> None:
    there(monkeypatch, KEY, OTHER)
    session = FakeSession()
    with pytest.raises(Failure) as failed:
        ceremony_keys.destroy(session, REQUEST)
    assert (failed.value.reason, failed.value.certain) == (Reason.KEY_AMBIGUOUS, True)
    assert not session.private.destroyed


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (exceptions.SessionHandleInvalid, False),
        (exceptions.TokenNotPresent, False),
        (exceptions.DeviceRemoved, False),
        (exceptions.ObjectHandleInvalid, False),
        (exceptions.UserNotLoggedIn, False),
        (exceptions.DeviceMemory, True),
        (exceptions.TokenWriteProtected, True),
        (exceptions.MechanismInvalid, True),
    ],
)
def test_a_token_that_is_gone_may_have_made_the_key_before_and_one_that_refuses_has_not(
    monkeypatch, error, certain
) -> None:
    """python-pkcs11 reads the objects of the new key in the same call."""

    class Session(FakeSession):
        def generate_keypair(self, *_, **__):
            raise self.error

    there(monkeypatch, private=False)
    request = GenerateKey(1, "new", b"2", KeyKind.RSA_2048)
    with pytest.raises(Failure) as failed:
        ceremony_keys.generate(Session(error()), request)
    assert failed.value.certain is certain


def test_the_certificate_of_a_key_whose_public_key_only_the_configuration_tells_is_stored(
    monkeypatch,
) -> None:
    there(monkeypatch)
    request = StoreCertificates(1, public_keys.to_spki(KEY), ())
    with pytest.raises(Failure) as failed:
        ceremony_certificates.store(FakeSession(), request)
    assert failed.value.reason is Reason.KEY_NOT_FOUND
    configured = StoreCertificates(1, public_keys.to_spki(KEY), (), (public_keys.to_spki(KEY),))
    assert ceremony_certificates.store(FakeSession(), configured) == CertificatesStored(1, 0)


def test_what_is_left_of_a_key_is_removed_when_it_is_asked_once_more(monkeypatch) -> None:
    there(monkeypatch, KEY, OTHER, private=False)
    assert ceremony_keys.destroy(FakeSession(), REQUEST) == KeyDestroyed(1, 0, 0)
