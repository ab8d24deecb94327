"""What a command prints: a table on a terminal, tab-separated lines off it, JSON lines if asked."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def plain(text: object) -> str:
    """`text` without what could move a terminal's cursor or break a line: names in certificates are not ours."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


class Output:
    """Standard output for results, standard error for everything else."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    def record(self, record: Mapping[str, Any], *columns: object) -> None:
        """One result, as soon as it is there."""
        if self.as_json:
            typer.echo(json.dumps(record))
        else:
            typer.echo("\t".join(map(plain, columns)))

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
            table.add_row(*(Text(plain(cell).replace(",", ", "), overflow="fold") for cell in row))
        Console().print(table)

    def facts(self, record: Mapping[str, Any], facts: Mapping[str, object]) -> None:
        """One thing with its properties: `name: value` lines, the names aligned on a terminal."""
        if self.as_json:
            typer.echo(json.dumps(record))
            return
        width = max(map(len, facts), default=0) + 2
        for name, value in facts.items():
            for line in str(value).splitlines() or [""]:
                head = f"{name}:".ljust(width) if self.is_terminal else f"{name}\t"
                typer.echo(head + plain(line))

    def note(self, text: str) -> None:
        """Something for people, which is no result."""
        typer.echo(plain(text), err=True)

    def error(self, text: str) -> None:
        typer.echo(f"error: {plain(text)}", err=True)
