"""What makes the objects on a token weak."""

import pytest

from segeld.model.weak_objects import CERTIFICATE, PRIVATE, PUBLIC, Facts, warnings

STRONG = frozenset({"SENSITIVE", "PRIVATE", "SIGN", "LOCAL", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE"})
WEAK = frozenset({"EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE"})


def private(
    cka_id: bytes = b"1", key: bytes | None = b"k", *, true=STRONG, false=WEAK, bits: int = 0
) -> Facts:
    return Facts(PRIVATE, cka_id, bits, key, frozenset(true), frozenset(false))


def public(key: bytes = b"k", *, what: str = PUBLIC, bits: int = 0) -> Facts:
    return Facts(what, b"1", bits, key, frozenset({"VERIFY", "LOCAL"}), frozenset())


@pytest.mark.parametrize("what", [PUBLIC, CERTIFICATE])
def test_a_key_as_segel_makes_it_has_none(what: str) -> None:
    assert warnings([private(bits=2048), public(what=what, bits=2048)]) == [(), ()]


@pytest.mark.parametrize("flag", sorted(WEAK))
def test_what_is_allowed_and_should_not_be_is_named(flag: str) -> None:
    (found, _) = warnings([private(true=STRONG | {flag}, false=WEAK - {flag}), public()])
    assert len(found) == 1
    assert f"({flag})" in found[0]


@pytest.mark.parametrize("flag", sorted(STRONG - {"SIGN"}))
def test_what_should_be_and_is_not_is_named(flag: str) -> None:
    (found, _) = warnings([private(true=STRONG - {flag}, false=WEAK | {flag}), public()])
    assert len(found) == 1
    assert f"(not {flag})" in found[0]


def test_what_the_token_does_not_say_is_no_weakness() -> None:
    assert warnings([private(true=frozenset(), false=frozenset()), public()])[0] == ()


@pytest.mark.parametrize(("cka_id", "key"), [(b"1", b"other"), (b"2", b"k")])
def test_two_that_cannot_be_told_apart_are_both_named(cka_id: bytes, key: bytes) -> None:
    found = warnings([private(), private(cka_id, key), public(), public(b"other")])
    assert all("cannot be told" in " ".join(each) for each in found[:2])


@pytest.mark.parametrize("key", [None, b"another"])
def test_a_key_without_anything_public_is_named(key: bytes | None) -> None:
    assert "Neither a public object" in warnings([private(key=key), public()])[0][0]


def test_a_short_rsa_key_is_named_on_both_halves() -> None:
    assert all("1024 bits" in " ".join(each) for each in warnings([private(bits=1024), public(bits=1024)]))
