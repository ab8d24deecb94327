"""Who an archive is put down to: by the machine's word, and by root's for whoever it was before."""

import os
import pwd
from types import SimpleNamespace

import pytest

from segeld.ctl import audit_archive


@pytest.fixture
def user(monkeypatch):
    """Gives the name that a user with this number gets."""

    def named(number: int, sudo: str | None) -> str:
        monkeypatch.setattr(os, "getuid", lambda: number)
        monkeypatch.setattr(
            pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name={0: "root", 1000: "made"}[uid])
        )
        monkeypatch.delenv("SUDO_USER", raising=False)
        if sudo is not None:
            monkeypatch.setenv("SUDO_USER", sudo)
        return audit_archive._user()

    return named


def test_root_says_who_it_was_before(user):
    assert user(0, "wayan") == "wayan as root"
    assert user(0, None) == user(0, "") == "root"


def test_of_anybody_else_the_environment_is_not_believed(user):
    assert user(1000, "wayan") == "made"
    assert user(4711, "wayan") == "user 4711"


def test_what_root_says_is_short_and_plain(user):
    """It goes into a leaf and onto terminals: whoever can set it must not be able to fill or to steer them."""
    assert user(0, "w" * 10_000) == f"{'w' * 64} as root"
    told = user(0, "wayan\x1b[2J\nsiti\r\u202e")
    assert told.isprintable()
    assert "\x1b" not in told
