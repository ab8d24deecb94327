"""Keys and jobs as officers find them again: lists of 80 columns, and names by their beginnings."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest

import segel
from segel import errors
from segel.cli.exit_codes import ExitCode
from segel.models import KeyState
from segel.models_keys import Place

A, B = "keys/sha256-0b09faa2" + "1" * 56, "keys/sha256-0b09faa2" + "2" * 56
WHEN = datetime(2026, 11, 2, 1, 2, tzinfo=UTC)
WHY = f"It was disabled by wayan on 2026-11-02 01:02 UTC: odd. To use it again: segelctl key enable {A}"


@pytest.fixture
def keys(officer, new_managed):
    fake = officer.keys
    fake.there = (
        new_managed(name=A),
        new_managed(name=B, aliases=(), places=(Place("tokens/main", "spare", b"\2"),), kind="RSA-3072"),
    )
    fake.disabled = []

    async def disable(name, reason):
        fake.disabled.append((name, reason))
        return fake.there[0]

    fake.disable = disable
    return fake


@pytest.fixture
def screen(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setattr("segel.cli.output.Output.is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def person(monkeypatch):
    """Somebody who can be asked."""
    monkeypatch.setattr("segel.cli.job_ask._is_asked_on_a_terminal", lambda: True)
    monkeypatch.setattr("segel.cli.job_ask.typer.confirm", lambda *_, **__: True)


def test_a_list_fits_on_the_screen_and_its_names_can_be_used(run, keys, screen):
    keys.there = (
        keys.there[0],
        dataclasses.replace(
            keys.there[1], chain_gap="Its chain has a gap.", warnings=("Its chain has a gap.",)
        ),
    )
    lines = run("key", "list").stdout.splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    rows = [line.split() for line in lines[1:]]
    assert rows[0][:5] == ["seal", "seal", "P-256", "active", "sha256-0b09faa21…"]
    assert rows[1][:7] == ["-", "spare", "RSA-3072", "active", "sha256-0b09faa22…", "CHAIN", "GAP."]
    for row, name in zip(rows, (A, B), strict=True):
        assert run("key", "show", row[4]).stdout.splitlines()[0].split() == ["name:", name]
    assert B in run("key", "list", "--wide").stdout


def test_an_alias_is_a_name_too_and_is_not_cut_but_a_label_is(run, keys, new_managed, screen):
    aliases = ("keys/segel-elektronik-2026", "keys/z")
    keys.there = (
        new_managed(name=A, aliases=aliases, places=(Place("tokens/a", "a label of 21 letters", b""),)),
    )
    line = run("key", "list").stdout.splitlines()[1]
    assert line.startswith("segel-elektronik-2026 +1  a label of …  P-256")


def test_off_a_terminal_a_list_has_whole_names(run, keys):
    first, second = (line.split("\t") for line in run("key", "list").stdout.splitlines())
    assert first[:4] == [A, "keys/seal", "active", "P-256"]
    assert (second[0], second[3], second[6]) == (B, "RSA-3072", "spare")
    records = [json.loads(line) for line in run("key", "list", "--json").stdout.splitlines()]
    assert [each["kind"] for each in records] == ["P-256", "RSA-3072"]


@pytest.mark.parametrize("name", ["sha256-0b09faa21", "keys/sha256-0b09faa21", "sha256-0b09faa21…"])
def test_a_key_is_found_by_the_beginning_of_its_name(name, run, keys):
    assert f"name\t{A}" in run("key", "show", name).stdout


def test_a_beginning_of_several_names_them(run, keys):
    answer = run("key", "show", "sha256-0b09faa2")
    assert answer.exit_code == ExitCode.USAGE
    assert f"2 names begin with keys/sha256-0b09faa2: {A}, {B}" in answer.stderr


@pytest.mark.parametrize("name", ["sha256-0b09faa", "sha256-ffffffff", "sha256-" + "f" * 64, "other"])
def test_a_key_that_is_not_there(name, run, keys):
    answer = run("key", "show", name)
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert f"no token that was seen holds keys/{name}; see: segelctl key list" in answer.stderr


def test_an_alias_whose_keys_are_gone(run, keys, officer):
    toml = f'[aliases]\ngone = ["sha256-{"f" * 64}"]\n'
    officer.policy.in_force = dataclasses.replace(officer.policy.in_force, toml=toml)
    answer = run("key", "show", "gone")
    assert answer.exit_code == ExitCode.NOT_ALLOWED
    assert "keys/gone is in the policy; none of its keys is on a token that was seen" in answer.stderr


@pytest.mark.parametrize("command", ["disable", "enable", "destroy"])
def test_nothing_is_withdrawn_by_a_beginning_that_nobody_saw(command, run, keys, officer):
    more = ("--reason", "odd") if command == "disable" else ()
    answer = run("key", command, "sha256-0b09faa21", "--yes", *more)
    assert answer.exit_code == ExitCode.USAGE
    assert "is no whole name" in answer.stderr
    assert (keys.disabled, officer.changes.calls) == ([], [])


def test_a_beginning_is_shown_whole_before_it_is_withdrawn(run, keys, person):
    answer = run("key", "disable", "sha256-0b09faa21", "--reason", "odd")
    assert answer.exit_code == 0, answer.stderr
    assert f"{A} (keys/seal) would sign nothing more." in answer.stderr
    assert keys.disabled == [(A, "odd")]


def test_officers_read_who_disabled_a_key_and_why(run, keys, new_managed):
    keys.there = (
        new_managed(
            name=A,
            state=KeyState.UNUSABLE,
            state_reason=WHY,
            disable_time=WHEN,
            disabled_by="wayan",
            disable_reason="odd",
        ),
    )
    assert "disabled\t2026-11-02 01:02 UTC by wayan: odd" in run("key", "show", A).stdout
    assert run("key", "list").stdout.split("\t")[5].startswith(WHY)
    answer = run("key", "disable", A, "--reason", "other", "--yes")
    assert (answer.exit_code, answer.stdout) == (0, f"{A} is disabled already. {WHY}\n")
    assert keys.disabled == []


def test_two_officers_disable_a_key_at_the_same_moment(run, keys, new_managed):
    async def disable(name, reason):
        keys.there = (new_managed(name=A, state_reason=WHY, disable_time=WHEN),)
        raise errors.KeyNotUsable("It was disabled before", reason="KEY_DISABLED")

    keys.disable = disable
    answer = run("key", "disable", A, "--reason", "other", "--yes")
    assert (answer.exit_code, answer.stdout) == (0, f"{A} is disabled already. {WHY}\n")


# jobs


@pytest.fixture
def jobs(officer, new_job):
    officer.jobs.there = [
        new_job(name="jobs/" + "0123abcd" + "0" * 24, labels={"month": "july", "office": "Dinas Kominfo"}),
        new_job(name="jobs/" + "0123abcd" + "1" * 24, state=segel.JobState.HELD, state_reason="Waits."),
    ]
    return officer.jobs


def test_jobs_fit_on_the_screen_and_their_names_can_be_used(run, jobs, screen):
    lines = run("job", "list").stdout.splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    rows = [line.split() for line in lines[1:]]
    assert rows[0][:7] == ["0123abcd0…", "backoffice", "queued", "5", "0", "0", "month=july,office=Dinas"]
    assert rows[1][0] == "0123abcd1…"
    assert run("job", "pause", rows[1][0]).exit_code == 0
    assert jobs.calls == [("pause", jobs.there[1].name)]


def test_a_job_is_cancelled_by_a_beginning_only_when_its_name_was_seen(run, jobs, person, monkeypatch):
    asked = []
    monkeypatch.setattr("segel.cli.job_ask.typer.confirm", lambda text, **_: asked.append(text) or True)
    assert run("job", "cancel", "0123abcd1", "--reason", "twice").exit_code == 0
    assert asked == [f"Cancel {jobs.there[1].name}? What is not signed yet never will be."]
    answer = run("job", "cancel", "0123abcd1", "--reason", "twice", "--yes")
    assert (answer.exit_code, len(jobs.calls)) == (ExitCode.USAGE, 1)
    assert run("job", "resume", "0123abcd").exit_code == ExitCode.USAGE
