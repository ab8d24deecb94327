"""Verifies a whole log on its files alone: that nothing was changed, taken out or put in, and that it makes sense."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from segeld.audit import files, find_index, layout
from segeld.audit.archived import read_mark
from segeld.audit.layout import WIDTH
from segeld.audit.leaf import Commitments
from segeld.audit.meaning import Meaning
from segeld.audit.note import BadNote, Verifier
from segeld.audit.reader import Log, open_log_folder, read_salt
from segeld.audit.report import Report
from segeld.audit.tiles import BadFile, not_permitted
from segeld.audit.tree_check import TreeCheck
from segeld.model.counts import counted, fitting

_SHOWN: Final = 5


def verify(
    folder: Path,
    verifier: Verifier,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    archives: tuple[Path, ...] = (),
) -> Report:
    """:param verifier: the log's public key, from elsewhere: a log that vouches for itself proves nothing.
    :param archives: folders that have bundles which were archived.
    :param progress: called with the number of leaves that are done, and of all.
    :raises LogUnreadable: if there is no log to verify.
    """
    report = Report(verifier.name)
    try:
        log = open_log_folder(folder, verifier, archives)
    except BadFile as error:
        report.add(f"{error.text}. Nothing else was checked: it says what the log should hold", error.path)
        return report
    report.size, report.root = log.checkpoint.size, log.checkpoint.root
    tree = TreeCheck(log.tiles, report)
    meaning = Meaning(report, _salt(folder, report), log.leaf)
    for number, width in layout.widths(log.checkpoint.size, 0):
        for index, leaf in enumerate(tree.take(number), number * WIDTH):
            meaning.take(index, leaf)
        progress(number * WIDTH + width, log.checkpoint.size)
    tree.finish(log.checkpoint.root)
    meaning.finish()
    _mark(log, verifier, report)
    _other_files(log, verifier, report)
    if report.unfinished_count and not tree.lacks_leaves:  # else their outcomes may be in what is missing
        report.warnings.append(
            f"{report.unfinished_count} intents have no outcome: signing was under way when the checkpoint was made, or "
            f"the daemon was stopped and has not been started since (leaf {', '.join(map(str, report.unfinished[:_SHOWN]))}"
            f"{' …' if report.unfinished_count > _SHOWN else ''})"
        )
    return report


def _mark(log: Log, verifier: Verifier, report: Report) -> None:
    try:
        mark = read_mark(log.folder, verifier)
        wrong = "" if mark is None else mark.contradiction(log.checkpoint.size, log.tiles.node)
    except BadNote as error:
        wrong = f"it does not say truly what was archived: {error}"
    except PermissionError:
        raise not_permitted(log.folder / layout.ARCHIVED) from None
    except BadFile:
        return  # that tile was mentioned
    except OSError as error:
        wrong = (error.strerror or "it cannot be read").lower()
    if wrong:
        report.add(wrong, layout.ARCHIVED)


def _salt(folder: Path, report: Report) -> Commitments | None:
    try:
        found = read_salt(folder)
    except BadFile as error:
        report.add(error.text, error.path)
        return None
    if isinstance(found, str):
        report.warnings.append(
            f"{found}: whether what was signed is what the intents announced was not checked"
        )
        return None
    return found


def _other_files(log: Log, verifier: Verifier, report: Report) -> None:
    """The files beside the tree must say the same as the tree and the key from elsewhere; others are mentioned."""
    for name, expected, what in (
        (layout.KEY, f"{verifier}\n", "the key that you gave"),
        (layout.PREVIOUS, report.previous, "what the first leaf says of the earlier log"),
    ):
        if name == layout.PREVIOUS and not report.first_at:
            continue  # the first leaf is missing
        try:
            if (log.folder / name).read_bytes() != expected.encode():
                report.add(f"it is not {what}", name)
        except FileNotFoundError:
            pass  # a copy need not have it
        except PermissionError:
            raise not_permitted(log.folder / name) from None
        except OSError as error:
            report.add((error.strerror or "it cannot be read").lower(), name)
    beside = {
        layout.CHECKPOINT,
        layout.KEY,
        layout.SALT,
        layout.PREVIOUS,
        layout.RESTORED,
        layout.ARCHIVED,
        find_index.FILE,
    }
    expected_files = beside.union(layout.files(log.checkpoint.size))
    others = sorted(name for name in _names(log.folder) if name not in expected_files)
    if others:
        unfinished = sum(name.endswith(files.NEW) for name in others)
        report.warnings.append(
            f"{counted(len(others), 'file')} here {fitting(len(others), 'is', 'are')} no part of this log of "
            f"{counted(log.checkpoint.size, 'leaf', 'leaves')} and {fitting(len(others), 'was', 'were')} not looked at, "
            f"{unfinished} of them unfinished ({', '.join(others[:_SHOWN])}{' …' if len(others) > _SHOWN else ''}): "
            "the daemon is writing, or was stopped while it did"
        )


def _names(folder: Path) -> Iterator[str]:
    """Every file, from the folder. A folder that the daemon removes meanwhile is no matter."""
    for parent, _, names in os.walk(folder):
        for name in names:
            yield (Path(parent) / name).relative_to(folder).as_posix()
