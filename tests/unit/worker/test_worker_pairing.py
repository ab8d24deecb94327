"""Which public key belongs to which private key: the rules, without a token."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from segeld.model.algorithm import KeyKind
from segeld.model.faults import Reason
from segeld.worker import public_keys
from segeld.worker.objects import Objects, PrivateObject, PublicObject
from segeld.worker.pairing import Paired, pair, public_only
from segeld.worker.public_keys import PublicKey

EC = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(3)]
P384 = ec.generate_private_key(ec.SECP384R1()).public_key()
ED = ed25519.Ed25519PrivateKey.generate().public_key()
RSA = [rsa.generate_private_key(65537, 2048).public_key() for _ in range(2)]


def private(
    cka_id: bytes, like: PublicKey, *, shows: PublicKey | None = None, may_sign: bool = True, handle: int = 1
) -> PrivateObject:
    kind, key_type = public_keys.kind_of(like), public_keys.key_type(like)
    return PrivateObject(handle, "key", cka_id, key_type, kind, may_sign, False, shows)


def pairs(*privates: PrivateObject, public: tuple[PublicObject, ...] = (), configured=()) -> list[Paired]:
    return pair(Objects(privates, public, ()), configured)


def public(cka_id: bytes, key: PublicKey) -> PublicObject:
    return PublicObject("public", cka_id, key)


def test_by_cka_id() -> None:
    one, two = pairs(
        private(b"1", EC[0]), private(b"2", EC[1]), public=(public(b"2", EC[1]), public(b"1", EC[0]))
    )
    assert (one.key, two.key) == (EC[0], EC[1])
    assert one.usable
    assert two.usable


def test_a_public_key_of_another_kind_with_the_same_id_is_not_meant() -> None:
    (one,) = pairs(
        private(b"1", EC[0]), public=(public(b"1", RSA[0]), public(b"1", P384), public(b"1", EC[0]))
    )
    assert one.key == EC[0]


def test_an_rsa_key_with_the_same_id_and_another_modulus_is_not_meant() -> None:
    (one,) = pairs(private(b"1", RSA[0], shows=RSA[0]), public=(public(b"1", RSA[1]),))
    assert one.key == RSA[0]


def test_two_public_keys_with_one_id_are_not_guessed_at() -> None:
    (one,) = pairs(private(b"1", EC[0]), public=(public(b"1", EC[0]), public(b"1", EC[1])))
    assert (one.found.unusable, one.key) == (Reason.KEY_AMBIGUOUS, None)


def test_the_same_public_key_twice_is_one() -> None:
    (one,) = pairs(private(b"1", EC[0]), public=(public(b"1", EC[0]), public(b"1", EC[0])))
    assert one.usable


def test_an_empty_id_belongs_to_nothing() -> None:
    one, two = pairs(private(b"", EC[0]), private(b"", RSA[0], shows=RSA[0]), public=(public(b"", EC[0]),))
    assert one.found.unusable is Reason.KEY_UNUSABLE
    assert two.usable


@pytest.mark.parametrize("twin_may_sign", [True, False])
def test_one_id_for_two_private_objects(twin_may_sign: bool) -> None:
    twin = private(b"1", RSA[1], shows=RSA[1], may_sign=twin_may_sign)
    one, two = pairs(private(b"1", RSA[0], shows=RSA[0]), twin)
    assert one.found.unusable is Reason.KEY_AMBIGUOUS
    assert not two.usable


def test_one_public_key_for_two_private_objects() -> None:
    for one in pairs(private(b"1", RSA[0], shows=RSA[0]), private(b"2", RSA[0], shows=RSA[0])):
        assert one.found.unusable is Reason.KEY_AMBIGUOUS


def test_configured_keys_by_kind() -> None:
    one, two = pairs(private(b"1", EC[0]), private(b"2", ED), configured=(ED, EC[0], RSA[0]))
    assert (one.key, two.key) == (EC[0], ED)


def test_a_configured_key_that_is_on_the_token_already_is_not_spare() -> None:
    one, two = pairs(
        private(b"1", EC[0]),
        private(b"2", EC[1]),
        public=(public(b"1", EC[0]),),
        configured=(EC[0], EC[1]),
    )
    assert (one.key, two.key) == (EC[0], EC[1])


def test_two_keys_without_and_one_configured_are_not_guessed_at() -> None:
    for one in pairs(private(b"1", EC[0]), private(b"2", EC[1]), configured=(EC[0],)):
        assert one.found.unusable is Reason.KEY_UNUSABLE


def test_two_configured_for_one_are_not_guessed_at() -> None:
    (one,) = pairs(private(b"1", EC[0]), configured=(EC[0], EC[1]))
    assert one.found.unusable is Reason.KEY_AMBIGUOUS


def test_every_refusal_has_a_sentence() -> None:
    refused = [
        *pairs(private(b"1", EC[0])),
        *pairs(private(b"1", EC[0], may_sign=False)),
        *pairs(private(b"1", EC[0]), configured=(EC[0], EC[1])),
        *pairs(private(b"1", EC[0]), private(b"1", EC[1])),
        *pairs(private(b"1", RSA[0], shows=RSA[0]), private(b"2", RSA[0], shows=RSA[0])),
    ]
    for one in refused:
        assert one.found.trouble.endswith(".")
        assert not one.usable


def test_before_the_login_public_objects_show_what_may_be_there() -> None:
    objects = Objects((), (public(b"1", EC[0]), public(b"1", EC[0]), public(b"2", RSA[0])), ())
    shown = public_only(objects, [])
    assert [one.found.kind for one in shown] == [KeyKind.P_256, KeyKind.RSA_2048]
    assert not any(one.usable for one in shown)
