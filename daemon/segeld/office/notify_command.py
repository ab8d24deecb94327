"""Runs the command of `[notify]`: no shell, a small environment, one JSON object on its standard input."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
from collections.abc import Sequence
from typing import Final

import msgspec

from segeld.office.notices import Condition

PATIENCE: Final = 30.0
"""Seconds that it may take."""
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "TZ")
"""What it gets of the daemon's environment, as far as it is set."""


class NotifyCommand:
    """Its output goes nowhere, its standard error where the daemon's goes."""

    def __init__(self, command: Sequence[str], *, patience: float = PATIENCE) -> None:
        self._command = tuple(command)
        self._patience = patience

    async def __call__(self, condition: Condition, at: float) -> str:
        """Why it failed; empty if it ended with 0 in time. Whatever it started ends with it."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                process_group=0,
                cwd="/",
            )
        except (OSError, ValueError) as error:
            return f"{self._command[0]}: {getattr(error, 'strerror', None) or error}"
        late = False
        try:
            async with asyncio.timeout(self._patience):
                await process.communicate(_line(condition, at))
        except TimeoutError:
            late = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = await process.wait()
        if late:
            return f"{self._command[0]} took more than {self._patience:g} s, and was ended"
        return f"{self._command[0]} ended with {code}" if code else ""


def _line(condition: Condition, at: float) -> bytes:
    """What it reads: one object, one line."""
    return (
        msgspec.json.encode(
            {
                "kind": condition.kind,
                "subject": condition.subject,
                "text": condition.text,
                "time": f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
        )
        + b"\n"
    )
