"""`segelctl … <TAB>` and `segel … <TAB>` offer what the daemon knows, and are silent when it says nothing."""

import asyncio
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

import segel
from segel.cli import completing
from segel.cli.app import app as segel_app
from segel.cli.completing import completion
from segel.models_policy import Caller, Callers, RevokedCertificate
from segeld.ctl.main import app

KEY = f"keys/sha256-{'ab' * 32}"


@pytest.fixture
def complete():
    """What is offered for the last word of a command line."""

    def ask(root, line: str) -> list[str]:
        variable = "_SEGELCTL_COMPLETE" if root is app else "_SEGEL_COMPLETE"
        name = "segelctl" if root is app else "segel"
        words = f"{name} {line}"
        answer = CliRunner().invoke(
            root,
            prog_name=name,
            env={
                variable: "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            },
        )
        assert answer.stderr == ""
        return answer.stdout.split()

    return ask


def test_names_that_the_daemon_knows(complete, officer, new_change, new_job):
    officer.changes.there = {"changes/7": new_change()}
    officer.jobs.there = [new_job()]
    assert complete(app, "token show ") == ["seal"]
    assert complete(app, "token activate tokens/s") == ["tokens/seal"]
    assert complete(app, "token show x") == []
    assert complete(app, "key generate --token se") == ["seal"]
    assert complete(app, "change approve ") == ["7"]
    assert complete(app, "job cancel 000") == [f"{1:032x}"]


def test_callers_and_who_of_them_is_shut_out(complete, officer):
    stolen = f"sha256-{'1f' * 32}"
    at = datetime(2026, 11, 2, tzinfo=UTC)
    officer.policy.there = Callers(
        (
            Caller("backoffice", ("uri:urn:a",), None, "", "", None, ""),
            Caller("batch", ("dns:b",), at, "siti", "its server was broken into", None, ""),
        ),
        (RevokedCertificate(stolen, at, "siti", "laptop stolen"),),
    )
    assert complete(app, "caller revoke b") == ["backoffice", "batch"]
    assert complete(app, "policy explain --caller ba") == ["backoffice", "batch"]
    assert complete(app, "job list --caller bat") == ["batch"]
    assert complete(app, "caller unrevoke ") == ["batch", stolen]


def test_jobs_are_found_by_the_names_that_keys_keep(complete, officer, new_managed):
    """A job keeps the immutable name: by an alias none would be found."""
    officer.keys.there = (new_managed(name=KEY),)
    word = KEY.removeprefix("keys/")
    assert complete(app, "job list --key ") == [word]
    assert complete(app, "job list --key keys/sha") == [KEY]
    assert complete(app, "job list --key se") == []
    assert complete(app, "key show ") == ["seal", word]


def test_what_stands_before_the_word_is_used(complete, officer, monkeypatch):
    seen = []
    monkeypatch.setattr(officer, "from_settings", lambda settings: seen.append(settings) or officer)
    complete(app, "--target unix:/run/before.sock token show --cert mine.pem ")
    assert seen[0].target == "unix:/run/before.sock"
    assert seen[0].tls.cert == "mine.pem"


def test_no_daemon_no_settings_no_word(complete, officer, monkeypatch):
    officer.raises = segel.errors.TokenNotFound("no token", reason="TOKEN_NOT_FOUND")
    assert complete(app, "token show ") == []
    officer.raises = None
    monkeypatch.delenv("SEGELCTL_TARGET")
    assert complete(app, "token show ") == []
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    assert complete(segel_app, "key show ") == []


def test_the_shell_does_not_wait_for_a_daemon_that_hangs(monkeypatch):
    monkeypatch.setattr(completing, "_PATIENCE", 0.01)

    async def hangs(session):
        yield "keys/first", ""
        await asyncio.Event().wait()

    assert completion("client", "keys/", hangs)(_Nowhere(), "f") == [("first", "")]


def test_so_much_and_no_more(monkeypatch):
    async def many(session):
        for number in range(10**6):
            yield f"jobs/{number}", ""

    assert len(completion("client", "jobs/", many)(_Nowhere(), "jobs/")) == completing._MOST


class _Nowhere:
    """A context without options."""

    params: dict = {}  # noqa: RUF012
    parent = None
