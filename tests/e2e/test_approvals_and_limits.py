"""Jobs that wait for a yes, officers' pauses, and activations with limits: on a real daemon, with SoftHSM2."""

import asyncio
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from served import Served, wait_until

import segel
from segel import JobState, errors

TIMEOUT = 60.0
DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(600)]


@pytest.fixture(scope="module")
def bed(tmp_path_factory, ready_beds):
    return ready_beds.at(tmp_path_factory.mktemp("approvals") / "bed", "p256")


@pytest.fixture
def served(bed, tmp_path):
    """backoffice needs a yes of nyoman on its key; registry may sign at once."""
    made = Served(tmp_path / "place", bed)
    people, key = bed.pki.identities, made.key.spki_sha256

    def person(table, name):
        return f'\n[[{table}]]\nname = "{name}"\nsans = ["uri:{people[name].uri}"]\n'

    grant = '[[callers.grants]]\nkeys = ["keys/seal"]\n'
    (made.folder / "policy.toml").write_text(
        f'[aliases]\nseal = ["sha256-{key}"]\n'
        + person("callers", "backoffice")
        + grant
        + 'approval = ["nyoman"]\n'
        + person("callers", "registry")
        + grant
        + person("officers", "wayan")
        + person("officers", "made")
        + person("approvers", "nyoman")
    )
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.end()


@dataclass
class People:
    """Clients of everybody, by name."""

    served: Served
    stack: AsyncExitStack
    there: dict = field(default_factory=dict)

    async def client(self, who: str) -> segel.Client:
        if who not in self.there:
            client = segel.Client.connect(self.served.target, tls=self.served.tls(who))
            self.there[who] = await self.stack.enter_async_context(client)
        return self.there[who]

    async def officer(self) -> segel.Officer:
        if "wayan" not in self.there:
            target = f"unix:{self.served.folder}/officer.sock"
            officer = segel.Officer.connect(target, tls=self.served.tls("wayan"), server_name="localhost")
            self.there["wayan"] = await self.stack.enter_async_context(officer)
        return self.there["wayan"]

    async def submit(self, who: str, digests, **how) -> segel.JobHandle:
        return await (await self.client(who)).jobs.create("keys/seal", digests, **how)


@pytest.fixture
async def people(served):
    async with AsyncExitStack() as stack, asyncio.timeout(TIMEOUT):
        yield People(served, stack)


async def test_a_held_job_is_signed_after_a_yes_to_exactly_its_items(people) -> None:
    job = await people.submit("backoffice", DIGESTS[:20], labels={"month": "july"})
    assert (job.info.state, job.info.state_reason) == (JobState.HELD, "It waits for an approver.")
    approver = await people.client("nyoman")
    (waiting,) = [each async for each in approver.jobs.held()]
    assert (waiting.name, waiting.caller, waiting.item_count) == (job.name, "backoffice", 20)
    assert (waiting.labels, waiting.items_hash, waiting.key) == (
        {"month": "july"},
        job.info.items_hash,
        people.served.key_name,
    )
    with pytest.raises(errors.ItemsChanged):
        await approver.jobs.approve(job.name, bytes(32))
    assert (await job.refresh()).state is JobState.HELD
    approved = await approver.jobs.approve(job.name, waiting.items_hash)
    assert approved.decided_by == "nyoman"
    assert approved.decide_time is not None
    assert (await job.wait()).signed_count == 20
    assert len([each async for each in job.results()]) == 20
    assert await approver.jobs.get(job.name) == await approver.jobs.get(job.name)
    assert [each async for each in approver.jobs.held()] == []


async def test_an_approver_sees_nothing_else_and_callers_decide_nothing(people) -> None:
    mine = await people.submit("registry", DIGESTS[:3])
    held = await people.submit("backoffice", DIGESTS[:3])
    assert (await mine.wait()).state is JobState.SUCCEEDED
    approver = await people.client("nyoman")
    with pytest.raises(errors.JobNotFound):
        await approver.jobs.get(mine.name)
    with pytest.raises(errors.JobNotFound):
        await approver.jobs.reject(mine.name)
    assert [job.name async for job in approver.jobs.list()] == [held.name]
    for who in ("backoffice", "registry"):
        with pytest.raises(errors.NotAllowed):
            await (await people.client(who)).jobs.approve(held.name, held.info.items_hash)
    with pytest.raises(errors.NotAllowed):
        [each async for each in (await approver.jobs.open(held.name)).results()]


async def test_a_rejected_job_has_ended_and_its_caller_reads_why(people) -> None:
    job = await people.submit("backoffice", DIGESTS[:3])
    watching = asyncio.create_task(job.wait())
    await (await people.client("nyoman")).jobs.reject(job.name, "the wrong month")
    ended = await watching
    assert (ended.state, ended.state_reason, ended.decided_by) == (
        JobState.REJECTED,
        "the wrong month",
        "nyoman",
    )


async def test_a_held_job_that_nobody_decides_expires(people) -> None:
    job = await people.submit("backoffice", DIGESTS[:3], deadline=dt.timedelta(seconds=1))
    assert (await job.wait()).state is JobState.EXPIRED
    with pytest.raises(errors.SegelError):
        await (await people.client("nyoman")).jobs.approve(job.name, job.info.items_hash)


async def test_nobody_can_be_asked_about_an_order(people) -> None:
    caller = await people.client("backoffice")
    signer = await caller.signer("keys/seal")
    with pytest.raises(errors.SegelError) as refused:
        await signer.sign_digest(DIGESTS[0])
    assert refused.value.reason == "APPROVAL_REQUIRED"


