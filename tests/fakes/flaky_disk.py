"""A disk that fails when it is told to: SQLite's way to files, with a fault in it."""

import apsw


class FlakyDisk(apsw.VFS):
    """Counts what would reach the disk, and lets the nth of it fail; and, of a full disk, all that follows."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.operations = 0
        self.syncs = 0
        self.fails_at: int | None = None
        self.error: type[apsw.Error] = apsw.FullError
        self.lasting = True

    def fail_at(self, operation: int, error: type[apsw.Error], *, lasting: bool) -> None:
        self.operations = 0
        self.fails_at, self.error, self.lasting = operation, error, lasting

    def heal(self) -> None:
        self.fails_at = None

    def touch(self) -> None:
        self.operations += 1
        if self.fails_at is None:
            return
        if self.operations == self.fails_at or (self.lasting and self.operations > self.fails_at):
            raise self.error("as the test wants it")

    def xOpen(self, name, flags):  # noqa: N802  # as apsw calls it
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: FlakyDisk, name, flags) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data, offset):  # noqa: N802  # as above
        self._disk.touch()
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802  # as above
        self._disk.touch()
        self._disk.syncs += 1  # no test cuts the power: it is counted, and not waited for

    def xTruncate(self, size):  # noqa: N802  # as above
        self._disk.touch()
        super().xTruncate(size)
