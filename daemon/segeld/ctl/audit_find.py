"""`segelctl audit find`: who had what signed, when, with which key; by an input, a signature, a job, a caller or a time."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import LOG_CODES, Archives, Dir, Key, audit_command, note_unread
from segeld.ctl.audit_lookup import wanted
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segeld.ctl.audit_lookup import Wanted
    from segeld.ctl.audit_source import Local, Remote

FIND = """\
Examples:
  segelctl audit find letter.pdf --key audit-2026.pub
  segelctl audit find letter.pdf --key audit-2026.pub --verbose
  segelctl audit find --digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  segelctl audit find --signature letter.sig
  segelctl audit find --job jobs/0f1e2d3c4b5a69788796a5b4c3d2e1f0
  segelctl audit find --caller tax --since 2026-11-01 --until 2026-11-02T12:00

One line for each attempt: for whom it was signed, when, with which key, which leaf says so, and whether that is proven. Without --key it is not known who signed the tree, and the line says that. --verbose and --json have all facts.

FILE is hashed with SHA-256, SHA-384 and SHA-512, and looked for as a message as well. Digests are not in the log: they are found with the salt, so this needs to read that file. A sealed PDF is found by the signatures in it, one line each, which say as well whether the document was changed after it was signed (time stamps and validation data of PAdES B-LT and B-LTA are no change); a PDF without a seal only if the file itself was signed as it is.

The daemon keeps an index beside the log, so that large logs are searched in less than a second. It is a hint: what is found is proven. Somebody could change it to hide something: --all searches everything without it.

Times are UTC unless they say otherwise. --caller, --since and --until narrow each other down.

Ends with 8 if nothing is found. With 1 if some of it is not: one signature of a PDF, or leaves that were archived. With 7 if something is not proven, or the PDF was changed after it was signed.

On a machine that has no log the daemon is asked, and its proofs are checked here. By caller and time every leaf is asked for: a large log takes as long as verify.

Columns off a terminal: what and for whom, time, key, leaf, whether it is proven; for PDFs, the number of the signature before and the document after. For --job, --caller and times: leaf, time, kind, in words."""

CODES = (*LOG_CODES, ExitCode.NO_SIGNATURE)
_RECENT: Final = 10.0
"""Seconds: signing goes on, and leaves are in the log a second or two after they were made."""
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
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="All facts of each attempt, instead of one line.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")]


def register(group: typer.Typer) -> None:
    audit_command(group, "find", epilog=FIND, codes=CODES)(find)


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
    verbose: Verbose = False,
) -> ExitCode:
    """Find what the log says of an input, a signature, a job, a caller or a time."""
    from segeld.ctl.audit_source import source_of

    narrowing = any(one is not None for one in (caller, since, until))
    given = sum(one is not None for one in (digest, file, signature, job)) + narrowing
    if given != 1:
        raise UsageError(
            "give one of FILE, --digest, --signature and --job, or --caller, --since and --until"
        )
    by_item = job is None and not narrowing
    asked = wanted(digest=digest, file=file, signature=signature) if by_item else []
    source = source_of(session, folder, key, archives)
    if by_item:
        code = _find_items(session, source, asked, file, everything=everything, verbose=verbose)
    else:
        if not source.verified:
            session.output.note(NOT_VERIFIED)
        code = _show_chunks(session, source, job, caller, since, until, everything=everything)
    if source.has_more:
        session.output.note("there are more: the daemon shows the first 100. On its machine, all are shown")
    note_unread(session, source.unread)
    return code


def _find_items(
    session: Session,
    source: "Local | Remote",
    asked: "list[Wanted]",
    file: Path | None,
    *,
    everything: bool,
    verbose: bool,
) -> ExitCode:
    from segeld.ctl.audit_line import show, show_missing
    from segeld.ctl.audit_lookup import Wanted

    seals = [one.seal for one in asked if one.seal]
    good, found = True, set[Wanted]()
    for one, hit in source.hits(asked, everything=everything):
        if found and verbose and not session.json:
            session.output.line("")
        show(session.output, hit, len(seals), source.size, verbose=verbose)
        good &= hit.is_good
        found.add(one)
    if not found:
        return nothing(session, source, _hint(file, sealed=bool(seals)))
    missing = [one.seal for one in asked if one.seal and one not in found]
    for seal in missing:
        show_missing(session.output, seal, len(seals))
    if not good:
        return ExitCode.BAD_SIGNATURE
    return ExitCode.FAILED if missing else ExitCode.OK


def nothing(session: Session, source: "Local | Remote", hint: str = "") -> ExitCode:
    """Says that nothing was found.

    :param hint: why that may be, if everything was read.
    """
    read = " that were read" if source.unread else hint
    newest = source.newest()
    if newest is not None and abs(time.time() - newest / 1000) < _RECENT:
        read += "; what was signed within the last seconds may not be in it yet"
    session.output.error(f"nothing of that is in this log of {counted(source.size, 'leaf', 'leaves')}{read}")
    return ExitCode.FAILED if source.unread else ExitCode.NO_SIGNATURE


def _hint(file: Path | None, *, sealed: bool) -> str:
    from segeld.ctl.audit_pdf import is_pdf

    if sealed:
        return ": the seals in this PDF were made elsewhere, or are in an earlier log"
    if file is None or not is_pdf(file):
        return ""
    return (
        ": this PDF has no seal in it, and what is signed for a PDF is never the hash of the unsealed file. Give the "
        "sealed one"
    )


def _show_chunks(
    session: Session,
    source: "Local | Remote",
    job: str | None,
    caller: str | None,
    since: str | None,
    until: str | None,
    *,
    everything: bool,
) -> ExitCode:
    from segeld.audit.find import Done
    from segeld.ctl.audit_view import chunk_record, chunk_row, done_record

    count = 0
    for one in source.chunks(job, caller, since, until, everything=everything):
        count += 1
        shown = (
            done_record(one, verified=source.verified)
            if isinstance(one, Done)
            else chunk_record(one, proven=True, verified=source.verified)
        )
        session.output.record(shown, *chunk_row(one))
    return ExitCode.OK if count else nothing(session, source)
