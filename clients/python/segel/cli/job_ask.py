"""Asks before something that cannot be undone."""

import sys
from typing import Annotated

import typer

from segel.cli.failures import UsageError
from segel.cli.session import Session

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def sure(session: Session, question: str, *, yes: bool) -> bool:
    """Whether to go on; says so if not.

    :raises UsageError: if there is nobody to ask.
    """
    if yes:
        return True
    if not _is_asked_on_a_terminal():
        raise UsageError("there is no terminal to ask on; give --yes")
    if typer.confirm(question, err=True):
        return True
    session.output.note("Nothing was done.")
    return False


def _is_asked_on_a_terminal() -> bool:
    return sys.stdin.isatty()
