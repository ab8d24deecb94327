"""Which files and descriptors a PIN may come from."""

import os
import select
import socket
from pathlib import Path

import pytest

from segeld.model import pin_files


def status(mode: int, owner: int = 1000) -> os.stat_result:
    return os.stat_result((0o100000 | mode, 1, 1, 1, owner, 0, 4, 0, 0, 0))


def faults(mode: int, *, owner: int = 1000, credentials: str | None = None) -> list[str]:
    path = Path("/run/credentials/segeld.service/pin")
    return list(pin_files.faults(status(mode, owner), path, user=1000, credentials=credentials))


@pytest.mark.parametrize(("owner", "fine"), [(0, True), (1000, True), (1001, False)])
def test_a_pin_file_is_roots_or_the_users_own(owner: int, fine: bool) -> None:
    assert faults(0o600, owner=owner) == (
        [] if fine else [f"belongs to another user (uid {owner}); it must be root's or this user's"]
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_pin_file_is_for_nobody_else(mode: int) -> None:
    assert faults(mode) == [f"has mode {mode:04o}, so others can reach it: chmod 600"]


@pytest.mark.parametrize(("mode", "fine"), [(0o440, True), (0o400, True), (0o444, False), (0o460, False)])
def test_a_credential_shows_its_access_list_as_a_right_to_read_of_the_group(mode: int, fine: bool) -> None:
    assert (faults(mode, owner=0, credentials="/run/credentials/segeld.service") == []) is fine


@pytest.mark.parametrize("credentials", [None, "", "/run/credentials", "/run/credentials/segeld.service/pin"])
def test_a_file_elsewhere_is_no_credential(credentials: str | None) -> None:
    assert faults(0o440, owner=0, credentials=credentials)


def test_an_empty_variable_does_not_mean_the_working_folder(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(pin_files.faults(status(0o440), Path("pin"), user=1000, credentials=""))


def test_a_link_out_of_the_folder_is_no_credential(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "pin").touch()
    link = tmp_path / "given" / "pin"
    link.symlink_to(tmp_path / "pin")
    assert list(pin_files.faults(status(0o440), link, user=1000, credentials=str(link.parent)))


def test_a_pin_is_read_from_what_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "pin").touch()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pin", tmp_path / "pipe", Path(os.devnull)):
        assert pin_files.is_source(path.stat())
    with socket.socket() as sock, select.epoll() as epoll:
        for status_ in (os.fstat(sock.fileno()), os.fstat(epoll.fileno()), tmp_path.stat()):
            assert not pin_files.is_source(status_)
