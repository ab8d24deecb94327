"""A command that waits by itself says so once, and once that it goes on."""

import pytest
from fake_jobs import refusal, refuse

from segel.cli.exit_codes import ExitCode


@pytest.fixture
def refused_for_now(jobs):
    """The first calls of one method are refused: for two reasons, one after the other."""

    def arrange(method: str, *reasons: str) -> None:
        async def hook(name, count, context):
            if name == method and count <= len(reasons):
                reason = reasons[count - 1]
                code = "RESOURCE_EXHAUSTED" if reason != "TOKEN_RECOVERING" else "UNAVAILABLE"
                await refuse(context, refusal(code, reason, f"Why {reason}", retry_after=0.01))

        jobs.before = hook

    return arrange


@pytest.fixture
def digests(tmp_path):
    file = tmp_path / "digests"
    file.write_text("".join(f"{number:064x}\n" for number in range(20)))
    return file


def waits(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("waiting:") or line == "going on"]


def test_each_reason_is_said_once_and_the_end_of_waiting_too(jobs, run, digests, refused_for_now):
    refused_for_now("CreateJob", "STORAGE_FULL", "STORAGE_FULL", "CALLER_QUOTA")
    answer = run("job", "submit", "--digests", digests)
    assert answer.exit_code == ExitCode.OK
    assert waits(answer.stderr) == ["waiting: Why STORAGE_FULL", "waiting: Why CALLER_QUOTA", "going on"]


def test_nothing_is_said_of_what_went_on_at_once_or_if_quiet(jobs, run, digests, refused_for_now):
    assert waits(run("job", "submit", "--digests", digests).stderr) == []
    jobs.calls.clear()
    refused_for_now("CreateJob", "STORAGE_FULL")
    assert run("job", "submit", "--digests", digests, "--again", "--quiet").stderr == ""


@pytest.mark.parametrize("command", ["watch", "results"])
def test_who_follows_a_job_is_told_of_an_outage(jobs, run, digests, refused_for_now, command):
    job = run("job", "submit", "--digests", digests, "-q").stdout.strip()
    jobs.calls.clear()
    refused_for_now({"watch": "WatchJob", "results": "ReadResults"}[command], *["TOKEN_RECOVERING"] * 3)
    answer = run("job", command, job)
    assert answer.exit_code == ExitCode.OK
    assert waits(answer.stderr) == ["waiting: Why TOKEN_RECOVERING", "going on"]
