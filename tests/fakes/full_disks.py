"""Two ways to a full disk under a daemon that runs: for everybody, and where a disk of one's own can be mounted."""

import resource
import subprocess
from pathlib import Path

from served import Served

MEGABYTE = 1024 * 1024
_OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")


class FileSizes:
    """No file of the daemon's may grow any more. Python ignores SIGXFSZ, so that is an error and no death."""

    def __init__(self, served: Served) -> None:
        self.served = served

    @staticmethod
    def launcher(folder: Path) -> tuple[str, ...]:
        return ()

    def fill(self) -> None:
        self._limit(max(file.stat().st_size for file in self.served.state.glob("segel.db*")))

    def make_room(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(self.served.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.served.pid, resource.RLIMIT_FSIZE, (size, hard))


class SmallDisk:
    """A small file system that only the daemon and its children see; it goes with them."""

    def __init__(self, served: Served) -> None:
        self.served = served

    @staticmethod
    def launcher(folder: Path) -> tuple[str, ...]:
        script = f'mount -t tmpfs -o size=160m,mode=700 tmpfs {folder} && exec "$@"'
        return (*_OWN_MOUNTS, "sh", "-c", script, "sh")

    @property
    def _ballast(self) -> Path:
        return seen_by(self.served) / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(MEGABYTE)) == MEGABYTE:
                    pass
                while True:
                    file.write(bytes(512))
            except OSError:
                return

    def make_room(self) -> None:
        self._ballast.unlink()


def seen_by(served: Served) -> Path:
    """The state folder as the daemon sees it."""
    return Path(f"/proc/{served.pid}/root{served.state}")


def ways() -> list[type[FileSizes] | type[SmallDisk]]:
    """Those that this system allows."""
    try:
        mount = [*_OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    return [FileSizes, SmallDisk] if mounted else [FileSizes]
