"""PINs from descriptors: read to the end, but not for ever, and not from whatever has the number."""

import os
import socket
from pathlib import Path

import pytest

from segeld.keeper import sources
from segeld.model.faults import Fault, Reason


@pytest.fixture
def pipe():
    """A pipe whose reading end goes to the code under test."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(writing)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("written", "said"), [(b"", "nothing came"), (b"1234\n", "no end came")])
def test_a_pipe_that_nobody_closes_is_given_up(pipe, monkeypatch, written: bytes, said: str) -> None:
    monkeypatch.setattr(sources, "PATIENCE", 0.01)
    reading, writing = pipe
    os.write(writing, written)
    with pytest.raises(Fault, match=f"{said} from descriptor {reading} within 0.01 s; .* close it") as caught:
        sources.from_descriptor(reading)
    assert caught.value.reason is Reason.FIELD_INVALID
    assert not is_open(reading)


def test_a_pin_that_comes_in_pieces(monkeypatch) -> None:
    reading, writing = os.pipe()
    pieces = [b"12", b"34\n"]
    real = os.readv

    def readv(descriptor, buffers):
        """Somebody else took what there was; then it comes."""
        if pieces:
            os.write(writing, pieces.pop(0))
            if not pieces:
                os.close(writing)
            raise BlockingIOError
        return real(descriptor, buffers)

    os.write(writing, b"x")
    assert os.read(reading, 1) == b"x"
    os.write(writing, b"0")
    monkeypatch.setattr(os, "readv", readv)
    with sources.from_descriptor(reading) as pin, pin.view() as view:
        assert view == b"01234"


def test_who_shares_the_descriptor_finds_it_as_it_was(pipe) -> None:
    reading, writing = os.pipe()
    shared = os.dup(reading)
    os.write(writing, b"1234")
    os.close(writing)
    sources.from_descriptor(reading).wipe()
    assert os.get_blocking(shared)
    os.close(shared)
    os.close(pipe[0])


def test_what_has_no_end_is_refused_and_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(Fault, match="no pipe, file or device") as caught:
            sources.from_descriptor(ours.fileno())
        assert caught.value.reason is Reason.FIELD_INVALID
        assert is_open(ours.fileno())


def test_a_number_that_is_not_open() -> None:
    with pytest.raises(Fault, match="The PIN descriptor 987 cannot be read: Bad file descriptor"):
        sources.from_descriptor(987)


@pytest.mark.parametrize(("mode", "fine"), [(0o440, True), (0o444, False)])
def test_a_credential_of_systemd(tmp_path: Path, monkeypatch, mode: int, fine: bool) -> None:
    path = tmp_path / "pin"
    path.write_bytes(b"1234")
    path.chmod(mode)
    with pytest.raises(Fault, match="chmod 600"):
        sources.from_file(str(path))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    if fine:
        with sources.from_file(str(path)) as pin, pin.view() as view:
            assert view == b"1234"
    else:
        with pytest.raises(Fault, match=f"mode {mode:04o}"):
            sources.from_file(str(path))
