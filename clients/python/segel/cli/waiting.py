"""Says once why a command is silent: what it waits for, and that it goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segel.cli.output import Output

if TYPE_CHECKING:
    from segel.errors import SegelError


@contextmanager
def waiting_said(output: Output, *, quiet: bool = False) -> Iterator[None]:
    """Around what goes on by itself after a refusal for now, or an outage: one line for each new reason, one at its end."""
    from segel._patience import ON_WAIT

    last = ""

    def told(failure: "SegelError | None") -> None:
        nonlocal last
        if failure is None:
            if last:
                output.note("going on")
            last = ""
        elif failure.reason != last:
            last = failure.reason
            output.note(f"waiting: {failure.text}")

    token = ON_WAIT.set(None if quiet else told)
    try:
        yield
    finally:
        ON_WAIT.reset(token)
