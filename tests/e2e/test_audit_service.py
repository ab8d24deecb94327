"""The audit log of a real daemon: found over the network, proven here; and adopted after a restore by two officers."""

import asyncio
import datetime as dt
import hashlib
import json
import os
import pwd
import subprocess
import sys

import pytest
from documents import letters
from typer.testing import CliRunner

import segel
from segel import errors
from segel.models_changes import AdoptLog
from segel.testing import dev_daemon
from segeld.audit.identity import open_log
from segeld.audit.leaf import Act, decode
from segeld.ctl.audit_pdf import seals
from segeld.ctl.main import app
from segeld.jobqueue.sqlite import FILE, SqliteStore

DIGESTS = [hashlib.sha256(b"letter %d" % number).digest() for number in range(30)]


@pytest.fixture
def bed(tmp_path, ready_beds):
    return ready_beds.at(tmp_path / "bed", "p256").directory


def run(daemon, *arguments, code=0) -> str:
    """`segelctl` as on a machine that has no log."""
    environment = {**os.environ, **daemon.environment}
    done = subprocess.run(
        [sys.executable, "-m", "segeld.ctl", *map(str, arguments)],
        env={name: value for name, value in environment.items() if name != "SEGEL_AUDIT_DIR"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def here(*arguments, code=0) -> str:
    """`segelctl` on the machine that has the log, or a copy; no daemon is asked."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == code, done.output
    return done.output


def sign(daemon) -> list:
    with daemon.client() as client:
        return client.signer(daemon.key).sign_digests(DIGESTS)


def officer(daemon, who="ketut"):
    return segel.Officer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(who))


def test_found_and_proven_from_elsewhere(bed, tmp_path):
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        key = (bed / "state/audit/key.pub").read_text().strip()
        signature = sign(daemon)[7]
        value = hashlib.sha256(signature.value).hexdigest()
        asyncio.run(known(daemon, hashlib.sha256(signature.value).digest()))
        for wanted in (("--digest", DIGESTS[7].hex()), ("--signature", value)):
            (found,) = map(
                json.loads, run(daemon, "audit", "find", *wanted, "--key", key, "--json").splitlines()
            )
            assert found["signature_sha256"] == value
            assert (found["proven"], found["checkpoint_verified"]) == (True, True)
        proof = tmp_path / "letter.tlog-proof"
        run(daemon, "audit", "prove", "--signature", value, "--key", key, "--output", proof)
        assert "is there already" in run(
            daemon, "audit", "prove", "--signature", value, "--key", key, "--output", proof, code=2
        )
        assert here("audit", "check-proof", proof, "--key", key).startswith("proven\t")
        other = key.replace("segel/", "segel/0")
        assert "error" in run(daemon, "audit", "find", "--signature", value, "--key", other, code=2)
        run(daemon, "audit", "find", "--digest", "00" * 32, code=8)
        asyncio.run(entries(daemon, bed))
        a_sealed_letter(daemon, bed, tmp_path, key)
    asyncio.run(many_leaves(bed / "state", open_log(bed / "state")))
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        asyncio.run(act_in_log(daemon, "probe", lambda probe: probe.subject == "599"))
        archived(daemon, bed / "state/audit", tmp_path, key, value)


def a_sealed_letter(daemon, bed, folder, key) -> None:
    """By the project's own `segel pdf sign`; from elsewhere and on the machine, as it is and changed afterwards."""
    letters(folder / "letters")[0].rename(folder / "letter.pdf")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "segel.cli",
            "pdf",
            "sign",
            "letter.pdf",
            "--key",
            daemon.key,
            "--out-dir",
            "out",
        ],
        cwd=folder,
        env={**os.environ, **daemon.environment},
        check=True,
        timeout=60,
    )
    sealed = folder / "out" / "letter.pdf"
    asyncio.run(known(daemon, seals(sealed)[0].hash))
    on_machine = ("--dir", bed / "state/audit")
    asked = ("audit", "find", sealed, "--key", key)
    for line in (*run(daemon, *asked).splitlines(), *here(*asked, *on_machine).splitlines()):
        cells = line.split("\t")
        assert cells[0] == "signed for backoffice"
        assert cells[2].startswith("keys/sha256-")
        assert cells[4:] == ["proven", "the document is unchanged"]
    sealed.write_bytes(sealed.read_bytes() + b"\n% more\n")
    (changed,) = here(*asked, *on_machine, code=7).splitlines()
    assert changed.split("\t")[:5] == cells[:5]
    assert changed.endswith("\tTHE DOCUMENT WAS CHANGED after it was signed: 8 octets were added")


async def known(daemon, signature_sha256: bytes) -> None:
    """Waits until the log says that it was signed."""
    async with asyncio.timeout(60), officer(daemon) as connected:
        while not (await connected.log.find(signature_sha256=signature_sha256)).entries:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def many_leaves(state, log) -> None:
    """More than two files of 256, of which the first is old enough for an archive. Sealing so many would take long."""
    store = await SqliteStore.open(state / FILE, log.commitments)
    try:
        await asyncio.gather(*(store.record(Act(1_790_000_000_000, "probe", "", str(n))) for n in range(600)))
    finally:
        await store.aclose()


