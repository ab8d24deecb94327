"""`segeld serve`: configuration and policy from files, then the daemon until a signal."""

import asyncio
from pathlib import Path

import setproctitle
import typer

from segeld import config, logs, policy
from segeld.app import Endpoints, serve
from segeld.cli.running import run_daemon, stop_on_signals
from segeld.ipc.child import leave_no_core


def run(file: Path) -> int:
    try:
        loaded = config.load(file, descriptors=True)
        rules = policy.load(loaded.policy)
    except (config.ConfigError, policy.PolicyError) as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld: {file}: {line}", err=True)
        return 3
    if loaded.dev:
        typer.echo(f"segeld: {file}: dev = true is for `segeld dev` alone", err=True)
        return 3
    leave_no_core()
    logs.configure(loaded.log.level, loaded.log.format)
    setproctitle.setproctitle("segeld")
    return run_daemon(_serve(loaded, rules), "segeld")


async def _serve(loaded: config.Config, rules: policy.Policy) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)

    def ready(endpoints: Endpoints) -> None:
        del endpoints  # the log line says where

    await serve(loaded, rules, stop=stop, ready=ready)
