"""`segelctl audit find`: who had what signed, when, with which key; by an input, a signature, a job, a caller or a time."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import Archives, Dir, Key, folder_of, note_unread
from segeld.ctl.audit_key import parse_key
from segeld.ctl.audit_lookup import chunks, items
from segeld.ctl.audit_remote import is_remote, only_local

if TYPE_CHECKING:
    from segeld.audit.find import Chunk, Done, Item
    from segeld.audit.reader import Log

FIND = """\
Examples:
  segelctl audit find letter.pdf --key audit-2026.pub
  segelctl audit find --digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  segelctl audit find --signature letter.sig
  segelctl audit find --job jobs/0f1e2d3c4b5a69788796a5b4c3d2e1f0
  segelctl audit find --caller tax --since 2026-11-01 --until 2026-11-02T12:00

FILE is hashed with SHA-256, SHA-384 and SHA-512, and looked for as a message as well. Digests are not in the log: they are found with the salt, so this needs to read that file. A sealed PDF is found by the signatures in it; a PDF without a seal only if the file itself was signed as it is.

The daemon keeps an index beside the log, so that large logs are searched in less than a second. It is a hint: what is found is proven. Somebody could change it to hide something: --all searches everything without it.

Times are UTC unless they say otherwise. --caller, --since and --until narrow each other down.

Ends with 1 if nothing is found.

Columns off a terminal, for --job, --caller and times: leaf, time, kind, in words."""

CODES = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SIGNATURE)
NOT_VERIFIED = (
    "the log was not verified: give --key with its public key, from elsewhere than the log's folder"
)


Digest = Annotated[str | None, typer.Option(metavar="HEX", help="A digest that was signed.")]
File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A file whose digest was signed.")]
Signature = Annotated[
    str | None, typer.Option(metavar="FILE|HEX", help="A file with a signature, or the signature's SHA-256.")
]
Job = Annotated[str | None, typer.Option(metavar="NAME", help="A job, with or without jobs/.")]
Caller = Annotated[str | None, typer.Option(metavar="NAME", help="A caller.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="From this time on.")]
All = Annotated[bool, typer.Option("--all", help="Search everything, without the index.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")]


def find(
    session: Session,
    folder: Dir = None,
    key: Key = None,
    digest: Digest = None,
    file: File = None,
    signature: Signature = None,
    job: Job = None,
    caller: Caller = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    archives: Archives = None,
) -> ExitCode:
    """Find what the log says of an input, a signature, a job, a caller or a time."""
    from segeld.audit.reader import open_log_folder

    narrowing = any(one is not None for one in (caller, since, until))
    given = sum(one is not None for one in (digest, file, signature, job)) + narrowing
    if given != 1:
        raise UsageError(
            "give one of FILE, --digest, --signature and --job, or --caller, --since and --until"
        )
    if is_remote(folder):
        if narrowing:
            raise only_local("a search by --caller and times")
        return _find_remotely(
            session, key, digest=digest, file=file, signature=signature, job=job, everything=everything
        )
    if folder is not None and not os.path.lexists(folder):
        raise UsageError(f"there is no folder {folder}")
    where = folder_of(folder)
    log = open_log_folder(where, parse_key(key, where) if key else None, tuple(archives or ()))
    if not log.verified:
        session.output.note(NOT_VERIFIED)
    if job is not None or narrowing:
        count = _show_chunks(session, log, chunks(log, job, caller, since, until, everything=everything))
    else:
        count = _show_items(
            session,
            log,
            items(log, digest=digest, file=file, signature=signature, everything=everything),
        )
    unread = note_unread(session, log.unread)
    if not count:
        read = " that were read" if unread else ""
        session.output.error(
            f"nothing of that is in this log of {log.checkpoint.size} leaves{read or _hint(file)}"
        )
    return ExitCode.OK if count else ExitCode.FAILED


def _find_remotely(session: Session, key: str | None, *, job: str | None, **wanted: Any) -> ExitCode:
    from segeld.audit.find import Done
    from segeld.ctl.audit_remote import checked, item, look_for
    from segeld.ctl.audit_view import chunk_record, chunk_row, done_record, item_facts, item_record

    verifier = parse_key(key, Path("/nonexistent")) if key else None
    found, size = look_for(session, job=job, **wanted)
    verified = verifier is not None
    if not verified:
        session.output.note(NOT_VERIFIED)
    proven = f"both leaves are in a tree of {size} leaves or fewer"
    proven += ", which the given key signed" if verified else "; who signed that tree was not checked"
    for number, one in enumerate(found):
        if job is None:
            this = item(one, verifier)
            if number and not session.json:
                session.output.line("")
            record = item_record(this, proven=True, verified=verified)
            session.output.facts(record, item_facts(this, proven))
            continue
        chunk = checked(one, verifier)
        session.output.record(
            done_record(chunk, verified=verified)
            if isinstance(chunk, Done)
            else chunk_record(chunk, proven=True, verified=verified),
            *chunk_row(chunk),
        )
    if not found:
        session.output.error(f"nothing of that is in this log of {size} leaves{_hint(wanted['file'])}")
    return ExitCode.OK if found else ExitCode.FAILED


def _hint(file: Path | None) -> str:
    from segeld.ctl.audit_pdf import is_pdf, seal_hashes

    if file is None or not is_pdf(file):
        return ""
    if seal_hashes(file):
        return ": the seals in this PDF were made elsewhere, or are in an earlier log"
    return (
        ": this PDF has no seal in it, and what is signed for a PDF is never the hash of the unsealed file. Give the "
        "sealed one"
    )


def _show_items(session: Session, log: "Log", found: "Iterator[Item]") -> int:
    from segeld.audit.proof import prove
    from segeld.ctl.audit_view import item_facts, item_record

    proven = f"both leaves are in the tree of {log.checkpoint.size} leaves"
    proven += ", which the given key signed" if log.verified else "; who signed that tree was not checked"
    count = 0
    for count, item in enumerate(found, 1):
        assert item.chunk.outcome_leaf is not None
        for leaf in (item.chunk.intent_leaf, item.chunk.outcome_leaf):
            prove(log, leaf)
        if count > 1 and not session.json:
            session.output.line("")
        session.output.facts(item_record(item, proven=True, verified=log.verified), item_facts(item, proven))
    return count


def _show_chunks(session: Session, log: "Log", found: "Iterator[Chunk | Done]") -> int:
    from segeld.audit.find import Done
    from segeld.audit.proof import prove
    from segeld.ctl.audit_view import chunk_record, chunk_row, done_record

    count = 0
    for one in found:
        count += 1
        leaves = [one.leaf] if isinstance(one, Done) else [one.intent_leaf, one.outcome_leaf]
        for leaf in leaves:
            if leaf is not None:
                prove(log, leaf)
        shown = (
            done_record(one, verified=log.verified)
            if isinstance(one, Done)
            else chunk_record(one, proven=True, verified=log.verified)
        )
        session.output.record(shown, *chunk_row(one))
    return count
