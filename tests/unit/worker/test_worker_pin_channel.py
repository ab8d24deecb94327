"""A PIN leaves no copy in the channel it came through."""

import socket
from collections.abc import Iterator

import pytest

from segeld.ipc import framing, pin_wire
from segeld.model.secret import Pin
from segeld.worker.channel import Closed, PinChannel


@pytest.fixture
def keeper_and_channel() -> Iterator[tuple[socket.socket, PinChannel]]:
    keeper, ours = socket.socketpair()
    keeper.settimeout(10)
    channel = PinChannel(ours.detach())
    yield keeper, channel
    keeper.close()
    channel.close()


def test_the_frame_is_wiped_when_the_login_was_used(
    keeper_and_channel: tuple[socket.socket, PinChannel],
) -> None:
    keeper, channel = keeper_and_channel
    field, _ = pin_wire.wrap(Pin(b"31415926"))
    keeper.sendall(framing.encode(pin_wire.Login(field, True, False)))
    logins = channel.frames()
    login = next(logins)
    with pin_wire.unwrap(login.pin) as pin, pin.view() as view:
        assert bytes(view) == b"31415926"
    assert next(logins, None) is None
    assert bytes(memoryview(login.pin)) == bytes(10)  # its two octets of head, and the PIN


def test_a_login_in_two_parts(keeper_and_channel: tuple[socket.socket, PinChannel]) -> None:
    keeper, channel = keeper_and_channel
    field, _ = pin_wire.wrap(Pin(b"31415926"))
    frame = framing.encode(pin_wire.Login(field, True, False))
    keeper.sendall(frame[:9])
    assert list(channel.frames()) == []
    keeper.sendall(frame[9:])
    assert len(list(channel.frames())) == 1


def test_the_end_of_the_stream(keeper_and_channel: tuple[socket.socket, PinChannel]) -> None:
    keeper, channel = keeper_and_channel
    keeper.close()
    with pytest.raises(Closed):
        list(channel.frames())
    with pytest.raises(Closed):
        channel.send(pin_wire.LoginEnded(pin_wire.LoginOutcome.OK, 0, ()))
