"""What a command prints: a table on a terminal, tab-separated lines off it, JSON lines if asked."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.cells import cell_len, set_cell_size

from segel.cli.failures import OutputFailed


def plain(text: object) -> str:
    """`text` without what could move a terminal's cursor or break a line: names in certificates are not ours."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


@contextmanager
def _of_standard_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(error) from error


class Output:
    """Standard output for results, standard error for everything else."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    @property
    def is_for_people(self) -> bool:
        return self.is_terminal and not self.as_json

    def line(self, text: str) -> None:
        """:raises OutputFailed: if it cannot be written, unless nobody reads it any more."""
        with _of_standard_output():
            typer.echo(text)

    def flush(self) -> None:
        """:raises OutputFailed: if it cannot be written, unless nobody reads it any more."""
        with _of_standard_output():
            sys.stdout.flush()

    def write(self, content: bytes) -> None:
        """A result that is no text.

        :raises OutputFailed: if it cannot be written, unless nobody reads it any more.
        """
        with _of_standard_output():
            sys.stdout.buffer.write(content)
            sys.stdout.flush()

    def record(self, record: Mapping[str, Any], *columns: object) -> None:
        """One result, as soon as it is there."""
        if self.as_json:
            self.line(json.dumps(record))
        else:
            self.line("\t".join(map(plain, columns)))

    def table(
        self, columns: Sequence[str], rows: Sequence[tuple[Mapping[str, Any], Sequence[object]]]
    ) -> None:
        """Results with one record for programs and one row for people each."""
        if self.as_json or not self.is_terminal:
            for record, row in rows:
                self.record(record, *row)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for _, row in rows:
            name, *others = map(plain, row)
            cells = (Text(other.replace(",", ", "), overflow="fold") for other in others)
            table.add_row(Text(name, no_wrap=True, overflow="ignore"), *cells)
        with _of_standard_output():
            Console().print(table)

    def lines(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, cut: bool) -> None:
        """One line for each row on a terminal, in which names can be copied; only the last cell is ever cut.

        :param cut: to the terminal's width; else lines are as long as they are.
        """
        cells = [list(columns), *([plain(cell) for cell in row] for row in rows)]
        widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
        room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        for row in cells:
            *names, last = row
            if cut and cell_len(last) > room:
                last = f"{last[: max(room - 1, 0)]}…" if room > 0 else ""
            padded = [set_cell_size(name, width) for name, width in zip(names, widths, strict=False)]
            line = "  ".join([*padded, last]).rstrip()
            self.line(typer.style(line, bold=True) if row is cells[0] else line)

    def facts(self, record: Mapping[str, Any], facts: Mapping[str, object]) -> None:
        """One thing with its properties: `name: value` lines, the names aligned on a terminal. A tuple has a line for each
        of its values; no value makes lines of its own.
        """
        if self.as_json:
            self.line(json.dumps(record))
            return
        width = max(map(len, facts), default=0) + 2
        for name, value in facts.items():
            for line in value if isinstance(value, tuple) else (value,):
                head = f"{name}:".ljust(width) if self.is_terminal else f"{name}\t"
                self.line(head + plain(line))

    def note(self, text: str) -> None:
        """Something for people, which is no result."""
        typer.echo(plain(text), err=True)

    def error(self, text: str) -> None:
        typer.echo(f"error: {plain(text)}", err=True)
