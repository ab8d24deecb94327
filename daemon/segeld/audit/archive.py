"""Moves old full bundles away: copied, compared, marked, then removed. Hashes stay, so the tree can still be verified.

Interrupted anywhere and done again, it comes to the same end: bundles go only after a durable mark that says that they are
in an archive, and the mark is only made when they are. The daemon may write meanwhile; it never touches a full bundle again.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segeld.audit import files, layout
from segeld.audit.archived import Mark, read_mark
from segeld.audit.layout import ENTRIES, WIDTH
from segeld.audit.leaf import decode
from segeld.audit.merkle import root_at
from segeld.audit.note import BadNote, Signer
from segeld.audit.proof import prove_bundle
from segeld.audit.reader import Log, open_log_folder
from segeld.audit.tiles import BadFile, LogUnreadable

_AT_ONCE: Final = 100
"""Bundles between two looks at whether the names of copies are durable."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Archived:
    """What was done."""

    bundles: int
    """Archived by now, from the first on."""
    copied: int
    removed: int
    octets: int
    """That the log's folder has become smaller by."""


def archive(
    folder: Path,
    target: Path,
    before: int,
    signer: Signer,
    progress: Progress = lambda _done, _of: None,
    *,
    by: str = "",
    dry: bool = False,
) -> Archived:
    """:param target: the archive; may hold earlier bundles of this log.
    :param before: milliseconds since the epoch; bundles are moved in which every leaf is older.
    :param by: who does it, one line; the daemon puts it into the log.
    :param dry: only says what would be done; `copied` and `removed` are what would be.
    :raises BadFile: if a bundle is not that of the tree, or the archive holds another in its place. Nothing was removed.
    :raises LogUnreadable: if there is no log, it is archived by somebody else just now, or the archive is another log's.
    :raises OSError: if something cannot be written.
    """
    with _alone(folder):
        log = open_log_folder(folder, signer.verifier)
        mark = _mark(folder, signer)
        if mark is not None and (wrong := mark.contradiction(log.checkpoint.size, log.tiles.node)):
            raise BadFile(layout.ARCHIVED, wrong)
        _same_log(target, signer)
        known = 0 if mark is None else mark.bundles
        end, latest = _reach(log, known, before, 0 if mark is None else mark.before)
        there = [number for number in range(end) if _path(folder, number).exists()]
        if dry:
            return Archived(end, len(there), len(there), sum(_path(folder, n).stat().st_size for n in there))
        copied = _copy(log, target, there, progress)
        if end > known:
            mark = Mark(log.checkpoint.origin, end, latest, root_at(end * WIDTH, log.tiles.node), by)
            _keep(folder, mark.sign(signer), like=folder)
        if mark is not None and there:
            _keep(target, mark.sign(signer), like=target)
        octets = 0
        for number in there:
            path = _path(folder, number)
            octets += path.stat().st_size
            files.remove(path)
        files.sync(
            {
                folder / "tile" / ENTRIES,
                *(parent for parent in map(_parent(folder), there) if parent.exists()),
            }
        )
        return Archived(end, copied, len(there), octets)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LogUnreadable(f"there is no folder {folder}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LogUnreadable(f"{folder} is being archived by another command just now") from None
    finally:
        os.close(descriptor)


def _mark(folder: Path, signer: Signer) -> Mark | None:
    try:
        return read_mark(folder, signer.verifier)
    except BadNote as error:
        raise BadFile(layout.ARCHIVED, str(error)) from None


def _same_log(target: Path, signer: Signer) -> None:
    try:
        found = read_mark(target, None)
    except BadNote as error:
        raise LogUnreadable(f"{target / layout.ARCHIVED} is no mark of an archive: {error}") from None
    if found is not None and found.origin != signer.verifier.name:
        raise LogUnreadable(f"{target} is the archive of another log, {found.origin}")


def _reach(log: Log, known: int, before: int, latest: int) -> tuple[int, int]:
    """How many bundles, from the first on, have only leaves that are older; and when the last of them was recorded.

    The last full bundle stays: the daemon looks for it to see that nobody removes files of the log.
    """
    end = known
    while end < log.checkpoint.size // WIDTH - 1:
        times = [decode(leaf).at for leaf in log.tiles.leaves(end)]
        if max(times) >= before:
            break
        end, latest = end + 1, max(latest, max(times) + 1)
    return end, latest


def _copy(log: Log, target: Path, numbers: list[int], progress: Progress) -> int:
    """Everything is durable and was compared when this returns."""
    copied, folders = 0, set[Path]()
    for done, number in enumerate(numbers, 1):
        leaves = log.tiles.leaves(number)
        prove_bundle(log, number, leaves)
        data, path = _path(log.folder, number).read_bytes(), _path(target, number)
        if not path.exists():
            files.write(path, data, durable=True)
            copied += 1
        folders.add(path.parent)
        if done % _AT_ONCE == 0 or done == len(numbers):
            files.sync(folders)
        _compare(path, data)
        progress(done, len(numbers))
    return copied


def _compare(path: Path, data: bytes) -> None:
    """Reads it back, as far as the system allows from the disk; makes one durable that an interrupted run left."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if file.read() != data:
            raise BadFile(str(path), "it is not the bundle that the log has at its place")


def _keep(folder: Path, note: bytes, *, like: Path) -> None:
    """Puts the mark there, as the folder's owner would: the daemon must be able to read it."""
    path, owner = folder / layout.ARCHIVED, like.stat()
    files.write(path, note, durable=True, owner=(owner.st_uid, owner.st_gid))
    files.sync([folder])


def _path(folder: Path, number: int) -> Path:
    return folder / layout.path(ENTRIES, number)


def _parent(folder: Path) -> Callable[[int], Path]:
    return lambda number: _path(folder, number).parent
