"""A second place that keeps the newest checkpoint, so that a rollback of database and log together shows.

It is asked at the start and told of new checkpoints afterwards. If it cannot be reached signing goes on, and `trouble` says
so; if it knows more than the log, or other things, nothing may be signed, and `refusal` says why.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from segeld.audit import layout
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.identity import OwnLog
from segeld.audit.merkle import root_at
from segeld.audit.note import BadNote
from segeld.audit.tiles import BadFile, LogUnreadable, Tiles
from segeld.audit.witness_places import PATIENCE, Place
from segeld.model.counts import counted

_log: Final = structlog.get_logger(__name__)


class Witness:
    """`check` at the start, `run` as a task, `aclose` when the last checkpoint is made."""

    def __init__(
        self,
        place: Place,
        log: OwnLog,
        *,
        interval: float = 60.0,
        witnessed: bool = False,
        remember: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """:param interval: seconds between two checkpoints that it is told, at most, while there are new ones.
        :param witnessed: whether this place was told a checkpoint in an earlier run: it must not be empty then.
        :param remember: called when it was told the first one.
        """
        self._witnessed = witnessed
        self._remember = remember
        self.lost = False
        """Whether it is empty although it was told something: most likely its mount is not there."""
        self._place = place
        self._log = log
        self._interval = interval
        self._kept = b""
        self._kept_at: float | None = None
        self._stopping = asyncio.Event()
        self.refusal = ""
        self.can_be_adopted = False
        self.trouble = ""
        """Why it cannot be reached; empty if it can."""

    @property
    def age(self) -> float | None:
        """Seconds since a checkpoint was witnessed in this run; None if none was."""
        return None if self._kept_at is None else time.time() - self._kept_at

    async def check(self) -> None:
        """Compares what it knows with the log. Sets `refusal`, or `trouble` if it cannot be asked."""
        try:
            note = await self._place.last()
        except (OSError, TimeoutError) as error:
            self._unreachable(error)
            return
        self.lost = self._witnessed and not note.strip()
        if self.lost:
            self._in_trouble(_LOST)
            return
        self.refusal, self.can_be_adopted = await asyncio.to_thread(self._judge, note)
        if self.refusal:
            _log.error("the witness contradicts the audit log: nothing is signed", why=self.refusal)

    def _judge(self, note: bytes) -> tuple[str, bool]:
        if not note.strip():
            return "", False
        own = self._log.signer.verifier
        try:
            known = Checkpoint.unverified(note)
            if known.origin == own.name:
                known = Checkpoint.open(note, own)
        except BadNote as error:
            return f"The witness holds something that is no checkpoint of this log: {error}. {_ADOPT}", True
        local = self._own_note()
        if known.origin != own.name:
            before = Checkpoint.unverified(self._log.previous.encode()) if self._log.previous else None
            if before is None or before.origin != known.origin or before.size < known.size:
                return (
                    (
                        f"The witness knows {counted(known.size, 'leaf', 'leaves')} of the log {known.origin}, and this log, {own.name}, does not "
                        f"continue that: it was put in its place. {_ADOPT}"
                    ),
                    True,
                )
            return "", False
        size = Checkpoint.open(local, own).size if local else 0
        if known.size > size:
            return (
                (
                    f"The witness knows {counted(known.size, 'leaf', 'leaves')} of the audit log, and here are {size}: log and database were both "
                    f"put back to an older state. {_RESTORE}"
                ),
                False,
            )
        try:
            root = root_at(known.size, Tiles(self._log.folder, size).node)
        except (BadFile, LogUnreadable) as error:
            return f"The witness cannot be compared with the log: {error}. {_RESTORE}", False
        if root != known.root:
            return (
                (
                    f"The first {known.size} leaves of the audit log are not those that the witness knows: the log was made "
                    f"anew. {_RESTORE}"
                ),
                False,
            )
        return "", False

    def _own_note(self) -> bytes:
        try:
            return (self._log.folder / layout.CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return b""

    async def run(self) -> None:
        while not self._stopping.is_set():
            await self._tell()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._stopping.wait()

    async def _tell(self) -> None:
        if self.refusal:
            return  # what it knows is evidence
        try:
            note = await asyncio.to_thread(self._own_note)
            if note and note != self._kept:
                # A mount that went away leaves an empty folder, which must not be written to as if it were new.
                if (self._witnessed or self.trouble) and await self._contradicts():
                    return
                await self._place.keep(note)
                self._kept, self._kept_at = note, time.time()
                if not self._witnessed:
                    self._witnessed = True
                    if self._remember is not None:
                        await self._remember()
            elif note:
                self._kept_at = time.time()
        except (OSError, TimeoutError) as error:
            self._unreachable(error)
            return
        if self.trouble:
            _log.info("the witness is reached again")
        self.trouble = ""

    async def _contradicts(self) -> bool:
        """Whether it must not be told anything."""
        await self.check()
        if self.refusal:
            self.changed()
        return bool(self.refusal) or self.lost

    changed: Callable[[], None] = staticmethod(lambda: None)
    """Called when `refusal` has come up after the start."""

    async def adopt(self) -> None:
        self.refusal, self.can_be_adopted, self.lost = "", False, False
        self._kept, self._witnessed = b"", False
        self.trouble = ""
        await self._tell()

    async def aclose(self) -> None:
        """Tells the last checkpoint, if the witness takes it soon."""
        self._stopping.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._tell()
        except TimeoutError as error:
            self._unreachable(error)

    def _unreachable(self, error: BaseException) -> None:
        self._in_trouble(
            f"The witness of the audit log cannot be reached: {str(error) or 'it takes too long'}"
        )

    def _in_trouble(self, text: str) -> None:
        if text != self.trouble:
            _log.warning("the witness is of no use just now; signing goes on", why=text)
        self.trouble = text


_LOST: Final = (
    "The witness of the audit log is empty, although it was given checkpoints: is its mount there? It is given none until it "
    "has them again, or two officers let it begin anew: segelctl audit adopt"
)
_ADOPT: Final = (
    "Nothing is signed until two officers have looked into it and adopted the log: segelctl audit adopt"
)
_RESTORE: Final = (
    "Nothing is signed. Find the newest database and log; if they are lost, stop the daemon, run `segeld restore` with the "
    "last backup, so that a new log begins, and adopt it by two officers: segelctl audit adopt"
)
