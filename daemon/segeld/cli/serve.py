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
    except config.ConfigError as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld: {file}: {line}", err=True)
        return 3
    if loaded.dev:
        typer.echo(f"segeld: {file}: dev = true is for `segeld dev` alone", err=True)
        return 3
    leave_no_core()
    logs.configure(loaded.log.level, loaded.log.format)
    setproctitle.setproctitle("segeld")
    try:
        return run_daemon(_serve(loaded), "segeld")
    except policy.PolicyError as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld: {loaded.policy}: {line}", err=True)
        return 3


async def _serve(loaded: config.Config) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)

    def ready(endpoints: Endpoints) -> None:
        del endpoints  # the log line says where

    await serve(loaded, stop=stop, ready=ready)
