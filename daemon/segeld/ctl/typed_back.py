"""Asks for a name before something is lost for ever: a yes is typed too soon."""

import sys

import typer

from segel.cli.failures import UsageError
from segel.cli.session import Session


def typed_back(session: Session, word: str, *, yes: bool) -> bool:
    """Whether `word` was typed as it is; says so if not.

    :raises UsageError: if there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; give --yes")
    if typer.prompt(f"Type {word} to go on", default="", show_default=False, err=True).strip() == word:
        return True
    session.output.note(f"That was not {word}. Nothing was done.")
    return False
