"""`segelctl`: what it prints, what it ends with, and where a PIN may come from."""

import dataclasses
import json
import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from segel import errors
from segel.cli.exit_codes import ExitCode
from segel.models import Slots, TokenState

ROOT = Path(__file__).parents[3]


def test_slot_list(run, officer):
    answer = run("slot", "list")
    assert answer.exit_code == 0
    assert [line.split("\t") for line in answer.stdout.splitlines()] == [
        ["modules/softhsm/slots/7", "SoftHSM slot", "Seal", "0123", "SoftHSM v2", "tokens/seal", "RNG"],
        ["modules/softhsm/slots/8", "SoftHSM slot", "(empty)", "", "", "", ""],
    ]


def test_slot_list_json(run, officer):
    first, second = (json.loads(line) for line in run("slot", "list", "--json").stdout.splitlines())
    assert first["token"] == {
        "label": "Seal",
        "serial": "0123",
        "manufacturer": "SoftHSM project",
        "model": "SoftHSM v2",
        "flags": ["CKF_RNG"],
        "token": "tokens/seal",
    }
    assert second["token"] is None


def test_module_that_does_not_answer(run, officer):
    officer.slots_there = Slots((), ("The module opensc did not answer within 10 s.",))
    answer = run("slot", "list")
    assert answer.exit_code == ExitCode.FAILED
    assert answer.stderr == "error: The module opensc did not answer within 10 s.\n"


def test_token_list(run, officer):
    (line,) = run("token", "list").stdout.splitlines()
    name, state, keys, workers, since, what = line.split("\t")
    assert (name, state, keys, workers, what) == ("tokens/seal", "active", "1", "2/2", "")
    assert since.startswith("2026-11-0")


@pytest.mark.parametrize("name", ["seal", "tokens/seal"])
def test_token_show(name, run, officer):
    text = run("token", "show", name).stdout
    assert "name\ttokens/seal\nstate\tactive\nsince\t2026-11-0" in text
    assert "key seal-2026\tP-256, keys/sha256-abab" in text


def test_keys_with_one_label_are_told_apart(run, officer, new_token):
    first = new_token().keys[0]
    officer.tokens_there = (new_token(keys=(first, dataclasses.replace(first, id=b"\x02"))),)
    text = run("token", "show", "seal").stdout
    assert "key seal-2026\tP-256" in text
    assert "key 02\tP-256" in text


def test_token_json(run, officer):
    record = json.loads(run("token", "show", "seal", "--json").stdout)
    assert record["keys"][0]["id"] == "01"
    assert record["state_time"] == "2026-11-02T01:02:03+00:00"
    assert record == json.loads(run("token", "list", "--json").stdout)


def test_unknown_token(run, officer):
    answer = run("token", "show", "other")
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert answer.stderr == "error: No token has that name. List the tokens that are configured.\n"


def test_deactivate(run, officer):
    answer = run("token", "deactivate", "seal")
    assert answer.exit_code == 0
    assert answer.stdout == "tokens/seal is inactive; its PIN is forgotten\n"
    assert json.loads(run("token", "deactivate", "seal", "--json").stdout)["state"] == "inactive"


def test_flags_are_spelled_alike(run, officer):
    assert "flags\tRNG, LOGIN_REQUIRED\n" in run("token", "show", "seal").stdout


def test_slot_list_on_a_terminal(run, officer, monkeypatch):
    monkeypatch.setattr("segel.cli.output.Output.is_terminal", True)
    answer = run("slot", "list")
    assert answer.exit_code == 0, answer.exception
    header, first, second = answer.stdout.splitlines()
    assert header.split() == ["SLOT", "LABEL", "SERIAL", "NAME"]
    assert first.split() == ["modules/softhsm/slots/7", "Seal", "0123", "tokens/seal"]
    assert second.split() == ["modules/softhsm/slots/8", "(empty)"]
    assert "SoftHSM v2" in run("slot", "list", "--wide").stdout


def test_version(run):
    answer = run("--version")
    assert answer.exit_code == 0
    assert answer.stdout.rstrip().endswith(version("segeld"))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("status",),
        ("slot", "list"),
        ("token", "list"),
        ("token", "show"),
        ("token", "activate"),
        ("token", "deactivate"),
    ],
)
def test_help_has_examples(arguments, run):
    answer = run(*arguments, "--help")
    assert answer.exit_code == 0
    assert "Examples:" in answer.stdout


# PINs


@pytest.fixture
def waiting(officer, new_token):
    """One whose token waits for its PIN."""
    officer.tokens_there = (new_token(state=TokenState.INACTIVE, state_reason="Activate it with its PIN."),)
    return officer


@pytest.fixture
def pin_file(tmp_path) -> Path:
    path = tmp_path / "pin"
    path.write_bytes(b"1234\n")
    path.chmod(0o600)
    return path


def test_pin_from_a_file(run, waiting, pin_file):
    answer = run("token", "activate", "seal", "--pin-file", pin_file)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == "tokens/seal is active: 2 of 2 workers, 1 key\n"
    assert waiting.pins == [("tokens/seal", b"1234")]
    assert waiting.given == bytes(4)


