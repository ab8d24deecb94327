"""Where work waits, and the pumps that look for it: each work is in one lane, or a suspect, or all with workers.

Urgent work has lanes of its own: workers sign it between two signatures of other chunks.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from segeld.dispatch import outcomes
from segeld.dispatch.breaker import Asked, Breaker
from segeld.dispatch.fairness import Fairness, Waiting
from segeld.dispatch.idle import Seat
from segeld.dispatch.lanes import Chunk, Item, Lanes, Suits
from segeld.dispatch.ports import Tokens
from segeld.dispatch.seats import Seats
from segeld.dispatch.speed import Speed
from segeld.dispatch.standing import Standing
from segeld.dispatch.suspects import Suspects
from segeld.dispatch.work import Work
from segeld.model.activation import Reserved
from segeld.model.faults import Fault, Reason
from segeld.model.kind import Kind
from segeld.model.names import TokenName
from segeld.model.priority import Priority
from segeld.model.token_state import COMING_BACK, TokenState

_SMALLEST: Final = 8
"""Inputs of a chunk, if there are so many: what is not worth to be shared by workers."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A chunk that is on its way to a worker, and what its caller was charged for it so far."""

    chunk: Chunk
    seat: Seat
    priority: Priority
    caller: str
    charged: float
    reserved: Reserved
    """Signatures that were set aside for it: see `Tokens.reserve`."""

    @property
    def token(self) -> TokenName:
        return self.seat.token


