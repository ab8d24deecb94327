"""How a daemon runs and ends: signals, and what could not be opened."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, Final

import structlog
import typer

_log: Final = structlog.get_logger(__name__)


def run_daemon(daemon: Coroutine[Any, Any, None], name: str) -> int:
    """Runs it to its end; gives the exit code. What the system refuses is said in one line."""
    try:
        asyncio.run(daemon)
    except OSError as error:
        why = str(error)
    except ExceptionGroup as group:
        failures, others = group.split(OSError)
        if others is not None or failures is None:
            raise
        why = "; ".join(str(failure) for failure in failures.exceptions)
    else:
        return 0
    typer.echo(f"{name}: {why}", err=True)
    return 1


def stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal asks the daemon to finish what is in flight, the second ends it at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    # `systemctl reload`: TLS files that changed are read before the next handshake anyway.
    loop.add_signal_handler(signal.SIGHUP, _reloaded)


def _reloaded() -> None:
    _log.info("asked to reload: TLS files that have changed are used from the next connection on")
