"""`segel job approve` and `segel job reject`: for approvers."""

import re
from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes, sure
from segel.cli.job_view import JobName, facts, full_job_name, record, row
from segel.cli.session import Session, session_command

_APPROVE = """\
Examples:
  segel job approve 0123456789abcdef0123456789abcdef
  segel job approve 0123456789abcdef0123456789abcdef --items-hash "$hash" --yes

Shows what the job holds and asks. What is approved is what was shown: the daemon refuses if it is something else."""

_REJECT = """\
Examples:
  segel job reject 0123456789abcdef0123456789abcdef --reason "wrong month"

The job has ended then; nothing of it is signed."""

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
    name = full_job_name(job)
    async with session.client() as client:
        if items_hash is None:
            shown = await client.jobs.get(name)
            if not yes:
                for label, value in facts(shown).items():
                    session.output.note(f"{label}: {value}")
            agreed = shown.items_hash
            question = f"Sign {shown.item_count} items with {shown.key}?"
        else:
            agreed = _octets(items_hash)
            question = f"Sign what has the hash {items_hash}?"
        if not sure(session, question, yes=yes):
            return ExitCode.FAILED
        found = await client.jobs.approve(name, agreed)
    session.output.record(record(found), *row(found))
    return ExitCode.OK


async def reject(session: Session, job: JobName, reason: Reason = "") -> None:
    """End a held job: nothing of it is signed."""
    async with session.client() as client:
        found = await client.jobs.reject(full_job_name(job), reason)
    session.output.record(record(found), *row(found))


def _octets(text: str) -> bytes:
    """:raises UsageError: if it is no SHA-256."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError("--items-hash is 64 hexadecimal digits, as `segel job status` shows them")
    return bytes.fromhex(text)
