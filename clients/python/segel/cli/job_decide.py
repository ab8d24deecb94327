"""`segel job approve` and `segel job reject`: for approvers."""

from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.job_ask import Yes, sure
from segel.cli.job_view import JobName, facts, full_job_name, record, row
from segel.cli.session import Session, session_command

_APPROVE = """\
Examples:
  segel job approve 0123456789abcdef0123456789abcdef

Shows what the job holds and asks. What is approved is what was shown: the daemon refuses if it is something else."""

_REJECT = """\
Examples:
  segel job reject 0123456789abcdef0123456789abcdef --reason "wrong month"

The job has ended then; nothing of it is signed."""

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; whoever made the job reads it.")]


def register(group: typer.Typer) -> None:
    session_command(group, "approve", epilog=_APPROVE)(approve)
    session_command(group, "reject", epilog=_REJECT)(reject)


async def approve(session: Session, job: JobName, yes: Yes = False) -> ExitCode:
    """Let a held job be signed."""
    async with session.client() as client:
        handle = await client.jobs.open(full_job_name(job))
        shown = handle.info
        if not yes:
            for name, value in facts(shown).items():
                session.output.note(f"{name}: {value}")
        question = f"Sign {shown.item_count} items with {shown.key}?"
        if not sure(session, question, yes=yes):
            return ExitCode.FAILED
        found = await handle.approve(shown.items_hash)
    session.output.record(record(found), *row(found))
    return ExitCode.OK


async def reject(session: Session, job: JobName, reason: Reason = "") -> None:
    """End a held job: nothing of it is signed."""
    async with session.client() as client:
        found = await (await client.jobs.open(full_job_name(job))).reject(reason)
    session.output.record(record(found), *row(found))
