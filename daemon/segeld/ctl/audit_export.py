"""`segelctl audit export`: a span of the log as JSON lines, for those who read it with other programs."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import Archives, Dir, Key, audit_command, folder_of, note_unread
from segeld.ctl.audit_find import NOT_VERIFIED
from segeld.ctl.audit_key import parse_key
from segeld.ctl.audit_lookup import milliseconds
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segeld.audit.reader import Log

EXPORT = """\
Examples:
  segelctl audit export --from 2026-11-01 --to 2026-12-01 --key audit-2026.pub --output november.jsonl

One line for each leaf, and one for each item after the leaf of its outcome. The last line has the checkpoint, and whether every bundle of the span was proven to be in its tree. A file that is there is not overwritten. Ends with 1 if leaves of that time were archived and not read; all others are there.

Times are UTC unless they say otherwise. Leaves stand in the order of the log, whose clock may have gone back: every leaf is looked at."""

CODES = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SIGNATURE)

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this time.")]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write; standard output, if not given."),
]


def register(group: typer.Typer) -> None:
    audit_command(group, "export", epilog=EXPORT, codes=CODES)(export)


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
    from segeld.audit.reader import open_log_folder

    where = folder_of(folder)
    log = open_log_folder(where, parse_key(key, where) if key else None, tuple(archives or ()))
    if not log.verified:
        session.output.note(NOT_VERIFIED)
    span = milliseconds(since, 0), milliseconds(until, 1 << 63)
    count = 0
    with _opened(output) as file:
        for record in _records(log, span):
            file.write(json.dumps(record) + "\n")
            count += 1
    if output is not None:
        session.output.note(f"{output}: {counted(count, 'line')}")
    return ExitCode.FAILED if note_unread(session, log.unread) else ExitCode.OK


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """:raises UsageError: if the file is there already."""
    if output is None:
        yield sys.stdout
        return
    try:
        file = output.open("x")
    except FileExistsError:
        raise UsageError(f"{output} is there already; nothing was written") from None
    with file:
        yield file


def _records(log: "Log", span: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """:raises BadProof: if a bundle is not that of the tree."""
    from segeld.audit.archived import read_mark
    from segeld.audit.find import Chunk, items_of
    from segeld.audit.layout import WIDTH, widths
    from segeld.audit.leaf import Intent, Outcome, decode
    from segeld.audit.proof import prove_bundle
    from segeld.audit.tiles import Archived
    from segeld.ctl.audit_view import item_record, record

    size, exported = log.checkpoint.size, 0
    waiting: dict[int, Intent] = {}
    archived = read_mark(log.folder, None)
    for number, _ in widths(size, 0):
        try:
            leaves = log.tiles.leaves(number)
        except Archived:
            if archived is None or span[0] < archived.before:  # else all of it is older
                log.unread.append(number)
            continue
        proven = False
        for index, data in enumerate(leaves, number * WIDTH):
            leaf = decode(data)
            if isinstance(leaf, Intent):
                waiting[index] = leaf
            intent = waiting.pop(leaf.intent, None) if isinstance(leaf, Outcome) else None
            if not span[0] <= leaf.at < span[1]:
                continue
            if not proven:
                prove_bundle(log, number, leaves)
                proven = True
            exported += 1
            yield record(index, leaf)
            if isinstance(leaf, Outcome) and intent is not None:
                for item in items_of(Chunk(leaf.intent, intent, index, leaf), leaf):
                    yield {"kind": "item"} | {
                        name: value
                        for name, value in item_record(item, proven=True, verified=log.verified).items()
                        if name != "kind"
                    }
    yield {
        "kind": "end",
        "origin": log.checkpoint.origin,
        "size": size,
        "root": log.checkpoint.root.hex(),
        "checkpoint": log.note.decode(),
        "leaves": exported,
        "archived_unread": [[number * WIDTH, number * WIDTH + WIDTH - 1] for number in log.unread],
        "proven": True,
        "checkpoint_verified": log.verified,
    }
