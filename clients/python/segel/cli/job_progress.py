"""How far an upload or a job is: a bar on a terminal, now and then a line off it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from segel.cli.output import Output

_STEPS: Final = 10


class Progress(Protocol):
    """Takes how many there are by now, and what else there is to say."""

    def __call__(self, finished: int, text: str = "", /) -> None: ...


@contextmanager
def progress(output: Output, word: str, total: int, *, quiet: bool = False) -> Iterator[Progress]:
    """On standard error."""
    if quiet:
        yield _nothing
    elif sys.stderr.isatty():
        with _bar(word, total) as show:
            yield show
    else:
        yield _Lines(output, word, total)


def _nothing(_finished: int, _text: str = "") -> None:
    """Nothing is shown."""


class _Lines:
    """A line for each tenth, and for each other text."""

    def __init__(self, output: Output, word: str, total: int) -> None:
        self._output = output
        self._word = word
        self._total = total
        self._said = (0, "")

    def __call__(self, finished: int, text: str = "") -> None:
        now = (finished * _STEPS // max(self._total, 1), text)
        if now != self._said:
            self._said = now
            line = f"{finished} of {self._total} {self._word}"
            self._output.note(f"{text}: {line}" if text else line)


@contextmanager
def _bar(word: str, total: int) -> Iterator[Progress]:
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(complete_style="blue", finished_style="blue"),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(word, total=total)

        def show(finished: int, text: str = "", /) -> None:
            bar.update(task, completed=finished, description=text or word)

        yield show
