"""Workers are replaced after a change: also such as were only being started, which may have loaded the module before it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from segeld.config.schema import Module, PinPrompt, Token
from segeld.model.names import TokenName
from segeld.model.token_state import Stage
from segeld.supervisor import slot as slots
from segeld.supervisor.crew import Crew
from segeld.supervisor.news import News
from segeld.supervisor.slot import WorkerSlot

TIMEOUT = 10
STEPS = ("loaded", "opened", "seen", "logged in", "found")


class Device:
    """A token, and a module that lists its objects only when it is loaded."""

    def __init__(self, held_at: str = "") -> None:
        self.objects = ("old",)
        self.started: list[FakeWorker] = []
        self.held_at = held_at
        """The step after which the first worker is held."""
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def start(self, _) -> "FakeWorker":
        worker = FakeWorker(self, first=not self.started)
        self.started.append(worker)
        return worker

    async def step(self, worker: "FakeWorker", name: str) -> None:
        if worker.first and name == self.held_at:
            self.reached.set()
            await self.go_on.wait()


class FakeWorker:
    def __init__(self, device: Device, *, first: bool) -> None:
        self.first, self.retiring, self.killed, self.why = first, False, False, ""
        self.leaving, self.ended = asyncio.Event(), asyncio.Event()
        self._device = device
        self._objects: tuple[str, ...] = ()
        self._steps = iter(("seen", "found"))

    async def load(self, *_) -> None:
        self._objects = self._device.objects
        await self._device.step(self, "loaded")

    async def open_token(self, *_) -> SimpleNamespace:
        await self._device.step(self, "opened")
        return SimpleNamespace(token=None)

    async def find_keys(self, *_, **__) -> SimpleNamespace:
        await self._device.step(self, next(self._steps))
        return SimpleNamespace(keys=self._objects)

    def retire(self) -> None:
        self.retiring = True
        self.leaving.set()

    def kill(self, _) -> None:
        self.killed = True

    async def close(self) -> None:
        self.ended.set()


class Host:
    """The token, as its workers' places need it."""

    def __init__(self, device: Device) -> None:
        self.name, self.news = TokenName("seal"), News()
        self.config = Token(module="m", label="seal", pin=PinPrompt(), workers=1)
        self.module = Module(path=Path("/nonexistent"))
        self.known: list[tuple[str, ...]] = []
        """What workers found that were logged in."""
        self._device = device
        self.update = self.news.tell
        self.is_halted = lambda: False
        self.serial = lambda: None
        self.public_keys = lambda: ()
        self.seen = lambda info: None

    async def log_in(self, worker: FakeWorker) -> None:
        await self._device.step(worker, "logged in")

    async def know(self, worker: FakeWorker, found, *, logged_in: bool) -> None:
        if logged_in:
            self.known.append(found)

    async def serve(self, worker: FakeWorker) -> None:
        await worker.leaving.wait()


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_that_is_just_starting_is_replaced_and_is_not_killed_in_its_login(
    monkeypatch, step
) -> None:
    device = Device(step)
    monkeypatch.setattr(slots.WorkerHandle, "start", device.start)
    host = Host(device)
    slot = WorkerSlot(host, 0)
    crew = Crew((slot,), host.news, host.config)
    running = asyncio.create_task(slot.run())
    async with asyncio.timeout(TIMEOUT):
        await device.reached.wait()
        device.objects = ("old", "new")
        await crew.replace()
        device.go_on.set()
        await host.news.until(lambda: slot.status.stage is Stage.READY)
    running.cancel()
    await asyncio.wait({running})
    assert (host.known, len(device.started)) == ([("old", "new")], 2)
    assert not device.started[0].killed


async def test_a_worker_that_is_ready_is_replaced_before_that_is_said(monkeypatch) -> None:
    device = Device()
    monkeypatch.setattr(slots.WorkerHandle, "start", device.start)
    host = Host(device)
    slot = WorkerSlot(host, 0)
    crew = Crew((slot,), host.news, host.config)
    running = asyncio.create_task(slot.run())
    async with asyncio.timeout(TIMEOUT):
        await host.news.until(lambda: slot.status.stage is Stage.READY)
        device.objects = ("old", "new")
        await crew.replace()
    assert host.known == [("old",), ("old", "new")]
    assert crew.ready() is device.started[1]
    running.cancel()
    await asyncio.wait({running})
