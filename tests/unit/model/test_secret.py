"""PINs mask themselves, can be wiped, and are read from descriptors without their line end."""

import os
import pickle

import pytest

from segeld.model.secret import MAX_PIN, Pin, PinLengthError

CANARY = b"canary-4711"


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, lambda pin: f"{[pin]}"])
def test_no_way_of_printing_shows_the_pin(show) -> None:
    with Pin(CANARY) as pin:
        assert "canary" not in show(pin)
        assert "***" in show(pin)


def test_a_pin_is_not_serialised() -> None:
    with Pin(CANARY) as pin, pytest.raises(TypeError):
        pickle.dumps(pin)


def test_wiping_overwrites_the_page_and_may_be_repeated() -> None:
    pin = Pin(CANARY)
    view = pin.view()
    assert view == CANARY
    view.release()
    pin.wipe()
    pin.wipe()
    assert len(pin) == 0


@pytest.mark.parametrize("secret", [b"", bytes(MAX_PIN + 1)])
def test_a_pin_has_one_to_255_octets(secret: bytes) -> None:
    with pytest.raises(PinLengthError, match="1 to 255"):
        Pin(secret)


@pytest.mark.parametrize(
    ("written", "pin"),
    [
        (b"1234", b"1234"),
        (b"1234\n", b"1234"),
        (b"1234\r\n", b"1234"),
        (b" 12 34 \n", b" 12 34 "),
        (b"12\n\n", b"12\n"),
    ],
)
def test_one_line_end_is_not_part_of_the_pin(written: bytes, pin: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    with Pin.read(reading) as read, read.view() as view:
        assert view == pin
    os.close(reading)


def test_a_wait_that_is_bounded_ends() -> None:
    reading, writing = os.pipe()
    with pytest.raises(TimeoutError, match="nothing came"):
        Pin.read(reading, 0.01)
    os.write(writing, b"1234")
    with pytest.raises(TimeoutError, match="no end came"):
        Pin.read(reading, 0.01)
    os.write(writing, b"5678")
    os.close(writing)
    with Pin.read(reading, 60) as read, read.view() as view:
        assert view == b"5678"
    os.close(reading)


@pytest.mark.parametrize("written", [b"", b"\n", bytes(MAX_PIN + 3)])
def test_nothing_and_too_much_are_refused(written: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)
    with pytest.raises(PinLengthError):
        Pin.read(reading)
    os.close(reading)
