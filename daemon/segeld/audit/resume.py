"""Takes up a log where an earlier run left it: the frontier out of full tiles and of the leaves that are still kept.

Files are believed as far as the signed checkpoint confirms them: the root is computed again at its size.
"""

import asyncio
from pathlib import Path

from segeld.audit import layout
from segeld.audit.archived import read_mark
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.frontier import Frontier, frontier_at
from segeld.audit.identity import LogIncomplete, OwnLog
from segeld.audit.layout import ENTRIES, WIDTH
from segeld.audit.leaf import MAX_LEAF
from segeld.audit.merkle import HASH, leaf_hash
from segeld.audit.note import BadNote
from segeld.audit.source import LeafSource, LogAhead, LogDiffers
from segeld.audit.tiles import BadFile, Tiles
from segeld.audit.writer import Writer
from segeld.model.counts import counted


async def resume(log: OwnLog, source: LeafSource) -> Writer:
    """:raises LogIncomplete: if somebody removed files of the log.
    :raises LogAhead: if the database is older than the log.
    :raises LogDiffers: if the files, the checkpoint and the database contradict one another.
    """
    checkpoint = await asyncio.to_thread(_last, log)
    count = await source.leaf_count()
    if count < checkpoint.size:
        raise LogAhead(log.origin, checkpoint.size, count)
    await asyncio.to_thread(_all_there, log, checkpoint.size)
    frontier = await asyncio.to_thread(_from_full_tiles, log, checkpoint.size)
    pending: list[bytes] = []
    while frontier.size < checkpoint.size:
        leaves = await source.leaves(frontier.size, checkpoint.size - frontier.size)
        if not leaves:
            raise LogDiffers(log.origin, f"leaf {frontier.size} is neither in full files nor in the database")
        for leaf in leaves:
            frontier.append(leaf_hash(leaf))
        pending += leaves
    if frontier.root() != checkpoint.root:
        raise LogDiffers(
            log.origin,
            f"their first {checkpoint.size} leaves have not the root that the checkpoint was signed with",
        )
    if count > checkpoint.size and not await source.leaves(checkpoint.size, 1):
        raise LogDiffers(
            log.origin,
            f"the files hold {checkpoint.size} leaves of {count}, and the database has given away those that follow: "
            "the files are older than the database, or were removed",
        )
    return await asyncio.to_thread(Writer, log.folder, log.signer, frontier, pending)


def _last(log: OwnLog) -> Checkpoint:
    try:
        note = (log.folder / layout.CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return Checkpoint(log.origin, 0, Frontier().root())
    try:
        return Checkpoint.open(note, log.signer.verifier)
    except BadNote as error:
        raise LogDiffers(log.origin, f"the checkpoint on disk is not this log's: {error}") from None


def _all_there(log: OwnLog, size: int) -> None:
    """Looks for every full tile and bundle, not into them: nobody else has those leaves any more."""
    archived = _archived(log, size)
    for level in layout.levels(size):
        for number in range(size // WIDTH ** (level + 1)):
            _there(log, layout.path(level, number), WIDTH * HASH, WIDTH * HASH)
            if not level and number >= archived:
                _there(log, layout.path(ENTRIES, number), WIDTH * 2, WIDTH * (2 + MAX_LEAF))


def _archived(log: OwnLog, size: int) -> int:
    """How many bundles need not be there, by a mark that this log's key signed."""
    try:
        mark = read_mark(log.folder, log.signer.verifier)
        wrong = "" if mark is None else mark.contradiction(size, Tiles(log.folder, size).node)
    except (BadNote, BadFile) as error:
        wrong = str(error)
    if wrong:
        raise LogIncomplete(f"{log.folder / layout.ARCHIVED} does not say truly what was archived: {wrong}.")
    return 0 if mark is None else mark.bundles


def _there(log: OwnLog, name: str, least: int, most: int) -> None:
    path = log.folder / name
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise LogIncomplete(f"Of the audit log {log.origin} the file {path} is missing.") from None
    if not least <= size <= most:
        raise LogIncomplete(
            f"Of the audit log {log.origin} the file {path} was changed: it has {counted(size, 'octet')}."
        )


def _from_full_tiles(log: OwnLog, size: int) -> Frontier:
    """The frontier at the last full bundle."""
    tiles = Tiles(Path(log.folder), size)
    try:
        return frontier_at(size // WIDTH * WIDTH, tiles.hashes)
    except BadFile as error:
        raise LogDiffers(log.origin, f"a file of the log is damaged: {error}") from None
