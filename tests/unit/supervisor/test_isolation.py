"""A token's quarantine holds at once, and outlives the process as soon as that can be written."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.quarantine import Quarantine
from segeld.supervisor.isolation import Isolation
from segeld.supervisor.token_notes import OfThisRun

NAME = TokenName("seal")
OFFICERS = Quarantine(1_800_000_000.0, "wayan", "the reader was found open")
OWN = Quarantine(1_800_000_100.0, "", "signatures that do not verify")
TIMEOUT = 10


class Notes(OfThisRun):
    """`gate` makes writes wait; `broken` makes them fail."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def _look(self) -> None:
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.broken:
            raise Fault(Reason.STORAGE_UNAVAILABLE, "The database cannot be written.")

    async def isolate(self, token, quarantine) -> None:
        await self._look()
        await super().isolate(token, quarantine)

    async def release(self, token, who, how) -> None:
        await self._look()
        await super().release(token, who, how)


class Told:
    """Waits for what the isolation tells."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self._event.set()

    async def until(self, holds) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not holds():
                self._event.clear()
                await self._event.wait()


def isolation(notes: Notes, told=lambda: None, slow: float = 600.0) -> Isolation:
    return Isolation(NAME, notes, told, again=0.001, slow=slow)


async def test_it_holds_before_it_is_written_and_is_there_for_the_next_run() -> None:
    notes = Notes()
    notes.gate.clear()
    token = isolation(notes)
    written = token.begin(OFFICERS)
    assert token.quarantine == OFFICERS
    assert not token.is_written
    assert isolation(notes).quarantine is None
    notes.gate.set()
    await asyncio.wait_for(written, TIMEOUT)
    assert token.is_written
    assert token.quarantine == isolation(notes).quarantine == OFFICERS


async def test_what_cannot_be_written_holds_is_said_and_is_written_when_it_can_be() -> None:
    notes, told = Notes(), Told()
    notes.broken = True
    token = isolation(notes, told)
    with pytest.raises(Fault, match="cannot be written"):
        await asyncio.wait_for(token.begin(OFFICERS), TIMEOUT)
    assert token.quarantine == OFFICERS
    assert not token.is_written
    assert token.is_late
    notes.broken = False
    await told.until(lambda: token.is_written)
    assert not token.is_late
    assert isolation(notes).quarantine == OFFICERS


async def test_a_disk_is_given_its_moment_and_told_of_only_when_it_takes_longer() -> None:
    notes, told = Notes(), Told()
    notes.gate.clear()
    token = isolation(notes, told)
    token.begin(OFFICERS)
    assert (token.is_written, token.is_late) == (False, False)
    token.stop()
    slow = isolation(notes, told, slow=0.001)
    written = slow.begin(OWN)
    await told.until(lambda: slow.is_late)
    assert not slow.is_written
    notes.gate.set()
    await asyncio.wait_for(written, TIMEOUT)
    assert not slow.is_late


async def test_it_ends_only_when_that_is_written() -> None:
    notes = Notes()
    token = isolation(notes)
    await token.begin(OFFICERS)
    notes.broken = True
    with pytest.raises(Fault):
        await token.end("made", "release")
    assert token.quarantine == isolation(notes).quarantine == OFFICERS
    notes.broken = False
    await token.end("made", "release")
    assert token.quarantine is None
    assert isolation(notes).quarantine is None


async def test_one_that_was_released_before_it_was_written_does_not_come_back() -> None:
    notes, told = Notes(), Told()
    notes.broken = True
    token = isolation(notes, told)
    with pytest.raises(Fault):
        await token.begin(OWN)
    notes.broken = False
    await token.end("made", "release")
    assert token.quarantine is None
    while token._writing:
        await asyncio.wait_for(asyncio.wait(token._writing), TIMEOUT)
    assert isolation(notes).quarantine is None


async def test_one_that_begins_while_another_is_being_released_stays() -> None:
    notes = Notes()
    token = isolation(notes)
    await token.begin(OWN)
    notes.gate.clear()
    releasing = asyncio.create_task(token.end("made", "release"))
    await asyncio.sleep(0)
    written = token.begin(OFFICERS)
    notes.gate.set()
    await asyncio.wait_for(asyncio.gather(releasing, written), TIMEOUT)
    assert token.quarantine == isolation(notes).quarantine == OFFICERS


async def test_an_activation_that_comes_to_nothing_leaves_it_as_it_was() -> None:
    notes = Notes()
    token = isolation(notes)
    await token.begin(OWN)
    token.suspend()
    assert token.quarantine is None  # it may log in
    assert isolation(notes).quarantine == OWN  # a restart in between finds it
    assert token.resume()
    assert token.quarantine == OWN


async def test_one_that_begins_during_an_activation_ends_that() -> None:
    token = isolation(Notes())
    token.suspend()
    await token.begin(OFFICERS)
    assert not token.is_suspended
    assert token.quarantine == OFFICERS


def test_two_bad_signatures_within_ten_minutes_are_too_many(monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("segeld.supervisor.isolation.time.monotonic", lambda: now[0])
    token = isolation(OfThisRun())
    assert not token.bad_signature()
    now[0] += 601.0
    assert not token.bad_signature()
    now[0] += 599.0
    assert token.bad_signature()


ACTS = st.lists(st.sampled_from(["begin", "end", "suspend", "resume", "break", "mend", "turn"]), max_size=14)


@settings(max_examples=100, deadline=None)
@given(ACTS)
def test_whatever_officers_do_it_is_lifted_by_nobody_else(acts) -> None:
    asyncio.run(_holds(acts))


async def _holds(acts) -> None:
    """What a restart would find is never less than what was written and not taken back."""
    notes = Notes()
    token = isolation(notes)
    wanted = False
    for act in acts:
        match act:
            case "begin":
                token.begin(OFFICERS)
                wanted = True
            case "end":
                try:
                    await token.end("made", "release")
                except Fault:
                    continue
                wanted = False
            case "suspend":
                token.suspend()
            case "resume":
                token.resume()
            case "break":
                notes.broken = True
            case "mend":
                notes.broken = False
            case "turn":
                await asyncio.sleep(0)
        assert (token.quarantine is not None) == (wanted and not token.is_suspended)
    notes.broken = False
    token.resume()
    while token._writing:
        await asyncio.wait(token._writing)
    assert (isolation(notes).quarantine is not None) == wanted == (token.quarantine is not None)
