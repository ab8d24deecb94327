"""`segel whoami` and `segel key`: what is printed, for people and for programs, and what they end with."""

import json
from importlib.metadata import version

import pytest

import segel
from segel import errors
from segel.cli.exit_codes import MEANING, ExitCode, of_many
from segel.cli.failures import explain, naming
from segel.models import KeyState


def error(kind: type[segel.SegelError], text: str = "It is so") -> segel.SegelError:
    return kind(text, reason="REASON")


def test_whoami_is_a_name_and_a_value_in_each_line(run, client):
    answer = run("whoami")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == [
        "caller\tbackoffice",
        "role\tcaller",
        "identity\turi:spiffe://test/backoffice",
        "daemon_version\t0.1.0",
    ]


@pytest.mark.parametrize("arguments", [("whoami", "--json"), ("--json", "whoami")])
def test_whoami_json(arguments, run, client):
    assert json.loads(run(*arguments).stdout) == {
        "caller": "backoffice",
        "role": "caller",
        "identity": "uri:spiffe://test/backoffice",
        "daemon_version": "0.1.0",
    }


def test_options_beat_the_environment_wherever_they_stand(run, client):
    run(
        "--target",
        "first:1",
        "--ca",
        "/a",
        "whoami",
        "--target",
        "second:2",
        "--cert",
        "/c",
        "--tls-key",
        "/k",
    )
    (settings,) = client.settings
    assert settings.target == "second:2"
    assert (settings.tls.ca, settings.tls.cert, settings.tls.key) == ("/a", "/c", "/k")


def test_key_list_is_tab_separated(run, client, new_key):
    client.keys_there = (
        *client.keys_there,
        new_key(name="keys/b", aliases=(), state=KeyState.UNAVAILABLE, state_reason="Waits\tfor\na PIN."),
    )
    answer = run("key", "list")
    assert [line.split("\t") for line in answer.stdout.splitlines()] == [
        [client.keys_there[0].name, "keys/seal-2026", "active", "ECDSA_P256_SHA256", "none", ""],
        ["keys/b", "", "unavailable", "ECDSA_P256_SHA256", "none", "Waits for a PIN."],
    ]


def test_key_list_json_is_one_object_a_line(run, client):
    (line,) = run("key", "list", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "name": client.keys_there[0].name,
        "aliases": ["keys/seal-2026"],
        "state": "active",
        "state_reason": "",
        "algorithms": ["ECDSA_P256_SHA256"],
        "public_key": "c3BraQ==",
        "certificate_chain": [],
    }


def test_no_key_at_all_says_what_to_do(run, client):
    client.keys_there = ()
    answer = run("key", "list")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert answer.stderr == "You may use no key. Ask an officer for a grant.\n"


def test_key_show(run, client):
    answer = run("key", "show", "keys/seal-2026")
    assert answer.exit_code == 0
    assert f"name\t{client.keys_there[0].name}\n" in answer.stdout


def test_key_show_pem_can_be_read_again(run, client, new_key):
    import base64

    client.keys_there = (new_key(certificate_chain=(b"\x30" * 100, b"\x31" * 7)),)
    blocks = run("key", "show", "keys/seal-2026", "--pem").stdout.split("-----END CERTIFICATE-----\n")
    bodies = [block.removeprefix("-----BEGIN CERTIFICATE-----\n") for block in blocks if block]
    assert [base64.b64decode(body) for body in bodies] == [b"\x30" * 100, b"\x31" * 7]
    assert max(len(line) for body in bodies for line in body.splitlines()) == 64


def test_certificate_that_cannot_be_read(run, client, new_key):
    client.keys_there = (new_key(certificate_chain=(b"nothing",)),)
    assert "\tunreadable\t" in run("key", "list").stdout
    assert "certificate\tunreadable" in run("key", "show", "keys/seal-2026").stdout


def test_unknown_key(run, client):
    answer = run("key", "show", "keys/other")
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert answer.stdout == ""
    assert answer.stderr == (
        "error: There is no key keys/other, or it is not granted to you. "
        "`segel key list` shows those that are.\n"
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SettingsInvalid, 2),
        (errors.BadRequest, 2),
        (errors.IdempotencyMismatch, 2),
        (errors.OffsetMismatch, 2),
        (errors.ConnectionFailed, 3),
        (errors.NotAuthenticated, 4),
        (errors.NotAllowed, 4),
        (errors.KeyNotFound, 4),
        (errors.TokenNotFound, 4),
        (errors.JobNotFound, 4),
        (errors.PinRefused, 4),
        (errors.ApprovalRequired, 4),
        (errors.CallerNotFound, 4),
        (errors.ChangeNotFound, 4),
        (errors.TokenNotActive, 5),
        (errors.TokenLocked, 5),
        (errors.TokenQuarantined, 5),
        (errors.KeyNotUsable, 5),
        (errors.TokenNoRoom, 5),
        (errors.TokenBusy, 9),
        (errors.TokenStateError, 5),
        (errors.TokenUnavailable, 9),
        (errors.Overloaded, 9),
        (errors.DeadlinePassed, 9),
        (errors.DaemonStopping, 9),
        (errors.StorageUnavailable, 9),
        (errors.StorageFull, 9),
        (errors.JobStateError, 1),
        (errors.ChangeStateError, 1),
        (errors.ItemsChanged, 1),
        (errors.DaemonError, 1),
        (errors.Cancelled, 1),
        (errors.ClientClosed, 1),
    ],
)
def test_every_error_has_its_exit_code(kind, code, run, client):
    client.raises = error(kind)
    answer = run("whoami")
    assert answer.exit_code == code
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("error: It is so. ")


