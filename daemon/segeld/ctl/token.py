"""`segelctl token list`, `show`, `activate` and `deactivate`"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.output import plain
from segel.cli.session import Session, session_command
from segeld.ctl import token_care, token_set_up
from segeld.ctl.pin import read_pin
from segeld.ctl.token_limits import For, MaxSignatures, span, what_waits
from segeld.ctl.token_names import Name, full_name
from segeld.ctl.token_view import COLUMNS, facts, record, row, summary

if TYPE_CHECKING:
    from segel.models import Token

app = typer.Typer(no_args_is_help=True, help="Tokens that the daemon uses.")

_LIST = """\
Examples:
  segelctl token list

Columns: name, state, keys, workers ready/configured, since when, why and what to do."""

_SHOW = """\
Examples:
  segelctl token show seal"""

_ACTIVATE = """\
Examples:
  segelctl token activate seal
  segelctl token activate seal --pin-file /run/keys/seal.pin
  pass show seal | segelctl token activate seal --pin-fd 0
  segelctl token activate seal --for 12h --max-signatures 5000

Shows what waits for the token's keys before it asks for the PIN. With a PIN pad the PIN is typed at the reader. A token whose PIN is in a file or a systemd credential is activated with that one; to give another, use --pin-file or --pin-fd. With --for or --max-signatures the token is deactivated at that end as by an officer; the probe of each key after an activation is not counted. Those of a token that is active can only be made tighter. A token that is active already needs no PIN, and none is asked for. A wrong PIN costs one of the token's tries. It is tried once, and a PIN that was refused is not tried again."""

_DEACTIVATE = """\
Examples:
  segelctl token deactivate seal
  segelctl token deactivate seal --if-idle"""

PinFile = Annotated[
    Path | None, typer.Option("--pin-file", help="A file with the PIN that only you or root can read.")
]
PinFd = Annotated[
    int | None, typer.Option("--pin-fd", metavar="N", help="An open descriptor to read the PIN from.")
]
_CONFIGURED = frozenset({"pad", "file", "credential"})
"""PIN sources with which nobody has to type a PIN here."""
IfIdle = Annotated[bool, typer.Option("--if-idle", help="Refuse while anything waits for its keys.")]


async def list_tokens(session: Session) -> None:
    """List the tokens that the daemon is configured to use."""
    async with session.officer() as officer:
        tokens = await officer.tokens()
    session.output.table(COLUMNS, [(record(token), row(token)) for token in tokens])


async def show(session: Session, name: Name) -> None:
    """Show one token with its keys."""
    token = await _look(session, full_name(name))
    session.output.facts(record(token), facts(token))


async def _look(session: Session, name: str) -> "Token":
    async with session.officer() as officer:
        return await officer.token(name)


def activate(
    session: Session,
    name: Name,
    pin_file: PinFile = None,
    pin_fd: PinFd = None,
    lasting: For = None,
    max_signatures: MaxSignatures = None,
) -> Awaitable[None]:
    """Log a token in with its PIN. Asks for it, unless a file or descriptor is named."""
    lifetime = span(lasting)
    # Nobody should type a PIN to learn that a setting is missing, or that none is needed.
    token, waiting = asyncio.run(_look_what_waits(session, full_name(name)))
    limited = lifetime is not None or max_signatures is not None
    if token.state == "active" and not token.state_reason and not limited:
        return _say(session, token, f"{token.name} is active already; no PIN is needed")
    for line in () if session.json else waiting:
        session.output.note(line)
    if token.pin_source in _CONFIGURED and pin_file is None and pin_fd is None:
        if token.pin_source == "pad":
            session.output.note(f"Type the PIN of {token.name} at the reader's own keys.")
        return _activate(session, full_name(name), bytearray(), lifetime, max_signatures)
    # Asked for outside the event loop, or Ctrl-C would not end the question.
    pin = read_pin(full_name(name), file=pin_file, descriptor=pin_fd)
    return _activate(session, full_name(name), pin, lifetime, max_signatures)


async def _look_what_waits(session: Session, name: str) -> "tuple[Token, list[str]]":
    async with session.officer() as officer:
        token = await officer.token(name)
        return token, await what_waits(officer, token)


async def _activate(
    session: Session, name: str, pin: bytearray, lifetime: timedelta | None, max_signatures: int | None
) -> None:
    try:
        async with session.officer() as officer:
            token = await officer.activate(name, pin, lifetime=lifetime, max_signatures=max_signatures)
    finally:
        pin[:] = bytes(len(pin))
    await _say(session, token, summary(token))


async def _say(session: Session, token: "Token", sentence: str) -> None:
    if session.json:
        session.output.record(record(token))
    else:
        session.output.line(plain(sentence))


async def deactivate(session: Session, name: Name, if_idle: IfIdle = False) -> None:
    """Log a token out. What it is signing is finished first; the daemon forgets the PIN."""
    async with session.officer() as officer:
        token = await officer.deactivate(full_name(name), only_if_idle=if_idle)
    await _say(session, token, f"{token.name} is {token.state}; its PIN is forgotten")


session_command(app, "list", epilog=_LIST)(list_tokens)
session_command(app, "show", epilog=_SHOW)(show)
session_command(app, "activate", epilog=_ACTIVATE)(activate)
session_command(app, "deactivate", epilog=_DEACTIVATE)(deactivate)
token_set_up.register(app)
token_care.register(app)
