"""What makes the keys on a token weak is known when they are found."""

from segeld.ipc.worker_wire import FoundKey
from segeld.model.algorithm import KeyKind
from segeld.supervisor.keys import weaknesses


def found(cka_id: bytes = b"1", key: bytes | None = b"k", *, true=(), false=(), bits: int = 0) -> FoundKey:
    return FoundKey("seal", cka_id, KeyKind.P_256, key, (), False, bits=bits, attributes=true, denied=false)


def test_a_key_as_segel_makes_it_has_none_and_before_the_login_none_is_known() -> None:
    strong = found(
        true=("SENSITIVE", "PRIVATE", "SIGN", "LOCAL", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE"),
        false=("EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE"),
    )
    assert weaknesses([strong]) == [()]
    assert weaknesses([found()]) == [()]


def test_each_key_is_told_its_own() -> None:
    weak, strong = weaknesses([found(true=("EXTRACTABLE",), false=("LOCAL",)), found(b"2", b"l")])
    assert [text.rsplit("(", 1)[1] for text in weak] == ["EXTRACTABLE).", "not LOCAL)."]
    assert strong == ()


def test_two_of_one_key_cannot_be_told_apart_and_a_short_one_is_said_once() -> None:
    first, second = weaknesses([found(bits=1024), found(b"2", bits=1024)])
    assert first == second
    assert ["cannot be told" in text for text in first] == [True, False]
    assert "1024 bits" in first[1]


def test_a_key_without_public_key_is_named() -> None:
    assert "Neither a public object" in weaknesses([found(key=None)])[0][0]
