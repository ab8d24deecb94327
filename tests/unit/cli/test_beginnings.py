"""Names by their beginnings: as short as they can be told apart, and never a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segel.cli.beginnings import SHORTEST, is_beginning, shortened, whole
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError

KEYS = st.lists(st.binary(min_size=32, max_size=32), min_size=1, unique=True).map(
    lambda found: [f"keys/sha256-{each.hex()}" for each in found]
)
ALIKE = st.lists(st.integers(0, 2**20), min_size=1, max_size=20, unique=True).map(
    lambda found: [f"jobs/{each << 80:032x}" for each in found]
)


@given(st.one_of(KEYS, ALIKE))
def test_what_is_shown_is_what_is_found_again(names):
    short = shortened(names)
    assert len(set(short.values())) == len(names)
    for name in names:
        collection = name.partition("/")[0]
        assert whole(f"{collection}/{short[name]}", names) == name
        assert len(short[name]) > SHORTEST


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("keys/sha256-" + "a" * 8, True),
        ("keys/sha256-" + "a" * 8 + "…", True),
        ("keys/sha256-" + "a" * 7, False),
        ("keys/sha256-" + "a" * 64, False),
        ("keys/sha256-" + "A" * 8, False),
        ("keys/aaaaaaaa", False),
        ("jobs/" + "a" * 8, True),
        ("jobs/" + "a" * 32, False),
        ("jobs/" + "a" * 7, False),
    ],
)
def test_what_is_a_beginning(name, is_one):
    assert is_beginning(name) is is_one


def test_an_alias_that_looks_like_a_beginning_is_an_alias():
    name = "keys/sha256-aaaaaaaa"
    assert whole(name, ["keys/sha256-" + "a" * 64], {name}) == name


def test_several_are_named_and_nothing_is_chosen():
    names = [f"jobs/{'a' * 31}{digit}" for digit in "0123456"]
    with pytest.raises(UsageError, match=r"7 names begin with jobs/aaaaaaaa: .*4 and 2 more"):
        whole("jobs/aaaaaaaa", names)


def test_a_key_is_shown_by_its_beginning(client, new_key, run):
    client.keys_there = (new_key(), new_key(name="keys/sha256-" + "cd" * 32, aliases=()))
    assert run("key", "show", "sha256-cdcdcdcd").stdout.startswith("name\tkeys/sha256-cdcdcdcdcd")
    assert run("key", "show", "sha256-ffffffff").exit_code == ExitCode.NOT_ALLOWED


def test_a_job_is_found_by_its_beginning(run, jobs):
    jobs.signs = False
    job = run("job", "submit", "--digests", "-", "--quiet", input=b"ab" * 32).stdout.strip()
    begun = job.removeprefix("jobs/")[:8]
    assert f"name\t{job}" in run("job", "status", begun).stdout
    assert run("job", "list").stdout.startswith(job)
    assert run("job", "cancel", begun).exit_code == ExitCode.USAGE
    assert run("job", "delete", begun, "--yes").exit_code == ExitCode.USAGE
    assert run("job", "reject", begun, "--yes").exit_code == ExitCode.USAGE
    assert "state\tqueued" in run("job", "status", job).stdout


def test_ones_own_job_is_cancelled_by_its_beginning_once_its_name_was_seen(run, jobs, monkeypatch):
    jobs.signs = False
    job = run("job", "submit", "--digests", "-", "--quiet", input=b"ab" * 32).stdout.strip()
    monkeypatch.setattr("segel.cli.beginnings._is_on_a_terminal", lambda: True)
    monkeypatch.setattr("segel.cli.job_ask._is_asked_on_a_terminal", lambda: True)
    begun = job.removeprefix("jobs/")[:8]
    answer = run("job", "cancel", begun, input="n\n")
    assert f"Cancel {job}?" in answer.stderr
    assert answer.exit_code == ExitCode.FAILED
    assert run("job", "cancel", begun, input="y\n").exit_code == ExitCode.OK
    assert "state\tcancelled" in run("job", "status", job).stdout


def test_a_job_is_made_with_a_key_that_is_named_by_its_beginning(run, jobs):
    answer = run("job", "submit", "--digests", "-", "--key", "sha256-abababab", input=b"ab" * 32)
    assert answer.exit_code == 0, answer.stderr
    assert f"key\tkeys/sha256-{'ab' * 32}" in run("job", "status", answer.stdout.split()[0]).stdout
