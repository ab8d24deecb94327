"""`segel job`: what is printed, what is sent, and what it ends with."""

import base64
import fcntl
import hashlib
import json
import os
import threading

import pytest
from fake_jobs import ORIGIN

from segel.cli.exit_codes import ExitCode


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "digests.txt"
    path.write_text("".join(f"{hashlib.sha256(bytes([at])).hexdigest()}  {at}.pdf\n" for at in range(20)))
    return path


@pytest.fixture
def job(jobs, run, lines):
    """Submitted, and not signed."""
    jobs.signs = False
    return run("job", "submit", "--digests", lines, "--quiet").stdout.strip()


def test_submit_prints_the_name_and_nothing_else(jobs, run, lines):
    answer = run("job", "submit", "--digests", lines)
    assert (answer.exit_code, answer.stdout) == (0, f"{jobs.only.job.name}\n")
    assert answer.stderr.splitlines()[-1] == "20 items are with the daemon: succeeded"
    assert [item.id for item in jobs.only.items] == [f"{at}.pdf" for at in range(20)]
    assert run("job", "submit", "--digests", lines, "--again", "-q").stderr == ""
    assert len(jobs.records) == 2


def test_a_job_of_one_item_is_not_several(jobs, run, monkeypatch):
    jobs.signs = False
    job = run("job", "submit", "--digests", "-", "-q", input=b"ab" * 32).stdout.strip()
    said = run("job", "submit", "--digests", "-", "--again", input=b"ab" * 32).stderr
    assert said.splitlines()[-1] == "1 item is with the daemon: queued"
    said = run("job", "results", job, "--no-wait").stderr
    assert "0 of 1 item have their result" in said
    monkeypatch.setattr("segel.cli.job_ask._is_asked_on_a_terminal", lambda: True)
    assert "Sign 1 item with keys/" in run("job", "approve", job, input="n\n").stderr


def test_twice_is_the_same_job(jobs, run, lines):
    first = run("job", "submit", "--digests", lines)
    for how in ((), ("--algorithm", "ES256"), ("--key", "seal")):
        again = run("job", "submit", "--digests", lines, *how)
        assert again.stdout == first.stdout
        assert f"the same job as before: {jobs.only.job.name}, succeeded\n" in again.stderr


def test_another_content_of_the_same_request(jobs, run, lines):
    run("job", "submit", "--digests", lines)
    answer = run("job", "submit", "--digests", lines, "--label", "a=b")
    assert answer.exit_code == ExitCode.USAGE
    assert (
        "with other options (labels, priority, retention, key); give --again for a new job" in answer.stderr
    )


def test_standard_input_and_pipes(jobs, run, lines):
    first = run("job", "submit", "--digests", lines).stdout
    assert run("job", "submit", "--digests", "-", input=lines.read_bytes()).stdout == first
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(lines.read_bytes())
    assert run("job", "submit", "--digests", f"/dev/fd/{reader}").stdout == first
    os.close(reader)


