"""`segelctl audit index`: completes the index of `find` for a log that no daemon keeps."""

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session
from segeld.ctl.audit_command import Archives, Dir, audit_command, folder_of
from segeld.ctl.audit_verify import bar

INDEX = """\
Examples:
  segelctl audit index --dir /mnt/copy/audit

The daemon completes the index of its own log by itself. This does it for a copy, or after the file `index` was removed or damaged. It takes 8 octets an item, and some seconds for ten million."""

CODES = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SIGNATURE)


def register(group: typer.Typer) -> None:
    audit_command(group, "index", epilog=INDEX, codes=CODES)(index)


def index(session: Session, folder: Dir = None, archives: Archives = None) -> ExitCode:
    """Make or complete the index that find uses."""
    from segeld.audit.find_index import IndexWriter
    from segeld.audit.reader import open_log_folder
    from segeld.audit.tiles import LogUnreadable

    where = folder_of(folder)
    log = open_log_folder(where, None, tuple(archives or ()))
    try:
        writer = IndexWriter.open(where, log.checkpoint.origin)
    except OSError as error:
        raise LogUnreadable(f"the index cannot be written: {error}") from None
    try:
        with bar(session, "indexing") as progress:
            added = writer.catch_up(log.tiles, None, progress)
    finally:
        writer.close()
    session.output.record(
        {"bundles": writer.covered, "added": added},
        f"{writer.covered} bundles are in the index, {added} of them now",
    )
    return ExitCode.OK