class WaitingRoom:
    """Work enters and leaves with whoever wants it; in between feeds take parts and bring some of them back."""

    def __init__(
        self, tokens: Callable[[], Tokens], weight: Callable[[str], int], standing: Standing
    ) -> None:
        """:param weight: of a caller, from the policy."""
        self._tokens = tokens
        self._weight = weight
        self._standing = standing
        self._urgent: Final = Lanes()
        self._lanes: Final = {priority: Lanes() for priority in Priority}
        self._fairness: Final[dict[TokenName, Fairness]] = {}
        self._held: Final[Counter[tuple[TokenName, Priority]]] = Counter()
        """Chunks that were taken and not returned."""
        self.nothing_held: Final = asyncio.Event()
        self.nothing_held.set()
        self._jobs_stopped = False
        self.speed: Final = Speed()
        self.suspects: Final = Suspects()
        self.breaker: Final = Breaker()
        self.seats: Final = Seats()
        self.on_taken: Callable[[Work], None] = lambda work: None  # noqa: ARG005
        """Told of each work of which something was taken."""
        self.on_forbidden: Callable[[Work, Fault], None] = lambda work, fault: None  # noqa: ARG005
        """Told of each work of a job that was found in its lane although it may not be signed any more."""

    # --- with whoever wants it

    def enter(self, work: Work) -> None:
        """New work, or more of it."""
        if work not in self.suspects and not self._held_back(work):
            self._lane(work).push(work)
            self._wake(work)

    def withdraw(self, work: Work) -> None:
        """It waits no more; what a worker holds of it comes back to it."""
        self._lane(work).withdraw(work)
        self.suspects.clear(work)

    def refusal(self, kind: Kind) -> Fault | None:
        """Why no token can sign this way with this key, now or soon; None if one can."""
        key = self._tokens().key(kind.key)
        fault = outcomes.no_replica(kind.key, key)
        excused = kind.uncertified and fault is not None and fault.reason is Reason.KEY_CERTIFICATE
        if key is None or (fault is not None and not excused):
            return fault
        now = time.monotonic()
        pauses = [
            self.breaker.pause(Asked(token, kind.key, kind.algorithm), now)
            for token, state in key.tokens
            if state is TokenState.ACTIVE or state in COMING_BACK
        ]
        return outcomes.paused(kind, min(pauses)) if all(pauses) else None

    def late(self, work: Work) -> Fault:
        return outcomes.too_late(self._tokens().key(work.kind.key))

    def review(self) -> None:
        """Interactive work that no token can do any more, nor soon, or that is not allowed any more, ends now (jobs wait);
        all pumps look again.
        """
        faults: dict[tuple[str, Kind], Fault | None] = {}  # thousands may wait, of a few kinds
        everything = [
            *self._urgent,
            *(work for lanes in self._lanes.values() for work in lanes),
            *self.suspects,
        ]
        for work in everything:
            if not work.patient:
                key = work.caller, work.kind
                if key not in faults:
                    faults[key] = self._interactive_refusal(work)
                if (fault := faults[key]) is not None:
                    self.withdraw(work)
                    work.end_waiting(fault)
        self.wake_all()

    def stop_jobs(self) -> None:
        """No more of any job is given to workers; what waits of it is safe in the database."""
        self._jobs_stopped = True
        for lanes in self._lanes.values():
            for work in list(lanes):
                if work.patient:
                    lanes.withdraw(work)

    def _interactive_refusal(self, work: Work) -> Fault | None:
        forbidden = self._standing.refusal(work.caller, work.kind, interactive=True)
        return self.refusal(work.kind) if forbidden is None else forbidden

    def _held_back(self, work: Work) -> bool:
        return bool(work.resting) or (self._jobs_stopped and work.patient)

    # --- with the feeds

    def suits(self, token: TokenName) -> Suits:
        """What a token may be asked for now."""
        tokens, now = self._tokens(), time.monotonic()
        names = tokens.names_on(token)
        return lambda kind: (
            kind.key in (tokens.requestable_on(token) if kind.uncertified else names)
            and not self.breaker.pause(Asked(token, kind.key, kind.algorithm), now)
        )

    def take(self, seat: Seat, *, urgent: bool) -> Taken | None:
        """The next chunk for a worker, without what nobody waits for any more: it may be empty then.

        A worker that holds something leaves it to one that has nothing. Whatever is taken must be `returned`.
        """
        suits, fairness = self.suits(seat.token), self._fair(seat.token)
        if urgent and fairness.jobs_are_due() and self._jobs_wait(seat, suits):
            return None
        if self.seats.defers(seat, urgent=urgent):
            return None
        lanes = {Priority.INTERACTIVE: self._urgent} if urgent else self._lanes
        waiting = {priority: lane.waiting(suits) for priority, lane in lanes.items() if lane}
        choice = fairness.choose(waiting)
        if choice is None:
            return None
        priority, caller = choice
        kind = lanes[priority].next_kind(caller, suits)
        assert kind is not None, "a caller was chosen for which nothing waits"
        size = self._size(lanes[priority], seat.token, waiting[priority], choice, kind)
        reserved = self._tokens().reserve(seat.token, size)
        if not reserved:
            return None
        chunk = lanes[priority].take(caller, kind, reserved.count)
        if unused := reserved.beyond(len(chunk.items)):
            self._tokens().give_back(seat.token, unused, made=0)
        charged = len(chunk.items) * self.speed.seconds(seat.token, kind)
        taken = Taken(chunk, seat, priority, caller, charged, reserved.only(len(chunk.items)))
        self._hold(taken)
        self._charge(taken, charged)
        for work in {work for work, _ in chunk.items}:
            self.on_taken(work)
        self._wake_next(urgent=urgent)
        return replace(taken, chunk=self.wanted(self._permitted(chunk)))

    def _size(
        self,
        lanes: Lanes,
        token: TokenName,
        waiting: Iterable[Waiting],
        choice: tuple[Priority, str],
        kind: Kind,
    ) -> int:
        """Of the next chunk: what takes long enough, but not so much that another worker has nothing. Beside a caller
        of more weight, less: so all of them come to their turn as often.
        """
        priority, caller = choice
        size = self.speed.chunk_size(token, kind, priority)
        heaviest = max(self._weight(each.caller) for each in waiting)
        size = min(size, max(_SMALLEST, size * self._weight(caller) // heaviest))
        share = self.seats.share(token)
        count = lanes.count(caller, kind, size * share)
        return min(size, max(_SMALLEST, -(-count // share)))

    def _permitted(self, chunk: Chunk) -> Chunk:
        """All of it, if the policy still lets it be signed, and else nothing: orders end, jobs wait."""
        if not chunk.items:
            return chunk
        work, _ = chunk.items[0]
        faults = {
            patient: self._standing.refusal(work.caller, work.kind, interactive=not patient)
            for patient in {work.patient for work, _ in chunk.items}
        }
        if not any(faults.values()):
            return chunk
        kept: list[Item] = []
        for work, position in reversed(chunk.items):
            fault = faults[work.patient]
            if fault is None:
                kept.append((work, position))
            elif work.patient:
                work.rest(position)
                self.on_forbidden(work, fault)
            else:
                work.end(position, fault)
        return Chunk(chunk.kind, tuple(reversed(kept)))

    def wanted(self, chunk: Chunk) -> Chunk:
        """What of it somebody still waits for; the rest ends."""
        if all(work.unwanted() is None for work in {work for work, _ in chunk.items}):
            return chunk
        return Chunk(chunk.kind, tuple(item for item in chunk.items if self._is_wanted(item)))

    def _hold(self, taken: Taken) -> None:
        self._held[taken.token, taken.priority] += 1
        self.seats.took(taken.seat, job=taken.priority is not Priority.INTERACTIVE)
        self.nothing_held.clear()

    def returned(self, taken: Taken, *, asked: int, made: int = 0) -> None:
        """A chunk is done; `asked` of its inputs went to the worker, whatever came of them, and `made` signatures may
        have been made.

        What its caller is charged is the time that such inputs were measured to take lately: what one chunk took tells
        more about what else the machine did just then.
        """
        seconds = asked * self.speed.seconds(taken.token, taken.chunk.kind)
        self._held[taken.token, taken.priority] -= 1
        if not self._held[taken.token, taken.priority]:
            del self._held[taken.token, taken.priority]
        self.seats.gave_back(taken.seat, job=taken.priority is not Priority.INTERACTIVE)
        if not self._held:
            self.nothing_held.set()
        if self._tokens().give_back(taken.token, taken.reserved, made=made):
            self.wake_all()
        self._charge(taken, seconds - taken.charged)
        if taken.priority is not Priority.INTERACTIVE and self._urgent:
            self.seats.wake_urgent()  # they may have had to let it go first

    def put_back(self, work: Work, position: int) -> None:
        """Back to where it waited, if somebody still waits for it."""
        if not self._is_wanted((work, position)):
            return
        fault = None if work.patient else self._interactive_refusal(work)
        if fault is not None:
            work.end(position, fault)
            return
        work.rest(position)
        if work in self.suspects:
            self.seats.suspects.wake_all()
        elif not (work.abandoned or self._held_back(work)):
            self._lane(work).push_front(work)
            self._wake(work)

    def suspect(self, work: Work, position: int, token: TokenName, at: float) -> None:
        """It goes to no worker but for its trial.

        :param at: when a worker of `token` failed over it.
        """
        if work.unwanted() is None and not work.abandoned and not work.resting:
            self._lane(work).withdraw(work)
            self.suspects.blame(work, position, token, at)
            self.seats.suspects.wake_all()

    def take_suspect(self, seat: Seat, proved: float) -> Taken | None:
        """A chunk of one input, for its trial by the worker of this seat."""
        reserved = self._tokens().reserve(seat.token, 1)
        if not reserved:
            return None
        item = self._suspect(seat.token, proved)
        if item is None:
            self._tokens().give_back(seat.token, reserved, made=0)
            return None
        work, _ = item
        taken = Taken(Chunk(work.kind, (item,)), seat, work.priority, work.caller, 0.0, reserved)
        self._hold(taken)
        return taken

    def _suspect(self, token: TokenName, proved: float) -> Item | None:
        item = self.suspects.take(token, proved, self.suits(token), self._held_back)
        if item is not None and not self._is_wanted(item):
            self.after_trial(*item, token)
            return self._suspect(token, proved)
        return item

    def after_trial(self, work: Work, position: int, token: TokenName) -> None:
        if work not in self.suspects:
            return
        if position in work.waiting:  # it decided nothing: the worker ended for another reason
            self.suspect(work, position, token, time.monotonic())
            return
        self.suspects.clear(work)
        if work.waiting and not (work.abandoned or self._held_back(work)):
            self._lane(work).push_front(work)
            self._wake(work)

    def _is_wanted(self, item: Item) -> bool:
        """Whether somebody still waits for an input that was taken out; ends it if not."""
        work, position = item
        fault = work.unwanted()
        if fault is not None:
            work.end(position, fault)
        return fault is None

    # --- whose turn it is

    def _lane(self, work: Work) -> Lanes:
        return self._urgent if work.urgent else self._lanes[work.priority]

    def _fair(self, token: TokenName) -> Fairness:
        return self._fairness.setdefault(token, Fairness())

    def _charge(self, taken: Taken, seconds: float) -> None:
        suits = self.suits(taken.token)
        present = {
            priority
            for priority, lanes in self._lanes.items()
            if self._held[taken.token, priority] or self._present(lanes, suits)
        }
        if self._present(self._urgent, suits):
            present.add(Priority.INTERACTIVE)
        self._fair(taken.token).charge(
            taken.priority, taken.caller, seconds, weight=self._weight(taken.caller), waiting=present
        )

    @staticmethod
    def _present(lanes: Lanes, suits: Suits) -> bool:
        return bool(lanes) and bool(lanes.waiting(suits))

    def _jobs_wait(self, seat: Seat, suits: Suits) -> bool:
        """Whether this worker has, or could have, something of a job to do."""
        return self.seats.holds_jobs(seat) or any(
            self._present(self._lanes[priority], suits) for priority in (Priority.NORMAL, Priority.LOW)
        )

    # --- who looks again

    def _wake(self, work: Work) -> None:
        """One pump is enough: it wakes the next if it leaves something."""
        self.seats.wake_one(lambda seat: self.suits(seat.token)(work.kind), urgent=work.urgent)

    def _wake_next(self, *, urgent: bool) -> None:
        """If something is left: whoever can take it."""
        lanes = [self._urgent] if urgent else list(self._lanes.values())
        if any(lanes):
            self.seats.wake_one(
                lambda seat: any(self._present(each, self.suits(seat.token)) for each in lanes), urgent=urgent
            )

    def wake_all(self) -> None:
        self.seats.wake_all()
