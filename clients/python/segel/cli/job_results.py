"""`segel job results`: JSON lines in the order of the items, to standard output or to a file that can be gone on with."""

import base64
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from segel._counts import counted
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_view import ENDS, JobName, code_of, job_meant
from segel.cli.session import Session, session_command
from segel.cli.waiting import waiting_said
from segel.errors import SegelError

if TYPE_CHECKING:
    from segel import Client, Failure, JobHandle, Signature

_EPILOG = """\
Examples:
  segel job results 0123456789abcdef0123456789abcdef --out signatures.jsonl
  segel job results jobs/0123456789abcdef0123456789abcdef --no-wait | jq -r 'select(.error) | .id'

One line for each item, in order: {"job", "index", "id", "signature" in base64, "leaf": {"origin", "index", "position"}}, or \
{"job", "index", "id", "error": {"reason", "message"}}.

With --out it goes on where the file stopped; a line that was cut off there is written anew. A file that holds anything \
else, or results of another job, is left alone."""

_AT_ONCE: Final = 1 << 20
_ANOTHER: Final = "give another file (--out, or --results of `segel job submit`)"

Offset = Annotated[int, typer.Option(min=0, metavar="N", help="Begin with the item at N, counted from 0.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Until the job has ended, or what there is.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write here; goes on where it stopped.")
]


def register(group: typer.Typer) -> None:
    session_command(group, "results", epilog=_EPILOG, codes=ENDS)(results)


async def results(
    session: Session, job: JobName, offset: Offset = 0, wait: Wait = True, out: Out = None
) -> ExitCode:
    """Write what came of each item."""
    if out is not None:
        check_path(out)
    async with session.client() as client:
        with waiting_said(session.output):
            return await _results(session, client, job, offset, wait=wait, out=out)


async def _results(
    session: Session, client: "Client", job: str, offset: int, *, wait: bool, out: Path | None
) -> ExitCode:
    handle = await client.jobs.open(await job_meant(client, job))
    if out is not None:
        return await write_file(session, handle, out, offset, wait=wait)
    await _write(handle, offset, session.output.line, wait=wait)
    return await _end(session, handle)


def check_path(path: Path) -> None:
    """Changes nothing.

    :raises UsageError: if no file can be written there.
    """
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"{path} is a folder, and no file of results")
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder}")
    if path.exists():
        if not path.is_file():
            raise UsageError(f"{path} is no regular file")
        if not os.access(path, os.R_OK | os.W_OK):
            raise UsageError(f"{path} cannot be read and written")
    elif not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: no file can be made in {folder}")


def check_content(path: Path, job: str | None) -> None:
    """Changes nothing.

    :param job: whose results are to be there; None if it is yet to be made.
    :raises UsageError: if the file holds anything else.
    """
    if path.exists():
        with path.open("rb") as file:
            _standing(file, path, job, 0)


async def write_file(
    session: Session, handle: "JobHandle", path: Path, offset: int = 0, *, wait: bool = True
) -> ExitCode:
    """Appends to the file what is not in it yet.

    :raises UsageError: if the file holds something else, or somebody else writes it.
    """
    with _opened(path) as file:
        begun = offset + _complete_lines(file, path, handle.name, offset)
        await _write(handle, begun, lambda line: file.write(f"{line}\n".encode()), wait=wait)
    return await _end(session, handle)


async def _end(session: Session, handle: "JobHandle") -> ExitCode:
    job = await handle.refresh()
    if code_of(job) is ExitCode.JOB_REJECTED:
        session.output.error(f"{job.name} was rejected, and has no results: {job.state_reason}")
    if not job.state.is_final:
        count = job.signed_count + job.failed_count
        session.output.note(
            f"{job.name} has not ended: {count} of {counted(job.item_count, 'item')} {'has its' if count == 1 else 'have their'} result"
        )
    code = code_of(job)
    return ExitCode.FAILED if code is ExitCode.TRY_LATER and job.failed_count else code


async def _write(handle: "JobHandle", offset: int, write: Callable[[str], object], *, wait: bool) -> None:
    found: AsyncIterator[Signature | Failure] = handle.results(offset, wait=wait)
    try:
        async for result in found:
            write(_line(handle.name, result))
    except SegelError as error:
        # A job that was rejected has no results, and that is how it ended: `_end` says so.
        if error.reason != "JOB_STATE" or code_of(await handle.refresh()) is not ExitCode.JOB_REJECTED:
            raise


def _line(job: str, result: "Signature | Failure") -> str:
    from segel import Failure

    line: dict[str, object] = {"job": job, "index": result.index, "id": result.id}
    if isinstance(result, Failure):
        line["error"] = {"reason": result.error.reason, "message": result.error.text}
        return json.dumps(line)
    line["signature"] = base64.b64encode(result.value).decode()
    if result.log_origin:
        leaf = {"origin": result.log_origin, "index": result.leaf_index, "position": result.leaf_position}
        line["leaf"] = leaf
    return json.dumps(line)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{path} is being written by another process") from None
        try:
            yield file
        finally:
            file.flush()
            os.fsync(file.fileno())


def _complete_lines(file: BinaryIO, path: Path, job: str, offset: int) -> int:
    """How many there are; the rest is cut off, and the file stands at its end.

    :raises UsageError: if it holds something else than results of `job`.
    """
    count, end = _standing(file, path, job, offset)
    file.truncate(end)
    file.seek(end)
    return count


def _standing(file: BinaryIO, path: Path, job: str | None, offset: int) -> tuple[int, int]:
    """How many complete lines there are, and where they end.

    :raises UsageError: if the last is not the result that must be there, or half a line is of something else.
    """
    count = end = position = 0
    while block := file.read(_AT_ONCE):
        newest = block.rfind(b"\n")
        if newest >= 0:
            count += block.count(b"\n")
            end = position + newest + 1
        position += len(block)
    if count:
        file.seek(max(end - _AT_ONCE, 0))
        _check_last(file.read(min(end, _AT_ONCE)).splitlines()[-1], path, job, offset + count - 1)
    elif position:
        file.seek(0)
        half = file.read(_AT_ONCE)
        begin = f'{{"job": {json.dumps(job)}, "index": {offset}, '.encode()
        if job is None or half[: len(begin)] != begin[: len(half)]:
            raise UsageError(f"{path} holds something else than results of {_said(job)}; {_ANOTHER}")
    return count, end


def _check_last(line: bytes, path: Path, job: str | None, index: int) -> None:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("job"), str):
        raise UsageError(f"{path} holds something else than results of {_said(job)}; {_ANOTHER}")
    if found["job"] != job:
        raise UsageError(f"{path} holds results of {found['job']}, and not of {_said(job)}; {_ANOTHER}")
    if found.get("index") != index:
        raise UsageError(f"{path} holds something else than the results from {index}; {_ANOTHER}")


def _said(job: str | None) -> str:
    return job or "the new job"
