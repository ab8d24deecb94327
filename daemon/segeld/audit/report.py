"""What a verification found."""

from dataclasses import dataclass, field
from typing import Final

KEPT: Final = 1_000
"""Problems that are kept; more are only counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    text: str
    path: str | None = None
    """The file at fault, from the log's folder."""
    leaf: int | None = None

    def __str__(self) -> str:
        where = [f"leaf {self.leaf}"] if self.leaf is not None else []
        where += [self.path] if self.path else []
        return f"{', '.join(where)}: {self.text}" if where else self.text


@dataclass(slots=True)
class Report:
    origin: str
    size: int = 0
    root: bytes = b""
    previous: str = ""
    """The last checkpoint of the log that this one continues."""
    intents: int = 0
    outcomes: int = 0
    acts: int = 0
    signatures: int = 0
    unsigned: int = 0
    """Attempts that gave no signature."""
    unfinished: list[int] = field(default_factory=list)
    """The first intents without an outcome."""
    unfinished_count: int = 0
    away: list[tuple[int, int]] = field(default_factory=list)
    """Spans of leaves that were archived and not read, with the first and the last of each: only their hashes were."""
    first_at: int = 0
    last_at: int = 0
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.problem_count

    def away_bundle(self, number: int, width: int) -> None:
        """A bundle of so many leaves was not read; to be called in ascending order."""
        first, last = number * width, (number + 1) * width - 1
        if self.away and self.away[-1][1] == first - 1:
            first = self.away.pop()[0]
        self.away.append((first, last))

    def add(self, text: str, path: str | None = None, leaf: int | None = None) -> None:
        self.problem_count += 1
        if len(self.problems) < KEPT:
            self.problems.append(Problem(text, path, leaf))
