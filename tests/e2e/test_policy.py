"""Officers and the policy, with their commands, against a real daemon: applied, explained, revoked, let in again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

import segel
from segel.models_changes import UnrevokeCaller
from segel.testing import dev_daemon
from segel.v1 import jobs_pb2, jobs_pb2_grpc, signing_pb2_grpc

TIMEOUT = 60
ITEMS = 20_000


@pytest.fixture
def daemon(own_daemon):
    return own_daemon("--keys", "p256", "--workers", "1")


@pytest.fixture
def ctl(daemon):
    """Runs segelctl as one of the two officers."""

    def run(*arguments: str, who: str = "wayan", code: int = 0) -> str:
        tls = daemon.tls(who)
        person = {"SEGELCTL_TLS_CERT": str(tls.cert), "SEGELCTL_TLS_KEY": str(tls.key)}
        done = subprocess.run(
            [sys.executable, "-m", "segeld.ctl", *arguments],
            env={**os.environ, **daemon.environment, **person},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_two_officers_widen_the_policy_and_one_narrows_it(daemon, ctl, tmp_path) -> None:
    file = tmp_path / "policy.toml"
    ctl("policy", "show", "--output", str(file))
    text = file.read_text()
    file.write_text(text.replace('name = "registry"', 'name = "registry"\nweight = 2'))
    assert "+ registry has weight 2" in ctl("policy", "check", str(file))
    assert "segelctl change approve 1" in ctl("policy", "apply", str(file), "--yes")
    ctl("change", "approve", "1", "--yes", code=4)  # the same officer
    ctl("change", "run", "1", code=1)
    ctl("change", "approve", "1", "--yes", who="made")
    ctl("change", "run", "1")
    shown = json.loads(ctl("policy", "show", "--json"))
    assert (shown["requested_by"], shown["approved_by"]) == ("wayan", "made")
    file.write_text(text.replace('keys = ["*"]', "keys = []"))
    assert "names no key" in ctl("policy", "apply", str(file), "--yes", code=1)
    narrow = text.replace('name = "backoffice"', 'name = "backoffice"\nrate = 0.01\nburst = 1')
    file.write_text(narrow)
    ctl("policy", "apply", str(file), "--yes")
    assert "0.01 signatures a second" in ctl("policy", "explain", "--caller", "backoffice")
    with daemon.client() as client:
        signer = client.signer(daemon.key)
        signer.sign_digest(bytes(32))
        with pytest.raises(segel.errors.Overloaded, match="signatures a second"):
            signer.sign_digest(bytes(32), timeout=2)
    assert "differs from the policy in force" in ctl("status")


def officer(daemon, name: str) -> segel.Officer:
    return segel.Officer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(name))


def channel(daemon, who: str) -> grpc.aio.Channel:
    tls = daemon.tls(who)
    files = (Path(file).read_bytes() for file in (tls.ca, tls.key, tls.cert))
    return grpc.aio.secure_channel(daemon.target, grpc.ssl_channel_credentials(*files))


async def test_whoever_is_revoked_is_cut_and_its_job_waits(daemon) -> None:
    """How soon, `make bench` measures."""
    async with (
        officer(daemon, "wayan") as wayan,
        officer(daemon, "made") as made,
        daemon.async_client() as client,
        channel(daemon, "backoffice") as opened,
    ):
        job = await client.jobs.create(daemon.key, (n.to_bytes(32) for n in range(ITEMS)))
        stream = signing_pb2_grpc.SigningStub(opened).SignStream()
        await stream.read()
        watch = jobs_pb2_grpc.JobsStub(opened).WatchJob(jobs_pb2.WatchJobRequest(name=job.name))
        await watch.read()
        done = await wayan.policy.revoke("backoffice", "its server was broken into")
        assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await watch.code() is grpc.StatusCode.UNAUTHENTICATED
        assert done.cut >= 2
        assert done.jobs_held == 1
        with pytest.raises(segel.errors.NotAuthenticated, match="was revoked"):
            await client.whoami()
        change = await wayan.changes.propose(UnrevokeCaller("backoffice"))
        with pytest.raises(segel.errors.SegelError):
            await wayan.changes.approve(change.name, change.action_hash)
        await made.changes.approve(change.name, change.action_hash)
        await wayan.changes.run(change.name)
        ended = await job.wait()
        assert (str(ended.state), ended.signed_count) == ("succeeded", ITEMS)


async def test_one_officer_can_not_let_in_what_one_officer_shut_out_even_after_a_restart(
    tmp_path, ready_beds
) -> None:
    directory = ready_beds.at(tmp_path / "dev", "p256").directory
    with dev_daemon("--workers", "1", directory=directory) as first:
        async with officer(first, "wayan") as wayan:
            await wayan.policy.revoke("backoffice", "stolen")
    with dev_daemon("--workers", "1", directory=directory) as second:
        async with officer(second, "made") as made, second.async_client() as client:
            (revoked,) = [each for each in (await made.policy.callers()).callers if each.revoke_time]
            assert (revoked.name, revoked.revoked_by) == ("backoffice", "wayan")
            with pytest.raises(segel.errors.NotAuthenticated):
                await client.whoami()
            change = await made.changes.propose(UnrevokeCaller("backoffice"))
            assert change.state == "waiting"
