"""Finds what a log says of an input, a signature, a job, a caller or a time. Proves nothing: that is `proof`.

Digests and signatures are 32 octets that occur nowhere by chance, so bundles are searched as they are, and only those
that hold them are read leaf by leaf. The index beside the tree says which bundles need not be searched at all.
"""

import contextlib
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from segeld.audit import find_index, layout
from segeld.audit.layout import ENTRIES, WIDTH
from segeld.audit.leaf import HASH, Act, Intent, Outcome, decode
from segeld.audit.reader import Log
from segeld.audit.tiles import Archived, BadFile, not_permitted
from segeld.model.names import JobName


@dataclass(frozen=True, slots=True)
class Chunk:
    """An intent, and what came of it as far as the log knows."""

    intent_leaf: int
    intent: Intent
    outcome_leaf: int | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a chunk, at its position in it."""

    chunk: Chunk
    position: int
    signature: bytes | None
    """SHA-256 of the signature; None if there is none."""
    reason: str
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class Done:
    """An act."""

    leaf: int
    act: Act


def items(
    log: Log, *, commitment: bytes | None = None, signature: bytes | None = None, everything: bool = False
) -> Iterator[Item]:
    """Every attempt at an input with this commitment, or with a signature of this SHA-256. Give one of both.

    Bundles that were archived and may hold it are added to `log.unread`.

    :param everything: searches without the index, which somebody may have changed to hide something.
    """
    wanted = commitment if commitment is not None else signature
    assert wanted is not None
    for number in _bundles_with(log, (wanted,), everything=everything):
        for index, data in enumerate(log.tiles.leaves(number), number * WIDTH):
            if wanted not in data:
                continue
            outcome = decode(data)
            if not isinstance(outcome, Outcome):
                continue
            try:
                intent = log.leaf(outcome.intent)
            except Archived as away:
                log.unread.append(away.number)
                continue
            if not isinstance(intent, Intent):
                continue
            chunk = Chunk(outcome.intent, intent, index, outcome)
            for item in items_of(chunk, outcome):
                at = item.position * HASH
                if wanted == (item.signature if commitment is None else outcome.commitments[at : at + HASH]):
                    yield item


def chunks(
    log: Log,
    wanted: Callable[[Intent], bool],
    wanted_act: Callable[[Act], bool],
    octets: tuple[bytes, ...] = (),
    *,
    indexed: bool = False,
) -> Iterator[Chunk | Done]:
    """Chunks and acts in the order in which they ended; those that did not end come last.

    Bundles that were archived and may hold some are added to `log.unread`.

    :param octets: of which a bundle must hold one to be worth reading; all are read if none are given.
    :param indexed: the first of these octets is what the index has: a job.
    """
    worth = set(_bundles_with(log, octets, everything=not indexed)) if octets else None
    search = Search(wanted, wanted_act)
    for number, _ in layout.widths(log.checkpoint.size, 0):
        if worth is not None and number not in worth and not search.waits:
            continue
        try:
            leaves = log.tiles.leaves(number)
        except Archived as away:
            log.unread.append(away.number)
            continue
        for index, data in enumerate(leaves, number * WIDTH):
            if (found := search.take(index, data)) is not None:
                yield found
    yield from search.unfinished()


class Search:
    """Takes leaf after leaf, and gives chunks and acts."""

    def __init__(self, wanted: Callable[[Intent], bool], wanted_act: Callable[[Act], bool]) -> None:
        self._wanted = wanted
        self._wanted_act = wanted_act
        self._waiting: dict[int, Intent] = {}

    @property
    def waits(self) -> bool:
        """Whether the outcome of a chunk is still to come."""
        return bool(self._waiting)

    def take(self, index: int, data: bytes) -> Chunk | Done | None:
        """What ended with this leaf.

        :raises BadLeaf: if it is none of ours.
        """
        leaf = decode(data)
        if isinstance(leaf, Intent) and self._wanted(leaf):
            self._waiting[index] = leaf
        elif isinstance(leaf, Outcome) and leaf.intent in self._waiting:
            return Chunk(leaf.intent, self._waiting.pop(leaf.intent), index, leaf)
        elif isinstance(leaf, Act) and self._wanted_act(leaf):
            return Done(index, leaf)
        return None

    def unfinished(self) -> Iterator[Chunk]:
        """Those of which no outcome came."""
        for index, intent in self._waiting.items():
            yield Chunk(index, intent, None, None)


def of_job(log: Log, name: JobName, *, everything: bool = False) -> Iterator[Chunk | Done]:
    """`chunks` and acts of a job.

    :param everything: searches without the index.
    """
    return chunks(
        log,
        lambda intent: any(part.work == name.token for part in intent.parts),
        lambda act: act.subject == str(name),
        (name.token, str(name).encode()),
        indexed=not everything,
    )


def items_of(chunk: Chunk, outcome: Outcome) -> Iterator[Item]:
    unsigned = dict(outcome.unsigned)
    at = 0
    for position in range(len(outcome.commitments) // HASH):
        if position in unsigned:
            yield Item(chunk, position, None, unsigned[position])
        else:
            yield Item(chunk, position, outcome.signatures[at : at + HASH], "")
            at += HASH


def _bundles_with(log: Log, octets: tuple[bytes, ...], *, everything: bool) -> Iterator[int]:
    covered, likely = 0, list[int]()
    if not everything:
        covered, likely = find_index.candidates(log.folder, log.checkpoint.origin, octets[:1])
    worth = set(likely)
    for number, width in layout.widths(log.checkpoint.size, 0):
        if number < covered and number not in worth:
            continue
        name = log.tiles.file(ENTRIES, number, width)
        try:
            with log.tiles.where(name).open("rb") as file, contextlib.closing(_mapped(file.fileno())) as data:
                if any(data.find(one) >= 0 for one in octets):
                    yield number
        except (FileNotFoundError, ValueError):
            if log.tiles.is_away(number):
                log.unread.append(number)
            else:
                yield number  # it was just replaced, or is empty: reading it tells
        except PermissionError:
            raise not_permitted(log.folder / name) from None
        except OSError as error:
            raise BadFile(name, (error.strerror or "it cannot be read").lower()) from None


def _mapped(descriptor: int) -> mmap.mmap:
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