def test_files_are_hashed_here(jobs, run, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    assert run("job", "submit", tmp_path / "a", tmp_path / "b").exit_code == 0
    assert [item.digest for item in jobs.only.items] == [hashlib.sha256(x).digest() for x in (b"a", b"b")]
    assert run("job", "submit", "--key", "ed", tmp_path / "a").exit_code == 0
    assert list(jobs.records.values())[-1].items[0].message == b"a"


def test_submit_says_everything(jobs, run, lines):
    answer = run("job", "submit", "--digests", lines, "--label", "batch=july", "--label", "x=", "--priority", "low",
                 "--deadline", "2h", "--request-id", "r-1", "--ecdsa", "p1363", "--json")  # fmt: skip
    record = json.loads(answer.stdout)
    assert (record["labels"], record["priority"], record["request_id"]) == (
        {"batch": "july", "x": ""},
        "low",
        "r-1",
    )
    assert (record["ecdsa"], record["is_new"], record["state"]) == ("p1363", True, "succeeded")
    assert record["deadline"]
    assert answer.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give either files to sign, or --digests FILE"),
        (("a", "--digests", "b"), "give either files"),
        (("a", "--again", "--request-id", "r"), "give one of them"),
        (("a", "--priority", "high"), "--priority is normal or low"),
        (("a", "--deadline", "3 days"), "--deadline is a number and"),
        (("a", "--label", "x"), "--label wants NAME=VALUE, not 'x'"),
        (("a", "--label", "x=1", "--label", "x=2"), "--label x is given twice"),
        (("a", "--request-id", ""), "--request-id is empty"),
        (("a", "--results", "/nowhere/out"), "there is no folder /nowhere"),
        (("a", "--results", "/"), "is a folder"),
        (("a", "--results", "/dev/null"), "is no regular file"),
        (("--digests", "a", "--key", "ed"), "Ed25519 signs messages"),
    ],
)
def test_wrong_usage(arguments, text, jobs, run):
    answer = run("job", "submit", *arguments)
    assert answer.exit_code == ExitCode.USAGE
    assert text in answer.stderr
    assert jobs.records == {}


def test_a_wrong_line_sends_nothing(jobs, run, lines):
    lines.write_text(f"{lines.read_text()}nonsense\n")
    answer = run("job", "submit", "--digests", lines)
    assert (answer.exit_code, answer.stdout, jobs.records) == (ExitCode.USAGE, "", {})
    assert f"{lines}: line 21: " in answer.stderr


def test_submit_to_the_end(jobs, run, lines, tmp_path):
    out = tmp_path / "out.jsonl"
    answer = run("job", "submit", "--digests", lines, "--results", out, "-q")
    assert (answer.exit_code, answer.stdout) == (0, f"{jobs.only.job.name}\n")
    assert len(out.read_text().splitlines()) == 20
    assert run("job", "submit", "--digests", lines, "--results", out, "--wait").exit_code == 0
    assert len(out.read_text().splitlines()) == 20


def test_many_digests_are_streamed(jobs, run, tmp_path, monkeypatch):
    monkeypatch.setattr("segel._source.ROOM", 256 * 200)
    path = tmp_path / "many.txt"
    path.write_text("".join(f"{hashlib.sha256(str(at).encode()).hexdigest()}\n" for at in range(5000)))
    answer = run("job", "submit", "--digests", path)
    assert answer.exit_code == 0
    assert [item.digest.hex() for item in jobs.only.items] == path.read_text().split()
    assert len(jobs.appends) > 3
    assert "5000 of 5000 sent" in answer.stderr


def test_status(jobs, run, job):
    for name in (job, job.removeprefix("jobs/")):
        answer = run("job", "status", name)
        assert f"name\t{job}\nstate\tqueued\n" in answer.stdout
    assert json.loads(run("job", "status", job, "--json").stdout)["item_count"] == 20
    missing = run("job", "status", "00" * 16)
    assert missing.exit_code == ExitCode.NOT_ALLOWED
    assert "List your jobs" in missing.stderr or "or not yours" in missing.stderr


@pytest.mark.parametrize(("failing", "code"), [((), ExitCode.OK), ((3,), ExitCode.FAILED)])
def test_watch_ends_as_the_job_does(failing, code, jobs, run, job):
    jobs.sign_some(20, failing)
    answer = run("job", "watch", job)
    assert answer.exit_code == code
    assert answer.stdout.split("\t")[:3] == [job, "failed" if failing else "succeeded", "20"]


def test_watch_follows(jobs, run, job):
    """The first is signed when the command looks on."""

    async def hook(name, _count, _context):
        if name == "WatchJob":
            await jobs.sign(jobs.only, 10)

    jobs.after = hook
    records = [json.loads(line) for line in run("job", "watch", job, "--json").stdout.splitlines()]
    assert [(one["state"], one["signed_count"]) for one in records] == [
        ("queued", 0),
        ("running", 10),
        ("succeeded", 20),
    ]


