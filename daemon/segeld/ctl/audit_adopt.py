"""`segelctl audit adopt`: two officers let a restored database sign again."""

from collections.abc import Awaitable
from typing import Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.job_ask import Yes
from segel.cli.session import Session, session_command
from segeld.ctl.proposing import DryRun, propose_and_run

ADOPT: Final = """\
Examples:
  segelctl audit adopt

After `segeld restore` the daemon starts and signs nothing, until one officer has asked for this, another has approved it, and the first has run it: segelctl change."""


def register(group: typer.Typer) -> None:
    session_command(group, "adopt", epilog=ADOPT)(adopt)


def adopt(session: Session, dry_run: DryRun = False, yes: Yes = False) -> Awaitable[ExitCode]:
    """Adopt the new audit log that a restore began."""
    from segel.models_changes import AdoptLog

    return propose_and_run(session, AdoptLog(), yes=yes, dry_run=dry_run)