def test_token_that_is_active_needs_no_pin(run, waiting, new_token):
    waiting.tokens_there = (new_token(),)
    answer = run("token", "activate", "seal")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == "tokens/seal is active already; no PIN is needed\n"
    assert json.loads(run("token", "activate", "seal", "--json").stdout)["state"] == "active"
    assert waiting.pins == []


def test_active_token_with_something_to_do_takes_a_pin(run, waiting, new_token, pin_file):
    waiting.tokens_there = (new_token(state_reason="One worker is not logged in: activate it again."),)
    assert run("token", "activate", "seal", "--pin-file", pin_file).exit_code == 0
    assert waiting.pins == [("tokens/seal", b"1234")]


def test_unknown_token_comes_before_the_question(run, waiting):
    answer = run("token", "activate", "other")
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert "No token has that name" in answer.stderr


def test_pin_is_overwritten_when_it_was_refused(run, waiting, pin_file):
    waiting.raises = errors.PinRefused("The token refused the PIN", reason="PIN_INCORRECT")
    answer = run("token", "activate", "seal", "--pin-file", pin_file)
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert answer.stderr == (
        "error: The token refused the PIN. Do not try the same PIN again; ask who keeps it.\n"
    )
    assert waiting.given == bytes(4)


def test_pin_from_a_descriptor(run, waiting):
    reader, writer = os.pipe()
    os.write(writer, b"rahasia 1\r\n")
    os.close(writer)
    try:
        assert run("token", "activate", "seal", "--pin-fd", reader).exit_code == 0
    finally:
        os.close(reader)
    assert waiting.pins == [("tokens/seal", b"rahasia 1")]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o644])
def test_file_that_others_can_read(mode, run, waiting, pin_file):
    pin_file.chmod(mode)
    answer = run("token", "activate", "seal", "--pin-file", pin_file)
    assert answer.exit_code == ExitCode.USAGE
    assert f"has mode {mode:04o}, so others can reach it: chmod 600" in answer.stderr
    assert waiting.pins == []


def test_credential_of_systemd(run, waiting, pin_file, monkeypatch):
    pin_file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(pin_file.parent))
    assert run("token", "activate", "seal", "--pin-file", pin_file).exit_code == 0
    pin_file.chmod(0o444)
    assert run("token", "activate", "seal", "--pin-file", pin_file).exit_code == ExitCode.USAGE


def test_file_of_somebody_else(run, waiting, pin_file, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() == 0:  # root's own files are anybody's
        os.chown(pin_file, 12345, -1)
    answer = run("token", "activate", "seal", "--pin-file", pin_file)
    assert answer.exit_code == ExitCode.USAGE
    assert "belongs to another user" in answer.stderr


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "1 to 255 octets"), (b"\n", "1 to 255 octets"), (b"x" * 300, "1 to 255 octets")],
)
def test_pin_of_no_length_or_too_long(content, text, run, waiting, pin_file):
    pin_file.write_bytes(content)
    answer = run("token", "activate", "seal", "--pin-file", pin_file)
    assert answer.exit_code == ExitCode.USAGE
    assert text in answer.stderr


def test_what_is_no_pin_file(run, waiting, tmp_path, pin_file):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for arguments, text in [
        (["--pin-file", tmp_path / "missing"], "No such file or directory"),
        (["--pin-file", tmp_path], "is not a regular file"),
        (["--pin-file", pipe], "is not a regular file; give a pipe with --pin-fd"),
        (["--pin-fd", "987"], "--pin-fd 987: Bad file descriptor"),
        (["--pin-fd", "0", "--pin-file", pin_file], "cannot be given together"),
    ]:
        answer = run("token", "activate", "seal", *arguments)
        assert answer.exit_code == ExitCode.USAGE
        assert text in answer.stderr
    assert waiting.pins == []


def test_missing_setting_comes_before_the_question(run, waiting, monkeypatch):
    monkeypatch.delenv("SEGELCTL_TARGET")
    answer = run("token", "activate", "seal")
    assert answer.exit_code == ExitCode.USAGE
    assert "SEGELCTL_TARGET" in answer.stderr


ASK = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from segeld.ctl.pin import read_pin
try:
    print(bytes(read_pin("tokens/seal", file=None, descriptor=None)))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("typed", "printed"), [(b"12 34\n", b"b'12 34'"), (b"\x03", b"interrupted")])
def test_prompt_is_hidden(typed, printed):
    """A terminal of its own: what is typed is not echoed, and Ctrl-C ends the question."""
    ours, theirs = pty.openpty()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "daemon", ROOT / "clients/python")))
    }
    with subprocess.Popen(
        [sys.executable, "-c", ASK],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=environment,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while not shown.endswith(b"PIN of tokens/seal: "):
            shown += os.read(ours, 1000)
        os.write(ours, typed)
        said, complained = process.communicate()
        shown += os.read(ours, 1000)
    os.close(ours)
    assert (said.strip(), complained) == (printed, b"")
    assert b"12" not in shown


def test_without_a_terminal():
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "daemon", ROOT / "clients/python")))
    }
    code = "from segeld.ctl.pin import read_pin; read_pin('tokens/seal', file=None, descriptor=None)"
    process = subprocess.run(
        [sys.executable, "-c", code],
        start_new_session=True,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "UsageError: there is no terminal to ask for the PIN; use --pin-file or --pin-fd" in process.stderr
