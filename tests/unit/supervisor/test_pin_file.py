"""A new PIN goes where the old one was read from, or it is said where it has to go."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeld.config.schema import PinCredential, PinDescriptor, PinFile, PinPad, PinPrompt, Token
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.supervisor import pin_file

SEAL = TokenName("seal")
OLD, NEW = b"123456", b"654321-new"


def config(pin) -> Token:
    return Token("soft", label="Seal", pin=pin)


def put(pin) -> str:
    return pin_file.put(SEAL, config(pin), Pin(NEW))


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "pins" / "seal.pin"
    path.parent.mkdir()
    path.write_bytes(OLD + b"\n")
    path.chmod(0o440)
    return path


def test_the_file_is_exchanged_as_a_whole_with_its_mode_and_nothing_beside_it(file) -> None:
    before = file.stat()
    assert put(PinFile(file)) == ""
    assert file.read_bytes() == NEW
    assert stat.S_IMODE(file.stat().st_mode) == 0o440
    assert file.stat().st_gid == before.st_gid
    assert file.stat().st_ino != before.st_ino  # whoever reads it meanwhile reads the old one, whole
    assert list(file.parent.iterdir()) == [file]


@settings(max_examples=30)
@given(pin=st.binary(min_size=1, max_size=255))
def test_any_pin_is_read_as_it_was_written(tmp_path_factory, pin) -> None:
    if pin.endswith(b"\n"):  # one line end after a PIN is not part of it, so it cannot end in one
        pin += b"x"
        pin = pin[-255:]
    path = tmp_path_factory.mktemp("pin") / "pin"
    path.write_bytes(OLD)
    assert pin_file.put(SEAL, config(PinFile(path)), Pin(pin)) == ""
    with pin_file.former(config(PinFile(path))) as read, read.view() as view:
        assert bytes(view) == pin


def _missing(file: Path) -> None:
    file.unlink()


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("arrange", "why"),
    [(_missing, "cannot be looked at"), (_link, "not a regular file"), (_folder, "not a regular file")],
)
def test_what_cannot_be_exchanged_is_left_and_said(file, arrange, why) -> None:
    arrange(file)
    left = sorted(file.parent.iterdir())
    advice = put(PinFile(file))
    assert f"{file} still holds the old PIN" in advice
    assert why in advice
    assert "tokens/seal would wait for an officer, and the old PIN is not tried" in advice
    assert sorted(file.parent.iterdir()) == left


def test_a_file_of_another_user_is_left_to_them(file, monkeypatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert "belongs to another user" in put(PinFile(file))
    assert file.read_bytes() == OLD + b"\n"


@pytest.mark.parametrize("fails", ["fsync", "fchmod", "write"])
def test_a_disk_that_fails_leaves_the_old_file_and_no_other(file, monkeypatch, fails) -> None:
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, fails, broken)
    assert "it cannot be written (No space left on device)" in put(PinFile(file))
    monkeypatch.undo()
    assert file.read_bytes() == OLD + b"\n"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("pin", "words"),
    [
        (PinCredential("seal-pin"), "The systemd credential seal-pin still holds the old PIN"),
        (PinDescriptor(3), "on a descriptor at the start still gives the old one"),
        (PinPrompt(), ""),
        (PinPad(), ""),
    ],
)
def test_where_the_daemon_cannot_write_the_officer_is_told(pin, words) -> None:
    advice = put(pin)
    assert words in advice
    assert bool(advice) is bool(words)
    assert NEW.decode() not in advice


@pytest.mark.parametrize("pin", [PinPrompt(), PinPad(), PinDescriptor(3), PinFile(Path("/nowhere/pin"))])
def test_there_is_no_former_pin_where_none_is_written(pin) -> None:
    assert pin_file.former(config(pin)) is None


def test_the_former_pin_is_what_is_written_there(file, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    for pin in (PinFile(file), PinCredential("seal.pin")):
        with pin_file.former(config(pin)) as read, read.view() as view:
            assert bytes(view) == OLD
    file.chmod(0o600)
    for odd in (b"", b"x" * 300):
        file.write_bytes(odd)
        assert pin_file.former(config(PinFile(file))) is None
    assert pin_file.former(config(PinFile(tmp_path))) is None
