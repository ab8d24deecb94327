"""Officers with their command: tokens, PINs typed, read and refused."""

import json
import os
import select
import subprocess
import sys

import pytest

from segel import errors

TIMEOUT = 60


@pytest.fixture
def waiting(own_daemon):
    """A daemon whose token segel-b waits for its PIN."""
    return own_daemon("--keys", "p256", "--prompt", "segel-b")


def segelctl(daemon, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "segeld.ctl", *arguments],
        env={**os.environ, **daemon.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def state(daemon, token: str) -> str:
    shown = segelctl(daemon, "--json", "token", "show", token)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)["state"].lower()


def typed(daemon, answer: str, *arguments: str) -> tuple[int, str]:
    """Runs the command on a terminal and types `answer` when it asks; gives the exit code and all that was shown."""
    terminal, theirs = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", sys.executable, "-m", "segeld.ctl", *arguments],
        env={**os.environ, **daemon.environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    asked = False
    while select.select([terminal], [], [], TIMEOUT)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if not asked and b"PIN" in shown and shown.rstrip().endswith(b":"):
            os.write(terminal, answer.encode() + b"\n")
            asked = True
    os.close(terminal)
    return process.wait(TIMEOUT), shown.decode()


def pin(daemon, token: str) -> str:
    return (daemon.directory / "pins" / f"{token}.pin").read_text()


def test_a_typed_pin_is_not_shown_and_activates(waiting) -> None:
    assert state(waiting, "segel-b") == "inactive"
    code, shown = typed(waiting, pin(waiting, "segel-b"), "token", "activate", "segel-b")
    assert code == 0, shown
    assert pin(waiting, "segel-b") not in shown
    assert state(waiting, "segel-b") == "active"
    with waiting.client() as client:
        assert client.signer("keys/segel-b-p256").sign_digest(bytes(32))


def test_callers_are_told_what_to_ask_an_officer_for(waiting) -> None:
    with (
        waiting.client() as client,
        pytest.raises(errors.TokenNotActive, match="segelctl token activate segel-b"),
    ):
        client.signer("keys/segel-b-p256").sign_digest(bytes(32))


def test_a_wrong_pin_is_tried_once_and_said_so(waiting, tmp_path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("00000000")
    wrong.chmod(0o600)
    first = segelctl(waiting, "token", "activate", "segel-b", "--pin-file", str(wrong))
    assert first.returncode != 0
    assert "refused the PIN" in first.stderr
    again = segelctl(waiting, "token", "activate", "segel-b", "--pin-file", str(wrong))
    assert "not tried again" in again.stderr
    assert state(waiting, "segel-b") == "locked"
    right = waiting.directory / "pins" / "segel-b.pin"
    assert segelctl(waiting, "token", "activate", "segel-b", "--pin-file", str(right)).returncode == 0
    assert state(waiting, "segel-b") == "active"
    for text in (first.stderr, again.stderr):
        assert "00000000" not in text
        assert "Traceback" not in text


def test_deactivating_one_token_leaves_the_other(waiting) -> None:
    assert segelctl(waiting, "token", "deactivate", "segel-a").returncode == 0
    assert state(waiting, "segel-a") == "inactive"
    with waiting.client() as client, pytest.raises(errors.TokenNotActive):
        client.signer("keys/seal-p256").sign_digest(bytes(32))
    right = waiting.directory / "pins" / "segel-a.pin"
    assert segelctl(waiting, "token", "activate", "segel-a", "--pin-file", str(right)).returncode == 0
    with waiting.client() as client:
        assert client.signer("keys/seal-p256").sign_digest(bytes(32))


def test_slots_and_tokens_are_listed(waiting) -> None:
    slots = segelctl(waiting, "slot", "list").stdout
    assert "segel-a" in slots
    assert "tokens/segel-b" in slots
    tokens = segelctl(waiting, "token", "list").stdout
    assert "tokens/segel-a" in tokens


def test_a_token_that_is_not_configured(waiting) -> None:
    done = segelctl(waiting, "token", "show", "payroll")
    assert done.returncode == 4
    assert "payroll" in done.stderr


def test_an_auditor_may_look_but_not_touch(waiting) -> None:
    auditor = waiting.tls("ketut")
    environment = {"SEGELCTL_TLS_CERT": str(auditor.cert), "SEGELCTL_TLS_KEY": str(auditor.key)}
    as_auditor = type(waiting)({**waiting.environment, **environment}, waiting.pid)
    assert segelctl(as_auditor, "token", "list").returncode == 0
    done = segelctl(as_auditor, "token", "deactivate", "segel-a")
    assert done.returncode == 4
    assert "officer" in done.stderr
