"""`segelctl audit export`: a span of the log as JSON lines, for those who read it with other programs."""

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import (
    LOG_CODES,
    Archives,
    Dir,
    Key,
    OutputFile,
    audit_command,
    folder_of,
    note_unread,
)
from segeld.ctl.audit_export_records import from_afar, from_files
from segeld.ctl.audit_find import NOT_VERIFIED
from segeld.ctl.audit_key import parse_key
from segeld.ctl.audit_lookup import time_span
from segeld.ctl.audit_remote import is_remote, only_local
from segeld.model.counts import counted

EXPORT = """\
Examples:
  segelctl audit export --from 2026-11-01 --to 2026-12-01 --key audit-2026.pub --output november.jsonl

One line for each leaf, and one for each item after the leaf of its outcome. The last line has the checkpoint, and whether every bundle of the span was proven to be in its tree. A file that is there is not overwritten. Ends with 1 if leaves of that time were archived and not read; all others are there. On a machine that has no log the daemon is asked for every leaf, and what it gives is proven here: without the last line, it was not.

Times are UTC unless they say otherwise. Leaves stand in the order of the log, whose clock may have gone back: every leaf is looked at."""


From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this time.")]


def register(group: typer.Typer) -> None:
    audit_command(group, "export", epilog=EXPORT, codes=LOG_CODES)(export)


def export(
    session: Session,
    folder: Dir = None,
    key: Key = None,
    since: From = None,
    until: To = None,
    output: OutputFile = None,
    archives: Archives = None,
) -> ExitCode:
    """Write a span of the log as JSON lines."""
    span = time_span(since, until)
    if output is not None and os.path.lexists(output):
        raise _is_there(output)
    unread: list[int] = []
    if is_remote(folder):
        if archives:
            raise only_local("--archive")
        verifier = parse_key(key, Path("/nonexistent")) if key else None
        records = from_afar(session, verifier, span, unread)
    else:
        where = folder_of(folder)
        verifier = parse_key(key, where) if key else None
        records = from_files(where, verifier, tuple(archives or ()), span, unread)
    if not verifier:
        session.output.note(NOT_VERIFIED)
    count = 0
    first = next(records)  # before the file is made: a log that cannot be read leaves none
    with _opened(output) as file:
        for record in itertools.chain((first,), records):
            file.write(json.dumps(record) + "\n")
            count += 1
    if output is not None:
        session.output.note(f"{output}: {counted(count, 'line')}")
    return ExitCode.FAILED if note_unread(session, unread) else ExitCode.OK


def _is_there(output: Path) -> UsageError:
    return UsageError(f"{output} is there already; nothing was written")


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """:raises UsageError: if the file is there already."""
    if output is None:
        yield sys.stdout
        return
    try:
        file = output.open("x")
    except FileExistsError:
        raise _is_there(output) from None
    with file:
        yield file
