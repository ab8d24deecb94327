"""`segel job submit`"""

import asyncio
import contextlib
import datetime as dt
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import typer

from segel._counts import counted
from segel.cli.digest_lines import Named
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError, naming
from segel.cli.job_follow import watch_to_the_end
from segel.cli.job_items import Items, of_files, of_lines
from segel.cli.job_progress import progress
from segel.cli.job_request import RequestId
from segel.cli.job_results import check_content, check_path, write_file
from segel.cli.job_view import ENDS, Labels, labels_of, record
from segel.cli.session import Session, session_command
from segel.cli.sign import Algorithm, Ecdsa, EcdsaOption, KeyName, parse_algorithm
from segel.cli.waiting import waiting_said

if TYPE_CHECKING:
    from segel import Client, Job, JobHandle, Signer

_EPILOG = """\
Examples:
  sha256sum letters/*.pdf | segel job submit --key keys/seal-2026 --digests - --results signatures.jsonl
  segel job submit --key keys/seal-2026 --digests digests.txt --label batch=july --wait
  segel job submit --key keys/seal-2026 decree.xml annex.xml

Digests are lines of sha256sum (sha384sum, sha512sum), whose names become the items' ids, or bare hexadecimal.

Once the job's name is printed the daemon has everything, and signs it whatever happens here. The same digests, key and algorithm make the same job, however often this runs: after a break it goes on where it stopped. --again makes a new one.

Off a terminal the job's name is all that is printed."""

_SPAN: Final = re.compile(r"(\d+)([smhd])")
_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE...", help="What to sign, if not --digests.", show_default=False),
]
Digests = Annotated[str | None, typer.Option(metavar="FILE", help="Lines of digests; - is standard input.")]
Priority = Annotated[
    str, typer.Option(metavar="normal|low", help="Low gives way to other jobs.", show_default=True)
]
Deadline = Annotated[
    str | None, typer.Option(metavar="72h", help="From then on no item is begun: 90m, 72h, 7d.")
]
Request = Annotated[
    str | None, typer.Option("--request-id", metavar="ID", help="Names the job instead of its content.")
]
Again = Annotated[bool, typer.Option("--again", help="A new job, even if there is one of the same content.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end; the exit code says how.")]
Results = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="Wait, and write the results here, as `segel job results --out` does."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="The job's name and nothing else.")]


def register(group: typer.Typer) -> None:
    session_command(group, "submit", epilog=_EPILOG, codes=ENDS)(submit)


async def submit(
    session: Session,
    files: Files = None,
    digests: Digests = None,
    key: KeyName = None,
    algorithm: Algorithm = None,
    ecdsa: EcdsaOption = Ecdsa.DER,
    label: Labels = None,
    priority: Priority = "normal",
    deadline: Deadline = None,
    request_id: Request = None,
    again: Again = False,
    wait: Wait = False,
    results: Results = None,
    quiet: Quiet = False,
) -> ExitCode:
    """Hand over a batch: once it is taken, it is signed."""
    if bool(files) == (digests is not None):
        raise UsageError("give either files to sign, or --digests FILE")
    if request_id is not None and again:
        raise UsageError("--request-id names one job, and --again makes a new one: give one of them")
    if priority not in ("normal", "low"):
        raise UsageError(f"--priority is normal or low, not {priority!r}")
    if request_id == "":
        raise UsageError("--request-id is empty")
    if results is not None:
        check_path(results)
    labels, span, wanted = labels_of(label), _span(deadline), parse_algorithm(algorithm)
    async with session.client_and_key(key) as (client, asked):
        with naming(asked):
            signer = await client.signer(asked, algorithm=wanted)
            async with _items(signer, files, digests) as items:
                salt = os.urandom(16) if again else b""
                name = RequestId(asked, signer.algorithm.value, ecdsa.value, salt)
                await asyncio.to_thread(name.take_all, items)
                identifier = request_id or name.name
                before = await _known(client, identifier)
                if results is not None:
                    check_content(results, None if before is None else before.name)
                silent = quiet or session.json
                with (
                    waiting_said(session.output, quiet=quiet),
                    progress(session.output, "sent", name.count, quiet=silent) as show,
                    _said_as_options(before, derived=request_id is None),
                ):
                    handle = await client.jobs.create(
                        asked,
                        name.again(items),
                        request_id=identifier,
                        algorithm=signer.algorithm,
                        ecdsa=ecdsa.value,
                        priority=cast("Literal['normal', 'low']", priority),
                        labels=labels,
                        deadline=span,
                        progress=show,
                    )
        _say(session, handle, before, quiet=quiet)
        if results is not None:
            check_content(results, handle.name)
        code = ExitCode.OK
        if wait or results is not None:
            code = await watch_to_the_end(session, handle, quiet=quiet or not session.output.is_for_people)
        if results is not None and handle.info.state != "rejected":
            with waiting_said(session.output, quiet=quiet):
                code = await write_file(session, handle, results)
        return code


def _span(text: str | None) -> dt.timedelta | None:
    """:raises UsageError: if it is none."""
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UsageError(f"--deadline is a number and s, m, h or d, for example 72h; not {text!r}")
    return dt.timedelta(seconds=int(found[1]) * _UNIT[found[2]])


@contextlib.asynccontextmanager
async def _items(signer: "Signer", files: list[str] | None, digests: str | None) -> AsyncIterator[Items]:
    size = signer.algorithm.digest_size
    if digests is None:
        items: list[Named] = [*await of_files(files or [], signer.algorithm.hash_name)]
        yield items
    elif size is None:
        raise UsageError("Ed25519 signs messages and not digests: give the files themselves")
    else:
        async with of_lines(digests, size) as lines:
            yield lines


async def _known(client: "Client", request_id: str) -> "Job | None":
    """The job that is there already."""
    async for job in client.jobs.list(request_id=request_id, limit=1):
        return job
    return None


@contextlib.contextmanager
def _said_as_options(before: "Job | None", *, derived: bool) -> Iterator[None]:
    from segel import errors

    try:
        yield
    except (errors.IdempotencyMismatch, errors.JobStateError) as error:
        text = error.text.rstrip(".")
        how = "give --again for a new job" if derived else "give another --request-id"
        if derived and isinstance(error, errors.IdempotencyMismatch):
            name = "" if before is None else f" ({before.name})"
            text = f"the same digests were submitted before{name} with other options (labels, priority, retention, key)"
        raise UsageError(f"{text}; {how}") from error


def _say(session: Session, handle: "JobHandle", before: "Job | None", *, quiet: bool) -> None:
    job, output = handle.info, session.output
    if session.json:
        output.line(json.dumps(record(job) | {"is_new": before is None}))
    else:
        output.line(job.name)
    output.flush()
    if quiet or session.json:
        return
    if before is not None and before.is_sealed:
        output.note(f"the same job as before: {job.name}, {job.state}")
    else:
        output.note(
            f"{counted(job.item_count, 'item')} {'is' if job.item_count == 1 else 'are'} with the daemon: {job.state}"
        )