async def test_a_paused_job_begins_nothing_until_it_is_resumed(people) -> None:
    officer = await people.officer()
    await officer.deactivate("tokens/main")
    job = await people.submit("registry", DIGESTS)
    paused = await officer.jobs.pause(job.name)
    assert (paused.state, paused.state_reason, paused.caller) == (
        JobState.PAUSED,
        "Paused by wayan.",
        "registry",
    )
    pin = people.served.bed.token("segel-a").pin_file.read_bytes()
    token = await officer.activate("tokens/main", pin)
    assert token.waiting_items == 600
    other = await people.submit("registry", DIGESTS[:5])
    assert (await other.wait()).state is JobState.SUCCEEDED
    assert (await job.refresh()).signed_count == 0
    assert [each.name async for each in officer.jobs.list(states=["paused"])] == [job.name]
    await officer.jobs.resume(job.name)
    assert (await job.wait()).signed_count == 600


async def test_an_officer_cancels_anothers_job(people) -> None:
    job = await people.submit("backoffice", DIGESTS[:3])
    officer = await people.officer()
    await officer.jobs.cancel(job.name, "made twice")
    cancelled = await job.refresh()
    assert (cancelled.state, cancelled.state_reason) == (
        JobState.CANCELLED,
        "Cancelled by wayan: made twice",
    )


async def test_several_workers_make_no_more_signatures_than_an_activation_allows(people) -> None:
    officer = await people.officer()
    await officer.deactivate("tokens/main")
    job = await people.submit("registry", DIGESTS)
    pin = people.served.bed.token("segel-a").pin_file.read_bytes()
    await officer.activate("tokens/main", pin, max_signatures=100)
    await until(officer, lambda token: token.state == "inactive")
    token = await officer.token("tokens/main")
    assert "100 signatures of its activation are made" in token.state_reason
    assert "segelctl token activate main" in token.state_reason
    assert (await job.refresh()).signed_count == 100
    caller = await (await people.client("registry")).signer("keys/seal")
    with pytest.raises(errors.TokenNotActive, match="segelctl token activate main"):
        await caller.sign_digest(DIGESTS[0])
    await officer.jobs.pause(job.name)
    await officer.activate("tokens/main", pin)
    with pytest.raises(errors.SegelError) as busy:
        await officer.deactivate("tokens/main", only_if_idle=True)
    assert busy.value.reason == "TOKEN_BUSY"
    await officer.jobs.resume(job.name)
    assert (await job.wait()).signed_count == 600
    await officer.deactivate("tokens/main", only_if_idle=True)


async def test_an_activation_ends_with_its_time(people) -> None:
    officer = await people.officer()
    await officer.deactivate("tokens/main")
    pin = people.served.bed.token("segel-a").pin_file.read_bytes()
    token = await officer.activate("tokens/main", pin, lifetime=dt.timedelta(hours=1))
    assert token.active_until is not None
    # It is shortened, so that the time is not over before the login is.
    await officer.activate("tokens/main", pin, lifetime=dt.timedelta(seconds=1))
    await until(officer, lambda token: token.state == "inactive")
    assert "time of its activation is over" in (await officer.token("tokens/main")).state_reason


async def until(officer, holds) -> None:
    while not holds(await officer.token("tokens/main")):  # noqa: ASYNC110 - the daemon is another process
        await asyncio.sleep(0.05)


def command(
    served, who: str, *arguments: str, program: str = "segel.cli"
) -> subprocess.CompletedProcess[str]:
    person = served.bed.pki.identities[who]
    prefix = "SEGEL" if program == "segel.cli" else "SEGELCTL"
    target = served.target if program == "segel.cli" else f"unix:{served.folder}/officer.sock"
    environment = {
        f"{prefix}_TARGET": target,
        f"{prefix}_TLS_CA": str(served.bed.pki.ca_bundle),
        f"{prefix}_TLS_CERT": str(person.cert_chain),
        f"{prefix}_TLS_KEY": str(person.key),
        "SEGEL_KEY": "keys/seal",
    }
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_the_commands_of_callers_approvers_and_officers(served, tmp_path) -> None:
    lines = tmp_path / "digests"
    lines.write_text("".join(f"{digest.hex()}\n" for digest in DIGESTS[:4]))
    job = command(served, "backoffice", "job", "submit", "--digests", str(lines), "-q").stdout.strip()
    listed = command(served, "nyoman", "job", "list", "--state", "held").stdout
    assert listed.startswith(job)
    shown = json.loads(command(served, "nyoman", "job", "status", job, "--json").stdout)
    assert (shown["caller"], shown["state"]) == ("backoffice", "held")
    listed = command(served, "wayan", "job", "list", program="segeld.ctl").stdout.split("\t")
    assert listed[:3] == [job, "backoffice", "held"]
    approved = command(served, "nyoman", "job", "approve", job, "--items-hash", shown["items_hash"], "--yes")
    assert approved.returncode == 0, approved.stderr
    watched = command(served, "backoffice", "job", "watch", job)
    assert watched.returncode == 0, watched.stderr
    lines.write_text(f"{DIGESTS[9].hex()}\n")
    job = command(served, "backoffice", "job", "submit", "--digests", str(lines), "-q").stdout.strip()
    assert command(served, "nyoman", "job", "reject", job, "--reason", "no", "--yes").returncode == 0
    assert command(served, "backoffice", "job", "watch", job).returncode == 12
    wait_until(lambda: "job rejected, by nyoman" in _log(served))
    assert "job approved, by nyoman" in _log(served)


def _log(served) -> str:
    return command(
        served, "wayan", "audit", "tail", "--dir", str(served.state / "audit"), program="segeld.ctl"
    ).stdout
