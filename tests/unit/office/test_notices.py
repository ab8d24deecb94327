"""Telling somebody: what is told, how often, and that it never holds anything up."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.office.notices import AGAIN, HOUR, MAX_WAITING, Condition, Kind, Notices, Told
from segeld.office.notify_command import NotifyCommand

SEAL = Condition(
    Kind.TOKEN, "tokens/seal", "tokens/seal waits for its PIN. Run: segelctl token activate seal"
)
OTHER = Condition(Kind.CHANGE, "changes/7", "wayan asks.")
STEP = st.tuples(st.frozensets(st.sampled_from([SEAL, OTHER])), st.sampled_from([1.0, 1800.0, 3600.0]))


@given(st.lists(STEP, max_size=30))
def test_the_same_is_not_told_twice_in_an_hour_unless_it_went_away(steps):
    told, now = Told(), 0.0
    last: dict[Condition, float] = {}
    before: frozenset[Condition] = frozenset()
    for held, seconds in steps:
        now += seconds
        news = told.news(held, now)
        for condition in held:
            long_ago = now - last.get(condition, -HOUR) >= HOUR
            assert (condition in news) == (condition not in before or long_ago)
        for condition in news:
            told.note(condition, now)
            last[condition] = now
        before = held


def test_a_certificate_is_told_of_once_a_day():
    told, certificate = Told(), Condition(Kind.CERTIFICATE, "keys/sha256-00", "It ends.")
    assert told.news([certificate], 0.0) == [certificate]
    told.note(certificate, 0.0)
    assert told.news([certificate], 2 * HOUR) == []
    assert told.news([certificate], AGAIN[Kind.CERTIFICATE]) == [certificate]


class Heard:
    """A teller that keeps what it heard; `hold` makes it slow."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Condition] = asyncio.Queue()
        self.hold = asyncio.Event()
        self.hold.set()
        self.inside = self.most = 0
        self.fails = ""

    async def __call__(self, condition: Condition, at: float) -> str:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.hold.wait()
        self.inside -= 1
        self.queue.put_nowait(condition)
        return self.fails


@pytest.fixture
async def telling():
    """Notices over conditions that the test sets, and what was heard of them."""
    heard, counted, running = Heard(), [], []

    def start(*sources):
        notices = Notices(sources, heard, lambda kind, result: counted.append((kind, result)), settle=0.0)
        running.append(asyncio.create_task(notices.run()))
        return notices, heard, counted

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_what_changed_is_told_one_after_the_other(telling):
    held = [SEAL]

    async def source():
        return held

    notices, heard, counted = telling(source)
    async with asyncio.timeout(10):
        assert await heard.queue.get() == SEAL
        held.append(OTHER)
        notices.look()
        assert await heard.queue.get() == OTHER
    assert heard.queue.empty()
    assert heard.most == 1
    assert counted[0] == (Kind.TOKEN, "told")


async def test_a_slow_command_holds_nobody_up_and_what_waits_is_bounded(telling, events):
    many = [Condition(Kind.CHANGE, f"changes/{number}", "x") for number in range(MAX_WAITING + 10)]
    seen = asyncio.Event()

    async def source():
        return many

    async def last():
        seen.set()
        return ()

    notices, heard, counted = telling(source, last)
    heard.hold.clear()
    async with asyncio.timeout(10):
        await seen.wait()
        while not counted:
            notices.look()
            await asyncio.sleep(0)
    assert set(counted) == {(Kind.CHANGE, "dropped")}
    assert any(event["event"].startswith("not told") for event in events)
    heard.hold.set()
    async with asyncio.timeout(10):
        told = set()
        while len(told) < len(many):  # what was dropped is tried again
            notices.look()
            told.add((await heard.queue.get()).subject)


async def test_a_source_that_fails_silences_no_other(telling, events):
    async def broken():
        raise RuntimeError("a bug")

    async def source():
        return [SEAL]

    _, heard, _ = telling(broken, source)
    async with asyncio.timeout(10):
        assert await heard.queue.get() == SEAL


async def test_a_failure_is_counted_and_logged(telling, events):
    async def source():
        return [SEAL]

    _, heard, counted = telling(source)
    heard.fails = "it ended with 3"
    async with asyncio.timeout(10):
        await heard.queue.get()
        await asyncio.sleep(0)  # it was told in the step before the counting
    assert counted == [(Kind.TOKEN, "failed")]
    assert events[-1]["why"] == "it ended with 3"


def script(folder, text: str) -> list[str]:
    program = folder / "tell"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return [str(program), "a b", "$(touch no)"]


async def test_the_command_gets_one_object_and_a_small_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGEL_CANARY", "secret")
    command = script(
        tmp_path, f'cat > {tmp_path}/in; env > {tmp_path}/env; printf "%s\\n" "$@" > {tmp_path}/args'
    )
    assert await NotifyCommand(command)(SEAL, 1_800_000_000.0) == ""
    text = (tmp_path / "in").read_text()
    assert text.endswith("\n")
    assert json.loads(text) == {
        "kind": "token-needs-officer",
        "subject": "tokens/seal",
        "text": SEAL.text,
        "time": "2027-01-15T08:00:00Z",
    }
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names <= {"PATH", "LANG", "LC_ALL", "TZ", "PWD", "SHLVL", "_", "OLDPWD"}
    assert (tmp_path / "args").read_text() == "a b\n$(touch no)\n"


async def test_a_command_that_fails_says_how(tmp_path):
    assert "ended with 3" in await NotifyCommand(script(tmp_path, "exit 3"))(SEAL, 0.0)
    assert "No such file" in await NotifyCommand([str(tmp_path / "nothing")])(SEAL, 0.0)
    (tmp_path / "tell").write_bytes(b"\x7fELF junk")
    assert "tell: " in await NotifyCommand([str(tmp_path / "tell")])(SEAL, 0.0)


async def test_a_command_that_reads_nothing_is_no_failure(tmp_path):
    long = Condition(Kind.CHANGE, "changes/1", "x" * 200_000)
    assert await NotifyCommand(script(tmp_path, "exec 0<&-; exit 0"))(long, 0.0) == ""


async def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    command = script(tmp_path, f"sleep 100 & echo $! > {tmp_path}/child; wait")
    started = time.monotonic()
    assert "took more than 1 s" in await NotifyCommand(command, patience=1.0)(SEAL, 0.0)
    assert time.monotonic() - started < 20
    child = int((tmp_path / "child").read_text())
    async with asyncio.timeout(10):
        while _lives(child):  # noqa: ASYNC110 - whoever inherited it reaps it soon; nothing says when
            await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
