"""`segelctl job list`, `pause`, `resume` and `cancel`: jobs of every caller"""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from segel.cli.beginnings import MOST_JOBS, is_beginning, require_whole, whole_job
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes, sure
from segel.cli.job_view import full_job_name, record, rows_for_people, shown_labels
from segel.cli.session import Session, full_key_name, session_command
from segeld.ctl.completing import complete_caller, complete_job, complete_key_name
from segeld.ctl.key_names import meant

if TYPE_CHECKING:
    from segel import Job, Officer

app = typer.Typer(no_args_is_help=True, help="Jobs of every caller.")

_LIST = """\
Examples:
  segelctl job list
  segelctl job list --caller backoffice --state held
  segelctl job list --json | jq -r 'select(.state == "paused") | .name'

Those that have not ended, the newest first. On a terminal names are cut to what tells them apart, which commands take too. Columns off a terminal: name, caller, state, items, signed, failed, labels, why it waits."""

_PAUSE = """\
Examples:
  segelctl job pause 0123456789abcdef0123456789abcdef

Nothing of it is begun until it is resumed; what a token holds is finished. Its deadline goes on running."""

_RESUME = """\
Examples:
  segelctl job resume 0123456789abcdef0123456789abcdef"""

_CANCEL = """\
Examples:
  segelctl job cancel 0123456789abcdef0123456789abcdef --reason "made twice"

Asks first, as nothing of the rest is signed any more. Its caller reads the reason."""

_NARROW: Final = ("JOB", "CALLER", "STATE", "ITEMS", "SIGNED", "FAILED", "LABELS, WHY IT WAITS")

States = Annotated[
    list[str] | None, typer.Option("--state", metavar="STATE", help="Can be given several times.")
]
Caller = Annotated[
    str, typer.Option("--caller", metavar="NAME", help="Of this caller only.", autocompletion=complete_caller)
]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="KEY",
        help="With this key only, by its immutable name.",
        autocompletion=complete_key_name,
    ),
]
JobName = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Its name, with or without jobs/; its first digits will do, 8 at least.",
        show_default=False,
        autocompletion=complete_job,
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; its caller reads this.", show_default=False)
]


async def list_jobs(
    session: Session, state: States = None, caller: Caller = "", key: Key = "", limit: Limit = 100
) -> None:
    """List jobs that have not ended, or those in the states that are named."""
    from segel import JobState

    try:
        states = [JobState(one.lower()) for one in state or ()]
    except ValueError as error:
        names = ", ".join(one for one in JobState if one is not JobState.UNKNOWN)
        raise UsageError(f"{error}; there are {names}") from None
    async with session.officer() as officer:
        name = await meant(officer, full_key_name(key)) if key else ""
        wanted = officer.jobs.list(states=states, caller=caller, key=name, limit=limit)
        jobs = [job async for job in wanted]
    if session.output.is_for_people and jobs:
        session.output.lines(_NARROW, rows_for_people(jobs, _narrow), cut=True)
    for job in () if session.output.is_for_people else jobs:
        session.output.record(record(job), *row(job))
    if not jobs and not session.json:
        session.output.note("no job matches")


async def pause(session: Session, job: JobName) -> None:
    """Begin nothing more of a job until it is resumed."""
    async with session.officer() as officer:
        _say(session, await officer.jobs.pause(await _meant(officer, job)))


async def resume(session: Session, job: JobName) -> None:
    """End a pause."""
    async with session.officer() as officer:
        _say(session, await officer.jobs.resume(await _meant(officer, job)))


async def cancel(session: Session, job: JobName, reason: Reason, yes: Yes = False) -> ExitCode:
    """End another's job."""
    name = full_job_name(job)
    require_whole(name, yes=yes)
    if is_beginning(name):
        async with session.officer() as officer:
            name = await _meant(officer, job)
    if not sure(session, f"Cancel {name}? What is not signed yet never will be.", yes=yes):
        return ExitCode.FAILED
    async with session.officer() as officer:
        _say(session, await officer.jobs.cancel(name, reason))
    return ExitCode.OK


async def _meant(officer: "Officer", job: str) -> str:
    """The whole name; the beginning of one that has not ended will do."""
    return await whole_job(full_job_name(job), lambda: officer.jobs.list(limit=MOST_JOBS))


def _narrow(job: "Job") -> tuple[object, ...]:
    counts = (job.item_count, job.signed_count, job.failed_count)
    known = " ".join(filter(None, [shown_labels(job), job.state_reason]))
    return (job.name, job.caller, job.state, *counts, known)


def row(job: "Job") -> tuple[object, ...]:
    """For programs."""
    counts = (job.item_count, job.signed_count, job.failed_count)
    return (job.name, job.caller, job.state, *counts, shown_labels(job), job.state_reason)


def _say(session: Session, job: "Job") -> None:
    session.output.record(record(job), *row(job))


session_command(app, "list", epilog=_LIST)(list_jobs)
session_command(app, "pause", epilog=_PAUSE)(pause)
session_command(app, "resume", epilog=_RESUME)(resume)
session_command(app, "cancel", epilog=_CANCEL)(cancel)
