"""What is shown of a job, and how its end becomes an exit code."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from segel._counts import counted
from segel.cli.beginnings import MOST_JOBS, shortened, whole_job
from segel.cli.completing import complete_job
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError

if TYPE_CHECKING:
    from segel import Client, Job

ENDS: Final = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_CONNECTED,
    ExitCode.NOT_ALLOWED,
    ExitCode.TRY_LATER,
    ExitCode.JOB_CANCELLED,
    ExitCode.JOB_EXPIRED,
    ExitCode.JOB_REJECTED,
)
"""What commands end with that say how a job ended."""

_CODE: Final = {
    "succeeded": ExitCode.OK,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.JOB_CANCELLED,
    "expired": ExitCode.JOB_EXPIRED,
    "rejected": ExitCode.JOB_REJECTED,
}

JobName = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Its name, with or without jobs/; its first digits will do, 8 at least.",
        show_default=False,
        autocompletion=complete_job,
    ),
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Can be given several times.")
]


def full_job_name(name: str) -> str:
    return name if name.startswith("jobs/") else f"jobs/{name}"


async def job_meant(client: "Client", name: str, *, held: bool = False) -> str:
    """The whole name of a job of which the beginning may do.

    :param held: only those that wait for an approver are meant.
    :raises UsageError: if several begin so.
    """
    from segel import JobState

    states = [JobState.HELD] if held else []
    return await whole_job(full_job_name(name), lambda: client.jobs.list(states=states, limit=MOST_JOBS))


def labels_of(words: list[str] | None) -> dict[str, str]:
    """:raises UsageError: for one without a value, or two of the same name."""
    labels = {}
    for word in words or ():
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise UsageError(f"--label wants NAME=VALUE, not {word!r}")
        if name in labels:
            raise UsageError(f"--label {name} is given twice")
        labels[name] = value
    return labels


def code_of(job: "Job") -> ExitCode:
    """How it ended; TRY_LATER if it has not."""
    return _CODE.get(job.state, ExitCode.TRY_LATER)


def record(job: "Job") -> dict[str, Any]:
    """For programs."""
    times = (
        "create_time",
        "seal_time",
        "start_time",
        "end_time",
        "deadline",
        "expire_time",
        "decide_time",
    )
    return {
        "name": job.name,
        "state": str(job.state),
        "state_reason": job.state_reason,
        "key": job.key,
        "algorithm": None if job.algorithm is None else str(job.algorithm),
        "ecdsa": job.ecdsa,
        "priority": job.priority,
        "labels": dict(job.labels),
        "request_id": job.request_id,
        "item_count": job.item_count,
        "signed_count": job.signed_count,
        "failed_count": job.failed_count,
        "items_hash": job.items_hash.hex(),
        "read_offset": job.read_offset,
        "caller": job.caller,
        "decided_by": job.decided_by,
    } | {name: _iso(getattr(job, name)) for name in times}


def facts(job: "Job") -> dict[str, str]:
    """For people: what there is to say, and nothing else."""
    said = {
        "name": job.name,
        "state": str(job.state),
        "reason": job.state_reason,
        "caller": job.caller,
        "items": str(job.item_count),
        "signed": str(job.signed_count),
        "failed": str(job.failed_count),
        "key": job.key,
        "algorithm": "" if job.algorithm is None else str(job.algorithm),
        "priority": job.priority,
        "labels": shown_labels(job),
        "request": job.request_id,
        "items hash": job.items_hash.hex(),
        "decided by": job.decided_by,
        "decided": _iso(job.decide_time) or "",
        "created": _iso(job.create_time) or "",
        "ended": _iso(job.end_time) or "",
        "deadline": _iso(job.deadline) or "",
        "kept until": _iso(job.expire_time) or "",
    }
    return {name: value for name, value in said.items() if value}


def to_decide(job: "Job", now: dt.datetime) -> dict[str, str]:
    """For an approver: what there is to say yes or no to."""
    return {
        "job": job.name,
        "state": str(job.state),
        "caller": job.caller,
        "key": job.key,
        "labels": shown_labels(job) or "(none)",
        "items": str(job.item_count),
        "waits": ""
        if job.seal_time is None
        else f"for {age(now - job.seal_time)}, since {_iso(job.seal_time)}",
        "deadline": _iso(job.deadline) or "",
        "items hash": job.items_hash.hex(),
    }


def age(span: dt.timedelta) -> str:
    """In the largest unit of which there are two."""
    seconds = max(0, int(span.total_seconds()))
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return counted(seconds, "second")


def shown_labels(job: "Job") -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(job.labels.items()))


def row(job: "Job") -> tuple[object, ...]:
    """For a table: name, state, items, signed, failed, when it was created, labels."""
    counts = (job.item_count, job.signed_count, job.failed_count)
    return (job.name, job.state, *counts, _iso(job.create_time) or "", shown_labels(job))


def rows_for_people(
    jobs: Sequence["Job"], row: Callable[["Job"], tuple[object, ...]]
) -> list[tuple[object, ...]]:
    """:param row: of one job, its name first."""
    short = shortened([job.name for job in jobs])
    return [(short[job.name], *row(job)[1:]) for job in jobs]


def _iso(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")
