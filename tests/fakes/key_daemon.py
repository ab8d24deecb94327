"""A daemon whose keys are looked after: officers and their commands, as in an office of two."""

import asyncio
import os
import signal
import tomllib
from contextlib import ExitStack
from pathlib import Path

from typer.testing import CliRunner, Result

import segel
import segel.cli.app
import segeld.ctl.main
from segel.models_changes import ApplyPolicy
from segel.testing import DevDaemon, dev_daemon
from segeld.ctl.key_alias import with_alias


class Bed:
    """One daemon, which may be killed and started again; each test that changes a key has its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self.start()
        as_officer(self.daemon, lambda keys: keys.generate("tokens/segel-a", "seal-p521", kind="p521"))

    def start(self) -> None:
        options = ("--keys", "p256,p384,rsa2048,ed25519", "--workers", "1")
        self.daemon: DevDaemon = self._stack.enter_context(dev_daemon(*options, directory=self._folder))

    def kill(self) -> None:
        os.kill(self.daemon.pid, signal.SIGKILL)

    def close(self) -> None:
        self._stack.close()


def segelctl(daemon, *arguments: object, who: str = "wayan") -> Result:
    """In this process: loading the command takes longer than what it does."""
    pki = daemon.directory / "pki"
    person = {
        "SEGELCTL_TLS_CERT": str(pki / f"client-{who}.chain.pem"),
        "SEGELCTL_TLS_KEY": str(pki / "private" / f"client-{who}.key.pem"),
    }
    environment = {**daemon.environment, **person}
    return CliRunner().invoke(segeld.ctl.main.app, [*map(str, arguments)], env=environment)


def segel_command(daemon, *arguments: object) -> Result:
    return CliRunner().invoke(segel.cli.app.app, [*map(str, arguments)], env=dict(daemon.environment))


def officer_of(daemon, who: str = "wayan") -> segel.Officer:
    return segel.Officer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(who))


def as_officer(daemon, work):
    """The outcome of a coroutine function that is given the keys of an officer's connection."""

    async def connected():
        async with officer_of(daemon) as officer:
            return await work(officer.keys)

    return asyncio.run(connected())


async def both_agree(daemon, action) -> None:
    async with officer_of(daemon) as asks, officer_of(daemon, "made") as agrees:
        change = await asks.changes.propose(action)
        if change.state == "waiting":
            await agrees.changes.approve(change.name, change.action_hash)
        assert (await asks.changes.run(change.name)).state == "done"


async def point(daemon, alias: str, *keys: str) -> None:
    """The alias stands for these keys from now on."""
    async with officer_of(daemon) as officer:
        policy = await officer.policy.get()
    present = tomllib.loads(policy.toml)["aliases"].get(alias, [])
    edited = with_alias(
        policy.toml,
        alias,
        [each for each in keys if each not in present],
        [each for each in present if each not in keys],
    )
    await both_agree(daemon, ApplyPolicy(edited, policy.hash))


def key_of_kind(daemon, algorithm: str) -> str:
    async def find(keys):
        return next(each.key.name for each in await keys.list() if algorithm in each.key.algorithms)

    return as_officer(daemon, find)
