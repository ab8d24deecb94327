"""`segelctl policy` and `segelctl caller`: what is shown, asked and sent."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from segel.models_changes import ApplyPolicy, UnrevokeCaller
from segel.models_policy import (
    Caller,
    Callers,
    Difference,
    Explanation,
    PolicyCheck,
    RevokedCertificate,
)
from segeld.policy import MAX_POLICY

FINGERPRINT = "1f" * 32
COLONS = ":".join(["1F"] * 32)
WIDENS = PolicyCheck((), (Difference("one may sign", True), Difference("two may not", False)), True, ())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text("two_person = true\n")
    return path


def test_the_policy_is_shown_as_it_was_applied_and_the_rest_on_the_side(run, officer):
    officer.policy.in_force = replace(officer.policy.in_force, warnings=("The file differs.",))
    shown = run("policy", "show")
    assert shown.exit_code == 0
    assert shown.stdout == "x = 1\n"
    assert "applied by siti" in shown.stderr
    assert "The file differs." in shown.stderr


def test_a_device_is_not_replaced_by_the_policy(run, officer, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    answer = run("policy", "show", "--output", tmp_path / "pipe")
    assert (answer.exit_code, answer.stderr) == (2, f"error: {tmp_path}/pipe is no regular file\n")
    assert [each.is_fifo() for each in tmp_path.iterdir()] == [True]


def test_the_policy_is_written_whole_over_what_was_there(run, officer, file):
    assert run("policy", "show", "--output", str(file)).exit_code == 0
    assert file.read_text() == "x = 1\n"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_check_names_what_widens(run, officer, file):
    officer.policy.found = replace(WIDENS, warnings=("keys/x: no token holds it",))
    shown = run("policy", "check", str(file))
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == ["+ one may sign", "- two may not"]
    assert "another officer" in shown.stderr
    assert "no token holds it" in shown.stderr
    record = json.loads(run("policy", "check", "--json", str(file)).stdout)
    assert record["needs_approval"] is True
    assert record["differences"][0] == {"text": "one may sign", "widens": True}


def test_a_check_of_what_changes_nothing_says_so(run, officer, file):
    assert "changes nothing" in run("policy", "check", str(file)).stdout


@pytest.mark.parametrize("command", ["check", "apply"])
def test_every_problem_is_named_and_nothing_is_asked_for(run, officer, file, command):
    officer.policy.found = PolicyCheck(("callers[0].name: is required", "x: is not known"), (), False, ())
    shown = run("policy", command, str(file), *(["--yes"] if command == "apply" else []))
    assert shown.exit_code == 1
    assert "callers[0].name: is required" in shown.stderr
    assert "x: is not known" in shown.stderr
    assert officer.changes.calls == []


def test_a_policy_that_widens_says_what_the_other_officer_runs(run, officer, file):
    officer.policy.found = WIDENS
    shown = run("policy", "apply", str(file), "--yes")
    assert shown.exit_code == 0
    action = ApplyPolicy("two_person = true\n", b"h" * 32)
    assert officer.changes.calls == [("dry run", action), ("propose", action)]
    assert "segelctl change approve 7" in shown.stdout
    assert "segelctl change run 7" in shown.stdout


def test_a_dry_run_asks_for_nothing(run, officer, file):
    assert run("policy", "apply", str(file), "--dry-run").exit_code == 0
    assert [call[0] for call in officer.changes.calls] == ["dry run"]


def test_nothing_is_applied_without_a_yes(run, officer, file):
    shown = run("policy", "apply", str(file))
    assert shown.exit_code == 2
    assert "--yes" in shown.stderr


@pytest.mark.parametrize("command", ["check", "apply"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\n\xff\n", "is not UTF-8 text: see its line 2, and save it as UTF-8"),
        (b" \n", "is empty. To begin with the policy in force: segelctl policy show --output policy.toml"),
        (b"#" * (MAX_POLICY + 1), f"is longer than the {MAX_POLICY} octets"),
    ],
)
def test_a_file_that_can_be_no_policy_is_not_sent(run, officer, file, command, content, said):
    file.write_bytes(content)
    shown = run("policy", command, str(file))
    assert shown.exit_code == 2
    assert said in shown.stderr
    assert officer.policy.calls == []


def test_a_file_without_an_end_is_read_no_further_than_a_policy_can_be_long(run, officer):
    assert "longer than" in run("policy", "check", "/dev/zero").stderr


def test_the_longest_policy_is_sent(run, officer, file):
    file.write_bytes(b"#" * MAX_POLICY)
    assert run("policy", "check", str(file)).exit_code == 0


def test_algorithms_are_known_by_all_their_names(run, officer):
    run("policy", "explain", "--caller", "one", "--algorithm", "es256")
    assert officer.policy.calls == [("explain", "one", "", "ECDSA_P256_SHA256")]
    shown = run("policy", "explain", "--caller", "one", "--algorithm", "md5")
    assert (shown.exit_code, "There are RSA_PKCS1_SHA256" in shown.stderr) == (2, True)


def test_an_explanation_and_its_exit_code(run, officer):
    assert run("policy", "explain", "--caller", "one", "--key", "seal").stdout == "Yes.\n"
    officer.policy.explanation = Explanation(False, ("one is a caller.", "one was revoked."))
    shown = run("policy", "explain", "--caller", "one", "--algorithm", "ED25519")
    assert shown.exit_code == 4
    assert shown.stdout.splitlines()[-1] == "one was revoked."
    assert officer.policy.calls == [("explain", "one", "keys/seal", ""), ("explain", "one", "", "ED25519")]


def caller(name: str = "one", **changes) -> Caller:
    return replace(Caller(name, ("dns:one",), None, "", "", None, ""), **changes)


def test_callers_and_how_they_stand(run, officer):
    at = datetime(2026, 11, 2, tzinfo=UTC)
    revoked = caller("two", revoke_time=at, revoked_by="siti", revoke_reason="broken into")
    certificate = RevokedCertificate(f"sha256-{FINGERPRINT}", at, "made", "stolen")
    officer.policy.there = Callers((caller(certificate_end=at), revoked), (certificate,))
    lines = run("caller", "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["one", "two", f"sha256-{FINGERPRINT}"]
    assert "admitted" in lines[0]
    assert "siti: broken into" in lines[1]
    assert "made: stolen" in lines[2]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("one", "one"),
        (COLONS, f"sha256-{FINGERPRINT}"),
        (f"sha256 Fingerprint={COLONS}", f"sha256-{FINGERPRINT}"),
        (f"sha256-{FINGERPRINT}", f"sha256-{FINGERPRINT}"),
    ],
)
def test_a_caller_or_a_certificate_is_shut_out(run, officer, given, sent):
    shown = run("caller", "revoke", given, "--reason", "stolen", "--yes")
    assert officer.policy.calls == [("revoke", sent, "stolen")]
    assert "2 calls cut, 3 jobs wait" in shown.stdout


def test_nobody_is_shut_out_without_a_yes_and_what_is_lost_is_said(run, officer):
    officer.policy.there = Callers((caller(),), ())
    shown = run("caller", "revoke", "one", "--reason", "stolen")
    assert shown.exit_code == 2
    assert "one (dns:one) is shut out" in shown.stderr
    assert "calls and streams are cut" in shown.stderr
    assert officer.policy.calls == []


def test_what_would_be_lost_is_shown_and_nobody_is_shut_out(run, officer):
    officer.policy.there = Callers((caller(),), ())
    shown = run("caller", "revoke", "one", "--reason", "stolen", "--dry-run")
    assert shown.exit_code == 0
    assert "one (dns:one) is shut out" in shown.stderr
    assert officer.policy.calls == []


def test_a_reason_is_needed(run, officer):
    assert run("caller", "revoke", "one", "--yes").exit_code == 2
    assert officer.policy.calls == []


def test_letting_in_again_is_a_change(run, officer):
    shown = run("caller", "unrevoke", COLONS, "--yes")
    assert officer.changes.calls[-1] == ("propose", UnrevokeCaller(f"sha256-{FINGERPRINT}"))
    assert "segelctl change approve 7" in shown.stdout
