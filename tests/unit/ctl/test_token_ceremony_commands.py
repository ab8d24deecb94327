"""`segelctl token init`, `pin-unblock`, `pin-change`, `quarantine`, `release`, `objects`: what is asked, sent and shown."""

import json
import sys
from types import SimpleNamespace

import pytest

from segel import errors
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.models import TokenState
from segel.models_changes import InitializeToken, UnblockPin
from segel.models_objects import PinChanged, TokenObject
from segeld.ctl import typed_back as asking

SLOT = "modules/softhsm/slots/4"


@pytest.fixture
def pin(tmp_path):
    """A file that only we can read, with a PIN."""

    def make(name: str, value: str):
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(f"{value}\n")
        return path

    return make


@pytest.fixture
def terminal(monkeypatch):
    """Somebody is there, and types this."""

    def type_(text: str):
        monkeypatch.setattr(asking.sys, "stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr(asking.typer, "prompt", lambda *_, **__: text)

    return type_


# --- what is typed back


class Said:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.output = self

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_only_the_word_itself_is_taken(terminal):
    for typed, taken in (("seal", True), (" seal ", True), ("y", False), ("", False), ("Seal", False)):
        terminal(typed)
        session = Said()
        assert asking.typed_back(session, "seal", yes=False) is taken
        assert session.notes == ([] if taken else ["That was not seal. Nothing was done."])


def test_yes_asks_nobody(monkeypatch):
    monkeypatch.setattr(asking.typer, "prompt", lambda *_, **__: pytest.fail("asked"))
    assert asking.typed_back(Said(), "seal", yes=True)


def test_where_nobody_can_answer_nothing_is_taken_for_a_yes(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(UsageError, match="give --yes"):
        asking.typed_back(Said(), "seal", yes=False)


# --- init and pin-unblock


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (("init", "seal", "--slot", SLOT), InitializeToken("tokens/seal", SLOT, "")),
        (("init", "tokens/seal", "--label", "Segel"), InitializeToken("tokens/seal", "", "Segel")),
        (("pin-unblock", "seal"), UnblockPin("tokens/seal")),
    ],
)
def test_what_needs_another_officer_is_asked_for_and_no_secret_is_read(run, officer, arguments, action):
    answer = run("token", *arguments, "--yes", "--so-pin-file", "/nowhere", "--new-pin-file", "/nowhere")
    assert answer.exit_code == 0, answer.stderr
    assert officer.changes.calls == [("dry run", action), ("propose", action)]
    assert "segelctl change approve 7" in answer.stdout
    assert "segelctl change run 7" in answer.stdout
    assert "The PIN of tokens/seal is set anew." in answer.stderr


@pytest.mark.parametrize("command", ["init", "pin-unblock"])
def test_a_dry_run_asks_for_nothing(run, officer, command):
    answer = run("token", command, "seal", "--dry-run")
    assert [what for what, _ in officer.changes.calls] == ["dry run"]
    assert "Nothing was done. Another officer must approve this." in answer.stdout
    officer.changes.alone = True
    assert "You can do this alone." in run("token", command, "seal", "--dry-run").stdout
    record = json.loads(run("token", command, "seal", "--dry-run", "--json").stdout)
    assert record["needs_approval"] is False


@pytest.mark.parametrize("slot", ["4", "modules/softhsm", "modules/softhsm/slots/", "modules/a/slots/x"])
def test_what_is_no_slot_is_refused_before_anybody_is_asked(run, officer, slot):
    answer = run("token", "init", "seal", "--slot", slot, "--yes")
    assert answer.exit_code == ExitCode.USAGE
    assert "segelctl slot list" in answer.stderr or "slot list" in answer.stderr
    assert officer.changes.calls == []


def test_without_a_terminal_and_without_yes_nothing_is_asked_for(run, officer):
    answer = run("token", "init", "seal")
    assert answer.exit_code == ExitCode.USAGE
    assert "give --yes" in answer.stderr
    assert [what for what, _ in officer.changes.calls] == ["dry run"]


def test_a_wrong_name_typed_back_erases_nothing(run, officer, monkeypatch):
    monkeypatch.setattr("segeld.ctl.proposing.typed_back", lambda session, word, *, yes: word != "seal")
    answer = run("token", "init", "seal")
    assert answer.exit_code == ExitCode.FAILED
    assert [what for what, _ in officer.changes.calls] == ["dry run"]


@pytest.mark.parametrize("command", ["init", "pin-unblock"])
def test_whoever_may_do_it_alone_gives_the_secrets_at_once_and_they_are_wiped(run, officer, pin, command):
    officer.changes.alone = True
    files = ("--so-pin-file", pin("so", "so-canary"), "--new-pin-file", pin("new", "new-canary"))
    answer = run("token", command, "seal", "--yes", *files)
    assert answer.exit_code == 0, answer.stderr
    assert officer.changes.calls[-1] == (
        "run",
        "changes/7",
        {"so_pin": b"so-canary", "new_pin": b"new-canary"},
    )
    assert all(not any(secret) for secret in officer.changes.given.values())
    assert "canary" not in answer.output


@pytest.mark.parametrize("command", ["init", "pin-unblock"])
def test_a_run_that_fails_says_how_to_go_on_and_wipes_them_too(run, officer, pin, command):
    officer.changes.alone = True
    officer.changes.raises = errors.SegelError("The token refused the SO PIN", reason="PIN_INCORRECT")
    files = ("--so-pin-file", pin("so", "so-canary"), "--new-pin-file", pin("new", "new-canary"))
    answer = run("token", command, "seal", "--yes", *files)
    assert answer.exit_code != 0
    assert "segelctl change run 7" in answer.stderr
    assert "segelctl change reject 7" in answer.stderr
    assert all(not any(secret) for secret in officer.changes.given.values())


