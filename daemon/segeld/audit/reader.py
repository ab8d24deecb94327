"""Opens the folder of a log, a daemon's or a copy: on files alone, and with a sentence for whatever is wrong with it."""

from dataclasses import dataclass, field
from pathlib import Path

from segeld.audit import layout
from segeld.audit.archived import read_mark
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.leaf import HASH, AnyLeaf, Commitments, decode
from segeld.audit.note import BadNote, Verifier
from segeld.audit.tiles import BadFile, LogUnreadable, Tiles, not_permitted
from segeld.model.counts import counted


@dataclass(frozen=True, slots=True)
class Log:
    folder: Path
    note: bytes
    """The checkpoint as it stands there."""
    checkpoint: Checkpoint
    verified: bool
    """Whether a key from elsewhere confirms the checkpoint."""
    tiles: Tiles
    unread: list[int] = field(default_factory=list)
    """Bundles that were to be searched and were not, for they were archived."""

    def leaf(self, index: int) -> AnyLeaf:
        """:raises LogUnreadable: if there is no such leaf.
        :raises BadFile: if its bundle cannot be read.
        :raises BadLeaf: if it is none of ours.
        """
        if not 0 <= index < self.checkpoint.size:
            raise LogUnreadable(f"there is no leaf {index}: the log has {self.checkpoint.size}")
        return decode(self.tiles.leaf(index))


def open_log_folder(folder: Path, verifier: Verifier | None, archives: tuple[Path, ...] = ()) -> Log:
    """:param verifier: the log's public key, from elsewhere; without it nothing is verified.
    :param archives: folders that have bundles which were archived.
    :raises LogUnreadable: if there is no log to read.
    :raises BadFile: for a checkpoint that is not this key's.
    """
    note = _read(folder / layout.CHECKPOINT, folder)
    try:
        checkpoint = Checkpoint.open(note, verifier) if verifier else Checkpoint.unverified(note)
    except BadNote as error:
        raise BadFile(layout.CHECKPOINT, _with_origin(str(error), note, verifier)) from None
    for archive in archives:
        _is_archive_of(archive, checkpoint.origin)
    tiles = Tiles(folder, checkpoint.size, archives, lambda: _archived(folder, verifier))
    return Log(folder, note, checkpoint, verifier is not None, tiles)


def _archived(folder: Path, verifier: Verifier | None) -> int:
    """With a mark that is not right, nothing was archived: what is missing is missing."""
    try:
        mark = read_mark(folder, verifier)
    except (BadNote, OSError):
        return 0
    return 0 if mark is None else mark.bundles


def _is_archive_of(archive: Path, origin: str) -> None:
    """:raises LogUnreadable: if it is none."""
    try:
        mark = read_mark(archive, None)
        if mark is None and not any(archive.iterdir()):
            return  # nothing was old enough yet
    except BadNote as error:
        raise LogUnreadable(f"{archive / layout.ARCHIVED} is no mark of an archive: {error}") from None
    except PermissionError:
        raise not_permitted(archive / layout.ARCHIVED) from None
    except OSError as error:
        raise LogUnreadable(f"{archive}: {(error.strerror or 'cannot be read').lower()}") from None
    if mark is None:
        raise LogUnreadable(f"{archive} is no archive of an audit log: it has no file {layout.ARCHIVED}")
    if mark.origin != origin:
        raise LogUnreadable(f"{archive} is the archive of another log, {mark.origin}")


def read_salt(folder: Path) -> Commitments | str:
    """The commitments of a log, or why there are none."""
    try:
        salt = (folder / layout.SALT).read_bytes()
    except FileNotFoundError:
        return "the salt is not in this copy"
    except OSError as error:
        return f"the salt cannot be read: {(error.strerror or '').lower()}"
    if len(salt) != HASH:
        raise BadFile(layout.SALT, f"it has {counted(len(salt), 'octet')} where {HASH} are expected")
    return Commitments(salt)


def _with_origin(text: str, note: bytes, verifier: Verifier | None) -> str:
    try:
        found = Checkpoint.unverified(note).origin
    except BadNote:
        return text
    if verifier is None or found == verifier.name:
        return text
    return f"it is of another log: {found}, where {verifier.name} is expected"


def _read(path: Path, folder: Path) -> bytes:
    try:
        return path.read_bytes()
    except NotADirectoryError:
        raise LogUnreadable(f"{folder} is not a folder") from None
    except PermissionError:
        raise not_permitted(path) from None
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LogUnreadable(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if not folder.exists():
        raise LogUnreadable(f"there is no folder {folder}")
    if not any(folder.iterdir()):
        raise LogUnreadable(f"{folder} is empty: no log was ever in it, or all of it was removed")
    raise LogUnreadable(f"{folder} has no file {layout.CHECKPOINT}: it is no log, or that file was removed")
