"""Notices while the daemon runs that somebody removes or changes the files of its log. Nothing is made anew in silence."""

from pathlib import Path

from segeld.audit import layout
from segeld.audit.layout import ENTRIES, WIDTH


class LogMeddled(OSError):
    """Files of the log are not as this process left them. The text says which."""


class Guard:
    """Knows what the files beside the tree hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fixed = {name: (folder / name).read_bytes() for name in (layout.KEY, layout.SALT)}
        self._checkpoints: set[bytes] = set()
        checkpoint = folder / layout.CHECKPOINT
        if checkpoint.exists():
            self._checkpoints.add(checkpoint.read_bytes())
        self._must_be_there = bool(self._checkpoints)

    def writing(self, note: bytes) -> None:
        """This checkpoint is about to take the place of the last one, and may do so though the attempt fails."""
        self._checkpoints.add(note)

    def written(self, note: bytes) -> None:
        self._checkpoints = {note}
        self._must_be_there = True

    def check(self, size: int) -> None:
        """:param size: leaves that the log holds.
        :raises LogMeddled: if something is missing or changed. The last full files stand for the others.
        """
        for name, expected in self._fixed.items():
            if self._read(name) != expected:
                raise self._meddled("changed", name)
        if self._must_be_there and self._read(layout.CHECKPOINT) not in self._checkpoints:
            raise self._meddled("changed", layout.CHECKPOINT)
        if size >= WIDTH:
            for level in (0, ENTRIES):
                name = layout.path(level, size // WIDTH - 1)
                if not (self._folder / name).exists():
                    raise self._meddled("removed", name)

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise self._meddled("removed", name) from None

    def _meddled(self, how: str, name: str) -> LogMeddled:
        what = "is missing" if how == "removed" else "is not as it was"
        return LogMeddled(
            f"somebody {how} files of the audit log: {self._folder / name} {what}. Nothing is published until it is put "
            "back; recorded leaves are kept in the database."
        )
