"""How long a reader goes on: the time that a stream was silent does not count."""

import grpc
import grpc.aio
import pytest

from segel import errors
from segel._follow import follow
from segel._patience import Patience


class Clock:
    """Of a loop in which waiting takes no time."""

    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("asyncio.get_running_loop", lambda: self)
        monkeypatch.setattr("segel._patience.asyncio.sleep", self.sleep)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Connection:
    """Reached before; whatever breaks may be repeated."""

    reached = True

    def channel(self) -> None: ...

    def note_answer(self) -> None: ...

    async def explain(self, _error) -> errors.SegelError:
        return errors.ConnectionFailed("It broke", reason="X", code="UNAVAILABLE", retry_after=0.0)


class Call:
    """Gives messages, then breaks; each after so many seconds."""

    def __init__(self, clock: Clock, *waits: float) -> None:
        self._clock = clock
        self._waits = list(waits)

    def __aiter__(self) -> "Call":
        return self

    async def __anext__(self) -> str:
        self._clock.now += self._waits.pop(0)
        if not self._waits:
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
        return "message"

    def cancel(self) -> None: ...


async def read(clock: Clock, *calls: Call) -> int:
    """How many messages came before it was given up."""
    left = list(calls)
    count = 0
    messages = follow(Connection(), lambda _channel: left.pop(0) if left else Call(clock, 0.0), Patience(10))
    try:
        async for _ in messages:
            count += 1
    except errors.ConnectionFailed:
        return count
    pytest.fail("it was not given up")


@pytest.mark.parametrize("silence", [(1.0, 5000.0), (5000.0,)])
async def test_a_stream_that_was_silent_may_break(silence, monkeypatch):
    clock = Clock(monkeypatch)
    assert await read(clock, Call(clock, *silence), Call(clock, 0.0, 0.0)) == len(silence)
    assert sum(silence) < clock.now < sum(silence) + 11


async def test_a_daemon_that_stays_away_is_given_up(monkeypatch):
    clock = Clock(monkeypatch)
    assert await read(clock) == 0
    assert 5 < clock.now < 11
