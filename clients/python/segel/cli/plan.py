"""Which file is written for which: decided for all of them before the first is touched."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segel.cli.drafts import make_folder
from segel.cli.failures import UsageError

STANDARD: Final = "-"
"""Standard input or output in place of a file."""


@dataclass(frozen=True, slots=True)
class Task:
    """One file to work on. Paths are None for standard input and output."""

    name: str
    source: Path | None
    target: Path | None

    @property
    def in_place(self) -> bool:
        return self.source is not None and self.source == self.target


def plan(
    files: Sequence[str],
    *,
    beside: Callable[[Path], Path],
    in_folder: Callable[[Path], str],
    output: str | None = None,
    out_dir: Path | None = None,
    in_place: bool = False,
    skip_existing: bool = False,
) -> list[Task]:
    """The tasks, in the order of `files`.

    :param beside: the output for an input when nothing is said about it.
    :param in_folder: the output's name in `out_dir`.
    :param skip_existing: whether inputs that are the outputs of others are left out: a pattern that is given
        again finds them too.
    :raises UsageError: if two inputs would be written to one output, an input would be written over, or the
        options contradict each other.
    """
    if sum((output is not None, out_dir is not None, in_place)) > 1:
        raise UsageError("-o, --out-dir and --in-place cannot be given together")
    if output is not None and len(files) > 1:
        raise UsageError(f"-o names one output, but {len(files)} files were given; use --out-dir")
    if output is not None and output != STANDARD and Path(output).is_dir():
        raise UsageError(f"{output} is a folder; use --out-dir")
    if files.count(STANDARD) > 1 or (STANDARD in files and (out_dir is not None or in_place)):
        raise UsageError("standard input (-) is read once, and its output goes to -o or to standard output")

    def target_of(file: str) -> Path | None:
        if output is not None:
            return None if output == STANDARD else Path(output)
        if file == STANDARD:
            return None
        if in_place:
            return Path(os.path.realpath(file))  # the file itself, where a link only leads to it
        return out_dir / in_folder(Path(file)) if out_dir is not None else beside(Path(file))

    tasks = []
    for file in files:
        target = target_of(file)
        source = None if file == STANDARD else target if in_place else Path(file)
        tasks.append(Task("standard input" if file == STANDARD else file, source, target))
    if skip_existing:
        outputs = {_place(task.target) for task in tasks if task.target is not None}
        tasks = [
            task for task in tasks if task.source is None or os.path.realpath(task.source) not in outputs
        ]
    _refuse_collisions(tasks, in_place=in_place)
    if out_dir is not None:
        make_folder(out_dir)
    return tasks


def _place(target: Path) -> str:
    return str(Path(os.path.realpath(target.parent)) / target.name)


def _refuse_collisions(tasks: Sequence[Task], *, in_place: bool) -> None:
    sources = {os.path.realpath(task.source): task.name for task in tasks if task.source is not None}
    targets: dict[str, str] = {}
    for task in tasks:
        if task.target is None:
            continue
        place = _place(task.target)
        if place in targets:
            both = (
                f"{targets[place]} and {task.name}"
                if targets[place] != task.name
                else f"{task.name}, given twice,"
            )
            raise UsageError(f"{both} would be written to {task.target}; nothing was done")
        if not in_place and os.path.realpath(place) in sources:
            raise UsageError(f"{task.target} is an input and would be written over; nothing was done")
        targets[place] = task.name


def leave_out_finished(
    tasks: Sequence[Task], *, skip: bool, force: bool, in_place: bool = False
) -> list[Task]:
    """The tasks whose output is not there yet, if `skip`; outputs are there whole or not at all.

    :raises UsageError: if the options contradict each other.
    """
    if not skip:
        return list(tasks)
    if force or in_place:
        raise UsageError(
            f"--skip-existing and {'--force' if force else '--in-place'} cannot be given together"
        )
    return [task for task in tasks if task.target is None or not task.target.is_file()]
