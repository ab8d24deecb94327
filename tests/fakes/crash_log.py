"""The audit log after a run, read with the independent reader, against what clients were told."""

import hashlib
import importlib.util
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from crash_journal import Asked, Journal, Story

MOST_ATTEMPTS = 3
_HASH = 32

_spec = importlib.util.spec_from_file_location(
    "independent", Path(__file__).parents[1] / "unit" / "audit" / "independent.py"
)
independent = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(independent)


@dataclass
class Attempt:
    """What the log says of one item in one chunk: the hash of a signature, or why there is none."""

    leaf: int
    position: int
    signed: bytes | None
    why: str


@dataclass
class Log:
    """Its leaves, sorted by what they are about."""

    leaves: list[list]
    attempts: dict[tuple[str, bytes], dict[int, list[Attempt]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By caller and work, then by offset, in order."""
    unfinished: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, vkey: str) -> "Log":
        """:raises independent.Wrong: if it is not what it should be."""
        return cls.of(independent.check(folder, vkey))

    @classmethod
    def of(cls, leaves: list[list]) -> "Log":
        log = cls(leaves)
        open_intents = {}
        for index, (kind, _, *fields) in enumerate(log.leaves):
            if kind == independent.INTENT:
                open_intents[index] = fields
            elif kind == independent.OUTCOME:
                log._outcome(index, fields, open_intents.pop(fields[0]))
        log.unfinished = list(open_intents)
        return log

    def _outcome(self, leaf: int, fields: list, intent: list) -> None:
        _, commitments, signatures, *rest = fields
        unsigned = dict(rest[0]) if rest else {}
        caller, parts = intent[0], intent[4]
        hashes = iter([signatures[at : at + _HASH] for at in range(0, len(signatures), _HASH)])
        position = 0
        for work, first, count in parts:
            for offset in range(first, first + count):
                why = unsigned.get(position, "")
                attempt = Attempt(leaf, position, None if why else next(hashes), why)
                self.attempts[caller, work][offset].append(attempt)
                position += 1
        assert len(commitments) == _HASH * position

    @property
    def signatures(self) -> int:
        return sum(len(leaf[4]) // _HASH for leaf in self.leaves if leaf[0] == independent.OUTCOME)


def check_prefixes(folder: Path, notes: set[bytes], vkey: str) -> int:
    """Each checkpoint that was ever seen is of a beginning of the log. Gives their number."""
    entries = []
    for name in sorted(folder.glob("tile/entries/**/*"), key=str):
        if name.is_file() and ".p" not in str(name.relative_to(folder)):
            entries += independent._entries(name.read_bytes())
    _, size, _ = independent._checkpoint((folder / "checkpoint").read_bytes(), vkey)
    if len(entries) < size:
        last = folder / independent._names("entries", size, 0)[-1][0]
        entries += independent._entries(last.read_bytes())
    hashes = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    for note in notes:
        _, size, root = independent._checkpoint(note, vkey)
        assert _root(hashes[:size]) == root, f"the checkpoint of size {size} is no beginning of the log"
    return len(notes)


def _root(row: list[bytes]) -> bytes:
    """Pairwise, level by level, an odd one going up as it is: RFC 6962's tree."""
    while len(row) > 1:
        paired = [hashlib.sha256(b"\1" + left + right).digest() for left, right in zip(row[::2], row[1::2])]  # noqa: B905
        row = paired + row[len(row) & ~1 :]
    return row[0] if row else hashlib.sha256().digest()


def check_journal(log: Log, journal: Journal) -> None:
    """Says in the journal what does not fit."""
    if log.unfinished:
        journal.say(f"intents without an outcome after everything has ended: {log.unfinished[:9]}")
    told: set[tuple[int, int]] = set()
    for asked in journal.asked:
        _check_work(log, journal, asked, asked.request_id.encode(), told)
    for story in journal.stories:
        if story.name:
            _check_work(log, journal, story, story.id, told)


def _check_work(log: Log, journal: Journal, work: Asked | Story, mark: bytes, told: set) -> None:
    attempts = log.attempts[work.caller, mark]
    for position in range(len(work.digests)):
        got, tried = work.got.get(position), attempts.get(position, [])
        what = f"{work.caller} {work.request_id}[{position}]"
        signed = [attempt for attempt in tried if attempt.signed is not None]
        if len(signed) > 1:
            journal.say(f"{what} was recorded as signed {len(signed)} times: {tried}")
        if signed and tried[-1] is not signed[0]:
            journal.say(f"{what} was tried again after it was signed: {tried}")
        _check_tries(journal, what, tried, is_job=isinstance(work, Story))
        if isinstance(got, tuple):
            value, leaf, place = got
            fits = [(hashlib.sha256(value).digest(), leaf, place)]
            if [(each.signed, each.leaf, each.position) for each in signed] != fits:
                journal.say(f"{what} was released from {leaf}/{place}, but the log has {tried}")
            if (leaf, place) in told:
                journal.say(f"{what}: another item has the receipt {leaf}/{place} too")
            told.add((leaf, place))
        elif signed and got is not None:
            journal.say(f"{what} ended as {got}, but the log has a signature: {tried}")
        elif got == "WORKER_LOST" and (not tried or tried[-1].why != "WORKER_LOST"):
            journal.say(f"{what} ended as {got}, but the log has {tried}")


def _check_tries(journal: Journal, what: str, tried: list[Attempt], *, is_job: bool) -> None:
    """An attempt counts unless it was surely not begun. What a request failed at may be asked for anew."""
    run = 0
    for attempt in tried:
        if attempt.why == "NOT_BEGUN":
            continue
        run += 1
        if run > MOST_ATTEMPTS:
            journal.say(f"{what} was tried {run} times: {tried}")
        if attempt.why not in ("", "UNKNOWN"):
            if is_job and attempt is not tried[-1]:
                journal.say(f"{what} was tried again after it had failed: {tried}")
            run = 0
