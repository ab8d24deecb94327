"""Works on many files at once: a failure stops its file, not the others, unless the others would fail alike."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, Self

from segel.cli import sources
from segel.cli.exit_codes import ExitCode, of_many
from segel.cli.failures import CannotWrite, Failure, explain
from segel.cli.output import Output, plain
from segel.cli.plan import Task

AT_ONCE = 32
"""Files worked on at once: enough to keep a token busy while others are read and written."""
_LARGE: Final = 64 << 20
"""Octets of a single file that takes long enough to show how far its reading is."""

Work = Callable[[Task], Awaitable[None]]


class Bar(Protocol):
    """Shows how far it is."""

    hides_results: bool

    def show(self, finished: int, failed: int) -> None: ...

    def note(self, text: str) -> None: ...


async def work_on(
    tasks: Sequence[Task],
    work: Work,
    output: Output,
    *,
    done: str,
    finished_before: int = 0,
    hashes: bool = False,
) -> ExitCode:
    """Does `work` for each task; prints a line for each and, for several, a summary.

    A failure that the next file would meet as well stops it all, and decides what it ends with.

    :param done: the word for success, for example "signed".
    :param finished_before: files that needed nothing, because their outputs are there.
    :param hashes: whether `work` reads by `sources.digest`, which tells how far it is in a large file.
    """
    failures: list[Failure] = []
    hopeless: list[Failure] = []
    takers: list[asyncio.Task[None]] = []
    finished = 0
    total = len(tasks) + finished_before
    waiting = iter(tasks)
    folders = {task.target.parent for task in tasks if task.target is not None}

    with _bar(tasks, done, output, hashes=hashes) as bar:

        async def take() -> None:
            nonlocal finished
            here = asyncio.current_task()
            for task in waiting:
                if hopeless or (here is not None and here.cancelling()):
                    return
                failure = await _try(task, work, folders)
                if failure is None:
                    finished += 1
                else:
                    failures.append(failure)
                bar.show(finished, len(failures))
                if failure is None:
                    _say_done(task, output, quiet=bar.hides_results)
                    continue
                _say_failed(task, failure, output, bar)
                if failure.is_hopeless and not hopeless:
                    hopeless.append(failure)
                    for other in takers:
                        if other is not here:
                            other.cancel()

        try:
            async with asyncio.TaskGroup() as group:
                takers += [group.create_task(take()) for _ in range(min(AT_ONCE, len(tasks)))]
        except asyncio.CancelledError:
            if total > 1:
                resume = "" if any(task.in_place for task in tasks) else "; run it again with --skip-existing"
                output.note(f"{finished + finished_before} of {total} {done}{resume}")
            raise
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # what was not expected: one of them says enough

    untried = len(tasks) - finished - len(failures)
    if total > 1:
        counts = [f"{finished} of {total} {done}"]
        counts += [f"{finished_before} there already"] if finished_before else []
        counts += [f"{len(failures)} failed"] if failures else []
        counts += [f"{untried} not tried"] if untried else []
        output.note(", ".join(counts) + (_place(tasks, folders, done) if finished else ""))
    if hopeless and untried:
        return hopeless[0].code
    codes = [failure.code for failure in failures] + [ExitCode.OK] * finished
    return of_many(codes)


def _place(tasks: Sequence[Task], folders: set[Path], done: str) -> str:
    """Where to look for what was made."""
    if any(task.in_place for task in tasks):
        return f"; what is {done} took the place of the originals"
    if len(folders) > 1:
        return f"; what is {done} lies beside the originals"
    return "".join(
        f"; what is {done} lies in {'this folder' if folder == Path() else folder}" for folder in folders
    )


async def _try(task: Task, work: Work, folders: set[Path]) -> Failure | None:
    try:
        await work(task)
    except BrokenPipeError:
        raise  # nobody reads what is written: that is not the file's fault
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        if isinstance(error, CannotWrite) and len(folders) > 1 and not error.everywhere:
            return replace(failure, stops=False)
        return failure
    return None


def _say_done(task: Task, output: Output, *, quiet: bool) -> None:
    if task.target is None or (quiet and not output.as_json):
        return
    output.record({"file": task.name, "output": str(task.target)}, task.name, task.target)


def _say_failed(task: Task, failure: Failure, output: Output, bar: Bar) -> None:
    if output.as_json:
        output.record({"file": task.name, "error": failure.text, "exit_code": int(failure.code)})
    if failure.stops or failure.text.startswith(f"{task.name}:"):
        bar.note(f"error: {plain(failure.text)}")
    else:
        bar.note(f"error: {plain(task.name)}: {plain(failure.text)}")


class _NoBar:
    hides_results = False

    def __init__(self, output: Output) -> None:
        self._output = output

    def show(self, finished: int, failed: int) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        self._output.note(text)


@contextmanager
def _bar(tasks: Sequence[Task], word: str, output: Output, *, hashes: bool) -> Iterator[Bar]:
    """A progress bar on standard error, if that is a terminal and there is something to wait for."""
    if not sys.stderr.isatty():
        yield _NoBar(output)
        return
    if len(tasks) > 1:
        with _RichBar(len(tasks), word) as bar:
            yield bar
        return
    size = sum(map(_size, tasks)) if hashes else 0
    if size < _LARGE:
        yield _NoBar(output)
        return
    with _RichBar(size, word, octets=True) as bar, sources.reported_to(bar.advance):
        yield bar


def _size(task: Task) -> int:
    try:
        return 0 if task.source is None else task.source.stat().st_size
    except OSError:
        return 0  # whoever opens it says so


class _RichBar:
    """Counts files, or the octets of a single one. Its colour says nothing: failures are counted in words."""

    def __init__(self, total: int, word: str, *, octets: bool = False) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.hides_results = sys.stdout.isatty()  # lines of results would tear the bar
        self._word = word
        self._octets = octets
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(complete_style="blue", finished_style="blue"),
            DownloadColumn(binary_units=True) if octets else MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("reading" if octets else f"0 {word}", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, octets: int) -> None:
        self._progress.advance(self._task, octets)

    def show(self, finished: int, failed: int) -> None:
        text = f"{finished} {self._word}" + (f", {failed} failed" if failed else "")
        if self._octets:
            self._progress.update(self._task, description=text)
        else:
            self._progress.update(self._task, description=text, completed=finished + failed)

    def note(self, text: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text(text))
