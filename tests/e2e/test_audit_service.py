"""The audit log of a real daemon: found over the network, proven here; and adopted after a restore by two officers."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys

import pytest

import segel
from segel import errors
from segel.models_changes import AdoptLog
from segel.testing import dev_daemon

DIGESTS = [hashlib.sha256(b"letter %d" % number).digest() for number in range(30)]


@pytest.fixture
def bed(tmp_path):
    return tmp_path / "bed"


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


def sign(daemon) -> list:
    with daemon.client() as client:
        return client.signer(daemon.key).sign_digests(DIGESTS)


def size(state) -> int:
    """Leaves of the newest checkpoint; 0 before the first."""
    lines = state.checkpoint.split(b"\n")
    return int(lines[1]) if len(lines) > 1 else 0


async def published(daemon, more_than: int) -> None:
    """Waits for a checkpoint over more leaves than that."""
    async with asyncio.timeout(20), officer(daemon) as connected:
        while size(await connected.log.state()) <= more_than:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # the daemon tells nobody of checkpoints


def officer(daemon, who="ketut"):
    return segel.Officer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(who))


def test_found_and_proven_from_elsewhere(bed, tmp_path):
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        key = (bed / "state/audit/key.pub").read_text().strip()
        signature = sign(daemon)[7]
        value = hashlib.sha256(signature.value).hexdigest()
        asyncio.run(published(daemon, 2))
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
        assert run(daemon, "audit", "check-proof", proof, "--key", key).startswith("proven\t")
        other = key.replace("segel/", "segel/0")
        assert "error" in run(daemon, "audit", "find", "--signature", value, "--key", other, code=2)
        run(daemon, "audit", "find", "--digest", "00" * 32, code=1)
        asyncio.run(entries(daemon, bed))


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
    subprocess.run(
        [sys.executable, "-m", "segeld", "restore", backup, "--config", config], check=True, timeout=60
    )
    for _ in range(2):  # a restart does not help
        with dev_daemon("--workers", "1", directory=bed) as daemon:
            assert "segelctl audit adopt" in run(daemon, "status", code=9)
            results = attempt(daemon)
            assert all("audit adopt" in str(one) for one in results)
            assert not outcomes(bed / "state/audit")
    with dev_daemon("--workers", "1", directory=bed) as daemon:
        asyncio.run(adopt(daemon))
        assert len(sign(daemon)) == len(DIGESTS)
        assert "segelctl audit adopt" not in run(daemon, "status")
        asyncio.run(published(daemon, 5))
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