def test_results_are_json_lines_in_order(jobs, run, job):
    jobs.sign_some(20, (3,))
    answer = run("job", "results", job, "--offset", 2)
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.exit_code == ExitCode.FAILED
    assert found[0] == {
        "job": job,
        "index": 2,
        "id": "2.pdf",
        "signature": base64.b64encode(b"sig:" + hashlib.sha256(bytes([2])).digest()).decode(),
        "leaf": {"origin": ORIGIN, "index": 7, "position": 2},
    }
    assert found[1] == {
        "job": job,
        "index": 3,
        "id": "3.pdf",
        "error": {"reason": "WORKER_LOST", "message": "the worker was lost"},
    }
    assert [one["index"] for one in found] == list(range(2, 20))


def test_results_that_are_there(jobs, run, job):
    jobs.sign_some(5)
    answer = run("job", "results", job, "--no-wait")
    assert answer.exit_code == ExitCode.TRY_LATER
    assert len(answer.stdout.splitlines()) == 5
    assert answer.stderr == f"{job} has not ended: 5 of 20 items have their result\n"


@pytest.mark.parametrize("stopped", [0, 1, 60, 500])
def test_a_file_of_results_is_gone_on_with(stopped, jobs, run, job, tmp_path):
    """Wherever it was cut: half a line is written anew."""
    jobs.sign_some(20)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run("job", "results", job, "--out", whole).exit_code == 0
    out.write_bytes(whole.read_bytes()[:stopped])
    assert run("job", "results", job, "--out", out).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    before = jobs.calls.count("ReadResults")
    assert run("job", "results", job, "--out", out).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert jobs.only.job.read_offset == 20
    assert jobs.calls.count("ReadResults") > before


def test_more_results_are_added(jobs, run, job, tmp_path):
    out = tmp_path / "out"
    for count in (5, 15):
        jobs.sign_some(count)
        run("job", "results", job, "--no-wait", "--out", out)
    assert [json.loads(line)["index"] for line in out.read_text().splitlines()] == list(range(20))


@pytest.mark.parametrize("content", [b"a diary\n", b"a diary", b'{"index": 7}\n', b"[]\n"])
def test_another_file_is_left_alone(content, jobs, run, job, tmp_path):
    jobs.sign_some(20)
    out = tmp_path / "out"
    out.write_bytes(content)
    answer = run("job", "results", job, "--out", out)
    assert answer.exit_code == ExitCode.USAGE
    assert "something else" in answer.stderr
    assert out.read_bytes() == content


@pytest.mark.parametrize("kept", [None, 60])
def test_results_of_another_job_are_left_alone(kept, jobs, run, lines, tmp_path):
    """Also half a line of them; and no job is made whose results would have no place."""
    out = tmp_path / "out"
    first = run("job", "submit", "--digests", lines, "--results", out, "-q").stdout.strip()
    content = out.read_bytes()[:kept]
    out.write_bytes(content)
    answer = run("job", "submit", "--digests", lines, "--again", "--results", out, "-q")
    assert (answer.exit_code, answer.stdout) == (ExitCode.USAGE, "")
    assert "give another file" in answer.stderr
    assert len(jobs.records) == 1
    second = run("job", "submit", "--digests", lines, "--again", "-q").stdout.strip()
    answer = run("job", "results", second, "--out", out)
    assert answer.exit_code == ExitCode.USAGE
    assert second in answer.stderr
    assert kept or first in answer.stderr
    assert out.read_bytes() == content


def test_one_process_writes(jobs, run, job, tmp_path):
    jobs.sign_some(20)
    with (tmp_path / "out").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        answer = run("job", "results", job, "--out", tmp_path / "out")
    assert answer.exit_code == ExitCode.USAGE
    assert "another process" in answer.stderr


