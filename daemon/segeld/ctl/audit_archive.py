"""`segelctl audit archive`: moves old leaves to another place, with the log still verifiable."""

import os
import pwd
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.output import plain
from segel.cli.session import Session
from segeld.ctl.audit_command import Dir, audit_command, folder_of
from segeld.ctl.audit_lookup import milliseconds
from segeld.ctl.audit_verify import bar
from segeld.ctl.proposing import DryRun
from segeld.model.counts import counted, fitting

ARCHIVE = """\
Examples:
  segelctl audit archive --before 2026-01-01 --to /mnt/archive --dry-run
  segelctl audit archive --before 2026-01-01 --to /mnt/archive

Moves the leaves that are older, in files of 256 leaves of which every one is. Each is proven to be in the log's tree, copied, made durable, read back and compared; then `archived`, signed with the log's key, says so; only then are they removed. All hashes stay. Interrupted, it is run again. The daemon may run meanwhile: it puts into the log who archived which leaves. If it does not run, it does so when it is started.

Needs the log's private key, so it is run on the daemon's machine, as root or as the daemon's user. The same folder may be used again, or another one each year. Whoever has the archive needs the salt as well to look for documents.

Ends with 7 if a bundle is not that of the tree, or the archive has another one in its place: nothing is removed then."""

CODES = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SIGNATURE)

Before = Annotated[
    str, typer.Option("--before", metavar="DATE", help="Move what is older. UTC.", show_default=False)
]
To = Annotated[
    Path, typer.Option("--to", metavar="FOLDER", help="Where it is moved to; must exist.", show_default=False)
]


def register(group: typer.Typer) -> None:
    audit_command(group, "archive", epilog=ARCHIVE, codes=CODES)(archive)


def archive(
    session: Session, before: Before, to: To, folder: Dir = None, dry_run: DryRun = False
) -> ExitCode:
    """Move old leaves to another place."""
    from segeld.audit.archive import archive as archive_log
    from segeld.audit.identity import signer_of
    from segeld.audit.source import LogUnfit
    from segeld.audit.tiles import LogUnreadable

    where = folder_of(folder)
    moment = milliseconds(before, 0)
    if moment > time.time() * 1000:
        raise UsageError(f"--before {before} is in the future")
    if not to.is_dir():
        raise UsageError(f"there is no folder {to}")
    if to.resolve().is_relative_to(where.resolve()):
        raise UsageError(f"{to} lies in the log's own folder")
    try:
        signer = signer_of(where)
    except LogUnfit as error:
        raise LogUnreadable(str(error)) from None
    except PermissionError as error:
        raise LogUnreadable(
            f"{error.filename}: permission denied. Run it as root or as the daemon's user"
        ) from None
    try:
        with bar(session, "archiving") as progress:
            done = archive_log(where, to, moment, signer, progress, by=_user(), dry=dry_run)
    except OSError as error:
        raise LogUnreadable(f"it was interrupted and can be run again: {error}") from None
    verb = "would be moved" if dry_run else f"{fitting(done.removed, 'was', 'were')} moved"
    session.output.record(
        {
            "archived_bundles": done.bundles,
            "copied": done.copied,
            "removed": done.removed,
            "octets": done.octets,
            "dry_run": dry_run,
        },
        f"{counted(done.removed, 'file')}, {counted(done.octets, 'octet')}, {verb} to {to}",
        f"leaves before {done.bundles * 256} {'would be' if dry_run else 'are'} archived",
    )
    return ExitCode.OK


_NAME: Final = 64
"""Characters of what root says of whoever it was before."""


def _user() -> str:
    """Whoever runs this, by the name that the machine has for them."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = f"user {number}"
    before = plain(os.environ.get("SUDO_USER", ""))[:_NAME] if number == 0 else ""
    return f"{before} as {name}" if before else name