def archived(daemon, log, folder, key, value) -> None:
    """While the daemon runs: it goes on, says in the log who did it, and what was moved is found with the archive alone."""
    (folder / "archive").mkdir()
    on_machine, with_it = ("--dir", log), ("--archive", folder / "archive")
    before = dt.datetime.now(dt.UTC).isoformat()
    moved = here("audit", "archive", *on_machine, "--before", before, "--to", folder / "archive")
    assert moved.startswith("1 file, ")
    assert (folder / "archive/tile/entries/000").exists()
    assert not (log / "tile/entries/000").exists()
    act = asyncio.run(act_in_log(daemon, "log archived", start=600))
    user = pwd.getpwuid(os.getuid()).pw_name
    assert act.who in {user, f"{os.environ.get('SUDO_USER')} as {user}"}
    assert act.facts["leaves"] == "0 to 255"
    assert "were archived and not read" in here("audit", "verify", *on_machine, "--key", key)
    assert "archived" not in here("audit", "verify", *on_machine, *with_it, "--key", key)
    asked = ("audit", "find", "--signature", value)
    for told in (run(daemon, *asked, code=1), here(*asked, *on_machine, code=1)):
        assert "leaves 0 to 255 (tile/entries/000) may say more" in told
    assert "signed for backoffice" in here("audit", "find", "--signature", value, *on_machine, *with_it)
    assert "tile/entries/000, which was archived" in run(daemon, "audit", "prove", "--leaf", "5", code=2)
    assert "tile/entries/000: leaves 0 to 255" in here("audit", "prove", "--leaf", "5", *on_machine, code=1)
    here("audit", "prove", "--leaf", "5", *on_machine, *with_it, "--output", folder / "five.tlog-proof")
    assert len(sign(daemon)) == len(DIGESTS)


async def act_in_log(daemon, what: str, chosen=lambda act: True, start=0) -> Act:
    """Waits until the log's files have such an act, from that leaf on."""
    at = start
    async with asyncio.timeout(60), officer(daemon) as connected:
        while True:
            async for index, leaf in connected.log.entries(at, 10_000):
                at, act = index + 1, decode(leaf)
                if isinstance(act, Act) and act.what == what and chosen(act):
                    return act
            await asyncio.sleep(0.1)  # the daemon tells nobody of checkpoints


async def entries(daemon, bed):
    async with officer(daemon) as connected:
        leaves = [one async for one in connected.log.entries(0, 1000)]
        assert [index for index, _ in leaves] == list(range(len(leaves)))
        assert len(leaves) > 3
        with pytest.raises(errors.SegelError):
            await connected.log.prove(10**6)


async def adopt(daemon) -> None:
    """One asks, one approves, the first runs."""
    async with officer(daemon, "wayan") as one, officer(daemon, "made") as other:
        change = await one.changes.propose(AdoptLog())
        assert change.state == "waiting"
        with pytest.raises(errors.SegelError):
            await one.changes.approve(change.name, change.action_hash)
        assert (await other.changes.approve(change.name, change.action_hash)).state == "approved"
        assert (await one.changes.run(change.name)).state == "done"


def test_a_restore_is_adopted_by_two(bed, tmp_path):
    config, backup = bed / "segeld.toml", tmp_path / "backup.db"
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        sign(daemon)
        subprocess.run(
            [sys.executable, "-m", "segeld", "backup", backup, "--config", config], check=True, timeout=60
        )
        run(daemon, "caller", "revoke", "nyoman", "--reason", "his card was stolen", "--yes")
    subprocess.run(
        [sys.executable, "-m", "segeld", "restore", backup, "--config", config], check=True, timeout=60
    )
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        results = attempt(daemon)
        assert all("audit adopt" in str(one) for one in results)
        assert not outcomes(bed / "state/audit")
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        said = run(daemon, "status", code=9)
        assert "segelctl audit adopt" in said, "a restart helped"
        assert "shut again (1)" in said
        assert "his card was stolen" in run(daemon, "audit", "adopt", "--dry-run")
        assert "his card was stolen" in run(daemon, "caller", "list")
        asyncio.run(adopt(daemon))
        assert len(sign(daemon)) == len(DIGESTS)
        assert "segelctl audit adopt" not in run(daemon, "status")
        asyncio.run(act_in_log(daemon, "log adopted"))
        told = run(daemon, "audit", "tail", "-n", "100", "--dir", bed / "state/audit")
        assert "log adopted" in told
        assert "change approved" in told
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        assert len(sign(daemon)) == len(DIGESTS)


def attempt(daemon) -> list:
    with daemon.client() as client:
        try:
            return client.signer(daemon.key).sign_digests(DIGESTS, timeout=4)
        except errors.SegelError as error:
            return [error]


def outcomes(folder) -> list:
    from segeld.audit.leaf import Outcome
    from segeld.audit.reader import open_log_folder

    log = open_log_folder(folder, None)
    return [leaf for leaf in map(log.leaf, range(log.checkpoint.size)) if isinstance(leaf, Outcome)]