def test_a_secret_that_others_can_read_is_not_used(run, officer, pin):
    officer.changes.alone = True
    so_pin = pin("so", "so-canary")
    so_pin.chmod(0o644)
    answer = run(
        "token", "pin-unblock", "seal", "--yes", "--so-pin-file", so_pin, "--new-pin-file", pin("new", "x")
    )
    assert answer.exit_code == ExitCode.USAGE
    assert [what for what, *_ in officer.changes.calls] == ["dry run"]


# --- pin-change, quarantine, release, objects


@pytest.fixture
def care(officer, new_token, monkeypatch):
    """The officer's other acts, kept."""
    care = SimpleNamespace(calls=[], given=(), raises=None, advice="", objects=())

    async def change_pin(name, pin, new_pin):
        care.given = (pin, new_pin)
        care.calls.append(("change_pin", name, bytes(pin), bytes(new_pin)))
        if care.raises is not None:
            raise care.raises
        return PinChanged(new_token(), care.advice)

    async def quarantine(name, reason):
        care.calls.append(("quarantine", name, reason))
        return new_token(state=TokenState.QUARANTINED, state_reason=reason)

    async def release(name):
        care.calls.append(("release", name))
        return new_token(state=TokenState.INACTIVE, state_reason="It waits for its PIN.")

    async def objects(name):
        care.calls.append(("objects", name))
        return care.objects

    for act in (change_pin, quarantine, release, objects):
        monkeypatch.setattr(type(officer), act.__name__, staticmethod(act), raising=False)
    return care


def test_both_pins_of_a_change_come_from_files_and_are_wiped(run, care, pin):
    care.advice = "Write the new one into /run/pin."
    answer = run(
        "token", "pin-change", "seal", "--pin-file", pin("old", "old-canary"), "--new-pin-file",
        pin("new", "new-canary"),
    )  # fmt: skip
    assert answer.exit_code == 0, answer.stderr
    assert care.calls == [("change_pin", "tokens/seal", b"old-canary", b"new-canary")]
    assert all(not any(secret) for secret in care.given)
    assert "The PIN of tokens/seal is changed" in answer.stdout
    assert "Write the new one into /run/pin." in answer.stderr
    assert "canary" not in answer.output


def test_a_change_that_is_refused_wipes_both_too(run, care, pin):
    care.raises = errors.SegelError("The token refused the present PIN", reason="PIN_INCORRECT")
    answer = run(
        "token", "pin-change", "seal", "--pin-file", pin("old", "old-canary"), "--new-pin-file",
        pin("new", "new-canary"),
    )  # fmt: skip
    assert answer.exit_code != 0
    assert "The token refused the present PIN" in answer.stderr
    assert all(not any(secret) for secret in care.given)


def test_a_token_that_is_not_there_costs_nobody_a_pin(run, care, pin):
    answer = run("token", "pin-change", "other", "--pin-file", "/nowhere", "--new-pin-file", "/nowhere")
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert care.calls == []


def test_a_new_pin_that_cannot_be_had_sends_nothing(run, care, pin):
    answer = run("token", "pin-change", "seal", "--pin-file", pin("old", "x"), "--new-pin-file", "/nowhere")
    assert answer.exit_code == ExitCode.USAGE
    assert care.calls == []


@pytest.mark.parametrize("new", ["one\ntwo\n", "a\0bcd", "tab\t1", "\x7f234"])
def test_a_new_pin_that_nobody_can_type_sends_nothing(run, care, pin, new):
    answer = run(
        "token", "pin-change", "seal", "--pin-file", pin("old", "x"), "--new-pin-file", pin("new", new)
    )
    assert answer.exit_code == ExitCode.USAGE
    assert "nobody could type it; nothing was done" in answer.stderr
    assert care.calls == []


def test_a_changed_pin_as_json_has_the_advice(run, care, pin):
    care.advice = "Write it."
    record = json.loads(
        run(
            "token", "pin-change", "seal", "--json", "--pin-file", pin("o", "1234"), "--new-pin-file",
            pin("n", "4321"),
        ).stdout
    )  # fmt: skip
    assert (record["name"], record["advice"]) == ("tokens/seal", "Write it.")


def test_quarantine_and_release(run, care):
    answer = run("token", "quarantine", "seal", "--reason", "found open")
    assert "segelctl token release seal" in answer.stdout
    assert json.loads(run("token", "release", "seal", "--json").stdout)["state"] == "inactive"
    assert care.calls == [("quarantine", "tokens/seal", "found open"), ("release", "tokens/seal")]
    assert run("token", "quarantine", "seal").exit_code == ExitCode.USAGE


def test_weak_objects_are_shown_and_are_a_failure(run, care):
    strong = TokenObject("public key", "seal", b"\1", "P-256", "keys/sha256-ab", ("VERIFY",), ())
    weak = TokenObject("private key", "old", b"\2", "RSA-1024", "", ("SIGN", "DECRYPT"), ("Too short.",))
    care.objects = (strong,)
    assert run("token", "objects", "seal").exit_code == 0
    care.objects = (strong, weak)
    answer = run("token", "objects", "seal")
    assert answer.exit_code == ExitCode.FAILED
    assert answer.stdout.splitlines()[1].split("\t") == [
        "private key", "old", "02", "RSA-1024", "", "SIGN,DECRYPT", "Too short.",
    ]  # fmt: skip
    records = [json.loads(line) for line in run("token", "objects", "seal", "--json").stdout.splitlines()]
    assert [record["warnings"] for record in records] == [[], ["Too short."]]
    assert records[1]["attributes"] == ["SIGN", "DECRYPT"]
