"""Works on many files at once: a failure stops its file, not the others, unless the others would fail alike."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, Self

from segel.cli.exit_codes import ExitCode, of_many
from segel.cli.failures import Failure, explain
from segel.cli.output import Output, plain
from segel.cli.plan import Task

AT_ONCE = 32
"""Files worked on at once: enough to keep a token busy while others are read and written."""

Work = Callable[[Task], Awaitable[None]]


class Bar(Protocol):
    """Shows how far it is."""

    def advance(self) -> None: ...

    def note(self, text: str) -> None: ...


async def work_on(tasks: Sequence[Task], work: Work, output: Output, *, done: str) -> ExitCode:
    """Does `work` for each task; prints a line for each and, for several, a summary.

    :param done: the word for success, for example "signed".
    """
    failures: list[Failure] = []
    hopeless: list[Failure] = []
    finished = 0
    waiting = iter(tasks)

    with _bar(len(tasks), done, output) as bar:

        async def take() -> None:
            nonlocal finished
            for task in waiting:
                if hopeless:
                    return
                failure = await _try(task, work)
                bar.advance()
                if failure is None:
                    finished += 1
                    _say_done(task, output, quiet=bar.hides_results)
                    continue
                failures.append(failure)
                _say_failed(task, failure, output, bar)
                if failure.is_hopeless:
                    hopeless.append(failure)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(tasks))):
                    group.create_task(take())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # what was not expected: one of them says enough

    untried = len(tasks) - finished - len(failures)
    if len(tasks) > 1:
        rest = f", {untried} not tried" if untried else ""
        output.note(f"{finished} of {len(tasks)} {done}, {len(failures)} failed{rest}")
    codes = [failure.code for failure in failures] + [ExitCode.OK] * finished
    return of_many(codes)


async def _try(task: Task, work: Work) -> Failure | None:
    try:
        await work(task)
    except BrokenPipeError:
        raise  # nobody reads what is written: that is not the file's fault
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        return failure
    return None


def _say_done(task: Task, output: Output, *, quiet: bool) -> None:
    if task.target is None or (quiet and not output.as_json):
        return
    output.record({"file": task.name, "output": str(task.target)}, task.name, task.target)


def _say_failed(task: Task, failure: Failure, output: Output, bar: Bar) -> None:
    if output.as_json:
        output.record({"file": task.name, "error": failure.text, "exit_code": int(failure.code)})
    text = failure.text if failure.text.startswith(f"{task.name}:") else f"{task.name}: {failure.text}"
    bar.note(f"error: {plain(text)}")


class _NoBar:
    hides_results = False

    def __init__(self, output: Output) -> None:
        self._output = output

    def advance(self) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        self._output.note(text)


@contextmanager
def _bar(total: int, word: str, output: Output) -> Iterator["_NoBar | _RichBar"]:
    """A progress bar on standard error, if that is a terminal and there is something to wait for."""
    if total < 2 or not sys.stderr.isatty():
        yield _NoBar(output)
        return
    with _RichBar(total, word) as bar:
        yield bar


class _RichBar:
    def __init__(self, total: int, word: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.hides_results = sys.stdout.isatty()  # lines of results would tear the bar
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(word, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self) -> None:
        self._progress.advance(self._task)

    def note(self, text: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text(text))
