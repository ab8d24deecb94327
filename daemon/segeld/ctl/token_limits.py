"""What `token activate` shows before it begins, and the limits it takes."""

import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from segel.cli.failures import UsageError
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel import Job, Officer
    from segel.models import Token

_SPAN: Final = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WAITING: Final = ("queued", "running", "paused", "held")

For = Annotated[
    str | None,
    typer.Option("--for", metavar="SPAN", help="Deactivate it after this: 90m, 12h, 7d.", show_default=False),
]
MaxSignatures = Annotated[
    int | None,
    typer.Option("--max-signatures", min=1, metavar="N", help="Deactivate it after N signatures."),
]


def span(text: str | None) -> timedelta | None:
    """:raises UsageError: if it is no span of time. An empty one is none: a script's variable may not have been set."""
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UsageError(f"--for wants a number from 1 and s, m, h or d, such as 12h, not {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


async def what_waits(officer: "Officer", token: "Token") -> list[str]:
    """For people: what will be signed as soon as the token is active, by caller; and what waits for something else.
    Empty if nothing waits.
    """
    jobs: list[Job] = []
    for key in sorted({key.key for key in token.keys if key.key}):
        jobs += [job async for job in officer.jobs.list(states=_WAITING, key=key)]
    lines: list[str] = []
    for caller in sorted({job.caller for job in jobs}):
        mine = [job for job in jobs if job.caller == caller]
        counts = Counter(str(job.state) for job in mine)
        left = sum(job.item_count - job.signed_count - job.failed_count for job in mine)
        apart = ", ".join(f"{counts[state]} {state}" for state in ("paused", "held") if counts[state])
        line = f"{caller}: {counted(len(mine), 'job')}, {counted(left, 'item')}"
        lines.append(f"{line} ({apart})" if apart else line)
    return [f"waiting for the keys of {token.name}:", *(f"  {line}" for line in lines)] if lines else []


def said(token: "Token") -> str:
    """The limits of an activation, as a sentence's end; empty if there are none."""
    parts = []
    if token.active_until is not None:
        parts.append(f"until {token.active_until.astimezone():%Y-%m-%d %H:%M %Z}")
    if token.signatures_left is not None:
        parts.append(f"for {counted(token.signatures_left, 'signature')}")
    return f", {' or '.join(parts)}" if parts else ""
