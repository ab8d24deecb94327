"""`segelctl token pin-change`, `quarantine`, `release` and `objects`"""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.output import plain
from segel.cli.session import Session, session_command
from segeld.ctl.pin import read_new_pin, read_pin
from segeld.ctl.proposing import NewPinFd, NewPinFile
from segeld.ctl.token_names import Name, full_name
from segeld.ctl.token_view import record, summary

if TYPE_CHECKING:
    from segel.models import Token
    from segel.models_objects import TokenObject

_PIN_CHANGE = """\
Examples:
  segelctl token pin-change seal
  segelctl token pin-change seal --pin-file /run/keys/old.pin --new-pin-file /run/keys/new.pin
  segelctl token pin-change seal --pin-fd 3 --new-pin-fd 4 3<old 4<new

A wrong present PIN costs one of the token's tries. It is tried once, and a PIN that was refused is not tried again. An active token goes on signing. A PIN file that belongs to the daemon is written anew; where the daemon cannot do so it says what you have to write, and where: until then the token waits for an officer after each start."""

_QUARANTINE = """\
Examples:
  segelctl token quarantine seal --reason 'the reader was found open'

Takes effect at once and needs one officer. Jobs wait. What the token is signing is given up, and done again later."""

_RELEASE = """\
Examples:
  segelctl token release seal"""

_OBJECTS = """\
Examples:
  segelctl token objects seal
  segelctl token objects seal --json | jq -r 'select(.warnings != []) | .label'

The token must be active. Ends with 1 if an object is weak.

Columns: class, label, id, kind, key, attributes, warnings."""

PinFile = Annotated[
    Path | None,
    typer.Option("--pin-file", help="A file with the present PIN that only you or root can read."),
]
PinFd = Annotated[
    int | None, typer.Option("--pin-fd", metavar="N", help="An open descriptor to read the present PIN from.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]
_COLUMNS: Final = ("CLASS", "LABEL", "ID", "KIND", "KEY", "ATTRIBUTES", "TO KNOW")


def pin_change(
    session: Session,
    name: Name,
    pin_file: PinFile = None,
    pin_fd: PinFd = None,
    new_pin_file: NewPinFile = None,
    new_pin_fd: NewPinFd = None,
) -> Awaitable[None]:
    """Change a token's PIN. Asks for the present one and, twice, for the new one."""
    token = full_name(name)
    asyncio.run(_look(session, token))  # nobody should type a PIN to learn that a setting is missing
    pin = read_pin(token, file=pin_file, descriptor=pin_fd)
    try:
        new_pin = read_new_pin(token, file=new_pin_file, descriptor=new_pin_fd)
    except BaseException:
        pin[:] = bytes(len(pin))
        raise
    return _pin_change(session, token, pin, new_pin)


async def _look(session: Session, name: str) -> None:
    async with session.officer() as officer:
        await officer.token(name)


async def _pin_change(session: Session, name: str, pin: bytearray, new_pin: bytearray) -> None:
    try:
        async with session.officer() as officer:
            changed = await officer.change_pin(name, pin, new_pin)
    finally:
        for secret in (pin, new_pin):
            secret[:] = bytes(len(secret))
    if session.json:
        session.output.record({**record(changed.token), "advice": changed.advice})
        return
    session.output.line(plain(f"The PIN of {name} is changed; {summary(changed.token)}"))
    if changed.advice:
        session.output.note(changed.advice)


async def quarantine(session: Session, name: Name, reason: Reason) -> None:
    """End all use of a token at once, until it is released."""
    async with session.officer() as officer:
        token = await officer.quarantine(full_name(name), reason)
    _say(session, token, f"{token.name} is in quarantine. To use it again: segelctl token release {name}")


async def release(session: Session, name: Name) -> None:
    """End a token's quarantine."""
    async with session.officer() as officer:
        token = await officer.release(full_name(name))
    _say(session, token, summary(token))


def _say(session: Session, token: "Token", sentence: str) -> None:
    if session.json:
        session.output.record(record(token))
    else:
        session.output.line(plain(sentence))


async def objects(session: Session, name: Name) -> ExitCode:
    """List what lies on an active token, and what of it is weak."""
    async with session.officer() as officer:
        found = await officer.objects(full_name(name))
    session.output.table(_COLUMNS, [(_record(one), _row(one)) for one in found])
    return ExitCode.FAILED if any(one.warnings for one in found) else ExitCode.OK


def _row(one: "TokenObject") -> tuple[object, ...]:
    known = ",".join(one.attributes), " ".join(one.warnings)
    return one.object_class, one.label, one.id.hex(), one.kind, one.key, *known


def _record(one: "TokenObject") -> dict[str, Any]:
    return {
        "class": one.object_class,
        "label": one.label,
        "id": one.id.hex(),
        "kind": one.kind,
        "key": one.key,
        "attributes": list(one.attributes),
        "warnings": list(one.warnings),
    }


def register(app: typer.Typer) -> None:
    session_command(app, "pin-change", epilog=_PIN_CHANGE)(pin_change)
    session_command(app, "quarantine", epilog=_QUARANTINE)(quarantine)
    session_command(app, "release", epilog=_RELEASE)(release)
    session_command(app, "objects", epilog=_OBJECTS)(objects)
