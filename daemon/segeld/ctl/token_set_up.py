"""`segelctl token init` and `pin-unblock`: for two officers."""

import re
from collections.abc import Awaitable
from typing import Annotated, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes
from segel.cli.session import Session, session_command
from segeld.ctl.proposing import (
    DryRun,
    NewPinFd,
    NewPinFile,
    SecretOptions,
    SoPinFd,
    SoPinFile,
    propose_and_run,
)
from segeld.ctl.token_names import Name, full_name

_INIT = """\
Examples:
  segelctl slot list
  segelctl token init seal --slot modules/softhsm/slots/4
  segelctl token init seal --dry-run
  segelctl token init seal --yes --so-pin-file /run/keys/so.pin --new-pin-file /run/keys/new.pin

Erases a token, or makes a blank one usable: name its slot then. Says which keys and certificates are lost, and wants the token's name typed back. Needs another officer, who is told what to run; then `segelctl change run` asks you for the SO PIN and, twice, for the new PIN. A blank token takes any SO PIN and keeps it."""

_UNBLOCK = """\
Examples:
  segelctl token pin-unblock seal

Sets the user PIN anew with the SO PIN. Needs another officer, who is told what to run; then `segelctl change run` asks you for both. Keys stay. A wrong SO PIN costs one of the token's tries, and nothing opens a token that has none left."""

_SLOT: Final = re.compile(r"modules/[^/]{1,63}/slots/[0-9]{1,20}")
Slot = Annotated[
    str,
    typer.Option(
        "--slot", metavar="SLOT", help="A blank token's slot, as `slot list` names it.", show_default=False
    ),
]
Label = Annotated[
    str, typer.Option("--label", metavar="TEXT", help="Its label, if none is configured.", show_default=False)
]


def init(
    session: Session,
    name: Name,
    slot: Slot = "",
    label: Label = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    so_pin_file: SoPinFile = None,
    so_pin_fd: SoPinFd = None,
    new_pin_file: NewPinFile = None,
    new_pin_fd: NewPinFd = None,
) -> Awaitable[ExitCode]:
    """Erase a token, or make a blank one usable. Another officer must agree."""
    from segel.models_changes import InitializeToken

    if slot and not _SLOT.fullmatch(slot):
        raise UsageError(
            f"--slot wants a name of `segelctl slot list`, such as modules/softhsm/slots/4, not {slot!r}"
        )
    token = full_name(name)
    return propose_and_run(
        session,
        InitializeToken(token, slot, label),
        yes=yes,
        dry_run=dry_run,
        secrets=SecretOptions(so_pin_file, so_pin_fd, new_pin_file, new_pin_fd),
        word=token.removeprefix("tokens/"),
    )


def pin_unblock(
    session: Session,
    name: Name,
    yes: Yes = False,
    dry_run: DryRun = False,
    so_pin_file: SoPinFile = None,
    so_pin_fd: SoPinFd = None,
    new_pin_file: NewPinFile = None,
    new_pin_fd: NewPinFd = None,
) -> Awaitable[ExitCode]:
    """Set a token's PIN anew with its SO PIN. Another officer must agree."""
    from segel.models_changes import UnblockPin

    return propose_and_run(
        session,
        UnblockPin(full_name(name)),
        yes=yes,
        dry_run=dry_run,
        secrets=SecretOptions(so_pin_file, so_pin_fd, new_pin_file, new_pin_fd),
    )


def register(app: typer.Typer) -> None:
    session_command(app, "init", epilog=_INIT)(init)
    session_command(app, "pin-unblock", epilog=_UNBLOCK)(pin_unblock)
