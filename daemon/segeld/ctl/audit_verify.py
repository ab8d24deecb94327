"""`segelctl audit verify`"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import LOG_CODES, Archives, Dir, Key, audit_command, folder_of
from segeld.ctl.audit_key import parse_key
from segeld.ctl.audit_remote import ask, is_remote, only_local, streamed
from segeld.model.counts import counted, fitting

if TYPE_CHECKING:
    from segeld.audit.report import Report

VERIFY = """\
Examples:
  segelctl audit verify --key audit-2026.pub
  segelctl audit verify --archive /mnt/archive --key audit-2026.pub
  segelctl audit verify --dir /mnt/copy/audit --key segel/1f2e3d4c5b6a7988+9c1d2e3f+AQ… --json

Reads all of the log, and needs neither the daemon nor a network. On a machine that has no log, the daemon is asked for every leaf, and all is computed here; the tiles and files beside them are not looked at then, and of leaves that were archived only the hashes. The key must come from elsewhere than the log's folder. Without the salt, the inputs that were signed are not compared with those that were announced.

Ends with 7 if anything is wrong. A warning is not wrong. What was cut off whole, back to an older checkpoint, shows only against a newer checkpoint that you kept: compare the size and the root."""


def register(group: typer.Typer) -> None:
    audit_command(group, "verify", epilog=VERIFY, codes=LOG_CODES)(verify)


def verify(session: Session, folder: Dir = None, key: Key = None, archives: Archives = None) -> ExitCode:
    """Verify a whole log: that nothing was changed, removed or put in, and that it makes sense."""
    from segeld.audit.verify import verify as verify_log

    where = folder_of(folder)
    if key is None:
        raise UsageError(
            "verify needs --key with the log's public key, from elsewhere than the log's folder: a log that vouches for "
            "itself proves nothing"
        )
    verifier = parse_key(key, where)
    if archives and is_remote(folder):
        raise only_local("--archive")
    with bar(session) as progress:
        if is_remote(folder):
            report = ask(session, lambda log: streamed(log, verifier, progress))
        else:
            report = verify_log(where, verifier, progress, tuple(archives or ()))
    _show(session, report)
    return ExitCode.OK if report.is_good else ExitCode.BAD_SIGNATURE


def _show(session: Session, report: "Report") -> None:
    output = session.output
    if session.json:
        output.record(_record(report))
        return
    for problem in report.problems:
        output.error(str(problem))
    if (more := report.problem_count - len(report.problems)) > 0:
        output.error(f"{more} more {fitting(more, 'problem')}")
    if report.away:
        output.note(
            f"warning: leaves {_spans(report)} were archived and not read: their hashes are in the tree, what they say was not "
            "checked. Give --archive with the folder that has them"
        )
    for warning in report.warnings:
        output.note(f"warning: {warning}")
    output.facts({}, _facts(report))


def _spans(report: "Report") -> str:
    return ", ".join(f"{first} to {last}" for first, last in report.away)


def _facts(report: "Report") -> dict[str, object]:
    from segeld.audit.words import when

    verdict = "verified" if report.is_good else f"NOT VERIFIED: {counted(report.problem_count, 'problem')}"
    facts: dict[str, object] = {"verdict": verdict, "log": report.origin}
    if not report.size:
        return facts
    return facts | {
        "leaves": report.size,
        "root": report.root.hex(),
        "from": when(report.first_at) if report.first_at else f"unknown: the first leaf {_away(report)}",
        "to": when(report.last_at) if report.last_at else "unknown: no leaf can be read",
        "chunks": f"{report.intents} announced, {report.outcomes} ended, {report.unfinished_count} without an end",
        "signatures": f"{report.signatures}, and {counted(report.unsigned, 'attempt')} without one",
        "acts": report.acts,
        **({"archived, not read": f"leaves {_spans(report)}"} if report.away else {}),
        "continues": _previous(report) or ("no earlier log" if report.first_at else "unknown"),
    }


def _away(report: "Report") -> str:
    return "was archived" if report.away and not report.away[0][0] else "cannot be read"


def _record(report: "Report") -> dict[str, Any]:
    from segeld.audit.words import stamp

    return {
        "verified": report.is_good,
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "first_at": stamp(report.first_at) if report.first_at else None,
        "last_at": stamp(report.last_at) if report.last_at else None,
        "intents": report.intents,
        "outcomes": report.outcomes,
        "unfinished": report.unfinished_count,
        "signatures": report.signatures,
        "unsigned": report.unsigned,
        "acts": report.acts,
        "previous": report.previous,
        "archived_unread": [list(one) for one in report.away],
        "problem_count": report.problem_count,
        "problems": [
            {"leaf": problem.leaf, "path": problem.path, "text": problem.text} for problem in report.problems
        ],
        "warnings": report.warnings,
    }


def _previous(report: "Report") -> str:
    if not report.previous:
        return ""
    from segeld.audit.checkpoint import Checkpoint
    from segeld.audit.note import BadNote

    try:
        earlier = Checkpoint.unverified(report.previous.encode())
    except BadNote:
        return "a log whose checkpoint cannot be read"
    return f"{earlier.origin} of {counted(earlier.size, 'leaf', 'leaves')} with root {earlier.root.hex()}"


@contextmanager
def bar(session: Session, what: str = "verifying") -> Iterator[Callable[[int, int], None]]:
    if session.json or not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
