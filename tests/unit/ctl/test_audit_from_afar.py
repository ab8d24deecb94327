"""Audit commands on a machine that has no log: what they refuse before anybody is asked."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from segel.cli.exit_codes import ExitCode
from segeld.audit.note import Signer
from segeld.ctl import audit_remote
from segeld.ctl.main import app


@pytest.fixture
def verifier():
    return Signer("segel/a", Ed25519PrivateKey.generate()).verifier


@pytest.fixture
def afar(monkeypatch, tmp_path):
    monkeypatch.delenv("SEGEL_AUDIT_DIR", raising=False)
    monkeypatch.setattr(audit_remote, "DEFAULT_FOLDER", tmp_path / "none")
    monkeypatch.setattr("segel.Officer.from_settings", lambda *_: pytest.fail("somebody was asked"))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("find", "--digest", "00" * 32),
        ("find", "--job", "0" * 32),
        ("find", "--caller", "tax"),
        ("prove", "--leaf", "0"),
        ("export",),
        ("verify", "--key", "{key}"),
    ],
)
def test_archives_are_not_read_from_afar(afar, words, verifier):
    given = [word.format(key=verifier) for word in words]
    answer = CliRunner().invoke(app, ["audit", *given, "--archive", str(afar)])
    assert (answer.exit_code, answer.stdout) == (ExitCode.USAGE, "")
    assert "--archive needs the log's folder: give --dir, or run it on the daemon's machine" in answer.stderr
