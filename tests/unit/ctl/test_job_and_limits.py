"""`segelctl job`, and the limits of an activation as officers give and see them."""

import datetime as dt
import json

import pytest

import segel
from segel import errors
from segel.cli.exit_codes import ExitCode

JOB = "jobs/" + "0" * 31 + "1"


def test_jobs_of_every_caller_are_listed(run, officer, new_job):
    officer.jobs.there = [
        new_job(2, caller="payroll", state=segel.JobState.PAUSED, state_reason="Paused by siti."),
        new_job(labels={"month": "july"}),
    ]
    first, second = (line.split("\t") for line in run("job", "list").stdout.splitlines())
    assert first[1:] == ["payroll", "paused", "5", "0", "0", "", "Paused by siti."]
    assert (second[0], second[6]) == (JOB, "month=july")
    assert len(run("job", "list", "--caller", "payroll").stdout.splitlines()) == 1
    assert run("job", "list", "--state", "held").stderr == "no job matches\n"
    assert run("job", "list", "--state", "x").exit_code == ExitCode.USAGE
    assert json.loads(run("job", "list", "--json").stdout.splitlines()[0])["caller"] == "payroll"


@pytest.mark.parametrize("name", [JOB, JOB.removeprefix("jobs/")])
@pytest.mark.parametrize("what", ["pause", "resume"])
def test_a_job_is_paused_and_resumed(what, name, run, officer):
    assert run("job", what, name).exit_code == ExitCode.OK
    assert officer.jobs.calls == [(what, JOB)]


def test_a_cancellation_is_asked_for_and_has_a_reason(run, officer, monkeypatch):
    assert run("job", "cancel", JOB, "--yes").exit_code == ExitCode.USAGE
    assert "give --yes" in run("job", "cancel", JOB, "--reason", "made twice").stderr
    assert officer.jobs.calls == []
    assert run("job", "cancel", JOB, "--reason", "made twice", "--yes").exit_code == ExitCode.OK
    assert officer.jobs.calls == [("cancel", JOB, "made twice")]


@pytest.fixture
def pin(tmp_path):
    file = tmp_path / "pin"
    file.write_text("1234")
    file.chmod(0o600)
    return file


def test_what_waits_is_shown_before_a_token_is_activated(run, officer, new_token, new_job, pin):
    officer.tokens_there = (new_token(state=segel.models.TokenState.INACTIVE),)
    officer.jobs.there = [
        new_job(),
        new_job(2, signed_count=2, state=segel.JobState.RUNNING),
        new_job(3, caller="permits", item_count=1, state=segel.JobState.HELD),
        new_job(4, caller="permits", key="keys/sha256-" + "cd" * 32),
    ]
    answer = run("token", "activate", "seal", "--pin-file", pin)
    assert answer.stderr.splitlines() == [
        "waiting for the keys of tokens/seal:",
        "  backoffice: 2 jobs, 8 items",
        "  permits: 1 job, 1 item (1 held)",
    ]
    assert officer.limits == [{"lifetime": None, "max_signatures": None}]
    officer.jobs.there = []
    assert run("token", "activate", "seal", "--pin-file", pin).stderr == ""


def test_limits_are_given_and_shown(run, officer, new_token, pin):
    until = dt.datetime(2026, 11, 3, 1, 2, tzinfo=dt.UTC)
    officer.tokens_there = (new_token(active_until=until, signatures_left=12, waiting_items=7),)
    answer = run("token", "activate", "seal", "--pin-file", pin, "--for", "12h", "--max-signatures", "12")
    assert officer.limits == [{"lifetime": dt.timedelta(hours=12), "max_signatures": 12}]
    assert "until 2026-11-0" in answer.stdout
    assert "for 12 signatures" in answer.stdout
    shown = run("token", "show", "seal").stdout
    assert "waiting\t7 items" in shown
    assert json.loads(run("token", "show", "seal", "--json").stdout)["signatures_left"] == 12


@pytest.mark.parametrize("text", ["", "12", "0h", "h", "1w", "-1h", "1.5h", "12 h"])
def test_what_is_no_span_is_said_before_a_pin_is_read(text, run, officer, pin):
    answer = run("token", "activate", "seal", "--pin-file", pin, f"--for={text}")
    assert (answer.exit_code, officer.pins) == (ExitCode.USAGE, [])


def test_a_busy_token_is_not_deactivated_if_that_was_asked(run, officer):
    officer.raises = errors.TokenBusy("7 items wait", reason="TOKEN_BUSY", code="FAILED_PRECONDITION")
    answer = run("token", "deactivate", "seal", "--if-idle")
    assert answer.exit_code == ExitCode.TRY_LATER
    assert "7 items wait" in answer.stderr
