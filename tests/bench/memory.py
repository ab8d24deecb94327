"""Memory of each process of the daemon: its proportional set size, twice a second."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

EVERY: Final = 0.5
FRONT: Final = "front"


@contextmanager
def sampling(front: int) -> Iterator[dict[str, float]]:
    """Gives the highest MB seen of each kind of process; complete when the context ends."""
    peaks: dict[str, float] = defaultdict(float)
    stop = threading.Event()

    def run() -> None:
        while True:
            for title, size in _processes(front):
                peaks[title] = max(peaks[title], size)
            if stop.wait(EVERY):
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


def _processes(front: int) -> Iterator[tuple[str, float]]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    for pid in (front, *(pid for pid in pids if _parent(pid) == front)):
        with contextlib.suppress(OSError, StopIteration):  # it ended meanwhile
            yield _title(pid, front), _pss(pid)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _title(pid: int, front: int) -> str:
    if pid == front:
        return FRONT
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    return "keeper" if "keeper" in words else "worker"


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1000 * 1.024