def test_every_class_of_error_is_in_the_table_above():
    (mark,) = (m for m in test_every_error_has_its_exit_code.pytestmark if m.name == "parametrize")
    assert {kind for kind, _ in mark.args[1]} >= set(errors.CLASS_OF_REASON.values())


def test_what_nobody_expected_keeps_its_traceback(run, client):
    client.raises = ZeroDivisionError("a defect")
    answer = run("whoami")
    assert isinstance(answer.exception, ZeroDivisionError)


def test_interrupted(run, client):
    client.raises = KeyboardInterrupt()
    answer = run("whoami")
    assert answer.exit_code == ExitCode.INTERRUPTED
    assert answer.stderr == "error: interrupted\n"


def test_missing_setting(run, client, monkeypatch):
    monkeypatch.delenv("SEGEL_TARGET")
    answer = run("whoami")
    assert answer.exit_code == ExitCode.USAGE
    assert "--target is missing. Give it, set SEGEL_TARGET, or put target in" in answer.stderr


def test_settings_are_called_as_the_options_are(run, client):
    name = "nix.pem"
    client.raises = error(errors.SettingsInvalid)
    run("whoami", "--tls-key", name)
    assert client.settings[0].tls.said_by["key"] == "--tls-key"


def test_keys_are_named_with_and_without_their_collection(run, client):
    answers = [run("key", "show", name).stdout for name in ("seal-2026", "keys/seal-2026")]
    assert answers[0] == answers[1] != ""


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("segel.cli.output.Output.is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")


def test_key_list_on_a_terminal_is_one_line_for_each_key(run, client, new_key, terminal):
    client.keys_there = (
        new_key(aliases=("keys/z",)),
        new_key(name="keys/sha256-" + "cd" * 32, aliases=("keys/a",), state_reason="It waits. " * 20),
        new_key(name="keys/sha256-" + "ef" * 32, aliases=()),
    )
    _, *lines = run("key", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["keys/a", "sha256-cdcdcdcd…"],
        ["keys/z", "sha256-abababab…"],
        ["-", "sha256-efefefef…"],
    ]
    assert max(map(len, lines)) == 80
    _, *wide = run("key", "list", "--wide").stdout.splitlines()
    assert len(wide) == 3
    assert "keys/sha256-" + "cd" * 32 in wide[0]
    assert wide[0].endswith("It waits.")


def test_errors_show_the_alias_beside_the_name(new_key):
    name = new_key().name
    cause = errors.ConnectionFailed("Away", reason="AWAY")
    refusal = errors.KeyNotUsable(f"{name} is broken", reason="KEY_UNUSABLE", request_id="r")
    refusal.__cause__ = cause
    with pytest.raises(errors.KeyNotUsable) as caught, naming("keys/seal"):
        raise refusal
    assert str(caught.value).startswith(f"keys/seal ({name}) is broken")
    assert (caught.value.reason, caught.value.request_id, caught.value.__cause__) == (
        "KEY_UNUSABLE",
        "r",
        cause,
    )
    with pytest.raises(errors.KeyNotUsable) as caught, naming(name):
        raise refusal
    assert caught.value is refusal


def test_time_spent_on_an_absent_daemon_counts_as_no_connection():
    late = errors.DeadlinePassed("Late", reason="DEADLINE_PASSED")
    assert explain(late).code is ExitCode.TRY_LATER
    late.__cause__ = errors.ConnectionFailed("Away", reason="AWAY")
    assert explain(late).code is ExitCode.NOT_CONNECTED
    assert explain(late).is_hopeless


def test_version(run):
    answer = run("--version")
    assert answer.exit_code == 0
    assert answer.stdout.rstrip().endswith(version("segel"))


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("key", "show"), ("whoami", "--no-such"), ("key", "list", "x")]
)
def test_usage(arguments, run):
    assert run(*arguments).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("whoami",),
        ("key",),
        ("key", "list"),
        ("key", "show"),
        ("sign",),
        ("pdf",),
        ("pdf", "sign"),
        ("pdf", "verify"),
        ("job",),
        *(("job", name) for name in ("submit", "status", "watch", "results", "cancel", "delete", "list")),
        ("job", "approve"),
        ("job", "reject"),
    ],
)
def test_help_everywhere(arguments, run):
    for flag in ("--help", "-h"):
        answer = run(*arguments, flag)
        assert answer.exit_code == 0
    if arguments not in [("key",), ("pdf",), ("job",)]:
        assert "Examples:" in answer.stdout


def test_help_lists_every_exit_code(run):
    text = run("--help").stdout
    for code in ExitCode:
        assert f"{code.value:>3}  {MEANING[code]}" in text


def test_many_items_end_with_what_they_agree_on():
    assert of_many([]) is ExitCode.OK
    assert of_many([ExitCode.OFFICER_NEEDED] * 3) is ExitCode.OFFICER_NEEDED
    assert of_many([ExitCode.OK, ExitCode.OFFICER_NEEDED]) is ExitCode.FAILED


def test_key_names_cannot_move_the_cursor(run, client, new_key):
    client.keys_there = (new_key(state_reason="\x1b[2Jgone\x07"),)
    assert "\x1b" not in run("key", "list").stdout
