"""`segel whoami`"""

import typer

from segel.cli.session import Session, session_command

_EPILOG = """\
Examples:
  segel whoami
  segel whoami --json | jq -r .caller

Columns off a terminal: a name and its value in each line."""


def register(app: typer.Typer) -> None:
    session_command(app, "whoami", epilog=_EPILOG)(whoami)


async def whoami(session: Session) -> None:
    """Say who the daemon thinks you are: the first thing to try."""
    async with session.client() as client:
        me = await client.whoami()
    record = {
        "caller": me.caller,
        "role": me.role,
        "identity": me.identity,
        "daemon_version": me.daemon_version,
    }
    session.output.facts(record, record)
