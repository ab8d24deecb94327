"""Two officers and a real daemon: one asks, the other approves, the first runs."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

import segel
from segel.models_changes import ApplyPolicy, Change

TIMEOUT = 60


class Desk:
    """`segelctl` as one or the other of a daemon's two officers."""

    def __init__(self, daemon) -> None:
        self.daemon = daemon
        self.policy = daemon.directory / "policy.toml"
        self.base = hashlib.sha256(self.policy.read_bytes()).digest()

    def __call__(self, who: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        pki = self.daemon.directory / "pki"
        person = {
            "SEGELCTL_TLS_CERT": str(pki / f"client-{who}.chain.pem"),
            "SEGELCTL_TLS_KEY": str(pki / "private" / f"client-{who}.key.pem"),
        }
        return subprocess.run(
            [sys.executable, "-m", "segeld.ctl", *arguments],
            env={**os.environ, **self.daemon.environment, **person},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def well(self, who: str, *arguments: str) -> str:
        done = self(who, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def change(self, number: int) -> dict:
        return json.loads(self.well("ketut", "--json", "change", "show", str(number)))

    def ask(self, who: str, *, weight: int) -> int:
        """Asks for more weight for the first caller: that widens. Gives the change's number."""
        name = 'name = "backoffice"'
        text = self.policy.read_text().replace(name, f"{name}\nweight = {weight}", 1)

        async def propose() -> Change:
            target = self.daemon.environment["SEGELCTL_TARGET"]
            async with segel.Officer.connect(target, tls=self.daemon.tls(who)) as officer:
                return await officer.changes.propose(ApplyPolicy(text, self.base))

        change = asyncio.run(propose())
        assert change.state == "waiting"
        return int(change.number)


@pytest.fixture
def desk(own_daemon):
    return Desk(own_daemon("--keys", "p256", "--workers", "1", "--prompt", "segel-a", "--prompt", "segel-b"))


def test_one_asks_another_approves_and_the_first_runs(desk) -> None:
    number = desk.ask("wayan", weight=7)
    own = desk("wayan", "change", "approve", str(number), "--yes")
    assert own.returncode == 4, own.stderr
    assert "Another officer must run: segelctl change approve" in own.stderr
    early = desk("wayan", "change", "run", str(number))
    assert early.returncode != 0
    assert "waits for another officer" in early.stderr
    shown = desk.well("made", "change", "show", str(number))
    assert "backoffice" in shown
    assert "wayan" in shown
    assert "is waiting" in desk("made", "status").stderr
    wrong = desk("made", "change", "approve", str(number), "--hash", "00" * 32, "--yes")
    assert "is not what was shown" in wrong.stderr
    assert desk.change(number)["state"] == "waiting"
    desk.well("made", "change", "approve", str(number), "--hash", desk.change(number)["action_hash"], "--yes")
    not_theirs = desk("made", "change", "run", str(number))
    assert not_theirs.returncode == 4
    assert "asked for by wayan. They alone run it" in not_theirs.stderr
    assert "is done" in desk.well("wayan", "change", "run", str(number))
    assert "weight = 7" in desk.well("ketut", "policy", "show")
    again = desk("wayan", "change", "run", str(number))
    assert again.returncode != 0
    assert "was run" in again.stderr


def test_what_was_asked_for_before_the_policy_moved_is_refused(desk) -> None:
    first, second = desk.ask("wayan", weight=7), desk.ask("made", weight=9)
    for who, number in (("made", first), ("wayan", second)):
        desk.well(who, "change", "approve", str(number), "--yes")
    desk.well("wayan", "change", "run", str(first))
    late = desk("made", "change", "run", str(second))
    assert late.returncode != 0
    assert "weight = 7" in desk.well("ketut", "policy", "show")


def test_rejected_is_the_end_of_it(desk) -> None:
    number = desk.ask("wayan", weight=7)
    desk.well("made", "change", "reject", str(number), "--reason", "too much")
    assert desk.change(number)["state_reason"] == "Rejected by made: too much."
    assert desk("made", "change", "approve", str(number), "--yes").returncode != 0
    assert desk.well("ketut", "change", "list") == ""
    assert "too much" in desk.well("ketut", "change", "list", "--ended")


def test_an_auditor_reads_and_decides_nothing(desk) -> None:
    number = desk.ask("wayan", weight=7)
    assert desk("ketut", "change", "approve", str(number), "--yes").returncode == 4
    assert desk.change(number)["state"] == "waiting"


def test_an_approval_outlives_a_daemon_that_is_killed(own_daemon) -> None:
    options = ("--keys", "p256", "--workers", "1", "--prompt", "segel-a", "--prompt", "segel-b")
    desk = Desk(own_daemon(*options))
    number = desk.ask("wayan", weight=7)
    desk.well("made", "change", "approve", str(number), "--yes")
    os.kill(desk.daemon.pid, signal.SIGKILL)
    desk = Desk(own_daemon(*options))
    assert desk.change(number)["state"] == "approved"
    assert "is done" in desk.well("wayan", "change", "run", str(number))
    desk.base = b""  # whichever is in force
    assert desk.ask("made", weight=8) == number + 1
