"""`segeld serve`: configuration and policy from files, then the daemon until a signal."""

import asyncio
from pathlib import Path

import setproctitle
import structlog
import typer

from segeld import config, logs, policy
from segeld.app import Endpoints, serve
from segeld.cli.running import stop_on_signals


def run(file: Path) -> int:
    try:
        loaded = config.load(file)
        rules = policy.load(loaded.policy)
    except (config.ConfigError, policy.PolicyError) as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld: {file}: {line}", err=True)
        return 3
    if loaded.dev:
        typer.echo(f"segeld: {file}: dev = true is for `segeld dev` alone", err=True)
        return 3
    logs.configure(loaded.log.level, loaded.log.format)
    setproctitle.setproctitle("segeld")
    try:
        asyncio.run(_serve(loaded, rules))
    except OSError as error:
        why = str(error)
    except ExceptionGroup as group:
        failures, others = group.split(OSError)
        if others is not None or failures is None:
            raise
        why = "; ".join(str(failure) for failure in failures.exceptions)
    else:
        return 0
    structlog.get_logger(__name__).critical("cannot run", why=why)
    return 1


async def _serve(loaded: config.Config, rules: policy.Policy) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)

    def ready(endpoints: Endpoints) -> None:
        del endpoints  # the log line says where

    await serve(loaded, rules, stop=stop, ready=ready)
