"""Changes as they are kept: in memory, and as records named `change/{number}`. Bounded in number, time and octets."""

import itertools
from collections.abc import Iterator
from typing import Final

import msgspec

from segeld.audit.leaf import Act
from segeld.jobqueue.store import Records
from segeld.model.faults import Fault, Reason
from segeld.office.changes import Change

PREFIX: Final = "change/"
KEPT: Final = 90 * 86_400.0
"""Seconds that an ended change is kept."""
MAX_ENDED: Final = 1000
MAX_ENDED_OCTETS: Final = 32 * 1024 * 1024

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Change)


def octets_of(change: Change) -> int:
    """As it is kept."""
    return len(_ENCODER.encode(change))


class ChangeRecords:
    """Memory follows the database: what could not be written did not happen."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._changes: dict[int, Change] = {}
        self._octets: dict[int, int] = {}

    async def load(self) -> None:
        """:raises msgspec.DecodeError: for a record of another version."""
        for value in (await self._records.records(PREFIX)).values():
            change = _DECODER.decode(value)
            self._changes[change.number] = change
            self._octets[change.number] = len(value)

    @property
    def last(self) -> int:
        """The highest number that was ever given: the newest change is never forgotten."""
        return max(self._changes, default=0)

    @property
    def open_octets(self) -> int:
        """Of those that have not ended."""
        return sum(self._octets[change.number] for change in self._changes.values() if change.open)

    def all(self) -> tuple[Change, ...]:
        return tuple(self._changes.values())

    def get(self, number: int) -> Change:
        """:raises Fault: CHANGE_NOT_FOUND."""
        found = self._changes.get(number)
        if found is None:
            raise Fault(
                Reason.CHANGE_NOT_FOUND,
                f"There is no change {number}; segelctl change list --ended shows those of the last 90 days.",
                change=f"changes/{number}",
            )
        return found

    async def keep(self, change: Change, leaf: Act, at: float) -> None:
        """Writes it with the leaf that says so, and forgets what was kept long enough.

        :raises Fault: if it cannot be written.
        """
        value = _ENCODER.encode(change)
        forgotten = tuple(self._too_many(change, len(value), at))
        writes: dict[str, bytes | None] = {f"{PREFIX}{number}": None for number in forgotten}
        writes[f"{PREFIX}{change.number}"] = value
        await self._records.keep(writes, leaf)
        for number in forgotten:
            del self._changes[number], self._octets[number]
        self._changes[change.number] = change
        self._octets[change.number] = len(value)

    def _too_many(self, written: Change, octets: int, at: float) -> Iterator[int]:
        """Ended changes to forget, when this one is written."""
        newest = max(self.last, written.number)
        ended = sorted(
            (
                change
                for change in self._changes.values()
                if not change.open and change.number not in {written.number, newest}
            ),
            key=_ended_at,
            reverse=True,
        )
        for place, (change, before) in enumerate(
            zip(
                ended,
                itertools.accumulate((self._octets[each.number] for each in ended), initial=octets),
                strict=False,
            ),
            start=1,
        ):
            whole = before + self._octets[change.number]
            if at - _ended_at(change) > KEPT or place > MAX_ENDED or whole > MAX_ENDED_OCTETS:
                yield change.number


def _ended_at(change: Change) -> float:
    assert change.ended_at is not None, f"{change.name} has ended"
    return change.ended_at
