"""A daemon may be stopped at any step while a child starts: no process and no transport outlives that."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from segeld.ipc.keeper_wire import Record
from segeld.supervisor.guard import Guard
from segeld.supervisor.keeper_handle import KeeperHandle
from segeld.supervisor.worker_handle import WorkerHandle

TIMEOUT = 30
CANCELS = 3
"""Whoever stops may lose patience: once would be the rule."""
MUCH = Record(tuple(bytes([number]) * 32 for number in range(64)))
"""What is remembered of a device; of many it does not fit into a socket at once."""


def children() -> set[int]:
    """This process's own, those that have ended and were not waited for among them."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, task.joinpath("children").read_text().split()))
    return found


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Steps(asyncio.SelectorEventLoop):
    """Cancels a task at its n-th step, and then once more at each of the next ones."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.cancels = 0
        self.task: asyncio.Task | None = None

    def _run_once(self) -> None:
        super()._run_once()
        if self.task is None or self.task.done():
            return
        self.left -= 1
        if self.left < 0 and self.cancels:
            self.cancels -= 1
            self.task.cancel()


def cancelled_at(step: int, cancels: int, work: Callable[[], Awaitable[None]]) -> bool:
    """Whether it was cancelled before it had come to its end."""
    loop = Steps()
    loop.left, loop.cancels = step, cancels

    async def main() -> bool:
        loop.task = asyncio.create_task(work())
        await asyncio.wait({loop.task}, timeout=TIMEOUT)
        assert loop.task.done()
        return loop.task.cancelled()

    try:
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def starts(tmp_path) -> dict[str, Callable[[], Awaitable[None]]]:
    async def worker() -> None:
        handle = await WorkerHandle.start({})
        await handle.close()

    async def keeper() -> None:
        guard = Guard(tmp_path / "pin-guard")
        await guard.load()
        guard._content.devices.update((f"{number:08}", MUCH) for number in range(200))
        handle = await KeeperHandle.start(guard)
        await handle.close()

    return {"worker": worker, "keeper": keeper}


@pytest.mark.parametrize("which", ["worker", "keeper"])
def test_nothing_is_left_of_a_child_whose_start_or_end_was_cancelled(starts, which) -> None:
    processes, open_ = children(), descriptors()
    step = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while cancelled_at(step, CANCELS, starts[which]):
            gc.collect()
            assert children() <= processes, f"a process is left after a cancellation at step {step}"
            assert descriptors() <= open_, f"a descriptor is left after step {step}"
            step += 1
    assert step > 3
