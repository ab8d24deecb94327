"""`segelctl change …`, and what other commands propose by `propose_and_run`."""

import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

import segel
from segel.cli import job_ask
from segel.cli.session import app as root_app
from segel.cli.session import session_command
from segel.models_changes import ApplyPolicy, ChangeState, UnblockPin
from segel.models_policy import Difference, PolicyCheck
from segeld.ctl.proposing import SecretOptions, propose_and_run

HASH = bytes(range(32)).hex()


@pytest.fixture
def waits(officer, new_change):
    officer.changes.there["changes/7"] = new_change()
    return officer.changes


@pytest.fixture
def secret_files(tmp_path):
    """Options for secrets from files that nobody else can read."""
    options = []
    for option, secret in (("--so-pin-file", "so-canary"), ("--new-pin-file", "new-canary")):
        path = tmp_path / option.strip("-")
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
        options += [option, str(path)]
    return options


@pytest.fixture
def says_yes(monkeypatch):
    monkeypatch.setattr(job_ask, "_is_asked_on_a_terminal", lambda: True)


def test_what_waits_is_listed_with_what_comes_next(run, waits):
    line = run("change", "list").stdout.rstrip("\n").split("\t")
    assert line[:3] == ["7", "waiting", "wayan"]
    assert line[4:] == [
        "The PIN of tokens/seal is set anew.",
        "It waits for an officer other than wayan: segelctl change approve 7",
    ]
    record = json.loads(run("--json", "change", "list").stdout)
    assert (record["name"], record["kind"], record["action_hash"]) == ("changes/7", "unblock_pin", HASH)


@pytest.mark.parametrize("name", ["7", "changes/7"])
def test_one_is_shown_with_what_is_gained_and_lost(run, waits, name):
    shown = run("change", "show", name).stdout
    for text in ("The old PIN is lost.", "wayan", "SO PIN and new PIN", HASH, "2026-11-05"):
        assert text in shown


@pytest.fixture
def long_policy(officer, new_change):
    """One that changes more than is kept with it."""
    base = officer.policy.in_force.hash
    found = tuple(Difference(f"thing {number} is given", number < 1500) for number in range(1600))
    officer.policy.found = PolicyCheck((), found, True, (), base)
    officer.changes.there["changes/7"] = new_change(
        action=ApplyPolicy("x = 2\n", base),
        summary=("The policy is replaced.", "+ thing 0 is given", "… more"),
        secrets=(),
    )
    return officer.changes


def test_no_sentence_of_a_change_makes_a_line_of_its_own(run, officer, new_change):
    said = ("Key k is destroyed.", "CN=Seal\nwhat\tA copy is on tokens/spare, which stays.")
    officer.changes.there["changes/7"] = replace(new_change(), summary=said)
    what = [line for line in run("change", "show", "7").stdout.splitlines() if line.startswith("what\t")]
    assert what == ["what\tKey k is destroyed.", "what\tCN=Seal what A copy is on tokens/spare, which stays."]


def test_all_that_a_policy_changes_is_shown_line_by_line(run, long_policy):
    assert "thing 1599" not in run("change", "show", "7").stdout
    shown = run("change", "show", "7", "--diff").stdout
    for number in range(1600):
        assert f"{'+' if number < 1500 else '-'} thing {number} is given" in shown
    assert shown.splitlines()[-2:] == ["-x = 1", "+x = 2"]
    record = json.loads(run("--json", "change", "show", "7", "--diff").stdout)
    assert len(record["summary"]) == 1601
    assert record["diff"][-1] == "+x = 2"


def test_whoever_approves_a_policy_sees_all_of_it_first(run, long_policy):
    shown = run("change", "approve", "7", "--yes")
    assert shown.exit_code == 0
    assert all(f"thing {number} is given" in shown.output for number in range(1600))
    assert long_policy.calls == [("approve", "changes/7", bytes.fromhex(HASH))]


def test_of_a_policy_that_is_outdated_there_is_nothing_to_compare(run, officer, long_policy):
    officer.policy.in_force = replace(officer.policy.in_force, hash=b"o" * 32)
    shown = run("change", "show", "7", "--diff")
    assert shown.exit_code == 0
    assert "… more" in shown.stdout
    assert "nothing to compare" in shown.stderr


def test_an_auditor_compares_the_files(run, officer, long_policy):
    officer.policy.refuses = segel.errors.NotAllowed("this is for officer", reason="PERMISSION_DENIED")
    shown = run("change", "show", "7", "--diff").stdout
    assert "… more" in shown
    assert shown.splitlines()[-2:] == ["-x = 1", "+x = 2"]


def test_one_that_is_not_there_is_said(run, officer):
    answer = run("change", "show", "9")
    assert answer.exit_code != 0
    assert "no such change" in answer.stderr


def test_approving_shows_it_and_asks(waits, says_yes, officer):
    from segeld.ctl.main import app

    answer = CliRunner().invoke(app, ["change", "approve", "7"], input="n\n")
    assert "The old PIN is lost." in answer.stderr
    assert answer.exit_code == 1
    assert waits.calls == []
    answer = CliRunner().invoke(app, ["change", "approve", "7"], input="y\n")
    assert answer.exit_code == 0, answer.stderr
    assert waits.calls == [("approve", "changes/7", bytes(range(32)))]


