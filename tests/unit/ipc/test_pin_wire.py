"""A PIN crosses in its frame's own buffer: wiping that buffer wipes it."""

import msgspec
import pytest

from segeld.ipc import framing, pin_wire
from segeld.model.secret import Pin


def test_a_pin_crosses_and_is_gone_when_the_frame_is_wiped() -> None:
    with Pin(b"12345678") as pin:
        field, buffer = pin_wire.wrap(pin)
        sent = framing.encode(pin_wire.Login(field, by_officer=True, open_attempt=False))
    assert buffer[2:] == b"12345678"
    (frame,) = framing.FrameReader(secret=True).feed(sent)
    login = framing.decode(pin_wire.FROM_KEEPER, frame)
    assert (login.by_officer, login.open_attempt) == (True, False)
    with pin_wire.unwrap(login.pin) as received, received.view() as view:
        assert view == b"12345678"
    frame[:] = bytes(len(frame))
    assert b"1234" not in bytes(login.pin)


@pytest.mark.parametrize("raw", [b"\xa44567", b"\xc4\x05abcd", b"\xc4", b"\x01"])
def test_anything_but_a_short_binary_string_is_no_pin(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a PIN field"):
        pin_wire.unwrap(msgspec.Raw(raw))
