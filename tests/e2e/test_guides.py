"""The commands of docs/ run as they stand there, with the names of this place put in."""

import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import blocks, environment, letters

from segel.testing import dev_daemon

TIMEOUT = 100


@pytest.fixture(scope="module")
def bed(tmp_path_factory, ready_beds):
    folder = ready_beds.at(tmp_path_factory.mktemp("guides") / "bed").directory
    with dev_daemon("--workers", "1", directory=folder) as running:
        yield running


def run(script: str, folder: Path, daemon, *, code: int = 0) -> str:
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env={**environment(), **daemon.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == code, f"{script}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def scripts(document: str, names: dict[str, str]) -> list[str]:
    found = blocks(document, "sh")
    for name, value in names.items():
        found = [block.replace(name, value) for block in found]
    return found


def test_the_guide_to_jobs(tmp_path, bed) -> None:
    letters(tmp_path / "letters")
    submit, follow, failed, manage, decide = scripts("docs/jobs.md", {"keys/seal-2026": "keys/seal-p256"})
    run(submit, tmp_path, bed)
    results = [json.loads(line) for line in (tmp_path / "signatures.jsonl").read_text().splitlines()]
    assert [result["id"] for result in results] == sorted(
        f"letters/{path.name}" for path in (tmp_path / "letters").glob("*.pdf")
    )
    (example,) = blocks("docs/jobs.md", "json")
    assert set(json.loads(example.splitlines()[0])) == set(results[0])
    (tmp_path / "signatures.jsonl").unlink()
    digests = tmp_path / "digests.txt"
    digests.write_text("".join(digests.read_text().splitlines(keepends=True)[1:]))  # another job
    told = run(follow + failed + decide.splitlines()[1] + " --yes || true", tmp_path, bed)
    assert "every item has its signature" in told
    assert "approver" in told
    assert len((tmp_path / "signatures.jsonl").read_text().splitlines()) == len(results) - 1
    run("seq 60000 | while read n; do printf '%064x\\n' $n; done > many.txt", tmp_path, bed)
    run(
        "job=$(segel job submit --key keys/seal-rsa2048 --digests many.txt --label batch=july --quiet)\n"
        + manage.replace("segel job delete", 'segel job watch "$job" || true\nsegel job delete'),
        tmp_path,
        bed,
    )
    assert "cancelled" not in run("segel job list --label batch=july", tmp_path, bed)


def test_the_python_of_the_guide_to_jobs(tmp_path, bed) -> None:
    first, second = blocks("docs/jobs.md", "python")
    code = f"""
import asyncio, hashlib, segel
digests = [hashlib.sha256(b"%d" % number).digest() for number in range(300)]
kept, stored = {{}}, 100
def store(index, value): kept[index] = value
def report(index, error): raise error
async def first():
{_indented(first.replace("keys/seal-2026", "keys/seal-p256"))}
    return job.name
async def second(name):
    async with segel.Client.from_settings() as client:
{_indented(second, 8).replace("...", "kept.pop(result.index)")}
name = asyncio.run(first())
assert len(kept) == 300
asyncio.run(second(name))
assert sorted(kept) == list(range(100))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**environment(), **bed.environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _indented(code: str, by: int = 4) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in code.splitlines())


def test_the_guide_for_auditors(tmp_path, bed) -> None:
    letters(tmp_path / "letters")[0].rename(tmp_path / "letter.pdf")
    run("segel sign --key keys/seal-p256 letter.pdf", tmp_path, bed)
    (signature,) = tmp_path.glob("letter.pdf.*")
    signature.rename(tmp_path / "letter.sig")
    job = run(
        "sha256sum letter.pdf | segel job submit --key keys/seal-p256 --digests - --wait --quiet",
        tmp_path,
        bed,
    )
    today = dt.datetime.now(dt.UTC).date()
    names = {
        "/var/lib/segel/audit": bed.environment["SEGEL_AUDIT_DIR"],
        "jobs/0f1e2d3c4b5a69788796a5b4c3d2e1f0": re.search(r"jobs/[0-9a-f]{32}", job)[0],
        "--caller tax": "--caller backoffice",
        "/mnt/archive": str(tmp_path / "archive"),
        "2026-12-01": str(today + dt.timedelta(days=1)),
        "2026-11-01": str(today),
        "2026-11-02": str(today + dt.timedelta(days=1)),
    }
    key, verify, copied, archive, find, export, prove = scripts("docs/audit.md", names)
    _until_published(tmp_path, bed)
    run(key, tmp_path, bed)
    assert "verified" in run(verify, tmp_path, bed)
    assert "salt" in run(copied, tmp_path, bed)
    told = run(find, tmp_path, bed)
    assert told.count("backoffice") >= 4
    run(export, tmp_path, bed)
    last = json.loads((tmp_path / "november.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["proven"], last["checkpoint_verified"]) == ("end", True, True)
    run("segelctl audit index --dir copy", tmp_path, bed)
    run(prove, tmp_path, bed)
    (tmp_path / "archive").mkdir()
    assert run(archive, tmp_path, bed).count("verified") >= 2
    assert (tmp_path / "letter.tlog-proof").read_text().startswith("c2sp.org/tlog-proof@v1\n")


def _until_published(folder: Path, daemon) -> None:
    """The signature is in the log's files within a second or so."""
    run(
        "until segelctl audit find --signature letter.sig > /dev/null 2>&1; do sleep 0.1; done",
        folder,
        daemon,
    )


def test_the_guide_to_the_database(tmp_path, bed) -> None:
    config = bed.directory / "segeld.toml"
    names = {
        "/var/backups/segel-2026-11-24.db": str(tmp_path / "copy.db"),
        "/var/backups/segel-$(date +%F).db": str(tmp_path / "copy.db"),
        "/etc/segel/segeld.toml": str(config),
        "systemctl stop segeld\n": "",
        "systemctl start segeld\n": "",
    }
    backup, restore = scripts("docs/database.md", names)
    run(backup, tmp_path, bed)
    assert "in use" in run(
        restore, tmp_path, bed, code=1
    )  # the daemon still runs: test_backup_restore does the rest


def test_the_guide_to_the_policy(tmp_path, bed) -> None:
    names = {"keys/seal-2026": "keys/seal-p256"}
    change, apply, explain, revoke, certificate, unrevoke = scripts("docs/policy.md", names)
    told = run(change + apply + explain, tmp_path, bed)
    assert "- registry's work gets at most priority low" in told
    assert "is done" in told
    assert "ECDSA_P256_SHA256" in explain
    assert "registry is shut out" in run(revoke, tmp_path, bed)
    (tmp_path / "stolen.pem").write_bytes((bed.directory / "pki" / "client-stranger.chain.pem").read_bytes())
    assert "is shut out" in run(certificate, tmp_path, bed)
    assert "segelctl change approve" in run(unrevoke, tmp_path, bed)


def test_the_guide_to_pins(tmp_path, bed) -> None:
    (look,) = scripts("docs/pins.md", {"show a": "show segel-a"})
    assert "active" in run(look, tmp_path, bed)
