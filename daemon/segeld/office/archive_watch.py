"""Puts into the log who archived which of its leaves. `segelctl audit archive` works on the files; here its mark is seen."""

import asyncio
import time
from pathlib import Path
from typing import Final

import structlog

from segeld.audit import layout
from segeld.audit.archived import Mark, read_mark
from segeld.audit.identity import OwnLog
from segeld.audit.layout import WIDTH
from segeld.audit.leaf import Act
from segeld.audit.note import BadNote
from segeld.audit.words import when
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault

RECORD: Final = "archived"
"""Holds the origin of the log and how many of its bundles were archived, as far as the log says it."""
_INTERVAL: Final = 2.0
"""Seconds between two looks, each of one `stat`."""

_log: Final = structlog.get_logger(__name__)


class ArchiveWatch:
    """`look` at the start, `run` as a task."""

    def __init__(self, records: Records, log: OwnLog, interval: float = _INTERVAL) -> None:
        self._records = records
        self._own = log
        self._interval = interval
        self._seen: tuple[int, int] | None = None
        """Inode and time of the mark that was looked at last."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """A mark that cannot be read is logged once. What cannot be recorded is tried again with the next look."""
        try:
            stamp = await asyncio.to_thread(_stamp, self._own.folder / layout.ARCHIVED)
            if stamp == self._seen:
                return
            mark = await asyncio.to_thread(read_mark, self._own.folder, self._own.signer.verifier)
            if mark is not None:
                await self._record(mark)
        except Fault as fault:
            _log.error("that leaves were archived is not recorded", why=fault.text)
            return
        except OSError as error:
            _log.warning("the mark of what was archived cannot be read", why=str(error))
            return
        except BadNote as error:
            _log.warning("the mark of what was archived says nothing that is true", why=str(error))
        self._seen = stamp

    async def _record(self, mark: Mark) -> None:
        origin, _, count = (await self._records.records(RECORD)).get(RECORD, b"").decode().partition("\n")
        known = int(count) if origin == mark.origin else 0
        if mark.bundles <= known:
            return
        facts = {
            "leaves": f"{known * WIDTH} to {mark.leaves - 1}",
            "files": f"{layout.path(layout.ENTRIES, known)} to {layout.path(layout.ENTRIES, mark.bundles - 1)}",
            "all before": when(mark.before),
        }
        await self._records.keep(
            {RECORD: f"{mark.origin}\n{mark.bundles}".encode()},
            Act(int(time.time() * 1000), "log archived", mark.by or "unknown", mark.origin, facts),
        )
        _log.info("leaves of the audit log were archived", by=mark.by, **facts)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