def test_list(jobs, run, lines, job):
    run("job", "submit", "--digests", lines, "--again", "--label", "batch=july")
    rows = [line.split("\t") for line in run("job", "list").stdout.splitlines()]
    assert [row[1:5] for row in rows] == [["queued", "20", "0", "0"]] * 2
    assert (rows[0][6], rows[1][0]) == ("batch=july", job)
    for how in (("--label", "batch=july"), ("--limit", "1"), ("--label", "batch=july", "--state", "QUEUED")):
        assert len(run("job", "list", *how, "--key", "seal").stdout.splitlines()) == 1
    assert run("job", "list", "--state", "running").stderr == "no job matches\n"
    assert "there are open, held" in run("job", "list", "--state", "x").stderr


def test_cancel_and_delete(jobs, run, job):
    assert run("job", "delete", job).exit_code == ExitCode.USAGE
    assert run("job", "delete", job, "--yes").exit_code == ExitCode.FAILED
    assert run("job", "cancel", job).stdout.split("\t")[1] == "cancelled"
    assert run("job", "watch", job).exit_code == ExitCode.JOB_CANCELLED
    assert run("job", "delete", job, "--yes").stdout == f"{job}\tdeleted\n"
    assert jobs.records == {}


@pytest.mark.parametrize(("said", "state"), [("y\n", "queued"), ("n\n", "held")])
def test_approve_shows_and_asks(said, state, jobs, run, lines, monkeypatch):
    jobs.held, jobs.signs = True, False
    job = run("job", "submit", "--digests", lines, "--label", "batch=july", "-q").stdout.strip()
    assert "give --yes" in run("job", "approve", job).stderr
    monkeypatch.setattr("segel.cli.job_ask._is_asked_on_a_terminal", lambda: True)
    answer = run("job", "approve", job, input=said)
    for shown in (
        "labels: batch=july",
        "caller: ",
        "items: 20",
        "waits: for",
        jobs.only.job.items_hash.hex(),
    ):
        assert shown in answer.stderr
    assert "Sign 20 items with keys/sha256-" in answer.stderr
    assert json.loads(run("job", "status", job, "--json").stdout)["state"] == state
    assert answer.exit_code == (ExitCode.OK if said == "y\n" else ExitCode.FAILED)


def test_approve_what_was_agreed_to(jobs, run, lines):
    jobs.held = True
    job = run("job", "submit", "--digests", lines, "-q").stdout.strip()
    jobs.calls.clear()
    assert run("job", "approve", job, "--items-hash", "12", "--yes").exit_code == ExitCode.USAGE
    assert run("job", "approve", job, "--items-hash", "12" * 32, "--yes").exit_code == ExitCode.FAILED
    right = jobs.only.job.items_hash.hex()
    assert run("job", "approve", job, "--items-hash", right, "--yes").exit_code == ExitCode.OK
    assert jobs.calls == ["ApproveJob", "ApproveJob"]


def test_reject(jobs, run, lines):
    jobs.held = True
    job = run("job", "submit", "--digests", lines, "-q").stdout.strip()
    assert "give --yes" in run("job", "reject", job).stderr
    run("job", "reject", job, "--yes", "--reason", "wrong month")
    answer = run("job", "watch", job, "--json")
    assert answer.exit_code == ExitCode.JOB_REJECTED
    assert json.loads(answer.stdout)["state_reason"] == "wrong month"
    answer = run("job", "results", job)
    assert (answer.exit_code, answer.stdout) == (ExitCode.JOB_REJECTED, "")
    assert "was rejected, and has no results: wrong month" in answer.stderr
    again = run("job", "reject", job, "--yes", "--reason", "wrong year")
    assert again.exit_code == ExitCode.FAILED
    assert "the reason given now was not kept: wrong month" in again.stderr
    assert run("job", "reject", job, "--yes", "--reason", "wrong month").exit_code == ExitCode.OK


def test_two_submits_at_once_make_one_job(jobs, lines):
    """As two cron jobs would: each in a process of its own, here in a thread."""
    from segel.cli.job_submit import submit
    from segel.cli.session import Session, run_session

    codes = []

    def one() -> None:
        codes.append(run_session(Session(), submit, {"digests": str(lines), "quiet": True}))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [ExitCode.OK, ExitCode.OK]
    assert len(jobs.only.items) == 20
