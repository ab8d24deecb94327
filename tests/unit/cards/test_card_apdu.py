"""Commands of a card: lengths, chaining, and long answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segel_cards.apdu import Chaining, Command, Refusal, Sw
from segel_cards.tlv import read, tlv


@given(st.integers(1, 255), st.binary(max_size=70_000))
def test_an_object_reads_as_it_was_written(tag: int, value: bytes) -> None:
    assert read(tlv(tag, value)) == {tag: value}


@given(st.binary(min_size=1, max_size=300), st.integers(1, 299))
def test_an_object_that_is_cut_short_is_refused(value: bytes, cut: int) -> None:
    whole = tlv(0x53, value)
    with pytest.raises(ValueError, match="cut short"):
        read(whole[: max(1, len(whole) - cut)])


@given(st.binary(min_size=1, max_size=255))
def test_a_short_command(data: bytes) -> None:
    head = bytes([0, 0x20, 0, 0x80])
    assert Command.parse(head + bytes([len(data)]) + data).data == data
    assert Command.parse(head + bytes([len(data)]) + data + b"\0").expected == 0x100


@given(st.binary(min_size=256, max_size=2000))
def test_an_extended_command(data: bytes) -> None:
    frame = bytes([0, 0x87, 7, 0x9A, 0]) + len(data).to_bytes(2, "big") + data + b"\0\0"
    assert Command.parse(frame).data == data


@pytest.mark.parametrize("frame", [b"", b"\0\x20\0", b"\0\x20\0\x80\x08\x31"])
def test_what_is_no_command(frame: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        Command.parse(frame)
    assert refused.value.word == Sw.WRONG_LENGTH


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_a_chain_is_one_command(parts: list[bytes]) -> None:
    chaining = Chaining()
    for part in parts[:-1]:
        assert chaining.whole(Command(0x10, 0x87, 7, 0x9A, part, 256)) is None
    whole = chaining.whole(Command(0, 0x87, 7, 0x9A, parts[-1], 256))
    assert whole is not None
    assert whole.data == b"".join(parts)


@given(st.binary(max_size=3000), st.integers(1, 256))
def test_a_long_answer_comes_in_parts(answer: bytes, expected: int) -> None:
    chaining = Chaining()
    chaining.keep(answer)
    got, status = b"", b"\x61"
    while status[:1] == b"\x61":
        part = chaining.next(expected)
        got, status = got + part[:-2], part[-2:]
        assert len(part) <= expected + 2
    assert (got, status) == (answer, b"\x90\0")
