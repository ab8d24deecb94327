"""`segel job approve` and `segel job reject`: for approvers."""

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated

import typer

from segel._counts import counted
from segel.cli.beginnings import require_whole
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes, sure
from segel.cli.job_view import JobName, full_job_name, job_meant, record, row, to_decide
from segel.cli.session import Session, session_command

_APPROVE = """\
Examples:
  segel job approve 0123456789abcdef0123456789abcdef
  segel job approve 0123456789abcdef0123456789abcdef --items-hash "$hash" --yes

Shows who wants what signed, how much and since when, and asks. What is approved is what was shown: the daemon refuses if it is something else. `segel job list --state held` shows all that wait for you."""

_REJECT = """\
Examples:
  segel job reject 0123456789abcdef0123456789abcdef --reason "wrong month"

Shows the job and asks. It has ended then; nothing of it is signed."""

if TYPE_CHECKING:
    from segel import Job

ItemsHash = Annotated[
    str | None,
    typer.Option("--items-hash", metavar="HEX", help="What was agreed to; whoever made the job told you."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; whoever made the job reads it.")]


def register(group: typer.Typer) -> None:
    session_command(group, "approve", epilog=_APPROVE)(approve)
    session_command(group, "reject", epilog=_REJECT)(reject)


async def approve(session: Session, job: JobName, yes: Yes = False, items_hash: ItemsHash = None) -> ExitCode:
    """Let a held job be signed."""
    require_whole(full_job_name(job), yes=yes)
    async with session.client() as client:
        name = await job_meant(client, job, held=True)
        agreed = None if items_hash is None else _octets(items_hash)
        question = ""
        if agreed is None or not yes:
            shown = await client.jobs.get(name)
            _show(session, shown, yes=yes)
            agreed = agreed or shown.items_hash
            question = f"Sign {counted(shown.item_count, 'item')} with {shown.key}?"
        if not sure(session, question, yes=yes):
            return ExitCode.FAILED
        found = await client.jobs.approve(name, agreed)
    session.output.record(record(found), *row(found))
    return ExitCode.OK


async def reject(session: Session, job: JobName, yes: Yes = False, reason: Reason = "") -> ExitCode:
    """End a held job: nothing of it is signed."""
    require_whole(full_job_name(job), yes=yes)
    async with session.client() as client:
        name = await job_meant(client, job, held=True)
        if not yes:
            _show(session, await client.jobs.get(name), yes=yes)
        if not sure(session, f"Reject {name}?", yes=yes):
            return ExitCode.FAILED
        found = await client.jobs.reject(name, reason)
    session.output.record(record(found), *row(found))
    if reason and found.state_reason != reason:  # the daemon keeps the first
        session.output.error(
            f"it was rejected before, and the reason given now was not kept: {found.state_reason}"
        )
        return ExitCode.FAILED
    return ExitCode.OK


def _show(session: Session, job: "Job", *, yes: bool) -> None:
    if not yes:
        for label, value in to_decide(job, dt.datetime.now(dt.UTC)).items():
            session.output.note(f"{label}: {value}")


def _octets(text: str) -> bytes:
    """:raises UsageError: if it is no SHA-256."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError("--items-hash is 64 hexadecimal digits, as `segel job status` shows them")
    return bytes.fromhex(text)