def test_scripts_approve_what_they_were_told(run, waits):
    answer = run("change", "approve", "7", "--hash", "cd" * 32, "--yes")
    assert answer.exit_code == 0, answer.stderr
    assert waits.calls == [("approve", "changes/7", b"\xcd" * 32)]
    assert run("change", "approve", "7", "--hash", "cd", "--yes").exit_code == 2


def test_without_a_terminal_nothing_is_approved_by_silence(run, waits):
    answer = run("change", "approve", "7")
    assert answer.exit_code == 2
    assert "--yes" in answer.stderr
    assert waits.calls == []


def test_rejecting_says_why(run, waits):
    assert run("change", "reject", "7", "--reason", "not now").exit_code == 0
    assert waits.calls == [("reject", "changes/7", "not now")]


def test_running_takes_the_secrets_and_overwrites_them(run, waits, new_change, secret_files):
    waits.there["changes/7"] = new_change(state=ChangeState.APPROVED)
    answer = run("change", "run", "7", *secret_files)
    assert answer.exit_code == 0, answer.stderr
    assert waits.calls == [("run", "changes/7", {"so_pin": b"so-canary", "new_pin": b"new-canary"})]
    assert [set(secret) for secret in waits.given.values()] == [{0}, {0}]
    assert "canary" not in answer.output
    assert answer.stdout == "changes/7 is done. It is so.\n"


def test_nobody_types_a_pin_for_a_change_that_cannot_be_run(run, waits):
    """It asks for none: there is no terminal, and no other fault than the daemon's."""
    waits.raises = segel.errors.ChangeStateError("changes/7 waits for another officer", reason="CHANGE_STATE")
    answer = run("change", "run", "7")
    assert "waits for another officer" in answer.stderr
    assert waits.calls == [("run", "changes/7", {})]


def test_status_names_what_waits_and_says_that_one_person_can_do_everything(run, waits):
    answer = run("status")
    assert "changes/7 is waiting: The PIN of tokens/seal is set anew." in answer.stderr
    assert "two_person" not in answer.stderr
    waits.two_person = False
    assert "One person can do everything (two_person = false)." in run("status").stderr


@pytest.fixture
def command(officer):
    """A command that proposes something, as those of other areas do."""
    root = root_app("officer", "A test.", "", "segeld")
    group = typer.Typer()

    def unblock(
        session, yes: bool = False, dry_run: bool = False, so_pin_file: str = "", new_pin_file: str = ""
    ):
        """Try it."""
        from pathlib import Path

        options = SecretOptions(
            so_pin_file=Path(so_pin_file) if so_pin_file else None,
            new_pin_file=Path(new_pin_file) if new_pin_file else None,
        )
        return propose_and_run(session, UnblockPin("tokens/seal"), yes=yes, dry_run=dry_run, secrets=options)

    session_command(group, "unblock", epilog="")(unblock)
    session_command(group, "other", epilog="")(unblock)
    root.add_typer(group, name="token")
    return lambda *arguments, **more: CliRunner().invoke(root, ["token", "unblock", *arguments], **more)


def test_what_needs_two_says_what_both_of_them_run(command, officer):
    answer = command("--yes")
    assert answer.exit_code == 0, answer.stderr
    assert "The old PIN is lost." in answer.stderr
    assert answer.stdout.splitlines() == [
        "changes/7 waits for an officer other than wayan. Nothing is done yet.",
        "They run:      segelctl change approve 7",
        "Then you run:  segelctl change run 7",
    ]
    assert [call[0] for call in officer.changes.calls] == ["dry run", "propose"]


def test_what_needs_one_is_run_at_once(command, officer, secret_files):
    officer.changes.alone = True
    answer = command("--yes", *secret_files)
    assert answer.exit_code == 0, answer.stderr
    assert [call[0] for call in officer.changes.calls] == ["dry run", "propose", "run"]
    assert officer.changes.calls[-1][2] == {"so_pin": b"so-canary", "new_pin": b"new-canary"}
    assert [set(secret) for secret in officer.changes.given.values()] == [{0}, {0}]
    assert answer.stdout == "changes/7 is done. It is so.\n"


def test_a_secret_that_cannot_be_had_leaves_no_change_behind(command, officer):
    officer.changes.alone = True
    answer = command("--yes", "--so-pin-file", "/nowhere")
    assert answer.exit_code == 2
    assert [call[0] for call in officer.changes.calls] == ["dry run"]


def test_a_no_leaves_nothing_behind(command, officer, says_yes):
    answer = command(input="n\n")
    assert answer.exit_code == 1
    assert "Nothing was done." in answer.stderr
    assert [call[0] for call in officer.changes.calls] == ["dry run"]


def test_a_dry_run_asks_nothing_and_does_nothing(command, officer):
    answer = command("--dry-run")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines()[-1] == "Nothing was done. Another officer must approve this."
    officer.changes.alone = True
    assert command("--dry-run").stdout.splitlines()[-1] == "Nothing was done. You can do this alone."
    assert {call[0] for call in officer.changes.calls} == {"dry run"}


def test_a_run_that_fails_says_what_is_left_of_it(command, officer, secret_files):
    officer.changes.alone = True
    officer.changes.raises = segel.errors.PinRefused("The token refused the SO PIN", reason="PIN_INCORRECT")
    answer = command("--yes", *secret_files)
    assert answer.exit_code != 0
    assert "segelctl change run 7" in answer.stderr
    assert "segelctl change reject 7" in answer.stderr
