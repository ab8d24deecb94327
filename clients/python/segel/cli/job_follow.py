"""`segel job status`, `watch`, `list`, `cancel` and `delete`."""

from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.beginnings import is_beginning, require_whole, whole_key
from segel.cli.completing import complete_key
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes, sure
from segel.cli.job_progress import progress
from segel.cli.job_view import (
    ENDS,
    JobName,
    Labels,
    code_of,
    facts,
    full_job_name,
    job_meant,
    labels_of,
    record,
    row,
    rows_for_people,
)
from segel.cli.session import Session, full_key_name, session_command
from segel.cli.waiting import waiting_said

if TYPE_CHECKING:
    from segel import JobHandle

_STATUS = """\
Examples:
  segel job status 0123456789abcdef0123456789abcdef
  segel job status jobs/0123456789abcdef0123456789abcdef --json | jq .signed_count"""

_WATCH = """\
Examples:
  segel job watch 0123456789abcdef0123456789abcdef && echo all signed

Returns when the job has ended. Columns off a terminal: name, state, items, signed, failed, created, labels."""

_LIST = """\
Examples:
  segel job list
  segel job list --state running --state queued --label batch=july
  segel job list --json | jq -r 'select(.failed_count > 0) | .name'

The newest first. On a terminal names are cut to what tells them apart, which commands take too. Columns off a terminal: name, state, items, signed, failed, created, labels."""

_CANCEL = """\
Examples:
  segel job cancel 0123456789abcdef0123456789abcdef

No more items are begun; what was signed stays. `segel job results` says which items were left."""

_DELETE = """\
Examples:
  segel job delete 0123456789abcdef0123456789abcdef
  segel job delete --yes jobs/0123456789abcdef0123456789abcdef

The job must have ended, or never have been complete. Its results are gone with it."""

States = Annotated[
    list[str] | None, typer.Option("--state", metavar="STATE", help="Can be given several times.")
]
Key = Annotated[
    str | None, typer.Option("--key", "-k", metavar="KEY", help="With this key.", autocompletion=complete_key)
]
Request = Annotated[str | None, typer.Option("--request-id", metavar="ID", help="Created by this request.")]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")]

_COLUMNS = ("JOB", "STATE", "ITEMS", "SIGNED", "FAILED", "CREATED", "LABELS")


def register(group: typer.Typer) -> None:
    session_command(group, "status", epilog=_STATUS)(status)
    session_command(group, "watch", epilog=_WATCH, codes=ENDS)(watch)
    session_command(group, "list", epilog=_LIST)(list_jobs)
    session_command(group, "cancel", epilog=_CANCEL)(cancel)
    session_command(group, "delete", epilog=_DELETE)(delete)


async def status(session: Session, job: JobName) -> None:
    """Say what a job is doing."""
    async with session.client() as client:
        found = await client.jobs.get(await job_meant(client, job))
    session.output.facts(record(found), facts(found))


async def watch(session: Session, job: JobName) -> ExitCode:
    """Follow a job until it has ended; the exit code says how."""
    async with session.client() as client:
        return await watch_to_the_end(session, await client.jobs.open(await job_meant(client, job)))


async def watch_to_the_end(session: Session, handle: "JobHandle", *, quiet: bool = False) -> ExitCode:
    """Shows each change, and gives what the job's end means."""
    lines = not session.output.is_for_people and not quiet
    total = handle.info.item_count
    with (
        waiting_said(session.output, quiet=quiet),
        progress(session.output, "signed", total, quiet=quiet or lines) as show,
    ):
        async for job in handle.watch():
            if lines:
                session.output.record(record(job), *row(job))
                session.output.flush()
            failed = f", {job.failed_count} failed" if job.failed_count else ""
            show(job.signed_count + job.failed_count, f"{job.state}{failed}")
    job = handle.info
    if not quiet and not lines:
        why = f": {job.state_reason}" if job.state_reason else ""
        counts = f"{job.signed_count} of {job.item_count} signed, {job.failed_count} failed"
        session.output.note(f"{job.name} {job.state}{why}; {counts}")
    return code_of(job)


async def list_jobs(
    session: Session,
    state: States = None,
    key: Key = None,
    label: Labels = None,
    request_id: Request = None,
    limit: Limit = 100,
) -> None:
    """List your jobs."""
    from segel import JobState

    try:
        states = [JobState(one.lower()) for one in state or ()]
    except ValueError as error:
        names = ", ".join(one for one in JobState if one is not JobState.UNKNOWN)
        raise UsageError(f"{error}; there are {names}") from None
    if request_id == "":
        raise UsageError("--request-id is empty")
    labels = labels_of(label)
    async with session.client() as client:
        name = (
            None if key is None else (await client.key(await whole_key(full_key_name(key), client.keys))).name
        )
        wanted = client.jobs.list(states=states, key=name, labels=labels, request_id=request_id, limit=limit)
        jobs = [job async for job in wanted]
    if session.output.is_for_people and jobs:
        session.output.lines(_COLUMNS, rows_for_people(jobs, row), cut=True)
    for job in () if session.output.is_for_people else jobs:
        session.output.record(record(job), *row(job))
    if not jobs and not session.json:
        session.output.note("no job matches" if state or key or label or request_id else "You have no jobs.")


async def cancel(session: Session, job: JobName) -> ExitCode:
    """Begin no more items of a job."""
    name = full_job_name(job)
    require_whole(name, yes=True)
    async with session.client() as client:
        handle = await client.jobs.open(await job_meant(client, job))
        if is_beginning(name) and not sure(session, f"Cancel {handle.name}?", yes=False):
            return ExitCode.FAILED
        found = await handle.cancel()
    session.output.record(record(found), *row(found))
    return ExitCode.OK


async def delete(session: Session, job: JobName, yes: Yes = False) -> ExitCode:
    """Remove a job with its results."""
    require_whole(full_job_name(job), yes=yes)
    async with session.client() as client:
        handle = await client.jobs.open(await job_meant(client, job))
        left = handle.info.item_count - handle.info.read_offset
        unread = f" {left} results were never read." if handle.info.is_sealed and left else ""
        if not sure(session, f"Delete {handle.name} with its results?{unread}", yes=yes):
            return ExitCode.FAILED
        await handle.delete()
        session.output.record({"name": handle.name, "deleted": True}, handle.name, "deleted")
    return ExitCode.OK
